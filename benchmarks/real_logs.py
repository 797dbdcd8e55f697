"""Thirty logs of strangers: what is said of each, beside what a person wrote who looked at it.

The logs are those of a public collection (permissive licences, `index.csv` names repository and path of each), read as they come,
without a word on their columns. `TUNESMITH_SHARED` names their folder. A log is *met* where what is said names what the person saw
(`EXPECTED`, a list by tag: one of the faults, at any severity; nothing above a note of a sound run; the notice of one that cannot be
judged). The logs were looked at while the rules were written: the table
shows what is said of real logs, not how well the rules travel. The times are those of reading and judging in one process that is already warm.
"""

import csv
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import Row, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data" / "logs"
SOUND = ("healthy", "slow_healthy", "train_below_val")
EXPECTED: Mapping[
    str, tuple[str, ...]
] = {  # by tag: a fault that is to be named, or the end of a notice that is to be given
    "overfit": ("fit.overfit",),
    "overfit_mild": ("fit.overfit",),
    "generalisation_gap": ("fit.overfit", "data.train_val_mismatch"),
    "plateau": ("loss.not_decreasing",),
    "spikes": ("loss.spike",),
    "multi_loss_conflict": ("loss.unbalanced_tasks",),
    "metric_suspect": ("loss.mismatch",),
    "underfit": ("lr.too_low", "batch.too_large", "fit.too_few_epochs", "fit.underfit"),
    "no_validation": ("cannot_no_held",),
    "too_short": ("cannot_short",),
    "not_a_training_curve": ("unreadable",),
}


def cases() -> list[dict[str, Any]]:
    if not (SHARED / "index.csv").exists():
        return []
    return [{"file": row["file"], "tag": row["tag"]} for row in index()]


def index() -> list[dict[str, str]]:
    with (SHARED / "index.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(case: dict[str, Any]) -> dict[str, Any]:
    from tunesmith.doctor.diagnosis import RULES, diagnosed
    from tunesmith.records import DataError
    from tunesmith.runs.readers import READERS, read_log

    list(RULES), list(READERS)  # what is loaded once is not timed
    began = time.perf_counter()
    try:
        histories = read_log(SHARED / case["file"])
    except DataError as error:
        answer = str(error).replace(str(SHARED) + os.sep, "")
        return {
            "met": met(case["tag"], [], ["unreadable"]),
            "said": [answer],
            "silent": ["unreadable"],
            "reader": "",
        } | _spent(began)
    told = [diagnosed(history) for history in histories]
    findings = [[one.severity, one.fault, round(one.confidence, 2), one.text()] for each in told for one in each]
    silent = sorted({name for each in told for name in each.measured["cannot_tell"]})
    return {
        "met": met(case["tag"], findings, silent),
        "findings": findings,
        "silent": silent,
        "runs": len(histories),
        "reader": histories[0].reader,
        "broken": sorted({name for each in told for name in each.failed}),
    } | _spent(began)


def _spent(began: float) -> dict[str, float]:
    return {"seconds": round(time.perf_counter() - began, 3)}


def met(tag: str, findings: Sequence[Sequence[Any]], silent: Sequence[str]) -> bool:
    """Whether what is said is what the person saw."""
    if tag in SOUND:
        return all(one[0] == "note" for one in findings)
    wanted = EXPECTED[tag]
    return any(one[1] in wanted for one in findings) or any(name in wanted for name in silent)


def table(rows: Sequence[Row]) -> str:
    seen = {row["file"]: row["what_is_visible"] for row in index()} if (SHARED / "index.csv").exists() else {}
    lines = [
        [f"`{row['case']['file']}`", row["case"]["tag"], "yes" if row["measured"]["met"] else "**no**", said(row)]
        for row in rows
    ]
    count = sum(bool(row["measured"]["met"]) for row in rows)
    sound = [row for row in rows if row["case"]["tag"] in SOUND]
    alarms = sum(any(one[0] != "note" for one in row["measured"].get("findings", ())) for row in sound)
    seconds = [row["measured"]["seconds"] for row in rows]
    told = [
        f"{count} of {len(rows)} logs are met; {alarms} of {len(sound)} sound ones have a finding above a note. "
        f"Reading and judging takes {sorted(seconds)[len(seconds) // 2]:.2f} s in the middle, {max(seconds):.2f} s at most.",
        markdown(["log", "tag", "met", "what is said, the first three findings"], lines),
    ]
    missed = [row for row in rows if not row["measured"]["met"]]
    if missed:
        told.append(
            "## Not met\n\n"
            + "\n".join(f"* `{row['case']['file']}`: {seen.get(row['case']['file'], '')}" for row in missed)
        )
    return "\n\n".join(told)


def said(row: Row) -> str:
    found = row["measured"].get("findings", [])
    parts = [f"{severity} `{fault}` ({confidence:g}): {text}" for severity, fault, confidence, text in found[:3]]
    parts += [f"({len(found) - 3} more)"] if len(found) > 3 else []
    parts += row["measured"].get("said", [])
    if not found and row["measured"]["silent"]:
        parts.append("cannot tell: " + ", ".join(name.removeprefix("cannot_") for name in row["measured"]["silent"]))
    return " · ".join(parts).replace("|", "\\|").replace("\n", " ") or "nothing"


if __name__ == "__main__":
    for case in cases():
        print(json.dumps(case), json.dumps(measure(case), ensure_ascii=False))

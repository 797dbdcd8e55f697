"""Whether a planted fault does harm: the same program trained with the fault and without, over three seeds.

Each sabotage is planted in programs drawn by name, at three strengths; scores are those on the part that shows the harm (rows kept for
judging, or the validation rows where the fault lies in them), higher is better. `noise` is the smaller of the spread of the sound scores and of the
differences, at least 3 % of what the sound program gains over a constant answer. A planting is *harmful* where the program raises, gives
no number, or loses more than twice the noise on average and more than the noise in at least two of three seeds; a validation score that is too
good is harm too. A harmless planting counts as a fault only where the sabotage breaks an invariant: what makes a run wrong
whatever its score (the list below).

`python benchmarks/sabotage_harm.py` measures all that has not been measured, in one process.
"""

import argparse
import importlib.util
import json
import math
import os
import sys
import time
from datetime import UTC, datetime
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from statistics import mean, stdev
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "sabotage_harm.jsonl"
SEEDS = (0, 1, 2)
PROGRAMS = 2  # a sabotage
LEAST = 0.03  # of the gain over a constant answer: below it a loss is no harm; assumption


def cases() -> list[dict[str, Any]]:
    """Those first for which the harm decides whether they count, the strongest of them first, each in one program and then in others."""
    from tunesmith.testing.pairing import chosen
    from tunesmith.testing.sabotage import SABOTAGES, STRENGTHS

    decided = {
        name: each.invariant or (not each.visible and each.suite == "preflight") for name, each in SABOTAGES.items()
    }
    return [
        {"sabotage": name, "strength": strength, "program": program}
        for late in (False, True)
        for strength in reversed(STRENGTHS)
        for place in range(PROGRAMS)
        for name in SABOTAGES
        if decided[name] == late
        for program in chosen(name, PROGRAMS)[place:][:1]
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    from tunesmith.testing.sabotage import SABOTAGES

    began = time.monotonic()
    judged = SABOTAGES[case["sabotage"]].judged
    sound = [healthy(case["program"], judged, seed) for seed in SEEDS]
    planted, crash = [], ""
    for seed in SEEDS:
        value, raised = faulty(case, judged, seed)
        planted.append(value)
        crash = crash or raised
    return {
        "healthy": [round(each, 4) for each in sound],
        "planted": planted,
        "baseline": round(constant(case["program"]), 4),
        "crash": crash,
        "judged": judged,
        "seconds": round(time.monotonic() - began, 2),
    }


@cache
def healthy(program: str, judged: str, seed: int) -> float:
    from tunesmith.testing.healthy import HEALTHY

    return scored(HEALTHY[program](seed), judged)


@cache
def constant(program: str) -> float:
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.training import baseline

    found = baseline(HEALTHY[program](0))
    return found if math.isfinite(found) else 0.0


def scored(program: Any, judged: str) -> float:
    from tunesmith.testing.training import trained

    if judged == "val":
        program.test = None
    return trained(program)


def faulty(case: dict[str, Any], judged: str, seed: int) -> tuple[float | None, str]:
    """The score with the fault, None where it is no number; and what was raised."""
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.sabotage import SABOTAGES

    program = SABOTAGES[case["sabotage"]].plant(HEALTHY[case["program"]](seed), case["strength"], seed)
    try:
        value = scored(program, judged)
    except Exception as error:  # whatever a faulty program raises is its harm
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return (round(value, 4), "") if math.isfinite(value) else (None, "")


def harmful(measured: dict[str, Any]) -> bool:
    """By the rule on top of this file."""
    if measured["crash"] or None in measured["planted"]:
        return True
    lost = [good - bad for good, bad in zip(measured["healthy"], measured["planted"], strict=True)]
    if measured["judged"] == "val":
        lost = [abs(each) for each in lost]
    gain = abs(mean(measured["healthy"]) - measured["baseline"])
    noise = max(LEAST * gain, min(stdev(measured["healthy"]), stdev(lost)))
    return mean(lost) > 2 * noise and sum(each > noise for each in lost) >= 2


def harms() -> dict[tuple[str, int, str], bool]:
    """Whether each measured planting was harmful, by sabotage, strength and program."""
    from tables import read_rows

    found: dict[tuple[str, int, str], bool] = {}
    for row in read_rows(RESULTS):
        if "measured" in row:
            case = row["case"]
            found[case["sabotage"], case["strength"], case["program"]] = harmful(row["measured"])
    return found


def table(rows: Any) -> str:
    from tables import markdown

    from tunesmith.testing.sabotage import SABOTAGES

    by_name: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        case = row["case"]
        by_name.setdefault(case["sabotage"], {}).setdefault(case["strength"], []).append(row)
    lines = []
    for name in sorted(by_name):
        if name not in SABOTAGES:
            continue
        member = SABOTAGES[name]
        told = [shown(by_name[name].get(strength, [])) for strength in (1, 2, 3)]
        lines.append([f"`{name}`", f"`{member.faults[0]}`", member.mechanism, *told])
    held = [row for row in rows if row["case"]["sabotage"] in SABOTAGES]
    bad = sum(harmful(row["measured"]) for row in held)
    always = ", ".join(f"`{name}`" for name in SABOTAGES if SABOTAGES[name].invariant)
    head = f"{len(held)} plantings of {len(by_name)} sabotages, {bad} of them harmful; `!` marks those, the number is the mean score lost."
    return "\n\n".join(
        [
            head,
            f"Invariants, which count whatever they cost: {always}.",
            markdown(["sabotage", "root", "mechanism", "1", "2", "3"], lines),
        ]
    )


def shown(rows: list[dict[str, Any]]) -> str:
    told = []
    for row in rows:
        found = row["measured"]
        if found["crash"]:
            told.append("raises !")
        elif None in found["planted"]:
            told.append("no number !")
        else:
            lost = mean(found["healthy"]) - mean(found["planted"])
            told.append(f"{lost:.2f}{' !' if harmful(found) else ''}")
    return ", ".join(told)


def runner() -> ModuleType:
    """The file `run` beside this one, which has no ending."""
    loader = SourceFileLoader("benchmark_runner", str(HERE / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("benchmark_runner", loader))
    loader.exec_module(module)
    return module


def main() -> int:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=(), help="sabotages")
    parser.add_argument("--again", action="store_true", help="measure also what has been measured")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run = runner()
    about = {"pair": 0, "machine": run.machine(), "commit": run.commit()}
    ends = time.monotonic() + 60 * asked.minutes
    done = set() if asked.again else {json.dumps(row["case"], sort_keys=True) for row in run.read_rows(RESULTS)}
    for case in cases():
        if (asked.only and case["sabotage"] not in asked.only) or json.dumps(case, sort_keys=True) in done:
            continue
        if time.monotonic() > ends:
            break
        row = {"case": case} | about
        row |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "measured": measure(case)}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    raise SystemExit(main())

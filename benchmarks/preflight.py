"""What `preflight` finds in programs with one planted fault, and what it says of sound ones, with 30 seconds for each.

A planted fault counts where it can be seen before a run, and does measured harm (sabotage_harm) or breaks an invariant; the others have a
table of their own. The seconds are those of the processor, one thread, so that other programs on the machine do not change what is
reached (on a machine of its own they are those of the clock). A hit is a finding above a note whose fault is among those that name the
planted one rightly; its rank is its place among the findings above a note. A false alarm is a finding above a note on a sound program
or task. *Held* are sabotages and data sets that nobody who wrote a rule has looked at (split.toml); brackets are Wilson intervals of 95 %.

`python benchmarks/preflight.py VERSION` measures what has not been measured under that name; the page shows the version measured last.
"""

import argparse
import json
import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
RESULTS = HERE / "results" / "preflight.jsonl"
SECONDS = 30.0
PROGRAMS = 2  # a sabotage; those whose harm was measured
HEALTHY_SEEDS = 5  # of each sound program and task: more than 300 runs
ABOVE_NOTE = ("error", "warning")
Z = 1.96  # 95 %

Row = dict[str, Any]
Look = Callable[..., Any]


def cases(version: str = "", part: str = "all", only: Sequence[str] = (), kinds: Sequence[str] = ()) -> list[Row]:
    """Sound programs and tasks by seed, then planted faults by strength, the strongest first."""
    return [
        case
        for case in _all(version)
        if (part == "all" or part_of(case) == part)
        and (not only or case["sabotage"] in only or case["program"] in only)
        and (not kinds or case["kind"] in kinds)
    ]


def _all(version: str) -> Iterator[Row]:
    from tunesmith.testing.healthy import HEALTHY, HEALTHY_TASKS
    from tunesmith.testing.pairing import chosen
    from tunesmith.testing.sabotage import SABOTAGES, STRENGTHS

    def case(kind: str, program: str, seed: int, sabotage: str = "", strength: int = 0) -> Row:
        about = {"program": program, "seed": seed, "sabotage": sabotage, "strength": strength}
        return {"version": version, "kind": kind, **about}

    for seed in range(HEALTHY_SEEDS):
        yield from (case("program", name, seed) for name in HEALTHY)
        yield from (case("task", name, seed) for name in HEALTHY_TASKS)
    for strength in reversed(STRENGTHS):
        for name in (name for name, each in SABOTAGES.items() if each.suite == "preflight"):
            yield from (case("planted", program, 0, name, strength) for program in chosen(name, PROGRAMS))


def part_of(case: Row) -> str:
    from tunesmith.testing import pairing

    return pairing.part_of(case["program"], case["sabotage"] or None)


def measure(case: Row, look: Look | None = None, seconds: float = SECONDS) -> Row:
    """What the verb says of one program; planted programs keep no test part, which is ours to measure harm with."""
    import torch

    from tunesmith.testing.healthy import HEALTHY_TASKS

    if look is None:
        from tunesmith.verbs.preflight import preflight as look
    torch.set_num_threads(1)
    subject = HEALTHY_TASKS[case["program"]](case["seed"]) if case["kind"] == "task" else (program_of(case),)
    began = time.monotonic()
    found = look(*subject, seconds=seconds)
    spent = time.monotonic() - began
    findings = [[one.fault, one.severity, round(float(one.confidence), 3)] for one in found]
    first, anywhere = ranks(findings, accepted(case))
    return {
        "part": part_of(case),
        "findings": findings,
        "rank": first,
        "rank_with_notes": anywhere,
        "seconds": round(spent, 2),
        "unreached": list(found.unreached),
        "failed": {name: text.strip().splitlines()[-1][:200] for name, text in found.failed.items()},
    }


def program_of(case: Row) -> Any:
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.sabotage import SABOTAGES

    program = HEALTHY[case["program"]](case["seed"])
    if case["kind"] == "planted":
        program = SABOTAGES[case["sabotage"]].plant(program, case["strength"], case["seed"])
    program.test = None
    return program


def accepted(case: Row) -> tuple[str, ...]:
    from tunesmith.testing.sabotage import SABOTAGES

    return SABOTAGES[case["sabotage"]].faults if case["sabotage"] else ()


def ranks(findings: Sequence[Sequence[Any]], faults: Iterable[str]) -> tuple[int | None, int | None]:
    """The place of the first accepted fault among findings above a note, and among all; None where it is not there."""
    wanted = set(faults)
    loud = [one for one in findings if one[1] in ABOVE_NOTE]
    return tuple(  # type: ignore[return-value]
        next((place for place, one in enumerate(some, 1) if one[0] in wanted), None) for some in (loud, findings)
    )


# The page


def table(rows: Sequence[Row]) -> str:
    from sabotage_harm import harms

    if not rows:
        return "Nothing has been measured yet."
    version = rows[-1]["case"]["version"]
    rows = [row for row in rows if row["case"]["version"] == version]
    known = harms()
    counted, others = [], []
    for row in rows:
        if row["case"]["kind"] == "planted":
            (counted if counts(row["case"], known) else others).append(row)
    sound = [row for row in rows if row["case"]["kind"] != "planted"]
    seconds = [row["measured"]["seconds"] for row in rows]
    told = [
        f"Version `{version}`: {len(rows)} runs, {median(seconds):.1f} s in the middle, {max(seconds):.0f} s at most.",
        summary(counted, sound),
        "## Planted faults, by root",
        by_root(counted),
        "## Planted faults that do not count: they cannot be seen before a run, or did no measured harm",
        by_root(others),
        "## Alarms on sound programs",
        alarms(sound),
        "## Missed",
        missed(counted),
        "## Checks that broke",
        broken(rows),
    ]
    return "\n\n".join(text for text in told if text)


def counts(case: Row, known: dict[tuple[str, int, str], bool]) -> bool:
    """Whether a planting is a fault that a look before the run must find."""
    from tunesmith.testing.sabotage import SABOTAGES

    member = SABOTAGES.get(case["sabotage"])
    if member is None or not member.visible:
        return False
    return member.invariant or known.get((case["sabotage"], case["strength"], case["program"]), False)


def summary(counted: Sequence[Row], sound: Sequence[Row]) -> str:
    from tables import markdown

    lines = []
    for part in ("open", "held"):
        planted = of_part(counted, part)
        healthy = of_part(sound, part)
        found = [row["measured"]["rank"] for row in planted]
        lines.append(
            [
                part,
                share(sum(rank == 1 for rank in found), len(found)),
                share(sum(rank is not None and rank <= 3 for rank in found), len(found)),
                share(sum(rank is not None for rank in found), len(found)),
                share(sum(loudest(row) == "error" for row in healthy), len(healthy)),
                share(sum(loudest(row) in ABOVE_NOTE for row in healthy), len(healthy)),
            ]
        )
    return markdown(["part", "first", "first three", "anywhere", "false errors", "false errors and warnings"], lines)


def by_root(rows: Sequence[Row]) -> str:
    from tables import markdown

    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(accepted(row["case"])[0] if row["case"]["sabotage"] else "", []).append(row)
    lines = []
    for fault in sorted(groups):
        cells = [f"`{fault}`"]
        for part in ("open", "held"):
            found = [row["measured"]["rank"] for row in of_part(groups[fault], part)]
            first, three = sum(rank == 1 for rank in found), sum(rank is not None and rank <= 3 for rank in found)
            cells += [f"{first}/{len(found)}", f"{three}/{len(found)}"] if found else ["", ""]
        cells.append(f"{median(row['measured']['seconds'] for row in groups[fault]):.1f}")
        lines.append(cells)
    header = ["fault", "open: first", "open: first three", "held: first", "held: first three", "seconds"]
    return markdown(header, lines) if lines else "None."


def alarms(rows: Sequence[Row]) -> str:
    told: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        for fault, severity in {(one[0], one[1]) for one in row["measured"]["findings"] if one[1] in ABOVE_NOTE}:
            told.setdefault((severity, fault), Counter())[row["case"]["program"]] += 1
    lines = [
        f"* {severity} `{fault}` in {sum(where.values())} runs: "
        + ", ".join(f"{name} ({count})" for name, count in where.most_common())
        for (severity, fault), where in sorted(told.items())
    ]
    return "\n".join(lines) or "None."


def missed(rows: Sequence[Row]) -> str:
    lines = []
    for row in sorted(rows, key=lambda row: (row["case"]["sabotage"], row["case"]["strength"])):
        case, found = row["case"], row["measured"]
        if found["rank"] is None or found["rank"] > 3:
            said = ", ".join(one[0] for one in found["findings"][:3] if one[1] in ABOVE_NOTE) or "nothing"
            note = " (as a note)" if found["rank"] is None and found["rank_with_notes"] else ""
            lines.append(
                f"* {found['part']}: `{case['sabotage']}` {case['strength']} in {case['program']}: {accepted(case)[0]}{note}; said {said}"
            )
    return "\n".join(lines) or "None."


def broken(rows: Sequence[Row]) -> str:
    told = Counter((name, text) for row in rows for name, text in row["measured"]["failed"].items())
    unreached = Counter(name for row in rows for name in row["measured"]["unreached"])
    lines = [f"* `{name}` in {count} runs: {text}" for (name, text), count in told.most_common()]
    if unreached:
        lines.append("* Not reached: " + ", ".join(f"`{name}` ({count})" for name, count in unreached.most_common()))
    return "\n".join(lines) or "None."


def of_part(rows: Sequence[Row], part: str) -> list[Row]:
    return [row for row in rows if row["measured"]["part"] == part]


def loudest(row: Row) -> str:
    found = {one[1] for one in row["measured"]["findings"]}
    return next((severity for severity in ABOVE_NOTE if severity in found), "")


def share(hits: int, count: int) -> str:
    if not count:
        return ""
    low, high = wilson(hits, count)
    return f"{hits}/{count} = {100 * hits / count:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def wilson(hits: int, count: int, z: float = Z) -> tuple[float, float]:
    """Wilson 1927: the score interval of a share."""
    p, square = hits / count, z * z
    middle = (p + square / (2 * count)) / (1 + square / count)
    half = z / (1 + square / count) * math.sqrt(p * (1 - p) / count + square / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


# Measuring


def main(arguments: Sequence[str] | None = None) -> int:
    from sabotage_harm import runner

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="a name for what is measured; runs under the same name go on")
    parser.add_argument("--part", choices=("open", "held", "all"), default="open")
    parser.add_argument("--only", nargs="*", default=(), help="sabotages or programs by name")
    parser.add_argument("--kinds", nargs="*", default=(), choices=("program", "task", "planted"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    asked = parser.parse_args(arguments)
    run = runner()
    about = {"pair": 0, "machine": run.machine(), "commit": run.commit()}
    done = {json.dumps(row["case"], sort_keys=True) for row in run.read_rows(RESULTS) if "measured" in row}
    todo = [
        case
        for case in cases(asked.version, asked.part, asked.only, asked.kinds)
        if json.dumps(case, sort_keys=True) not in done
    ]
    ends = time.monotonic() + 60 * asked.minutes
    for case, told in _measured(todo, asked.workers, asked.seconds):
        row = {"case": case} | about | {"date": datetime.now(UTC).isoformat(timespec="seconds")} | told
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if time.monotonic() > ends:
            break
    return 0


def _measured(todo: Sequence[Row], workers: int, seconds: float) -> Iterator[tuple[Row, Row]]:
    if workers == 1:
        for case in todo:
            yield case, tried(case, seconds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [(case, pool.submit(tried, case, seconds)) for case in todo]
        try:
            for case, future in waiting:
                yield case, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def count_processor_seconds() -> None:
    """The clock of this process and its alarm go by the time it computes, not by the time that passes."""
    time.perf_counter = time.process_time
    time.monotonic = time.process_time
    signal.ITIMER_REAL, signal.SIGALRM = signal.ITIMER_PROF, signal.SIGPROF  # type: ignore[misc]


def tried(case: Row, seconds: float) -> Row:
    """The numbers of a case, or the error that kept it from having any."""
    count_processor_seconds()
    try:
        return {"measured": measure(case, seconds=seconds)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


if __name__ == "__main__":
    raise SystemExit(main())

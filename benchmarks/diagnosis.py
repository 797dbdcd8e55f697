"""What `diagnose` makes of programs with one planted fault, of programs that fail, and of sound ones, in three ways of looking.

* `program`: `diagnose(program, seconds=60)`, which may look at it, train copies and undo suspicions one at a time.
* `watch`: the program trains under `watch` in a loop as its author has it, and the rules read what was measured.
* `log`: its author's CSV alone (epoch, train_loss, val_loss, the metric, lr; every third with rows of single batches too).

A planting counts where it does measured harm (sabotage_harm) or breaks an invariant. An *answer* is a cause or mechanism above a note, in
the order of the list; symptoms take no place, and nothing counts twice. An answer is right where it is among the faults that name the
planted one rightly, or where undoing it was measured to cure the program (diagnosis_cures). Of a log the *family* counts (what stands
before the dot); a run of which no answer is given counts as "cannot tell". A false alarm is a finding above a note, symptoms included, on
a sound run. *Held* are sabotages, data sets and failing programs that nobody who wrote a rule has looked at (split.toml). Brackets are
Wilson intervals of 95 %. Seconds are those of the processor, one thread; of `watch` and `log` those of the judgement, without the training.

`python benchmarks/diagnosis.py VERSION` measures what has not been measured under that name; of each way of looking the page shows the
last version whose sound runs, which come last, have begun.
"""

import argparse
import hashlib
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
RESULTS = HERE / "results" / "diagnosis.jsonl"
MODES = ("program", "watch", "log")
KINDS = ("sound", "planted", "failing")
SECONDS = 60.0
PROGRAMS = 2  # a sabotage; those whose harm was measured
SOUND_SEEDS = 7  # of each sound program: 315 runs in each mode
EVERY = 10  # updates between the rows of single batches, where a log has them
ABOVE_NOTE = ("error", "warning")
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of confidence

Row = dict[str, Any]
Look = Callable[..., Any]


# Cases


def cases(
    version: str = "",
    part: str = "all",
    modes: Sequence[str] = MODES,
    kinds: Sequence[str] = KINDS,
    only: Sequence[str] = (),
    programs: int = PROGRAMS,
) -> list[Row]:
    """The strongest plantings first, each in one program and then in a second; sound runs by seed; so that a part of them is a fair one."""
    return [
        {"version": version, "mode": mode} | case
        for mode in modes
        for case in _all(programs)
        if case["kind"] in kinds
        and (part == "all" or part_of(case) == part)
        and (not only or case["sabotage"] in only or case["program"] in only)
    ]


def _all(programs: int) -> Iterator[Row]:
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.pairing import chosen
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.sabotage import SABOTAGES, STRENGTHS

    def case(kind: str, program: str, seed: int, sabotage: str = "", strength: int = 0) -> Row:
        return {"kind": kind, "program": program, "seed": seed, "sabotage": sabotage, "strength": strength}

    yield from (case("failing", name, 0) for name in FAILING)
    for strength in reversed(STRENGTHS):
        for place in range(programs):
            for name in SABOTAGES:
                yield from (
                    case("planted", program, 0, name, strength) for program in chosen(name, programs)[place:][:1]
                )
    yield from (case("sound", name, seed) for seed in range(SOUND_SEEDS) for name in HEALTHY)


def part_of(case: Row) -> str:
    from tunesmith.testing import pairing

    return pairing.part_of(case["program"], case["sabotage"] or None)


def subject_of(case: Row) -> Any:
    """The program of a case, fresh; without its test part, which is ours to measure harm with."""
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.sabotage import SABOTAGES

    if case["kind"] == "failing":
        program = FAILING[case["program"]](case["seed"])
    else:
        program = HEALTHY[case["program"]](case["seed"])
    if case["kind"] == "planted":
        program = SABOTAGES[case["sabotage"]].plant(program, case["strength"], case["seed"])
    program.test = None
    return program


def accepted(case: Row) -> tuple[str, ...]:
    """The faults that are right: those that name it, and those whose undoing cures it."""
    from diagnosis_cures import cured

    named = faults_of(case)
    more = cured().get(key(case), ())
    return named + tuple(fault for fault in more if fault not in named)


def faults_of(case: Row) -> tuple[str, ...]:
    """The faults that name what was planted, symptoms left out, the root first."""
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.sabotage import SABOTAGES

    if case["kind"] == "failing":
        return FAILING[case["program"]].faults
    faults = SABOTAGES[case["sabotage"]].faults if case["sabotage"] else ()
    return tuple(fault for fault in faults if not is_symptom(fault))


@cache
def _kinds() -> dict[str, str]:
    import tomllib
    from importlib.resources import files

    told = tomllib.loads((files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8"))
    return {name: one["kind"] for name, one in told.items() if "kind" in one}


def is_symptom(fault: str) -> bool:
    return _kinds().get(fault) == "symptom"


# Measuring


def measure(case: Row, look: Look | None = None, seconds: float = SECONDS) -> Row:
    """What is said of one program, and its settings as a plain reader would see them."""
    import torch

    torch.set_num_threads(1)
    if look is None:
        from tunesmith.verbs.diagnose import diagnose as look
    program = subject_of(case)
    group = program.optimizer.param_groups[0]
    settings = {"lr": float(group.get("initial_lr", group["lr"])), "epochs": int(program.epochs)}
    began = time.process_time()
    subject, options = material(case, program, seconds)
    trained = time.process_time()
    found = look(subject, **options)
    ended = time.process_time()
    findings = [[one.fault, one.severity, round(float(one.confidence), 3), one.status, one.caused_by] for one in found]
    return {
        "part": part_of(case),
        "findings": findings,
        "seconds": round(ended - trained, 3),
        "trained": round(trained - began, 3),
        "settings": settings,
        "cannot_tell": list(found.measured.get("cannot_tell", ())),
        "unreached": list(found.unreached),
        "failed": {name: text.strip().splitlines()[-1][:200] for name, text in found.failed.items()},
    }


def material(case: Row, program: Any, seconds: float) -> tuple[Any, dict[str, Any]]:
    """What the verb is given."""
    from tunesmith.testing.logged import logged
    from tunesmith.testing.watched import watched

    if case["mode"] == "program":
        return program, {"seconds": seconds}
    if case["mode"] == "watch":
        return watched(program), {}
    with tempfile.TemporaryDirectory() as folder:
        path = logged(program, Path(folder) / "log.csv", every=every_of(case))
        return one_history(path), {}


def one_history(path: Path) -> Any:
    """The run that the log holds; an empty one where the program ended before it had logged anything."""
    from tunesmith.runs.history import History
    from tunesmith.runs.readers import read_log

    if len(path.read_text(encoding="utf-8").splitlines()) == 1:
        return History(curves=(), reader="csv")
    histories = read_log(path)
    if len(histories) != 1:
        raise ValueError(f"{len(histories)} runs were read from the log of one")
    return histories[0]


def every_of(case: Row) -> int | None:
    """A third of the logs hold single batches: by the name of the case alone."""
    about = "{kind} {program} {sabotage} {strength} {seed}".format(**case)
    return EVERY if int(hashlib.sha256(about.encode()).hexdigest(), 16) % 3 == 0 else None


# Judging


def answers(findings: Sequence[Sequence[Any]]) -> list[tuple[str, float]]:
    """Causes and mechanisms above a note in their order, each once, with their confidence."""
    told: dict[str, float] = {}
    for fault, severity, confidence, status, *_ in findings:
        if severity in ABOVE_NOTE and status != "refuted" and not is_symptom(fault):
            told.setdefault(fault, confidence)
    return list(told.items())


def rank(names: Iterable[str], right: Iterable[str]) -> int | None:
    """The place of the first right name."""
    wanted = set(right)
    return next((place for place, name in enumerate(names, 1) if name in wanted), None)


def place(row: Row) -> int | None:
    return rank((fault for fault, _ in answers(row["measured"]["findings"])), accepted(row["case"]))


def family_place(row: Row) -> int | None:
    """The same of families."""
    names = dict.fromkeys(family(fault) for fault, _ in answers(row["measured"]["findings"]))
    return rank(names, {family(fault) for fault in accepted(row["case"])})


def family(fault: str) -> str:
    return fault.partition(".")[0]


def loudest(row: Row) -> str:
    found = {one[1] for one in row["measured"]["findings"] if one[3] != "refuted"}
    return next((severity for severity in ABOVE_NOTE if severity in found), "")


def counts(case: Row, known: dict[tuple[str, int, str], bool]) -> bool:
    """Whether a planting is a fault that must be found."""
    from tunesmith.testing.sabotage import SABOTAGES

    if case["kind"] != "planted":
        return case["kind"] == "failing"
    member = SABOTAGES.get(case["sabotage"])
    if member is None:
        return False
    return member.invariant or known.get(key(case), False)


def key(case: Row) -> tuple[str, int, str]:
    return case["sabotage"], case["strength"], case["program"]


def by_settings(row: Row) -> list[str]:
    """What three plain thresholds on the settings say."""
    lr, epochs = row["measured"]["settings"]["lr"], row["measured"]["settings"]["epochs"]
    told = [("lr.too_high", lr > 0.01), ("lr.too_low", lr < 1e-5), ("fit.too_few_epochs", epochs < 3)]
    return [fault for fault, said in told if said]


def constant(rows: Sequence[Row], length: int, of: Callable[[str], str] = str) -> list[str]:
    """The fixed list that is right most often on these very rows: name by name, each for what is left."""
    left = [{of(fault) for fault in accepted(row["case"])} for row in rows]
    chosen: list[str] = []
    for _ in range(length):
        tally = Counter(fault for some in left for fault in some)
        if not tally:
            break
        best = min(tally, key=lambda fault: (-tally[fault], fault))
        chosen.append(best)
        left = [some for some in left if best not in some]
    return chosen


# The page


def table(rows: Sequence[Row]) -> str:
    from sabotage_harm import harms

    if not rows:
        return "Nothing has been measured yet."
    known = harms()
    told = []
    for mode in MODES:
        some = [row for row in rows if row["case"]["mode"] == mode]
        if some:
            whole = [row for row in some if row["case"]["kind"] == "sound"] or some  # sound runs come last
            version = whole[-1]["case"]["version"]
            some = [row for row in some if row["case"]["version"] == version]
            told += page_of(mode, version, some, known)
    return "\n\n".join(text for text in told if text)


def page_of(mode: str, version: str, rows: Sequence[Row], known: dict[tuple[str, int, str], bool]) -> list[str]:
    counted = [row for row in rows if counts(row["case"], known)]
    sound = [row for row in rows if row["case"]["kind"] == "sound"]
    others = [row for row in rows if row["case"]["kind"] == "planted" and not counts(row["case"], known)]
    rest = [row for row in others if key(row["case"]) in known]
    summary = log_summary(counted, sound) if mode == "log" else cause_summary(counted, sound)
    seconds = [row["measured"]["seconds"] for row in rows]
    programs = len({row["case"]["program"] for row in counted})
    return [
        f"## `{mode}`",
        f"Version `{version}`: {len(counted)} faults in {programs} programs, {len(sound)} sound runs; "
        f"{median(seconds):.2g} s (median), {max(seconds):.3g} s at most.",
        summary,
        "### Calibration of the first answer",
        calibration(counted, sound),
        "### By fault",
        by_root(counted, mode),
        "### Alarms on sound runs",
        alarms(sound),
        f"### Plantings that did no measured harm: {len(rest)}",
        quiet(rest),
        f"Of {len(others) - len(rest)} plantings the harm was not measured; they are left out."
        if len(others) > len(rest)
        else "",
        "### Missed",
        missed(counted, mode),
        "### What broke",
        broken(rows),
    ]


def cause_summary(counted: Sequence[Row], sound: Sequence[Row]) -> str:
    from preflight import share
    from tables import markdown

    lines = []
    for name, part, kind in groups():
        some = [row for row in of(counted, part) if kind in ("", row["case"]["kind"])]
        if not some:
            continue
        fixed = constant(some, 3)
        plain = [rank(by_settings(row), accepted(row["case"])) for row in some]
        found = [place(row) for row in some]
        best = sum(bool({*fixed[:1]} & {*accepted(row["case"])}) for row in some)
        best3 = sum(bool({*fixed} & {*accepted(row["case"])}) for row in some)
        first, three = sum(one == 1 for one in found), sum(one is not None and one <= 3 for one in found)
        count = len(some)
        lines.append(
            [
                name,
                share(first, count),
                share(three, count),
                f"{best / count:.0%}, {best3 / count:.0%}",
                f"{sum(one == 1 for one in plain) / count:.0%}, {sum(one is not None for one in plain) / count:.0%}",
                f"{100 * (first - best) / count:+.0f}, {100 * (three - best3) / count:+.0f}",
                f"{first - sum(is_named_first(row) for row in some)}",
            ]
        )
    header = [
        "part",
        "first",
        "first three",
        "constant: first, three",
        "settings: first, three",
        "lift, points",
        "right by cure alone",
    ]
    return "\n\n".join([markdown(header, lines), false_alarms(sound), fixed_lists(counted)])


def is_named_first(row: Row) -> bool:
    return rank((fault for fault, _ in answers(row["measured"]["findings"])), faults_of(row["case"])) == 1


def fixed_lists(counted: Sequence[Row]) -> str:
    told = [
        f"{part}: {', '.join(f'`{fault}`' for fault in constant(of(counted, part), 3))}" for part in ("open", "held")
    ]
    return "The constant answer is the list that fits these very runs best; " + "; ".join(told) + "."


def log_summary(counted: Sequence[Row], sound: Sequence[Row]) -> str:
    from preflight import share
    from tables import markdown

    lines = []
    for name, part, kind in groups():
        some = [row for row in of(counted, part) if kind in ("", row["case"]["kind"])]
        if not some:
            continue
        told = [row for row in some if answers(row["measured"]["findings"])]
        found = [family_place(row) for row in told]
        two = sum(one is not None and one <= 2 for one in found)
        fixed = constant(told, 2, family)
        best = sum(bool({*fixed} & {family(fault) for fault in accepted(row["case"])}) for row in told)
        first = sum(place(row) == 1 for row in told)
        three = sum((place(row) or 9) <= 3 for row in told)
        symptom = sum(bool(loudest(row)) for row in some) - len(told)
        lines.append(
            [
                name,
                share(two, len(told)),
                share(two, len(some)),
                f"{share(len(some) - len(told), len(some))}, {symptom} with a symptom",
                share(first, len(told)),
                share(three, len(told)),
                f"{best / max(1, len(told)):.0%}",
                f"{100 * (two - best) / max(1, len(told)):+.0f}",
            ]
        )
    header = [
        "part",
        "family in two, of those told",
        "of all",
        "cannot tell",
        "cause first, of those told",
        "cause in three",
        "constant: families in two",
        "lift, points",
    ]
    return "\n\n".join([markdown(header, lines), false_alarms(sound)])


def groups() -> list[tuple[str, str, str]]:
    return [
        ("open, planted", "open", "planted"),
        ("open, failing programs", "open", "failing"),
        ("open", "open", ""),
        ("held, planted", "held", "planted"),
        ("held, failing programs", "held", "failing"),
        ("held", "held", ""),
    ]


def false_alarms(sound: Sequence[Row]) -> str:
    from preflight import share
    from tables import markdown

    lines = []
    for part in ("open", "held", ""):
        some = of(sound, part)
        errors = sum(loudest(row) == "error" for row in some)
        loud = sum(loudest(row) in ABOVE_NOTE for row in some)
        plain = sum(bool(by_settings(row)) for row in some)
        lines.append([part or "all", share(errors, len(some)), share(loud, len(some)), share(plain, len(some))])
    return markdown(["sound runs", "false errors", "false errors and warnings", "alarms of the settings"], lines)


def calibration(counted: Sequence[Row], sound: Sequence[Row]) -> str:
    """Confidence of the first answer against how often it is right; on a sound run it is wrong."""
    from tables import markdown

    told = [first_answer(row) for row in (*counted, *sound)]
    pairs = [one for one in told if one is not None]
    if not pairs:
        return "No answers."
    brier = mean((confidence - right) ** 2 for confidence, right in pairs)
    rate = mean(right for _, right in pairs)
    lines = []
    for low, high in pairwise(BINS):
        some = [one for one in pairs if low <= one[0] < high or (high == 1.0 == one[0])]
        if some:
            said, was = mean(confidence for confidence, _ in some), mean(right for _, right in some)
            lines.append([f"{low:.1f} to {high:.1f}", str(len(some)), f"{said:.2f}", f"{was:.2f}"])
    head = f"Brier score {brier:.3f} over {len(pairs)} first answers; always saying {rate:.2f} would score {rate * (1 - rate):.3f}."
    return "\n\n".join([head, markdown(["confidence", "answers", "said", "right"], lines)])


def first_answer(row: Row) -> tuple[float, bool] | None:
    told = answers(row["measured"]["findings"])
    if not told:
        return None
    fault, confidence = told[0]
    return confidence, row["case"]["kind"] != "sound" and fault in accepted(row["case"])


def by_root(rows: Sequence[Row], mode: str) -> str:
    from tables import markdown

    find, enough = (family_place, 2) if mode == "log" else (place, 3)
    lines = []
    for fault in sorted({faults_of(row["case"])[0] for row in rows if faults_of(row["case"])}):
        some = [row for row in rows if faults_of(row["case"])[:1] == (fault,)]
        cells = [f"`{fault}`"]
        for part in ("open", "held"):
            found = [find(row) for row in of(some, part)]
            near = sum(one is not None and one <= enough for one in found)
            cells += [f"{sum(one == 1 for one in found)}/{len(found)}", f"{near}/{len(found)}"] if found else ["", ""]
        cells.append(f"{median(row['measured']['seconds'] for row in some):.2g}")
        lines.append(cells)
    what = "family" if mode == "log" else "fault"
    within = "first two" if mode == "log" else "first three"
    header = [what if mode != "log" else "fault (family counts)"]
    header += [f"{part}: {how}" for part in ("open", "held") for how in ("first", within)]
    return markdown([*header, "seconds"], lines) if lines else "None."


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


def quiet(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    told = sum(bool(loudest(row)) for row in rows)
    right = sum(bool(place(row)) for row in rows)
    return f"Something was said of {told} of them, the planted fault among it in {right}."


def missed(rows: Sequence[Row], mode: str) -> str:
    find, enough = (family_place, 2) if mode == "log" else (place, 3)
    lines = []
    for row in sorted(rows, key=lambda row: (row["case"]["sabotage"], row["case"]["strength"], row["case"]["program"])):
        case, found = row["case"], row["measured"]
        told = answers(found["findings"])
        at = find(row)
        if (at is not None and at <= enough) or (mode == "log" and not told):
            continue
        said = ", ".join(fault for fault, _ in told[:3]) or "nothing"
        what = (
            f"`{case['sabotage']}` {case['strength']} in {case['program']}"
            if case["sabotage"]
            else f"`{case['program']}`"
        )
        lines.append(
            f"* {found['part']}: {what}: {faults_of(case)[0] if faults_of(case) else 'run.crash'}; said {said}"
        )
    return "\n".join(lines) or "None."


def broken(rows: Sequence[Row]) -> str:
    told = Counter((name, text) for row in rows for name, text in row["measured"]["failed"].items())
    unreached = Counter(name for row in rows for name in row["measured"]["unreached"])
    lines = [f"* `{name}` in {count} runs: {text}" for (name, text), count in told.most_common()]
    if unreached:
        lines.append("* Not reached: " + ", ".join(f"`{name}` ({count})" for name, count in unreached.most_common()))
    return "\n".join(lines) or "None."


def of(rows: Sequence[Row], part: str) -> list[Row]:
    return [row for row in rows if part in ("", row["measured"]["part"])]


# Running


def main(arguments: Sequence[str] | None = None) -> int:
    from sabotage_harm import harms, runner

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="a name for what is measured; runs under the same name go on")
    parser.add_argument("--part", choices=("open", "held", "all"), default="open")
    parser.add_argument("--modes", nargs="*", default=MODES, choices=MODES)
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--only", nargs="*", default=(), help="sabotages or programs by name")
    parser.add_argument("--programs", type=int, default=PROGRAMS, help="in which each sabotage is planted")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    parser.add_argument("--harmful", action="store_true", help="of the plantings only those known to count")
    parser.add_argument("--show", action="store_true", help="print the page of this version and write nothing")
    asked = parser.parse_args(arguments)
    run = runner()
    if asked.show:
        print(
            table(
                [row for row in run.read_rows(RESULTS) if row["case"]["version"] == asked.version and "measured" in row]
            )
        )
        return 0
    about = {"pair": 0, "machine": run.machine(), "commit": run.commit()}
    done = {json.dumps(row["case"], sort_keys=True) for row in run.read_rows(RESULTS) if "measured" in row}
    known = harms() if asked.harmful else None
    todo = [
        case
        for case in cases(asked.version, asked.part, asked.modes, asked.kinds, asked.only, asked.programs)
        if json.dumps(case, sort_keys=True) not in done and (known is None or wanted(case, known))
    ]
    print(f"{len(todo)} cases to do", file=sys.stderr)
    ends = time.time() + 60 * asked.minutes
    for case, told in _measured(todo, asked.workers, asked.seconds):
        row = {"case": case} | about | {"date": datetime.now(UTC).isoformat(timespec="seconds")} | told
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if time.time() > ends:
            break
    return 0


def wanted(case: Row, known: dict[tuple[str, int, str], bool]) -> bool:
    return case["kind"] != "planted" or counts(case, known)


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


def tried(case: Row, seconds: float) -> Row:
    """The numbers of a case, or the error that kept it from having any."""
    from preflight import count_processor_seconds

    count_processor_seconds()
    try:
        return {"measured": measure(case, seconds=seconds)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


if __name__ == "__main__":
    raise SystemExit(main())

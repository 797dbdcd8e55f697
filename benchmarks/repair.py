"""What `repair` makes of programs with one planted fault, and of sound ones, beside a blind recipe and random search over the same changes.

* `repair`: `repair(program)` with its usual budget: twins for the remedies train three times the epochs of the program at most.
* `blind`: the recipe that is right most often, whatever is wrong: inputs standardised, Adam at 1e-3, gradients clipped at 1, rows shuffled.
* `random`: the changes that `repair` may make, drawn at random, one or two at once, each trained as a whole until three times the
  epochs of the program are spent; the one with the best validation score is returned, where it beats the program as it came.

The program that is returned is trained on rows kept for judging and scored as its author would, on five fresh seeds of the order of
the rows. A planting is *mended* where at least 90 % of what the fault took from the healthy score came back (mean over the seeds; a
program that raises or gives no number scores as a constant answer does). It is *worse* where the mean over the seeds is below that of
the program as it came by more than twice the standard error of the paired differences. A sound program is *left alone* where nothing
was changed. Only harmful plantings count (sabotage_harm), and those of validation rows do not: there is nothing to mend in a training.
*Repairable* is what lies in the program or in the scale, order or share of its rows; rows that are wrong, missing or tell nothing are a
matter for people, and are shown apart. `trained` counts the passes over the rows for the remedies in epochs of the program; `in all`
also those of the looks, one whole training each. Seconds are those of the processor, one thread.

`python benchmarks/repair.py VERSION` measures what has not been measured under that name; the page shows of planted and
of sound programs the version measured last.
"""

import argparse
import copy
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
RESULTS = HERE / "results" / "repair.jsonl"
MODES = ("repair", "blind", "random")
KINDS = ("planted", "sound")
SEEDS = 5  # fresh orders of the rows
ENOUGH = 0.9  # of what was lost: given
STRENGTH = 3
ROWS_THEMSELVES = (  # faults that no change of a training undoes
    "data.bad_images",
    "data.constant",
    "data.duplicates",
    "data.generated",
    "data.label_noise",
    "data.leakage",
    "data.missing",
    "data.mixed_types",
    "data.no_signal",
    "data.nonfinite",
    "data.poor_features",
    "data.too_long",
    "data.train_val_mismatch",
)
TIMES = 3  # the program's own epochs, of the random search

Row = dict[str, Any]


# Cases


def cases(
    version: str = "",
    part: str = "open",
    modes: Sequence[str] = MODES,
    kinds: Sequence[str] = KINDS,
    only: Sequence[str] = (),
    sound_seeds: int = 1,
) -> list[Row]:
    """Harmful plantings in a random order, each sabotage once before any comes twice; then sound programs."""
    from sabotage_harm import harms

    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.pairing import drawn, part_of
    from tunesmith.testing.sabotage import SABOTAGES

    def case(kind: str, program: str, seed: int, sabotage: str = "") -> Row:
        strength = STRENGTH if sabotage else 0
        return {"kind": kind, "program": program, "seed": seed, "sabotage": sabotage, "strength": strength}

    harmful = [
        (sabotage, program)
        for (sabotage, strength, program), bad in harms().items()
        if bad and strength == STRENGTH and sabotage in SABOTAGES and SABOTAGES[sabotage].judged != "val"
        if part == "all" or part_of(program, sabotage) == part
    ]
    met: dict[str, int] = {}
    ordered = []
    place = {name: place for place, name in enumerate(drawn(SABOTAGES))}
    for sabotage, program in harmful:
        ordered.append((met.setdefault(sabotage, 0), place[sabotage], sabotage, program))
        met[sabotage] += 1
    found = [case("planted", program, 0, sabotage) for *_, sabotage, program in sorted(ordered)]
    found += [case("sound", name, seed) for seed in range(sound_seeds) for name in HEALTHY]
    return [
        {"version": version, "mode": mode} | one
        for one in found
        for mode in modes
        if one["kind"] in kinds
        and (part == "all" or part_of(one["program"], one["sabotage"] or None) == part)
        and (not only or one["sabotage"] in only or one["program"] in only)
        and not (one["kind"] == "sound" and mode != "repair")
    ]


def program_of(case: Row) -> Any:
    """The program of a case, fresh, with its test part, which only the judge sees."""
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.sabotage import SABOTAGES

    program = HEALTHY[case["program"]](case["seed"])
    if case["kind"] == "planted":
        program = SABOTAGES[case["sabotage"]].plant(program, case["strength"], case["seed"])
    return program


# Measuring


def measure(case: Row) -> Row:
    import torch

    torch.set_num_threads(1)
    brought = program_of(case)
    test, brought.test = brought.test, None
    as_it_came = scores(brought, test, case)
    began = time.process_time()
    program, told = MENDS[case["mode"]](brought)
    seconds = time.process_time() - began
    sound = healthy(case["program"], case["seed"])
    return told | {
        "part": part_of(case),
        "healthy": sound,
        "faulty": as_it_came,
        "mended": as_it_came if program is brought else scores(program, test, case),
        "seconds": round(seconds, 2),
    }


def part_of(case: Row) -> str:
    from tunesmith.testing import pairing

    return pairing.part_of(case["program"], case["sabotage"] or None)


def scores(program: Any, test: Any, case: Row) -> list[float]:
    """On rows kept for judging, by order of the training rows; never below a constant answer."""
    from tunesmith.testing.training import trained

    found = []
    worst = constant(case["program"])
    for seed in range(SEEDS):
        one = copied(program)
        if one is None:  # what cannot be copied is trained once
            return found or [worst]
        one.test, one.seed = test, case["seed"] + 1000 * (seed + 1)
        try:
            value = trained(one)
        except Exception:  # what raises scores as a constant answer does
            value = worst
        found.append(round(max(value, worst), 4) if math.isfinite(value) else round(worst, 4))
    return found


def copied(program: Any) -> Any:
    """A copy whose parts belong together; None where there is none. torch's own copy of L-BFGS loses its parameters."""
    from tunesmith.doctor.preflight.originals import carry_over

    try:
        memo: dict[int, Any] = {}
        made = copy.deepcopy(program, memo)
        carry_over(program.optimizer, made.optimizer, memo)
        return made
    except Exception:  # whatever an object raises when it is copied
        return None


@cache
def healthy(program: str, seed: int) -> list[float]:
    from tunesmith.testing.healthy import HEALTHY

    sound = HEALTHY[program](seed)
    case = {"program": program, "seed": seed}
    return scores(sound, sound.test, case)


@cache
def constant(program: str) -> float:
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.training import baseline

    found = baseline(HEALTHY[program](0))
    return found if math.isfinite(found) else 0.0


# Ways of mending


def by_repair(program: Any) -> tuple[Any, Row]:
    from tunesmith.verbs.repair import repair

    own = program.epochs
    told = repair(program)
    looks = 1 + len(told.changes)
    return told.program, {
        "changes": [one.change for one in told.changes],
        "faults": [one.fault for one in told.changes],
        "tried": len(told.tried),
        "before": told.before,
        "after": told.after,
        "learns": told.learns,
        "left": [one.fault for one in told.left if one.severity != "note" and one.status != "refuted"],
        "trained": round(told.spent / own, 2),
        "in_all": round(told.spent / own + looks, 2),
        "notices": [notice for notice in told.notices if not notice.startswith("forecast")],
    }


def by_recipe(program: Any) -> tuple[Any, Row]:
    """The blind recipe: what of it there is to change."""
    from tunesmith.doctor.causes.change import Change
    from tunesmith.doctor.causes.clipped_gradients import limited_to
    from tunesmith.doctor.causes.shuffled import in_order, mixed
    from tunesmith.doctor.preflight.courses import Variation, moments
    from tunesmith.doctor.repair.patient import Patient

    bench = Patient(program).bench()

    def rewritten(bench: Any, own: Any) -> Any:
        own = limited_to(own, 1.0)
        return mixed(bench, own) if in_order(own) else own

    change = Change(
        "the recipe", 1.0, Variation("", optimizer="adam", inputs=moments(bench) is not None), None, rewritten
    )
    with bench.guarded():
        found = Patient(program).operated(bench, change)
    return (program if found is None else found.program), {"changes": ["the recipe"], "trained": 0.0}


def by_chance(program: Any) -> tuple[Any, Row]:
    """Random search over the same changes, at equal budget."""
    import numpy as np

    from tunesmith.doctor.causes import Case
    from tunesmith.doctor.causes.change import together
    from tunesmith.doctor.preflight.courses import Variation, course
    from tunesmith.doctor.repair.patient import Patient
    from tunesmith.doctor.repair.plan import planned
    from tunesmith.doctor.repair.twin import scale_of
    from tunesmith.records import Clock

    patient = Patient(program)
    bench = patient.bench()
    rng = np.random.default_rng(bench.seed)
    try:
        with bench.guarded():
            case = Case(bench, Clock())
            scale, best = scale_of(bench), (0.0, program, "")
            best = (scale.of(case.base()), program, "")
            changes = [one.change for one in planned(case, (), {}) if one.surgery.name != "several"]
    except Exception as error:  # a program that does not run gives no score to search by
        return program, {"changes": [], "trained": 0.0, "notices": [f"{type(error).__name__}: {error}"[:200]]}
    spent = 0.0
    while changes and spent < TIMES:
        picked = rng.choice(len(changes), min(len(changes), int(rng.integers(1, 3))), replace=False)
        change = together([changes[place] for place in picked])
        try:
            with bench.guarded():
                other = patient.operated(bench, change)
            if other is None:
                spent += 0.1  # a draw without an effect; it must end
                continue
            opened = other.bench(bench)
            with opened.guarded():
                found = scale.of(course(opened, Variation(), opened.updates))
            spent += opened.updates / opened.updates_per_epoch / program.epochs
            best = max(best, (found, other.program, change.name), key=lambda one: one[0])
        except Exception:  # changes that do not fit each other
            spent += 0.1
    return best[1], {"changes": [best[2]] if best[2] else [], "trained": round(spent, 2)}


MENDS = {"repair": by_repair, "blind": by_recipe, "random": by_chance}


# Judging


def given_back(told: Row) -> float | None:
    """The share of what the fault took that came back; None where these seeds show no loss."""
    lost = mean(told["healthy"]) - mean(told["faulty"])
    return (mean(told["mended"]) - mean(told["faulty"])) / lost if lost > 1e-3 else None


def is_mended(told: Row) -> bool:
    found = given_back(told)
    return found is not None and found >= ENOUGH


def is_worse(told: Row) -> bool:
    """Beyond the noise of paired seeds."""
    apart = [after - before for before, after in zip(told["faulty"], told["mended"], strict=False)]
    error = stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else 0.0
    return mean(apart) < -2 * error - 1e-9


# The page


def table(rows: Sequence[Row]) -> str:
    from tables import markdown

    if not rows:
        return "Nothing has been measured yet."
    last = {row["case"]["kind"]: row["case"]["version"] for row in rows}
    rows = [row for row in rows if row["case"]["version"] == last[row["case"]["kind"]]]
    versions = ", ".join(f"{kind}: version `{version}`" for kind, version in sorted(last.items()))
    told = [f"{versions}; strength {STRENGTH}.", summary(rows), sound_summary(rows)]
    planted = [row for row in rows if row["case"]["kind"] == "planted" and row["case"]["mode"] == "repair"]
    lines = [line(row) for row in sorted(planted, key=lambda row: (root(row), row["case"]["sabotage"]))]
    header = [
        "fault",
        "planted",
        "program",
        "faulty",
        "mended",
        "healthy",
        "given back",
        "changes",
        "trained",
        "seconds",
    ]
    told += ["## By fault", markdown(header, lines)]
    return "\n\n".join(text for text in told if text)


def summary(rows: Sequence[Row]) -> str:
    from preflight import share
    from tables import markdown

    lines = []
    groups = [(part, mend) for part in ("open", "held") for mend in (True, False)]
    for part, mend in groups:
        for mode in MODES:
            some = [
                row["measured"]
                for row in rows
                if (row["case"]["kind"], row["case"]["mode"], row["measured"]["part"]) == ("planted", mode, part)
                and given_back(row["measured"]) is not None
                and repairable(row) == mend
            ]
            if not some:
                continue
            mended, worse = sum(map(is_mended, some)), sum(map(is_worse, some))
            trained = median(one["trained"] for one in some)
            seconds = median(one["seconds"] for one in some)
            whole = [one["in_all"] for one in some if "in_all" in one]
            in_all = f"{median(whole):.2g}" if whole else ""
            lines.append(
                [
                    part if mend else f"{part}, rows",
                    mode,
                    share(mended, len(some)),
                    f"{worse}/{len(some)}",
                    f"{trained:.2g}",
                    in_all,
                    f"{seconds:.3g}",
                ]
            )
    header = ["part", "by", "mended", "worse", "trained (median)", "in all", "seconds"]
    return markdown(header, lines)


def sound_summary(rows: Sequence[Row]) -> str:
    from preflight import share

    some = [row for row in rows if row["case"]["kind"] == "sound"]
    if not some:
        return ""
    alone = sum(not row["measured"]["changes"] for row in some)
    worse = sum(is_worse(row["measured"]) for row in some)
    touched = ", ".join(
        f"`{row['case']['program']}` ({', '.join(row['measured']['changes'])})"
        for row in some
        if row["measured"]["changes"]
    )
    return f"Sound programs left alone: {share(alone, len(some))}; worse: {worse}." + (
        f" Touched: {touched}." if touched else ""
    )


def repairable(row: Row) -> bool:
    return root(row) not in ROWS_THEMSELVES


def root(row: Row) -> str:
    from tunesmith.testing.sabotage import SABOTAGES

    return SABOTAGES[row["case"]["sabotage"]].faults[0]


def line(row: Row) -> list[str]:
    told = row["measured"]
    back = given_back(told)
    return [
        f"`{root(row)}`",
        f"`{row['case']['sabotage']}`",
        f"`{row['case']['program']}`",
        f"{mean(told['faulty']):.3f}",
        f"{mean(told['mended']):.3f}",
        f"{mean(told['healthy']):.3f}",
        "no loss" if back is None else f"{back:.0%}",
        ", ".join(told["changes"]) or "none",
        f"{told['trained']:.2g}",
        f"{told['seconds']:.0f}",
    ]


def main() -> int:
    from sabotage_harm import runner

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="the name under which rows are kept, such as a date")
    parser.add_argument("--part", choices=("open", "held", "all"), default="open")
    parser.add_argument("--modes", nargs="*", default=MODES, choices=MODES)
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--only", nargs="*", default=(), help="sabotages or programs")
    parser.add_argument("--sound-seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    asked = parser.parse_args()
    run = runner()
    about = {"pair": 0, "machine": run.machine(), "commit": run.commit()}
    ends = time.monotonic() + 60 * asked.minutes
    done = {json.dumps(row["case"], sort_keys=True) for row in run.read_rows(RESULTS)}
    for case in cases(asked.version, asked.part, asked.modes, asked.kinds, asked.only, asked.sound_seeds):
        if json.dumps(case, sort_keys=True) in done:
            continue
        if time.monotonic() > ends:
            break
        row: Row = {"case": case} | about | {"date": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            row["measured"] = measure(case)
        except Exception as error:  # a case that breaks does not end the others; it is a row, and shown
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

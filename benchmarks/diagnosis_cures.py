"""Which single changes cure a faulty program: what besides the fault that was planted may rightly be named.

Each harmful planting, and each failing program, is trained again with one thing undone that some fault would be undone by (a rate ten
times lower, standardised inputs, the library's defaults of the optimizer …), on seed 0, and where that gives back most of the loss on
seed 1 too. The change *cures* where it gives back at least 90 % of what was lost against the sound program, on average of the two seeds;
a program that raises or gives no number scores as a constant answer does. Scores are those on rows kept for judging, so that a change
which merely looks good on validation rows does not count; faults that lie in the validation rows have no other cure.

`python benchmarks/diagnosis_cures.py` measures what has not been measured; `--claimed` only what `diagnose` named without being right by
the planted fault (diagnosis.jsonl). Which claims are tried first does not change what a change does.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
RESULTS = HERE / "results" / "diagnosis_cures.jsonl"
SEEDS = (0, 1)
ENOUGH = 0.9  # of what was lost: given
HOPEFUL = 0.7  # of what was lost on the first seed, below which the second is not tried; assumption
PASSES = 4  # times the epochs, of the longer run; assumption

Row = dict[str, Any]
Fix = Callable[[Any], Any]  # the program changed, or None where there is nothing to change
FIXES: dict[str, tuple[str, Fix]] = {}  # by name: the fault it would undo, and what it does


def fix(name: str, fault: str) -> Callable[[Fix], Fix]:
    def put(change: Fix) -> Fix:
        FIXES[name] = (fault, change)
        return change

    return put


# Changes


@fix("rate_tenth", "lr.too_high")
def rate_tenth(program: Any) -> Any:
    return rated(program, 0.1)


@fix("rate_hundredth", "lr.too_high")
def rate_hundredth(program: Any) -> Any:
    return rated(program, 0.01)


@fix("rate_tenfold", "lr.too_low")
def rate_tenfold(program: Any) -> Any:
    return rated(program, 10.0)


@fix("rate_hundredfold", "lr.too_low")
def rate_hundredfold(program: Any) -> Any:
    return rated(program, 100.0)


def rated(program: Any, factor: float) -> Any:
    from tunesmith.blocks.optim import needs_closure
    from tunesmith.testing.sabotage.tools import scaled_rate

    return None if needs_closure(program.optimizer) else scaled_rate(program, factor)


@fix("constant_rate", "lr.bad_schedule")
def constant_rate(program: Any) -> Any:
    from tunesmith.testing.sabotage.tools import at_full_rate

    return None if program.scheduler is None or program.loop is not None else at_full_rate(program)


@fix("warm_up", "lr.bad_schedule")
def warm_up(program: Any) -> Any:
    from torch.optim.lr_scheduler import LambdaLR

    from tunesmith.testing.sabotage.tools import has_plain_optimizer, updates

    if program.scheduler is not None or program.loop is not None or not has_plain_optimizer(program):
        return None
    warm = max(10, round(0.1 * updates(program) * program.epochs))
    program.scheduler, program.schedule_unit = (
        LambdaLR(program.optimizer, lambda step: min(1.0, (step + 1) / warm)),
        "step",
    )
    return program


@fix("optimizer_defaults", "optim.bad_hyperparameters")
def optimizer_defaults(program: Any) -> Any:
    """The same kind at the same rate with what the library gives besides; momentum 0.9 for plain descent."""
    import torch

    from tunesmith.testing.sabotage.tools import has_plain_optimizer

    if not has_plain_optimizer(program) or program.scheduler is not None:
        return None
    kind = type(program.optimizer)
    groups = [{"params": group["params"], "lr": group["lr"]} for group in program.optimizer.param_groups]
    program.optimizer = kind(groups, momentum=0.9) if kind is torch.optim.SGD else kind(groups)
    return program


@fix("usual_optimizer", "optim.bad_hyperparameters")
def usual_optimizer(program: Any) -> Any:
    """Adam as the library has it."""
    import torch

    if program.scheduler is not None:
        return None
    program.optimizer = torch.optim.Adam([each for group in program.optimizer.param_groups for each in group["params"]])
    return program


@fix("clipped", "grad.exploding")
def clipped(program: Any) -> Any:
    from tunesmith.testing.sabotage.tools import is_plainly_stepped

    if not is_plainly_stepped(program) or program.clip_norm is not None:
        return None
    program.clip_norm = 1.0
    return program


@fix("standardised_inputs", "data.unscaled_inputs")
def standardised_inputs(program: Any) -> Any:
    import torch

    from tunesmith.testing.sabotage.tools import inputs_of, is_floats, is_table, on_inputs
    from tunesmith.testing.training import tensors

    if not is_floats(program) or tensors(program.train)[1] is inputs_of(program):
        return None
    seen = inputs_of(program)
    axes = (
        (0,)
        if is_table(program)
        else tuple(axis for axis in range(seen.dim()) if axis != (1 if seen.dim() == 4 else 2))
    )
    mean_of, spread = seen.mean(axes, keepdim=True), seen.std(axes, keepdim=True)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    return on_inputs(program, lambda x: (x - mean_of) / spread)


@fix("standardised_targets", "data.unscaled_targets")
def standardised_targets(program: Any) -> Any:
    from tunesmith.testing.sabotage.tools import on_target
    from tunesmith.testing.training import tensors

    if program.metric != "r2":  # the score must not change with the unit
        return None
    target = tensors(program.train)[1]
    mean_of, spread = target.mean(0), target.std(0)
    return on_target(program, lambda y: (y - mean_of) / spread)


@fix("no_regulariser", "reg.too_strong")
def no_regulariser(program: Any) -> Any:
    from torch import nn

    drops = [each for each in program.model.modules() if isinstance(each, nn.Dropout) and each.p > 0]
    decays = [group for group in program.optimizer.param_groups if group.get("weight_decay")]
    for drop in drops:
        drop.p = 0.0
    for group in decays:
        group["weight_decay"] = 0.0
    return program if drops or decays else None


@fix("longer", "fit.too_few_epochs")
def longer(program: Any) -> Any:
    if program.resume_from is not None:
        return None
    program.epochs *= PASSES
    return program


@fix("smaller_batch", "batch.too_large")
def smaller_batch(program: Any) -> Any:
    return batched(program, program.batch_size // 8)


@fix("larger_batch", "batch.too_small")
def larger_batch(program: Any) -> Any:
    from tunesmith.testing.sabotage.tools import row_count

    return batched(program, min(program.batch_size * 8, row_count(program) // 4))


def batched(program: Any, size: int) -> Any:
    from torch.utils.data import DataLoader, RandomSampler

    from tunesmith.testing.sabotage.tools import rebatched

    plain = isinstance(program.train, tuple) or (
        type(program.train) is DataLoader and isinstance(program.train.sampler, RandomSampler)
    )
    return rebatched(program, size) if plain and size >= 2 and size != program.batch_size else None


@fix("fresh_weights", "init.bad_scale")
def fresh_weights(program: Any) -> Any:
    for each in program.model.modules():
        if hasattr(each, "reset_parameters"):
            each.reset_parameters()
    return program


@fix("shuffled", "data.unshuffled")
def shuffled(program: Any) -> Any:
    from torch.utils.data import DataLoader, RandomSampler

    if isinstance(program.train, tuple):
        if program.shuffle and program.loop is None:
            return None
        import torch

        order = torch.randperm(len(program.train[1]))
        from tunesmith.testing.training import picked

        program.train = (picked(program.train[0], order), program.train[1][order])
        program.shuffle = True
        return program
    if isinstance(program.train.sampler, RandomSampler):
        return None
    program.train = DataLoader(program.train.dataset, batch_size=program.batch_size, shuffle=True)
    return program


@fix("balanced", "data.class_imbalance")
def balanced(program: Any) -> Any:
    import torch
    from torch import nn

    from tunesmith.testing.sabotage.tools import has_cross_entropy, target_of

    if not has_cross_entropy(program):
        return None
    counted = torch.bincount(target_of(program), minlength=int(program.num_classes)).float()
    weight = counted.sum() / (len(counted) * counted.clamp(min=1))
    program.loss_fn = nn.CrossEntropyLoss(weight=weight.to(next(program.model.parameters()).dtype))
    return program


@fix("rectified", "act.unsuitable")
def rectified(program: Any) -> Any:
    from torch import nn

    from tunesmith.testing.sabotage.tools import put

    found = [each for each in program.model.modules() if isinstance(each, nn.Sigmoid | nn.Tanh | nn.Hardtanh)]
    last = list(program.model.modules())[-1]
    changed = [each for each in found if each is not last]
    for each in changed:
        put(program.model, each, nn.ReLU())
    return program if changed else None


@fix("bare_head", "output.wrong_activation")
def bare_head(program: Any) -> Any:
    from torch import nn

    from tunesmith.testing.sabotage.tools import put

    last = list(program.model.modules())[-1]
    if not isinstance(last, nn.Softmax | nn.Sigmoid | nn.ReLU | nn.Tanh | nn.LogSoftmax):
        return None
    put(program.model, last, nn.Identity())
    return program


@fix("usual_loss", "loss.mismatch")
def usual_loss(program: Any) -> Any:
    from torch import nn

    from tunesmith.testing.sabotage.tools import is_classes, is_numbers

    if is_classes(program) and type(program.loss_fn) is not nn.CrossEntropyLoss:
        program.loss_fn = nn.CrossEntropyLoss()
    elif is_numbers(program) and type(program.loss_fn) is not nn.MSELoss:
        program.loss_fn = nn.MSELoss()
    else:
        return None
    return program


# Measuring


def cases() -> list[Row]:
    """Every harmful planting and failing program with every change, in the order of the benchmark."""
    from diagnosis import _all
    from sabotage_harm import harms

    from tunesmith.testing.sabotage import SABOTAGES

    known = harms()
    told = []
    for case in _all(2):
        key = (case["sabotage"], case["strength"], case["program"])
        if case["kind"] == "planted" and (not known.get(key) or SABOTAGES[case["sabotage"]].judged == "val"):
            continue
        if case["kind"] != "sound":
            told += [about(case) | {"fix": name} for name in FIXES]
    return told


def about(case: Row) -> Row:
    return {name: case[name] for name in ("sabotage", "strength", "program")}


def measure(case: Row) -> Row:
    began = time.monotonic()
    fault, _ = FIXES[case["fix"]]
    sound, sick, fixed = [], [], []
    for seed in SEEDS:
        value = score(case["sabotage"], case["strength"], case["program"], seed, case["fix"])
        if value is None:
            return {"fault": fault, "recovered": None}
        well, ill = sound_score(case["sabotage"], case["program"], seed), sick_score(case, seed)
        sound.append(well)
        sick.append(ill)
        fixed.append(value)
        if recovered(sound, sick, fixed) < HOPEFUL:
            break
    return {
        "fault": fault,
        "recovered": round(recovered(sound, sick, fixed), 3),
        "sound": sound,
        "sick": sick,
        "fixed": fixed,
        "seconds": round(time.monotonic() - began, 2),
    }


def recovered(sound: list[float], sick: list[float], fixed: list[float]) -> float:
    """The share of what was lost that came back."""
    lost, back = mean(sound) - mean(sick), mean(fixed) - mean(sick)
    return back / lost if lost > 1e-6 and math.isfinite(back) else 0.0


def sick_score(case: Row, seed: int) -> float:
    value = score(case["sabotage"], case["strength"], case["program"], seed, "")
    return value if value is not None else 0.0


@cache
def sound_score(sabotage: str, program: str, seed: int) -> float:
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.training import trained

    return round(trained(HEALTHY[program](seed) if sabotage else FAILING[program](seed, mended=True)), 4)


@cache
def score(sabotage: str, strength: int, program: str, seed: int, name: str) -> float | None:
    """With the fault, and one thing undone; None where there is nothing to undo."""
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.programs import FAILING
    from tunesmith.testing.sabotage import SABOTAGES
    from tunesmith.testing.training import baseline, seeded, trained

    if sabotage:
        subject = SABOTAGES[sabotage].plant(HEALTHY[program](seed), strength, seed)
    else:
        subject = FAILING[program](seed)
    worst = baseline(HEALTHY[program](seed) if sabotage else FAILING[program](seed, mended=True))
    worst = worst if math.isfinite(worst) else 0.0
    try:
        if name:
            with seeded(seed):
                subject = FIXES[name][1](subject)
            if subject is None:
                return None
        value = trained(subject)
    except Exception:  # what raises scores as a constant answer does
        return round(worst, 4)
    return round(max(value, worst), 4) if math.isfinite(value) else round(worst, 4)


@cache
def cured() -> Mapping[tuple[str, int, str], tuple[str, ...]]:
    """By sabotage, strength and program: the faults whose undoing cures it."""
    from tables import read_rows

    found: dict[tuple[str, int, str], list[str]] = {}
    for row in read_rows(RESULTS):
        told, case = row.get("measured", {}), row["case"]
        if (told.get("recovered") or 0.0) >= ENOUGH and len(told["fixed"]) == len(SEEDS):
            faults = found.setdefault((case["sabotage"], case["strength"], case["program"]), [])
            if told["fault"] not in faults:
                faults.append(told["fault"])
    return {key: tuple(faults) for key, faults in found.items()}


def claimed() -> Iterator[Row]:
    """What was named of a program without being right by what was planted."""
    import diagnosis
    from tables import read_rows

    for row in read_rows(diagnosis.RESULTS):
        if "measured" not in row or row["case"]["kind"] == "sound":
            continue
        right = diagnosis.faults_of(row["case"])
        for fault, _ in diagnosis.answers(row["measured"]["findings"])[:3]:
            if fault not in right:
                yield from (
                    about(row["case"]) | {"fix": name} for name, (undone, _) in FIXES.items() if undone == fault
                )


def table(rows: list[Row]) -> str:
    from diagnosis import faults_of
    from tables import markdown

    if not rows:
        return "Nothing has been measured yet."
    tried_on = {(row["case"]["sabotage"], row["case"]["strength"], row["case"]["program"]) for row in rows}
    lines = []
    for sabotage, strength, program in sorted(tried_on):
        kind = "planted" if sabotage else "failing"
        named = faults_of({"kind": kind, "sabotage": sabotage, "program": program})
        cures = cured().get((sabotage, strength, program), ())
        more = [fault for fault in cures if fault not in named]
        if more:
            lines.append([f"`{sabotage or program}` {strength or ''}", program, ", ".join(named), ", ".join(more)])
    tried = sum(row["measured"]["recovered"] is not None for row in rows)
    head = f"{tried} changes tried on {len(tried_on)} programs; {len(lines)} programs have cures besides those planted."
    return "\n\n".join([head, markdown(["fault", "program", "named by it", "cured also by undoing"], lines)])


def main() -> int:
    import torch
    from sabotage_harm import runner

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claimed", action="store_true", help="only what was named")
    parser.add_argument("--only", nargs="*", default=(), help="sabotages or programs")
    parser.add_argument("--part", choices=("open", "held", "all"), default="all")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run = runner()
    what = {"pair": 0, "machine": run.machine(), "commit": run.commit()}
    ends = time.monotonic() + 60 * asked.minutes
    done = {json.dumps(row["case"], sort_keys=True) for row in run.read_rows(RESULTS)}
    for case in claimed() if asked.claimed else cases():
        if json.dumps(case, sort_keys=True) in done or not _asked(case, asked):
            continue
        if time.monotonic() > ends:
            break
        row = {"case": case} | what
        row |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "measured": measure(case)}
        done.add(json.dumps(case, sort_keys=True))
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return 0


def _asked(case: Row, asked: Any) -> bool:
    from diagnosis import part_of

    named = not asked.only or case["sabotage"] in asked.only or case["program"] in asked.only
    return named and asked.part in ("all", part_of(case))


if __name__ == "__main__":
    sys.modules["diagnosis_cures"] = sys.modules["__main__"]
    raise SystemExit(main())

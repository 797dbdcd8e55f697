"""The ways in which a program is varied while its code stays as it is: settings of its live objects, by the names torch has for them.

`lr weight_decay momentum beta1 batch_size schedule dropout label_smoothing average epochs`; `{}` is the program as it is. `lr` is that of
the first parameter group, at the peak of its schedule; the others keep their ratio to it.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, OneCycleLR, ReduceLROnPlateau

from tunesmith.blocks import experience
from tunesmith.blocks.optim import needs_closure
from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.data.live import is_indexed, is_loader
from tunesmith.doctor.causes.swapped_activation import hidden_activations
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import flatten, resized, scale_rates
from tunesmith.records import Program
from tunesmith.search import Choice, Domain, Ordinal, Real, Space

Way = Mapping[str, Any]

WIDE = 30.0  # the rate is searched from a thirtieth to thirty times itself where no rule has a range; as `search` does
USUAL_RATE = 1e-3  # where the program has none and no rule has a range: torch's default of Adam
DECAY = (1e-6, 1e-1)  # as above
BATCHES = 4  # the batch from a fourth to four times itself; as above
LEAST_BATCHES = 8  # batches an epoch shall have at least; as above
MOMENTA = (0.0, 0.5, 0.9, 0.95, 0.99)  # Goodfellow et al., Deep Learning, section 8.3.2: .5, .9, .99
BETAS = (0.5, 0.8, 0.9, 0.95)  # of the mean of Adam; assumption: around its default, and what generative nets use
CYCLING = (OneCycleLR, CyclicLR)  # schedules that move the momentum as well
AS_IT_IS, CONSTANT, COSINE = "as it is", "constant", "cosine"


def varied(bench: Bench, way: Way) -> Program:
    """A copy of the program on a bench with a way carried out, its live objects nobody else's."""
    twin, own = bench.twin(), bench.program
    size, epochs = int(way.get("batch_size", own.batch_size)), int(way.get("epochs", own.epochs))
    for name, carry in CARRY.items():
        if name in way:
            carry(twin, way[name])
    made = replace(
        own,
        model=twin.model,
        loss_fn=twin.loss_fn,
        optimizer=twin.optimizer,
        scheduler=twin.scheduler,
        train=resized(own.train, size, size / own.batch_size),
        batch_size=size,
        epochs=epochs,
    )
    return _scheduled(made, twin, str(way.get("schedule", AS_IT_IS)))


def peak(optimizer: Any, scheduler: Any = None) -> float:
    """The rate of the first group at the peak of its schedule."""
    group = optimizer.param_groups[0]
    highest = group.get("max_lr") if isinstance(scheduler, OneCycleLR) else None
    return float(group.get("initial_lr", group["lr"]) if highest is None else highest)


def _rate(twin: Twin, value: float) -> None:
    now = peak(twin.optimizer, twin.scheduler)
    if now > 0:
        scale_rates(twin, value / now)
        return
    for group in twin.optimizer.param_groups:
        group["lr"] = value


def _decay(twin: Twin, value: float) -> None:
    """Of all groups where none decays; else of those that do, in their ratio."""
    groups = twin.optimizer.param_groups
    most = max(group["weight_decay"] for group in groups)
    for group in groups:
        group["weight_decay"] = value if most == 0 else value * group["weight_decay"] / most


def _momentum(twin: Twin, value: float) -> None:
    for group in twin.optimizer.param_groups:
        group["momentum"] = value


def _beta(twin: Twin, value: float) -> None:
    for group in twin.optimizer.param_groups:
        group["betas"] = (value, *group["betas"][1:])


def dropouts(model: nn.Module) -> list[Any]:
    """The modules that leave units out."""
    return [one for one in model.modules() if isinstance(one, nn.modules.dropout._DropoutNd)]


def _dropout(twin: Twin, value: float) -> None:
    """In all modules that are there for it; else behind each hidden activation."""
    held = dropouts(twin.model)
    for module in held:
        module.p = value
    if held:
        return
    for name, one in hidden_activations(twin.model):
        parent, _, leaf = name.rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, nn.Sequential(one, nn.Dropout(value)))


def smoothing(loss: Any) -> float | None:
    """How far a loss smooths labels; None where it is none that can."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return float(loss.label_smoothing)
    return 0.0 if loss is nn.functional.cross_entropy else None


def _smoothed(twin: Twin, value: float) -> None:
    if isinstance(twin.loss_fn, nn.CrossEntropyLoss):
        twin.loss_fn.label_smoothing = value
    else:
        twin.loss_fn = functools.partial(twin.loss_fn, label_smoothing=value)


CARRY: Mapping[str, Callable[[Twin, Any], None]] = {
    "lr": _rate,
    "weight_decay": _decay,
    "momentum": _momentum,
    "beta1": _beta,
    "dropout": _dropout,
    "label_smoothing": _smoothed,
}


def _scheduled(program: Program, twin: Twin, name: str) -> Program:
    """The same under another schedule over its whole length."""
    if name == AS_IT_IS:
        return program
    if program.scheduler is not None:
        flatten(twin)
    if name == CONSTANT:
        return replace(program, scheduler=program.scheduler if program.loop is not None else None)
    for group in twin.optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    by_epoch = program.loop is not None and program.schedule_unit == "epoch"
    steps = program.epochs if by_epoch else updates(program)
    factor = SCHEDULES[COSINE](steps=max(1, steps))
    made = LambdaLR(twin.optimizer, lambda unit: factor(unit))  # a function: torch keeps no state of one
    if program.loop is not None:
        return replace(program, scheduler=made)
    return replace(program, scheduler=made, schedule_unit="step", scheduler_first=False)


def updates(program: Program) -> int:
    """Optimizer updates of a whole training."""
    return Bench(program).updates


# What is worth searching


def space_of(bench: Bench, way: Way) -> tuple[Space, dict[str, Any]]:
    """The space of a program, and where to begin in it: with the settings it has, and the usual rate of its optimizer, for its own was trained."""
    found = dict(_domains(bench, way))
    now = standing(bench.program) | dict(way)
    usual = experience.find("optim.lr", optimizer=type(bench.program.optimizer).__name__.lower())
    now |= {} if usual is None or usual.start is None else {"lr": float(usual.start)}
    return Space(found), {name: now[name] for name, domain in found.items() if name in now and domain.holds(now[name])}


def standing(program: Program) -> dict[str, Any]:
    """The settings of a program as it is."""
    group = program.optimizer.param_groups[0]
    held = dropouts(program.model)
    found = {"lr": peak(program.optimizer, program.scheduler), "batch_size": program.batch_size}
    found |= {"epochs": program.epochs}
    found |= {"weight_decay": max(one.get("weight_decay", 0.0) for one in program.optimizer.param_groups)}
    found |= {"momentum": group["momentum"]} if "momentum" in group else {}
    found |= {"beta1": group["betas"][0]} if "betas" in group else {}
    found |= {"dropout": held[0].p} if held else {}
    smoothed = smoothing(program.loss_fn)
    found |= {"label_smoothing": smoothed} if smoothed is not None else {}
    return found | {"schedule": CONSTANT if program.scheduler is None else AS_IT_IS}


def _domains(bench: Bench, way: Way) -> Iterator[tuple[str, Domain]]:
    own = bench.program
    now, name = standing(own) | dict(way), type(own.optimizer).__name__.lower()
    groups = own.optimizer.param_groups
    rate = now["lr"] or USUAL_RATE
    low, high = _range("optim.lr", name, (rate / WIDE, rate * WIDE))
    yield "lr", Real(min(low, rate), max(high, rate), log=True)
    if needs_closure(own.optimizer):
        return
    if all("weight_decay" in group for group in groups):
        low, high = _range("optim.weight_decay", name, DECAY)
        yield "weight_decay", Real(min(low, now["weight_decay"] or low), max(high, now["weight_decay"]), log=True)
    if "momentum" in now and isinstance(own.optimizer, torch.optim.SGD) and not isinstance(own.scheduler, CYCLING):
        yield "momentum", Ordinal(sorted({*MOMENTA, now["momentum"]}))
    if "beta1" in now and not isinstance(own.scheduler, CYCLING):
        yield "beta1", Ordinal(sorted({*BETAS, now["beta1"]}))
    sizes = _sizes(own, len(bench.train))
    if len(sizes) > 1:
        yield "batch_size", Ordinal(sizes)
    names = _schedules(own)
    if len(names) > 1:
        yield "schedule", Choice(names)


def _range(path: str, optimizer: str, usual: tuple[float, float]) -> tuple[float, float]:
    rule = experience.find(path, optimizer=optimizer)
    known = rule is not None and rule.low is not None and rule.high is not None
    low, high = (float(rule.low), float(rule.high)) if rule is not None and known else usual  # type: ignore[arg-type]
    return low if low > 0 else usual[0], high


def _sizes(program: Program, rows: int) -> list[int]:
    """Sizes of batches around that of the program; its own alone where its loader has an order that another would not have."""
    start, data = program.batch_size, program.train
    plain = (torch.utils.data.RandomSampler, torch.utils.data.SequentialSampler)
    if is_loader(data) and not (is_indexed(getattr(data, "dataset", None)) and isinstance(data.sampler, plain)):
        return [start]
    most = min(start * BATCHES, max(start, rows // LEAST_BATCHES))
    return sorted({start, *(2**power for power in range(2, 20) if start / BATCHES <= 2**power <= most)})


def _schedules(program: Program) -> tuple[str, ...]:
    """Schedules that can be laid over the program: a loop steps the scheduler that it is given, or none."""
    if program.loop is not None:
        fixed = program.scheduler is None or isinstance(program.scheduler, ReduceLROnPlateau)
        return () if fixed else (AS_IT_IS, CONSTANT, COSINE)
    return (CONSTANT, COSINE) if program.scheduler is None else (AS_IT_IS, CONSTANT, COSINE)


# The same in Python


def lines(way: Way, program: Program) -> list[str]:
    """What to write into the program, one line a setting that is another than its own."""
    was = standing(program)
    found = []
    for name, value in way.items():
        if name == "schedule" and value != was[name]:
            found.append(_schedule_line(str(value), program))
        elif name == "lr" and value != was[name] and len(program.optimizer.param_groups) > 1 and was[name]:
            found.append(
                f"lr = {_short(value)}  # was {_short(was[name])}; every group times {_short(value / was[name])}"
            )
        elif name in LINES and value != was.get(name):
            found.append(LINES[name].format(value=_short(value), before=_short(was.get(name))))
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _schedule_line(name: str, program: Program) -> str:
    if name == AS_IT_IS:
        return "the scheduler as it was"
    if name == CONSTANT:
        return "scheduler = None: a constant rate; leave out scheduler.step()"
    by_epoch = program.loop is not None and program.schedule_unit == "epoch"
    length, each = ("epochs", "epoch") if by_epoch else ("updates of the whole training", "update")
    return f"scheduler = CosineAnnealingLR(optimizer, T_max={length})  # stepped after each {each}"


LINES = {
    "lr": "lr = {value}  # was {before}",
    "weight_decay": "weight_decay = {value}  # was {before}",
    "momentum": "momentum = {value}  # was {before}",
    "beta1": "betas = ({value}, …)  # was {before}",
    "batch_size": "batch_size = {value}  # was {before}",
    "dropout": "nn.Dropout({value})  # in all of them; where there are none, behind each hidden activation",
    "label_smoothing": "nn.CrossEntropyLoss(label_smoothing={value})  # was {before}",
    "average": "torch.optim.swa_utils.AveragedModel(model)  # from {value} of the training on, after each update",
    "epochs": "epochs = {value}  # was {before}; a schedule goes over all of them",
}

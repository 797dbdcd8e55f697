"""Short trainings of a program, as it is and with one thing changed: a tool of the checks.

Two courses with the same seed see the same rows in the same order, so what differs between them is the change alone.
"""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from tunesmith.data.live import is_indexed, is_loader
from tunesmith.doctor.preflight.bench import Bench, seed_all
from tunesmith.doctor.preflight.scoring import judged, some
from tunesmith.doctor.preflight.trace import Enough, aside, program_of, sampled_weights
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved
from tunesmith.training.generators import generator_states, set_generator_states

JUDGED_ROWS = 1000  # training rows that a course is scored on; assumption: a share is known to 1.6 points
ADAM_RATE = 1e-3  # Kingma & Ba, Adam, arXiv:1412.6980, algorithm 1: the default


@dataclass(frozen=True, slots=True)
class Variation:
    """One change of a program; the default changes nothing."""

    name: str = "as it is"
    rate: float = 1.0  # factor of every rate
    optimizer: str = (
        ""  # "adam": Adam with its defaults; "defaults": the same optimizer, everything but the rate as torch has it
    )
    flat: bool = False  # the rate stays where the schedule starts from
    plain: bool = False  # without dropout and weight decay
    inputs: bool = False  # inputs standardised by the training rows
    targets: bool = False  # targets standardised by the training rows
    batch: float = 1.0  # factor of the batch size
    epochs: float = 1.0  # factor of the epochs
    blind: bool = False  # inputs and targets of different rows together


@dataclass(slots=True)
class Course:
    """What came of a short training."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)  # of each update, where the steps are the program's own
    loss: float = math.nan  # on the judged training rows, in evaluation mode
    score: float = math.nan
    held: float = math.nan  # the score on validation rows, where there are any
    held_blind: float = math.nan  # the same with the inputs of other rows
    seconds: float = 0.0
    moved: float = 0.0  # length of the change of the (sampled) weights as a share of their length
    broke: str = ""  # why it ended early; "" where it did not

    @property
    def finite(self) -> bool:
        """Whether it came to its end with a finite loss."""
        return not self.broke and math.isfinite(self.loss)


Each = Callable[[Twin, Course], None]


def _nothing(twin: Twin, told: Course) -> None:
    """Nobody looks on."""


def course(
    bench: Bench, change: Variation, steps: int, *, seed: int = 0, start: Twin | None = None, each: Each = _nothing
) -> Course:
    """Trains a copy for `steps` updates (of the program as it is; a changed batch sees the same rows) and judges it.

    `each` is called after every update; it looks and changes nothing.
    """
    with undisturbed(bench), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a copied scheduler, whose optimizer is not the one it was made with
        twin = bench.twin() if start is None else start
        was = sampled_weights(twin)
        seed_all(bench.seed + 7919 * seed)
        vary(bench, twin, change)
        told = Course()
        began = time.perf_counter()
        steps = max(1, round(steps * change.epochs / change.batch))
        if bench.program.loop is not None and not change.blind:
            _through_loop(bench, twin, change, steps, told, each)
        else:
            _through_steps(bench, twin, change, steps, seed, told, each)
        told.seconds = time.perf_counter() - began
        told.moved = float((sampled_weights(twin) - was).norm() / was.norm().clamp_min(1e-12))
        if not told.broke:
            told.loss, told.score = judged(bench, twin, judge_rows(bench))
            _judge_held(bench, twin, told)
    return told


def _judge_held(bench: Bench, twin: Twin, told: Course) -> None:
    """On validation rows, with their own inputs and with those of other rows."""
    if bench.val is None:
        return
    rows = bench.kept("courses.held", lambda: bench.batch(JUDGED_ROWS, "held", bench.val))
    mixed = torch.from_numpy(bench.rng("held").permutation(rows.size)).to(rows.target.device)
    told.held = judged(bench, twin, rows)[1]
    told.held_blind = judged(bench, twin, Batch(some(rows, mixed).inputs, rows.target, rows.weight, rows.size))[1]


def judge_rows(bench: Bench) -> Batch:
    """The training rows that courses are scored on."""
    return bench.kept("courses.rows", lambda: bench.batch(JUDGED_ROWS, "courses"))


@contextlib.contextmanager
def undisturbed(bench: Bench) -> Iterator[None]:
    """The generators, global and the loader's own, are as they were afterwards."""
    random, own = random_state(), generator_states(bench.program.train)
    try:
        yield
    finally:
        set_random_state(random)
        set_generator_states(bench.program.train, own)


# The steps


def _through_steps(
    bench: Bench, twin: Twin, change: Variation, steps: int, seed: int, told: Course, each: Each
) -> None:
    feed = feeding(bench, batch=change.batch, seed=seed, blind=change.blind)
    unit = bench.program.schedule_unit
    epoch = max(1, round(bench.updates_per_epoch / change.batch))
    if bench.made is not None and twin.scheduler is not None:
        twin.scheduler.set_rates()  # those of the first update: a recipe's optimizer stands at its peak
    for step in range(steps):
        if twin.scheduler is not None and bench.program.scheduler_first and (unit == "step" or step % epoch == 0):
            _scheduled(twin, told)
        try:
            loss = twin.step(next(feed))
        except (RuntimeError, ValueError, IndexError, ArithmeticError) as error:
            told.broke = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            return
        told.steps += 1
        told.losses.append(loss)
        each(twin, told)
        if not math.isfinite(loss) and bench.program.step is None:
            told.broke = f"the loss became {loss} at update {told.steps}"
            return
        if (
            twin.scheduler is not None
            and not bench.program.scheduler_first
            and (unit == "step" or (step + 1) % epoch == 0)
        ):
            _scheduled(twin, told)


def _scheduled(twin: Twin, told: Course) -> None:
    if isinstance(twin.scheduler, ReduceLROnPlateau):
        twin.scheduler.step(told.losses[-1] if told.losses else math.inf)
        return
    try:
        twin.scheduler.step()
    except ValueError:  # a schedule with an end (one-cycle) that is past: its last rate stays
        twin.scheduler = None


def feeding(bench: Bench, *, batch: float = 1.0, seed: int = 0, blind: bool = False) -> Iterator[list[Batch]]:
    """Windows of batches without end, as the program feeds them; another `seed` gives another order where there is one."""
    count = max(1, bench.program.accumulate)
    window: list[Batch] = []
    for epoch in range(10**9):
        for each in _epoch(bench, epoch, batch, seed):
            window.append(_mixed(each, bench) if blind else each)
            if len(window) == count:
                yield window
                window = []


def _epoch(bench: Bench, epoch: int, batch: float, seed: int) -> Iterator[Batch]:
    source = bench.train
    if source.loader is not None and batch == 1.0:
        for item in source.loader:
            yield moved(from_loader(item), bench.device)
        return
    size = max(1, round(source.batch_size * batch))
    mixed = source.shuffle or source.loader is not None
    order = torch.arange(len(source))
    if mixed:
        generator = torch.Generator().manual_seed(source.seed + 104_729 * seed + epoch)
        order = torch.randperm(len(source), generator=generator)
    normed = _needs_two(bench)
    for start in range(0, len(order), size):
        places = order[start : start + size]
        if len(places) == 1 and normed and size > 1:  # batch norm cannot train on one row that is left over
            continue
        yield source.take(places)


def _needs_two(bench: Bench) -> bool:
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in bench.program.model.modules())


def _mixed(batch: Batch, bench: Bench) -> Batch:
    """The same targets with the inputs of other rows of the training part."""
    rng = bench.kept("courses.blind", lambda: bench.rng("blind"))
    other = bench.train.take(rng.choice(len(bench.train), batch.size).tolist())
    return Batch(other.inputs, batch.target, batch.weight, batch.size)


# The loop


def _through_loop(bench: Bench, twin: Twin, change: Variation, steps: int, told: Course, each: Each) -> None:
    own = program_of(bench, twin)
    per_epoch = max(1, round(bench.updates_per_epoch / change.batch))
    epochs = max(1, math.ceil(steps / per_epoch))
    size = max(1, round(own.batch_size * change.batch))
    own = replace(own, train=resized(own.train, size, change.batch), batch_size=size, epochs=epochs)
    mine = {id(parameter) for group in twin.optimizer.param_groups for parameter in group["params"]}

    def count(optimizer: Any, args: Any, named: Any) -> None:
        if any(id(parameter) in mine for group in optimizer.param_groups for parameter in group["params"]):
            told.steps += 1
            each(twin, told)
            if told.steps >= steps:
                raise Enough

    handle = register_optimizer_step_post_hook(count)
    try:
        with aside(), silent():
            assert own.loop is not None
            own.loop(own, epochs)
    except Enough:
        pass
    except Exception as error:  # whatever a user's own code raises
        told.broke = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    finally:
        handle.remove()


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Nothing that a loop prints is seen."""
    import io

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def resized(data: Any, size: int, factor: float) -> Any:
    """A loader with another batch size; anything else as it is."""
    if factor == 1.0 or not is_loader(data) or not is_indexed(getattr(data, "dataset", None)):
        return data
    mixed = not isinstance(data.sampler, torch.utils.data.SequentialSampler)
    return DataLoader(data.dataset, batch_size=size, shuffle=mixed, collate_fn=data.collate_fn)


# The changes


def vary(bench: Bench, twin: Twin, change: Variation) -> None:
    """Carries a change out on a copy."""
    if change.optimizer:
        twin.optimizer = other_optimizer(twin, change.optimizer)
        if change.optimizer == "adam":
            twin.scheduler = None
        elif isinstance(twin.scheduler, LRScheduler):
            twin.scheduler.optimizer = twin.optimizer
    if change.flat:
        flatten(twin)
    if change.rate != 1.0:
        scale_rates(twin, change.rate)
    if change.plain:
        without_regularisation(twin)
    if change.inputs:
        _standardise_inputs(bench, twin)
    if change.targets:
        _standardise_targets(bench, twin)


def other_optimizer(twin: Twin, name: str, rate: float = ADAM_RATE) -> torch.optim.Optimizer:
    """Adam with its defaults, or the program's own kind with torch's defaults and the rate it has."""
    groups = [{"params": list(group["params"])} for group in twin.optimizer.param_groups]
    if name == "adam":
        return torch.optim.Adam(groups, lr=rate)
    kind = type(twin.optimizer)
    for mine, group in zip(groups, twin.optimizer.param_groups, strict=True):
        mine |= {key: group[key] for key in ("lr", "initial_lr", "weight_decay") if key in group}
    usual = {"momentum": 0.9} if kind is torch.optim.SGD else {}  # Goodfellow et al., Deep Learning, section 8.3.2
    made: torch.optim.Optimizer = kind(groups, lr=twin.optimizer.param_groups[0]["lr"], **usual)
    return made


def scale_rates(twin: Twin, factor: float) -> None:
    """Multiplies every rate, and what a scheduler remembers of them."""
    for group in twin.optimizer.param_groups:
        for name in ("lr", "initial_lr", "max_lr", "min_lr"):
            if name in group:
                group[name] = group[name] * factor
    scheduler = twin.scheduler
    for name in ("base_lrs", "_last_lr", "max_lrs"):
        held = getattr(scheduler, name, None)
        if isinstance(held, list):
            setattr(scheduler, name, [value * factor for value in held])


def flatten(twin: Twin) -> None:
    """Every rate is the one its schedule was made with, and the scheduler's step does nothing."""
    for group in twin.optimizer.param_groups:
        if "lr" in group:
            peak = group.get("max_lr") if isinstance(twin.scheduler, OneCycleLR) else None
            group["lr"] = group.get("initial_lr", group["lr"]) if peak is None else peak
    if hasattr(twin.scheduler, "set_rates"):
        twin.scheduler.set_rates = lambda: None
    if twin.scheduler is not None:
        twin.scheduler.step = lambda *args, **named: None


def without_regularisation(twin: Twin) -> None:
    """No dropout and no weight decay."""
    for module in twin.model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            module.dropout = 0.0
    for group in twin.optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0


def moments(bench: Bench) -> tuple[Tensor, Tensor] | None:
    """Mean and spread of each input feature over the training rows, (1, ...); None where the inputs are no floating numbers."""
    inputs = judge_rows(bench).inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.dim() < 2:
        return None
    axes = [0, *range(2, inputs.dim())] if inputs.dim() > 2 else [0]  # of pictures by channel
    mean = inputs.mean(axes, keepdim=True)
    spread = inputs.std(axes, keepdim=True, unbiased=False)
    return mean, torch.where(spread > 0, spread, torch.ones_like(spread))


def _standardise_inputs(bench: Bench, twin: Twin) -> None:
    found = moments(bench)
    if found is None:
        return
    mean, spread = found

    def standardised(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return ((inputs[0] - mean) / spread, *inputs[1:])

    twin.model.register_forward_pre_hook(standardised)


def _standardise_targets(bench: Bench, twin: Twin) -> None:
    """The loss sees standardised targets; who looks at the outputs from outside sees them in the units of the targets."""
    target = judge_rows(bench).target.float()
    mean, spread = target.mean(0), target.std(0, unbiased=False).clamp_min(1e-12)
    original: Callable[..., Any] = twin.loss_fn

    def loss(result: Any, wanted: Tensor, *weighed: Any) -> Any:
        return original((result - mean) / spread, (wanted - mean) / spread, *weighed)

    def in_their_units(module: nn.Module, inputs: Any, result: Any) -> Any:
        return result * spread + mean if isinstance(result, Tensor) else result

    loss.takes_weight = getattr(original, "takes_weight", False)  # type: ignore[attr-defined]
    twin.loss_fn = loss
    twin.model.register_forward_hook(in_their_units)


def median_seconds(courses: Sequence[Course]) -> float:
    """Seconds of an update, the median over courses."""
    return float(np.median([one.seconds / max(1, one.steps) for one in courses]))

"""Whether a group pays: some steps of all trials together against as many of one trial alone, timed in turn."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from statistics import median

import torch
from torch import Tensor

from tunesmith.blocks.optim import without_compiler
from tunesmith.records import RecipeError
from tunesmith.training.batched.batches import batches
from tunesmith.training.batched.group import Group
from tunesmith.training.batched.making import made
from tunesmith.training.batched.sequential import Alone

STEPS = 20  # of each way, in turns of `TURN`, so that what slows the machine down for a while slows both
TURN = 5
WARM = 3  # steps of each way before: the first of a kernel takes longer
FINE_SECONDS = 1e-5  # assumption: a step of the smallest net takes ten times as long; Windows counts in 1.6e-2
LEAST_GAIN = 1.1  # assumption: what is gained must be more than such short timings are off


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Medians over some steps: the seconds of a step of all trials, together and one after the other."""

    trials: int
    stacked_seconds: float
    sequential_seconds: float

    @property
    def gain(self) -> float:
        """How many times as fast the group is."""
        return self.sequential_seconds / self.stacked_seconds

    @property
    def pays(self) -> bool:
        """Whether the gain is clear of the noise of a short timing."""
        return self.gain >= LEAST_GAIN

    def __str__(self) -> str:
        """One sentence.

        >>> print(Timing(trials=8, stacked_seconds=0.0005, sequential_seconds=0.004))
        a step of 8 trials takes 0.5 ms together and 4 ms one after the other: 8 times as fast, the group pays
        """
        verdict = "the group pays" if self.pays else "the group does not pay"
        return (
            f"a step of {self.trials} trials takes {1e3 * self.stacked_seconds:.3g} ms together and "
            f"{1e3 * self.sequential_seconds:.3g} ms one after the other: {self.gain:.3g} times as fast, {verdict}"
        )


def pays(group: Group, *, steps: int = STEPS) -> Timing:
    """Times `steps` updates of the group against as many of its first trial alone, with torch's fused optimizer.

    The group and the global generator are left as they were, bit for bit. Raises `RecipeError` for less than one step, or a
    group without trials.
    """
    if steps < 1 or not group.trials:
        raise RecipeError(
            f"a timing of {steps} steps of {len(group.trials)} trials says nothing; take at least one of each, 20 steps are usual"
        )
    state = group.state()
    with torch.random.fork_rng(devices=_devices(group)), torch.enable_grad():
        together, alone = _together(group), _alone(group)
        for way in (together, alone):
            _timed(way, WARM, group)
        stacked: list[float] = []
        single: list[float] = []
        for begun in range(0, steps, TURN):
            count = min(TURN, steps - begun)
            stacked += _timed(together, count, group)
            single += _timed(alone, count, group)
    group.restore(state)
    trials = len(group.trials)
    return Timing(trials=trials, stacked_seconds=median(stacked), sequential_seconds=trials * median(single))


Way = Callable[[], object]


def _together(group: Group) -> Way:
    """One update of all trials at each call, the gathering of their batches within."""
    columns = group.optimizer.prepare(group.step, 1)[0]
    source = _batches(group)

    def update() -> object:
        return group.update(*next(source), columns)

    return update


def _alone(group: Group) -> Way:
    """One update of the first trial at each call."""
    trial = group.trials[0]
    (model, *_), _ = made(group.make_model, (trial,), group.data.x.device)
    with without_compiler():
        one = Alone(model, trial, group.loss, group.optimizer_name)
    size = group.wanted[0]
    x, y = group.data
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(trial.seed)).to(x.device)
    source = cycle([order[first : first + size] for first in range(0, len(x) - size + 1, size)])

    def update() -> object:
        index = next(source)
        return one.update(x[index], y[index])

    return update


def _batches(group: Group) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole batches of the group without end, in orders that use up none of its generators."""
    generators = [torch.Generator().manual_seed(trial.seed) for trial in group.trials]
    rows = len(group.data.x)
    whole = [size for size in group.wanted if size == group.wanted[0]]
    while True:
        order = torch.stack([torch.randperm(rows, generator=generator) for generator in generators])
        yield from batches(group.data, order, whole)


def _timed(way: Way, steps: int, group: Group) -> list[float]:
    """Seconds of each of some steps."""
    found = []
    clock = clock_of(group.data.x.device)
    for _ in range(steps):
        begun = clock()
        way()
        found.append(clock() - begun)
    return found


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of this process where one thread of the CPU does the work, so that other processes do not count; else of the wall."""
    if device.type == "cuda":

        def waiting() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return waiting
    fine = time.get_clock_info("process_time").resolution < FINE_SECONDS
    return time.process_time if fine and torch.get_num_threads() == 1 else time.perf_counter


def _devices(group: Group) -> list[int]:
    device = group.data.x.device
    return [device.index or 0] if device.type == "cuda" else []

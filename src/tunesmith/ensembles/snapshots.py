"""Several nets from one run: the weights at the end of each cycle of the rate. Huang et al., Snapshot Ensembles, arXiv:1704.00109.

Legend: T updates of the run, M cycles, L = ⌈T / M⌉ updates a cycle.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tunesmith.blocks.metrics.judged import Array
from tunesmith.records import CheckpointError, RecipeError, RunError
from tunesmith.runs import Run
from tunesmith.training.checkpoint import Checkpoints

ROUNDING = 1e-9  # of rates that are equal in exact arithmetic


def snapshot_change(updates: int, cycles: int) -> dict[str, Any]:
    """The change of a recipe that makes a run of at least `updates` a snapshot run of `cycles` equal cycles.

    The rate is α(t) = (α₀ / 2)(cos(π (t mod L) / L) + 1) at the t-th update, counted from 0 (eq. 2, which counts from 1):
    `cosine_restarts`, without warm-up, for a warm-up would shift the cycles. The run lasts M L updates, so that the last cycle
    ends too. It is evaluated at the end of each cycle and then alone, and as many checkpoints are kept; it does not stop
    early. α₀ is `optim.lr`, the paper's 0.1 to 0.2 for SGD with momentum: high, so that each cycle leaves its basin.

    `revise(recipe, snapshot_change(2000, 5))`. Raises `RecipeError` for cycles of less than two updates.
    Source: arXiv:1704.00109, section 3, eq. 2.

    >>> change = snapshot_change(100, 3)
    >>> change["train.steps"], change["schedule.name"], change["schedule.extra"]
    (102, 'cosine_restarts', {'first': 34, 't_mul': 1.0})
    """
    for name, value in (("updates", updates), ("cycles", cycles)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RecipeError(f"{name} = {value!r}: a whole number of 1 or more was expected")
    length = -(-updates // cycles)
    if length < 2:
        raise RecipeError(
            f"{cycles} cycles in {updates} updates leave {length} a cycle, in which no rate can fall; take fewer cycles or "
            "more updates"
        )
    return {
        "train.steps": length * cycles,
        "train.patience": None,
        "schedule.name": "cosine_restarts",
        "schedule.warmup": 0,
        "schedule.floor": 0.0,
        "schedule.extra": {"first": length, "t_mul": 1.0},
        "eval.every": length,
        "run.save_every": length,
        "run.save_seconds": None,
        "run.keep": cycles,
    }


def cycle_ends(rates: Sequence[float] | Array) -> tuple[int, ...]:
    """After how many updates each cycle ended, from the rate of each update (T,): before it, the rate fell; then it rose.

    The end of the run counts where the rate has come as low as at the end of some cycle before it; a run that was cut off
    inside a cycle has no snapshot there. A warm-up is a rise without a fall before it, and ends nothing. Of a plan:
    `cycle_ends(schedules.rates(schedule, T))`; a schedule with noise in it has an end at every dip.

    >>> from tunesmith.blocks import schedules
    >>> cycle_ends(schedules.rates(schedules.SCHEDULES["cosine_restarts"](60, first=20, t_mul=1.0), 60))
    (20, 40, 60)
    >>> cycle_ends([1.0, 0.5, 0.1, 1.0, 0.5])  # cut off
    (3,)
    """
    given = np.asarray(rates, dtype=np.float64)
    ends: list[int] = []
    fell = False
    for place in range(1, len(given)):
        if given[place] > given[place - 1] and fell:
            ends.append(place)
            fell = False
        elif given[place] < given[place - 1]:
            fell = True
    if ends and fell and given[-1] <= max(given[end - 1] for end in ends) * (1 + ROUNDING):
        ends.append(len(given))
    return tuple(ends)


def snapshot_steps(run: Run, most: int | None = None) -> tuple[int, ...]:
    """The steps of a run's checkpoints that are snapshots: at the end of each cycle of the rate that was logged, oldest first.

    With `most` the last so many, which are usually the best ones.
    A net evaluated by an average of its weights (`train.ema`, `train.swa`) is judged and read as that average.

    Raises `RunError` for a rate that was not logged at every update or never rose again after a fall, and `CheckpointError`
    where the checkpoint of a cycle's end was not kept.
    Source: arXiv:1704.00109, section 3, "Ensembling at Test Time".

    >>> snapshot_steps(Run("runs/snapshots"), most=3)  # doctest: +SKIP
    (600, 800, 1000)
    """
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise RecipeError(f"most = {most!r}: a whole number of 1 or more was expected, or None for all")
    steps, rates = run.signals.read("lr")
    if not len(steps) or not np.array_equal(steps, np.arange(1, len(steps) + 1)):
        raise RunError(
            f"run {run.folder} has the rate of {len(steps)} of its updates in the log; the ends of the cycles are found where "
            "every update is logged: train with run.log_every = 1"
        )
    ends = cycle_ends(rates)
    if not ends:
        raise RunError(
            f"the rate of run {run.folder} never rose again after a fall, so it has no cycles; train with "
            "revise(recipe, snapshot_change(updates, cycles))"
        )
    wanted = ends if most is None else ends[-most:]
    held = set(Checkpoints(run.folder / "checkpoints").steps())
    missing = [step for step in wanted if step not in held]
    if missing:
        raise CheckpointError(
            f"run {run.folder} ended cycles after {list(ends)} updates and has no checkpoint of {missing}, only of "
            f"{sorted(held)}; train with run.save_every = the length of a cycle and run.keep = the number of cycles, or "
            "ask for fewer with most="
        )
    return wanted


def snapshot_weights(run: Run, most: int | None = None) -> Iterator[dict[str, Tensor]]:
    """The state dict of each snapshot, oldest first, read one at a time. Raises as `snapshot_steps` does.

    >>> for weights in snapshot_weights(Run("runs/snapshots")):  # doctest: +SKIP
    ...     model.load_state_dict(weights)
    """
    checkpoints = Checkpoints(run.folder / "checkpoints")
    for step in snapshot_steps(run, most):
        yield checkpoints.weights(step)

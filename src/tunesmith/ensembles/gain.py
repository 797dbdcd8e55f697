"""What an ensemble brings and what it costs, measured: nothing is promised.

The gain is that over the best single member, with the member chosen on other rows than both are judged on: a member that is
chosen on the rows that judge it looks better than it is. Paired percentile bootstrap: Efron & Tibshirani, An Introduction to
the Bootstrap (1993), chapter 13; both are scored on the same resampled rows, so that what makes a sample hard cancels.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.metrics.bootstrap import draws, percentiles
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles.averaging import checked, mixed, shares
from tunesmith.ensembles.measure import Better, Function, Measure, measure
from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.training.batch import outputs_of
from tunesmith.training.evaluate import judging

COUNT, LEVEL = 1000, 0.95  # as the intervals of the metrics have them
ROWS = 1000  # seconds are told of so many
Weigh = Callable[[Array, Array], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How much better the ensemble is than its best single member; above 0 it is better, whichever way the metric goes.

    `low` and `high` hold the gain at the level asked for; nan where the metric is undefined. `ensemble` and `single` are the
    scores themselves, `best` is the member, `weights` (M,) are those judged, `rows` how many rows judged.
    """

    value: float
    low: float
    high: float
    ensemble: float
    single: float
    best: int
    weights: Array
    metric: str
    rows: int

    @property
    def sure(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0


def gain(
    predictions: Sequence[Any] | Array,
    target: Any,
    metric: str | Function | Measure,
    *,
    kind: str,
    choosing: Any,
    weights: Sequence[float] | Array | Weigh | None = None,
    better: Better | None = None,
    count: int = COUNT,
    level: float = LEVEL,
    seed: int = 0,
) -> Gain:
    """The score of the weighted average less that of the best single member, with its paired bootstrap interval.

    Shapes: `predictions` (M, N, K) or (M, N), `target` (N,) or (N, K), of rows that no member was trained on. `choosing`
    names some of the rows, by numbers or by truth values (N,): on them the best member is chosen, the lower number of equals;
    all other rows judge. `weights` (M,) must not come from the judging rows either: give a function of the predictions and
    targets of the choosing rows, such as `lambda p, t: select(p, t, "log_loss", kind=kind).weights`; none are equal ones.

    Rows are resampled one by one: where rows come in groups the interval is too narrow.

    Raises `DataError` as `average` does, and for rows that do not leave one to choose and two to judge; `RecipeError` for
    settings out of range.
    Source: Efron & Tibshirani (1993), chapter 13, the percentile interval, of a difference of two scores.

    >>> truth = np.array([1.0, 1.0, 1.0, 1.0])
    >>> models = [[0.0, 0.0, 0.0, 0.0], [1.5, 1.5, 1.5, 1.5]]
    >>> found = gain(models, truth, "mae", kind="regression", choosing=[0, 1])
    >>> found.best, found.single, found.ensemble, found.value, (found.low, found.high), found.sure
    (1, 0.5, 0.25, 0.25, (0.25, 0.25), True)
    """
    if not 0 < level < 1 or isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise RecipeError(
            f"count = {count!r}, level = {level!r}: one resample or more and a level in (0, 1) were expected"
        )
    stacked, truth = checked(predictions, kind), np.asarray(target)
    if len(truth) != stacked.shape[1]:
        raise DataError(f"there are {len(truth)} targets for predictions of {stacked.shape[1]} rows; give one a row")
    chooses = _mask(choosing, len(truth))
    judge = measure(metric, kind=kind, better=better)
    best = _best(judge, stacked[:, chooses], truth[chooses])
    given = weights(stacked[:, chooses], truth[chooses]) if callable(weights) else weights
    used = shares(given, len(stacked))
    rest, answers = stacked[:, ~chooses], truth[~chooses]
    together, alone = (judge.weighted(answers, one) for one in (mixed(rest, used), rest[best]))
    once = np.ones(len(answers), np.int64)
    drawn = [judge.gain(together(rows), over=alone(rows)) for rows in draws(len(answers), count, seed)]
    low, high = percentiles(np.array(drawn), level)
    return Gain(
        value=judge.gain(together(once), over=alone(once)),
        low=low,
        high=high,
        ensemble=together(once),
        single=alone(once),
        best=best,
        weights=used,
        metric=judge.name,
        rows=len(answers),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a model takes: numbers to learn, bytes of its parameters and buffers, seconds for 1,000 rows."""

    parameters: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """An ensemble beside one member; the `times` are multiples of that member."""

    ensemble: Cost
    single: Cost

    @property
    def parameters_times(self) -> float:
        return self.ensemble.parameters / max(1, self.single.parameters)

    @property
    def bytes_times(self) -> float:
        return self.ensemble.bytes / max(1, self.single.bytes)

    @property
    def seconds_times(self) -> float:
        return self.ensemble.seconds / self.single.seconds


def costs(
    members: Sequence[nn.Module],
    inputs: Tensor,
    *,
    single: int = 0,
    weights: Sequence[float] | Array | None = None,
    batch_size: int = 512,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> Costs:
    """What the members with a weight above 0 take together, beside member number `single` alone.

    Seconds are measured on this machine as it is now: all of `inputs` (N, …) in batches through the nets in evaluation mode,
    one after the other, with the weighted sum of their outputs; the least of `repeats`, in turn with the single member, after
    one that is not counted. A tensor that several members share counts once. Modes are put back.

    Raises `ModelError` for no member and for one that is no net, `DataError` for no row and for weights that do not fit,
    `RecipeError` for settings out of range.

    >>> nets = [nn.Linear(3, 2) for _ in range(4)]
    >>> found = costs(nets, torch.zeros(8, 3), weights=[1, 1, 2, 0])
    >>> found.single.parameters, found.single.bytes, found.parameters_times, found.bytes_times
    (8, 32, 3.0, 3.0)
    """
    if not members:
        raise ModelError("there are no members whose costs could be measured; give one net or more")
    for place, member in enumerate(members):
        if not isinstance(member, nn.Module):
            raise ModelError(f"member {place} is a {type(member).__name__}; an nn.Module was expected")
    if not len(inputs):
        raise DataError("there are no rows to measure the seconds on; give a batch of inputs")
    if batch_size < 1 or repeats < 1 or not 0 <= single < len(members):
        raise RecipeError(
            f"batch_size = {batch_size!r}, repeats = {repeats!r}, single = {single!r}: a size and a number of 1 or more, and "
            f"a member from 0 to {len(members) - 1} were expected"
        )
    given = shares(weights, len(members))
    used = np.flatnonzero(given).tolist()
    both = [([members[place] for place in used], given[used].tolist()), ([members[single]], [1.0])]
    for nets, each in both:
        _pass(nets, each, inputs, batch_size)
    least = [np.inf, np.inf]
    for _ in range(repeats):
        for place, (nets, each) in enumerate(both):
            begin = clock()
            _pass(nets, each, inputs, batch_size)
            least[place] = min(least[place], clock() - begin)
    ensemble, alone = (_cost(nets, took / len(inputs) * ROWS) for (nets, _), took in zip(both, least, strict=True))
    return Costs(ensemble=ensemble, single=alone)


def _pass(nets: Sequence[nn.Module], weights: Sequence[float], inputs: Tensor, batch_size: int) -> None:
    """All rows through all nets; on a GPU until the numbers are there."""
    last = None
    for batch in torch.split(inputs, batch_size):
        for net, weight in zip(nets, weights, strict=True):
            with judging(net):
                told = outputs_of(net(batch)) * weight
            last = told if net is nets[0] or last is None else last + told
    if last is not None and last.is_cuda:
        torch.cuda.synchronize(last.device)


def _cost(nets: Sequence[nn.Module], seconds: float) -> Cost:
    learnt = {id(one): one for net in nets for one in net.parameters()}
    held = learnt | {id(one): one for net in nets for one in net.buffers()}
    return Cost(
        parameters=sum(one.numel() for one in learnt.values()),
        bytes=sum(one.numel() * one.element_size() for one in held.values()),
        seconds=seconds,
    )


def _best(judge: Measure, stacked: Array, target: Array) -> int:
    """The number of the best member; undefined scores are below all others."""
    scores = np.array([judge(target, one) for one in stacked])
    if np.isnan(scores).all():
        raise DataError(
            f"{judge.name} is undefined for every member on the {len(target)} rows that choose; give more, or rows of every "
            "class"
        )
    return int(np.nanargmax(scores) if judge.better == "max" else np.nanargmin(scores))


def _mask(choosing: Any, rows: int) -> Array:
    named = np.asarray(choosing)
    if named.dtype.kind == "b" and named.shape == (rows,):
        mask = named
    elif named.ndim == 1 and named.dtype.kind in "iu" and len(named) and named.min() >= 0 and named.max() < rows:
        mask = np.zeros(rows, bool)
        mask[named] = True
    else:
        raise DataError(
            f"choosing is an array of {named.dtype} of shape {named.shape}; numbers from 0 to {rows - 1}, or {rows} truth "
            "values were expected"
        )
    if not mask.any() or (~mask).sum() < 2:
        raise DataError(
            f"{int(mask.sum())} rows choose and {int((~mask).sum())} judge; at least one and two were expected"
        )
    return np.asarray(mask)

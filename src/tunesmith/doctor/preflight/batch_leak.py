"""batch_leak: the rows of a batch influence each other inside the model.

Sees      what a row gives, in evaluation mode, when the other rows of the batch are replaced by other real rows, the size of the batch
          kept; in double precision where the model takes it; also with the weights moved a little, for what a zero at the start
          hides. The first layer behind which kept rows differ is found by hooks.
Matters   scores hang on which rows happen to share a batch, and a single row at use is answered differently.
Remedies  the right axis: `batch_first=True`, `permute` instead of `view`, a softmax over classes instead of rows; running statistics.
Limits    batch norm in training mode mixes rows on purpose and is not looked at; nor is a loss that compares rows. Silent where the
          outputs are one number or a matrix of rows against rows, and where the data show that the first axis is time.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "backprop to chart dependencies"; vocabulary of model.batch_leak.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.model_call import (
    Arguments,
    answer,
    apart,
    arguments,
    in_double,
    judged_whole,
    leaves,
    mixed,
    shaken,
    spread_of,
    tolerance,
)
from tunesmith.doctor.preflight.next_step import first_axis_is_time
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

ROWS = 7  # of a batch that is looked at: a prime, which few layers are wide; assumption
TRIES = 2  # sets of other rows; assumption

AXIS = Remedy(title="remedy.model_batch_axis", safety=Safety.ADVICE)
RUNNING = Remedy(title="remedy.model_running_statistics", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Leak:
    """The largest change of a row's output that only other rows made."""

    change: float  # share of the spread of the outputs
    row: int
    layer: str
    statistics: bool  # the layer normalises by the batch at hand on purpose


@check("batch_leak", faults=("model.batch_leak",), cost=CHEAP)
def batch_leak(bench: Bench) -> Iterator[Finding]:
    if len(bench.train) < ROWS + 3:
        raise Inapplicable(f"{len(bench.train)} rows are too few to put others beside a row")
    if first_axis_is_time(bench):
        raise Inapplicable("the first axis of the data is time")
    leak, bound = _leak(bench)
    if leak is None:
        return
    values = {"change": leak.change, "row": leak.row, "layer": leak.layer}
    yield Finding(
        fault="model.batch_leak",
        severity="warning" if leak.statistics else "error",
        message="model.batch_statistics" if leak.statistics else "model.batch_leak",
        values=values,
        evidence=(
            Evidence(name="change_by_other_rows", value=leak.change, threshold=bound, source="root of the precision"),
        ),
        remedies=(RUNNING if leak.statistics else AXIS,),
        status="confirmed",
        subject={"layers": [leak.layer] if leak.layer else []},
    )


def _leak(bench: Bench) -> tuple[Leak | None, float]:
    count = min(len(bench.train), (TRIES + 1) * ROWS)
    order = bench.rng("batch_leak").permutation(len(bench.train))[:count].tolist()
    first = order[:ROWS]
    others = [(order[start:] + order[:start])[:ROWS] for start in (ROWS, 2 * ROWS)[:TRIES]]
    given = [arguments(bench, bench.train.take(rows)) for rows in (first, *others)]
    fewer = arguments(bench, bench.train.take(first[:-1]))
    twin = bench.twin()
    judged_whole(twin.model)
    with torch.no_grad():
        *given, fewer = in_double(bench, twin, [*given, fewer])
        kept = answer(bench, twin.model, given[0])
        if not kept.is_floating_point():
            raise Inapplicable("the outputs are no floating numbers")
        views = _views(kept, answer(bench, twin.model, fewer))
        axes = _axes(given[0], fewer)
        bound = tolerance(kept)
        found = _largest(bench, twin.model, given, views, axes, bound)
        if found is None:
            with shaken(twin.model, bench.seed):
                found = _largest(bench, twin.model, given, views, axes, bound)
    return found, bound


def _views(outputs: Tensor, fewer: Tensor) -> list[tuple[int, int, bool]]:
    """Where the rows lie in the outputs: (axis, entries a row, whether a row's entries lie together).

    Found by a batch with one row less. Raises `Inapplicable` where they lie nowhere, or on two axes.
    """
    if outputs.dim() == 0 or outputs.dim() != fewer.dim():
        raise Inapplicable("the outputs have no rows")
    axes = [
        axis
        for axis in range(outputs.dim())
        if outputs.shape[axis] != fewer.shape[axis] and outputs.shape[axis] * (ROWS - 1) == fewer.shape[axis] * ROWS
    ]
    if not axes:
        raise Inapplicable("the outputs have no rows")
    if len(axes) > 1:
        raise Inapplicable("the outputs compare rows with each other")
    entries = outputs.shape[axes[0]] // ROWS
    return [(axes[0], entries, True)] if entries == 1 else [(axes[0], entries, True), (axes[0], entries, False)]


def _axes(given: Arguments, fewer: Arguments) -> list[int | None]:
    """The axis of the rows in each tensor that the model is given."""
    axes: list[int | None] = []
    for one, other in zip(leaves(given), leaves(fewer), strict=True):
        fitting = [
            axis
            for axis in range(one.dim())
            if one.shape[axis] == ROWS and axis < other.dim() and other.shape[axis] == ROWS - 1
        ]
        axes.append(fitting[0] if fitting else None)
    return axes


def _largest(
    bench: Bench,
    model: nn.Module,
    given: list[Arguments],
    views: list[tuple[int, int, bool]],
    axes: list[int | None],
    bound: float,
) -> Leak | None:
    base, seen = _watched(bench, model, given[0])
    scale = spread_of(base)
    if apart(base, _watched(bench, model, given[0])[0], scale) > bound:
        raise Inapplicable("the model gives other numbers for the same rows with the same random numbers")
    best: tuple[float, int, Any] | None = None
    for other in given[1:]:
        for keep in (torch.arange(ROWS) % 2 == 0, torch.arange(ROWS) % 2 == 1):
            changed = _beside(given[0], other, keep, axes)
            if changed is None:
                continue
            result, after = _watched(bench, model, changed)
            if result.shape != base.shape:
                continue
            gaps = [_by_row(base, result, view, scale) for view in views]
            rows = min(gaps, key=lambda one: float(one[keep].max()))[keep]
            if float(rows.max()) > max(bound, best[0] if best else 0.0):
                row = int(torch.arange(ROWS)[keep][int(rows.argmax())])
                best = (float(rows.max()), row, _first(seen, after, keep, bound))
    if best is None:
        return None
    name, module = best[2]
    statistics = isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is None
    return Leak(best[0], best[1], name, statistics)


def _beside(one: Arguments, other: Arguments, keep: Tensor, axes: list[int | None]) -> Arguments | None:
    """The kept rows with other rows beside them; None where the two batches do not have one form."""
    shapes = [(each.shape, there.shape) for each, there in zip(leaves(one), leaves(other), strict=False)]
    if any(mine != theirs for mine, theirs in shapes) or all(axis is None for axis in axes):
        return None
    left = iter(axes)

    def put(mine: Tensor, theirs: Tensor) -> Tensor:
        axis = next(left)
        if axis is None:
            return mine
        shape = [1] * mine.dim()
        shape[axis] = ROWS
        return torch.where(keep.reshape(shape).to(mine.device), mine, theirs)

    made: Arguments = mixed(one, other, put)
    return made


def _by_row(one: Tensor, other: Tensor, view: tuple[int, int, bool], scale: float) -> Tensor:
    """The largest change of each row's outputs, (ROWS,)."""
    axis, entries, together = view
    gap = (one.double() - other.double()).abs().nan_to_num(0.0, 0.0, 0.0).movedim(axis, 0)
    rest = gap.shape[1:]
    gap = gap.reshape(ROWS, entries, *rest) if together else gap.reshape(entries, ROWS, *rest).transpose(0, 1)
    return gap.reshape(ROWS, -1).amax(1).cpu() / (scale or 1.0)


Seen = list[tuple[str, nn.Module, list[Tensor], list[Tensor]]]


def _watched(bench: Bench, model: nn.Module, given: Arguments) -> tuple[Tensor, Seen]:
    """The answer, and inputs and outputs of each module in the order in which they end."""
    seen: Seen = []
    handles = []
    for name, module in model.named_modules():

        def noted(part: nn.Module, args: Any, named: Any, result: Any, name: str = name) -> None:
            seen.append(
                (
                    name,
                    part,
                    [each.clone() for each in leaves((args, named))],
                    [each.clone() for each in leaves(result)],
                )
            )

        handles.append(module.register_forward_hook(noted, with_kwargs=True))
    try:
        return answer(bench, model, given), seen
    finally:
        for handle in handles:
            handle.remove()


def _first(before: Seen, after: Seen, keep: Tensor, bound: float) -> tuple[str, nn.Module | None]:
    """The first module to end whose kept rows go in alike and come out different; the innermost, for inner ones end first."""
    for (name, module, into, out), (_, _, into_now, out_now) in zip(before, after, strict=False):
        if _alike(into, into_now, keep, bound) and not _alike(out, out_now, keep, bound):
            return name or type(module).__name__, module
    return "", None


def _alike(one: list[Tensor], other: list[Tensor], keep: Tensor, bound: float) -> bool:
    return all(_kept_alike(mine, theirs, keep, bound) for mine, theirs in zip(one, other, strict=False))


def _kept_alike(one: Tensor, other: Tensor, keep: Tensor, bound: float) -> bool:
    """Whether the kept rows are the same along one of the axes that may hold the rows."""
    if one.shape != other.shape or not one.is_floating_point():
        return True
    axes = [axis for axis in range(one.dim()) if one.shape[axis] % ROWS == 0 and one.shape[axis] > 0]
    scale = spread_of(one)
    for axis in axes:
        entries = one.shape[axis] // ROWS
        for kept in {keep.repeat_interleave(entries), keep.repeat(entries)} if entries > 1 else {keep}:
            places = kept.nonzero()[:, 0].to(one.device)
            if apart(one.index_select(axis, places), other.index_select(axis, places), scale) <= bound:
                return True
    return not axes

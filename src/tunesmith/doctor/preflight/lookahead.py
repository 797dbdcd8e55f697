"""lookahead: a model that should foretell the next step of a sequence sees it.

Sees      from the data, whether the target of step t is the input of a later step (tokens, or a series in any unit), and from the loss,
          which output it meets; then whether outputs up to t change when the inputs that hold their answers are replaced by those of
          other rows. Where the target of t is the input of t itself and the model is causal: there is nothing to foretell.
Matters   training copies the answer from the inputs; at use there are no later inputs, and the model knows nothing.
Remedies  a causal mask, padding on the left alone, one direction; targets shifted by one step.
Limits    silent where the targets are no shift of the inputs (tags, classes, several numbers ahead in one target) and where the model may see
          all and gives back its inputs (an autoencoder). Steps lie on axis 1, or on axis 0 where the data show it.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "backprop to chart dependencies"; Vaswani et al.,
          Attention Is All You Need, arXiv:1706.03762, section 3.2.3: the mask of a decoder.
"""

from collections.abc import Iterator
from dataclasses import dataclass

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
    leaves,
    mapped,
    shaken,
    spread_of,
    tolerance,
)
from tunesmith.doctor.preflight.next_step import ROWS, first_axis_is_time, in_order
from tunesmith.doctor.preflight.seeing import Seen, main, seen
from tunesmith.doctor.probes.next_place import FARTHEST, Relation, relation
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, outputs_of

PLACES = (0.25, 0.5, 0.75)  # of the length, where the sequence is cut; assumption

MASK = Remedy(title="remedy.model_causal", safety=Safety.ADVICE)
SHIFT = Remedy(title="remedy.model_shift_target", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Sequence:
    """What is asked of the model."""

    given: Arguments
    told: Relation
    ahead: int  # steps from an output to the input that is its answer
    rows: int
    turned: bool  # time lies on axis 0

    def changed(self, start: int, stop: int | None = None) -> Arguments:
        """The inputs from step `start` on are those of other rows."""
        count = -1

        def put(leaf: Tensor) -> Tensor:
            nonlocal count
            count += leaf.dim() > 0
            if count != self.told.leaf or leaf.dim() == 0:
                return leaf
            new = leaf.transpose(0, 1).clone() if self.turned else leaf.clone()
            other = new.roll(1, 0)
            columns: slice | int = slice(None) if self.told.column is None else self.told.column
            if new.dim() > 2:
                new[:, start:stop, columns] = other[:, start:stop, columns]
            else:
                new[:, start:stop] = other[:, start:stop]
            return new.transpose(0, 1) if self.turned else new

        made: Arguments = mapped(self.given, put)
        return made

    def views(self, outputs: Tensor) -> list[Tensor]:
        """The outputs as (N, T, ...), for each axis that may be time."""
        rows, length = self.rows, self.told.length
        if self.turned:
            if outputs.shape[0] == length * rows:
                outputs = outputs.reshape(length, rows, *outputs.shape[1:])
            return [outputs.transpose(0, 1)] if outputs.shape[:2] == (length, rows) else []
        if outputs.shape[0] == rows * length:
            return [outputs.reshape(rows, length, *outputs.shape[1:])]
        if outputs.dim() < 2 or outputs.shape[0] != rows:
            return []
        return [outputs.movedim(axis, 1) for axis in range(1, outputs.dim()) if outputs.shape[axis] == length]


@check("lookahead", faults=("model.lookahead",), cost=CHEAP)
def lookahead(bench: Bench) -> Iterator[Finding]:
    asked = _asked(bench)
    twin = bench.twin()
    twin.model.eval()
    with torch.no_grad():
        (given,) = in_double(bench, twin, [asked.given])
        asked = Sequence(given, asked.told, asked.ahead, asked.rows, asked.turned)
        base = answer(bench, twin.model, given)
        if not base.is_floating_point() or not asked.views(base):
            raise Inapplicable("the outputs do not have a step for each step of the inputs")
        bound = tolerance(base)
        found = _seen_ahead(bench, twin.model, asked)
        if found[0] <= bound:
            with shaken(twin.model, bench.seed):
                found = _seen_ahead(bench, twin.model, asked)
        own = _seen_at(bench, twin.model, asked) if asked.ahead == 0 else 0.0
    if asked.ahead > 0 and found[0] > bound:
        yield _finding(asked, "error", "model.lookahead", found, bound, MASK)
    elif asked.ahead == 0 and found[0] <= bound < own:
        severity = "error" if asked.told.whole else "warning"
        yield _finding(asked, severity, "model.target_not_shifted", (own, 0), bound, SHIFT)


def _asked(bench: Bench) -> Sequence:
    turned = first_axis_is_time(bench)
    batch = in_order(bench) if turned else bench.batch(ROWS, "lookahead")
    given = arguments(bench, batch)
    heard = seen(bench, bench.twin(), batch) if bench.program.loop is None else Seen(None, batch.target)
    target = heard.target if isinstance(heard.target, Tensor) else batch.target
    rows = batch.size if not turned else next(leaves(given)).shape[1]
    if rows < 3:
        raise Inapplicable(f"{rows} rows are too few to put others in the place of one")
    told = _related(given, target, rows, turned) or _related(given, batch.target, rows, turned)
    if told is None:
        raise Inapplicable("the targets are not the inputs of another step")
    offset = 0 if turned else _offset(bench, heard, batch, told)
    if offset is None and told.steps <= 0:
        raise Inapplicable("which output a target meets cannot be seen in the loss")
    offset = offset or 0
    return Sequence(given, told, told.steps - offset, rows, turned)


def _related(given: Arguments, target: Tensor, rows: int, turned: bool) -> Relation | None:
    if not turned:
        return relation(given, target, rows)
    if target.numel() % rows:
        return None
    return relation(
        mapped(given, lambda leaf: leaf.transpose(0, 1) if leaf.dim() > 1 else leaf), target.reshape(-1, rows).T, rows
    )


def _offset(bench: Bench, heard: Seen, batch: Batch, told: Relation) -> int | None:
    """How much later the output stands that a target meets in the loss: the one whose gradient a change of that target alone moves.

    None where the loss does not show it.
    """
    target = heard.target
    if main(heard) is None or not isinstance(target, Tensor) or target.numel() != batch.size * told.width:
        return None
    place = told.width // 2
    other = target.clone().reshape(batch.size, -1)
    other[:, place] = other[:, place].roll(1)
    gap = _gradient(bench, heard, target, other.reshape(target.shape))
    if gap is None:
        return None
    if gap.dim() and gap.shape[0] != batch.size and gap.shape[0] % batch.size == 0:
        gap = gap.reshape(batch.size, -1, *gap.shape[1:])
    for axis in range(1, gap.dim()):
        if abs(gap.shape[axis] - told.width) <= FARTHEST:
            moved = gap.movedim(axis, 0).reshape(gap.shape[axis], -1).amax(1).nonzero()[:, 0].tolist()
            if len(moved) == 1:
                return int(moved[0]) - place
    return None


def _gradient(bench: Bench, heard: Seen, target: Tensor, other: Tensor) -> Tensor | None:
    """How far the gradient of the loss by the outputs moves with the target; None where the loss cannot be asked."""
    loss, found, random = bench.twin().loss_fn, [], random_state()
    try:
        for wanted in (target, other):
            free = mapped(heard.outputs, lambda leaf: leaf.detach().clone().requires_grad_(leaf.is_floating_point()))
            value = loss(free, wanted, *heard.more, **heard.named)
            value = value[0] if isinstance(value, tuple) else value
            found.append(torch.autograd.grad(value.sum(), outputs_of(free))[0])
    except Exception:  # whatever a user's own loss raises: other checks tell
        return None
    finally:
        set_random_state(random)
    gap: Tensor = (found[0] - found[1]).abs()
    return gap


def _seen_ahead(bench: Bench, model: nn.Module, asked: Sequence) -> tuple[float, int]:
    """The largest change of outputs that inputs from their answer on made, as a share of the spread, and the first step it is seen at.

    Of several axes that may be time the calmest counts.
    """
    base = answer(bench, model, asked.given)
    scale, reach = spread_of(base), max(1, asked.ahead)
    worst, first = 0.0, 0
    for share in PLACES:
        place = max(1, round(share * (asked.told.length - reach)))
        result = answer(bench, model, asked.changed(place + reach))
        gaps = [
            _by_step(before[:, : place + 1], after[:, : place + 1], scale)
            for before, after in zip(asked.views(base), asked.views(result), strict=True)
        ]
        steps = min(gaps, key=lambda one: float(one.max()))
        if float(steps.max()) > worst:
            worst, first = float(steps.max()), place - int(steps.argmax())
    return worst, first


def _seen_at(bench: Bench, model: nn.Module, asked: Sequence) -> float:
    """How far the output of a step changes with the input of the same step alone."""
    base = answer(bench, model, asked.given)
    place = asked.told.length // 2
    result = answer(bench, model, asked.changed(place, place + 1))
    pairs = zip(asked.views(base), asked.views(result), strict=True)
    return max(apart(before[:, place], after[:, place], spread_of(base)) for before, after in pairs)


def _by_step(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """The largest change of each step's outputs, (T,)."""
    gap = (one.double() - other.double()).abs().nan_to_num(0.0, 0.0, 0.0).movedim(1, 0)
    return gap.reshape(gap.shape[0], -1).amax(1).cpu() / (scale or 1.0)


def _finding(
    asked: Sequence, severity: str, message: str, found: tuple[float, int], bound: float, remedy: Remedy
) -> Finding:
    return Finding(
        fault="model.lookahead",
        severity=severity,  # type: ignore[arg-type]
        message=message,
        values={"change": found[0], "ahead": asked.ahead, "share": asked.told.share},
        evidence=(
            Evidence(name="change_by_the_answer", value=found[0], threshold=bound, source="root of the precision"),
            Evidence(name="targets_that_are_inputs", value=asked.told.share, source="the data"),
        ),
        remedies=(remedy,),
        status="confirmed",
        subject={"steps_ahead": asked.ahead},
    )

"""Which part of its input a unit of a net can see, exactly: a tool of the checks.

A number that is not a number spreads to whatever depends on it, and to nothing else. A batch of copies of one row, each with another
line across the input made so, shows by one pass which lines each unit depends on, whatever the weights are.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.model_call import arguments, judged_whole
from tunesmith.doctor.preflight.norm_places import NORMS
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.trace import Enough
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch

LINES = 64  # of a side that are told apart; assumption: longer ones are cut into as many strips
AT_ONCE = 32  # rows of a pass; assumption


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the input of the first convolution."""

    axis: int
    length: int
    seen: int  # positions that the unit with the widest view depends on, from the first to the last
    live: int  # positions that hold something in a batch: zeros that are padded on by hand do not
    unseen: int  # of those, the ones that no unit depends on
    strip: int  # positions in a line: what `seen` and `unseen` are exact to


def sides(bench: Bench, first: str, dense: str) -> list[Side]:
    """How much of each side the inputs of the layer `dense` see, from the input of the layer `first` on.

    Norm layers let through what they are given: that their statistics are of all positions is no seeing. Raises `Inapplicable`
    where the layers are not called once with rows.
    """
    shape = _shape(bench, first)
    return [_side(bench, first, dense, axis, shape) for axis in range(2, len(shape))]


def _side(bench: Bench, first: str, dense: str, axis: int, shape: torch.Size) -> Side:
    length = shape[axis]
    strip = math.ceil(length / LINES)
    lines = list(range(0, length, strip))
    parts = [
        _depends(bench, first, dense, axis, strip, lines[at : at + AT_ONCE]) for at in range(0, len(lines), AT_ONCE)
    ]
    depends = torch.cat(parts)  # (lines, units)
    places = torch.arange(len(lines))[:, None]
    lowest = torch.where(depends, places, len(lines)).amin(0)
    highest = torch.where(depends, places, -1).amax(0)
    seen = min(length, int((highest - lowest + 1).clamp_min(0).max()) * strip)
    holds = _live(bench, first).movedim(axis, 0).flatten(1).any(1)
    missed = (~depends.any(1)).repeat_interleave(strip)[:length]
    return Side(axis, length, seen, int(holds.sum()), int((holds & missed).sum()), strip)


def _depends(bench: Bench, first: str, dense: str, axis: int, strip: int, lines: list[int]) -> Tensor:
    """(lines, units): whether an input of `dense` depends on a line."""

    def marked(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        x = given[0].clone()
        if len(x) != len(lines):
            raise Inapplicable("the first convolution is not given one entry a row")
        for row, start in enumerate(lines):
            x[row].narrow(axis - 1, start, min(strip, x.shape[axis] - start)).fill_(math.nan)
        return (x, *given[1:])

    heard = _heard(bench, dense, bench.train.take([0] * len(lines)), first, marked)
    if heard.dim() != 2 or len(heard) != len(lines):
        raise Inapplicable("the dense layer is not given one flat row of numbers for each row")
    return heard.isnan().cpu()


def _live(bench: Bench, first: str) -> Tensor:
    """Where the input of the first convolution is not 0, for some of the rows."""
    return bench.kept("reached.live", lambda: _heard(bench, first, bench.batch(AT_ONCE, "reached")) != 0).cpu()


def _shape(bench: Bench, layer: str) -> torch.Size:
    return _heard(bench, layer, bench.train.take([0, 0])).shape


def _heard(bench: Bench, layer: str, rows: Batch, first: str = "", mark: Any = None) -> Tensor:
    """What a layer is given for rows; a mark is put on the input of the layer `first`."""
    model = judged_whole(bench.model())
    given = arguments(bench, rows)
    found: list[Tensor] = []

    def caught(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.append(inputs[0].detach())
        raise Enough

    for each in model.modules():
        if isinstance(each, NORMS):
            each.register_forward_hook(lambda module, inputs, result: inputs[0])
    if mark is not None:
        model.get_submodule(first).register_forward_pre_hook(mark)
    model.get_submodule(layer).register_forward_pre_hook(caught)
    random = random_state()
    try:
        with torch.no_grad(), quiet():
            model(*given[0], **given[1])
    except Enough:
        pass
    except Inapplicable:
        raise
    except Exception as error:  # whatever a user's own model raises for numbers that are none
        raise Inapplicable(f"the net raises {type(error).__name__} for inputs that are not numbers") from error
    finally:
        set_random_state(random)
    if not found:
        raise Inapplicable(f"the layer {layer} is not called")
    return found[0]

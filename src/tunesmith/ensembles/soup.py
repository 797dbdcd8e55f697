"""One net from the weights of several: model soups. Wortsman et al., Model soups, arXiv:2203.05482, section 2, recipe 1.

An average of weights costs no more than one net to keep and to ask. It works for nets that began from the same trained
weights and were then trained apart for a while. Between nets with starts of their own the loss is high (Frankle et al.,
arXiv:1912.05671), and their average is usually far worse than each; `greedy_soup` finds that out by measuring, and then
is the best single net.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tunesmith.blocks.optim.averaging import reestimate_norms
from tunesmith.ensembles.measure import Better
from tunesmith.records import ModelError, RecipeError

States = Mapping[str, Tensor]


class Tasted(NamedTuple):
    """A net that was tried in the soup, the score of the soup with it, and whether it stayed."""

    net: int
    score: float
    stays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Soup:
    """`state` is the averaged state dict, of the nets numbered in `nets`; `score` is its own on the held rows.

    `alone` are the scores of the single nets, `path` the nets in the order in which they were tried.
    """

    state: dict[str, Tensor]
    nets: tuple[int, ...]
    score: float
    alone: tuple[float, ...]
    path: tuple[Tasted, ...]


@torch.no_grad()
def uniform_soup(states: Iterable[States]) -> dict[str, Tensor]:
    """θ = (1/k) Σ θ_i over the state dicts of k nets of one architecture, read one at a time.

    Floating tensors, running statistics among them, are averaged in float64 and given back in their own type; whole numbers
    (counters, positions) are those of the first. Afterwards the batch-norm statistics fit no training batch: take them
    anew with `with_norms`. The states are left as they are.

    Raises `ModelError` for no state at all, and for names, shapes or number types that differ.
    Source: arXiv:2203.05482, section 2, "uniform soup".

    >>> soup = uniform_soup([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 2.0])}])
    >>> soup["w"].tolist()
    [2.0, 2.0]
    """
    first: dict[str, Tensor] = {}
    mean: dict[str, Tensor] = {}
    count = 0
    for count, state in enumerate(states, start=1):
        if count == 1:
            first = _tensors(state)
            mean = {name: _double(value).clone() for name, value in first.items() if _averaged(value)}
            continue
        _check_alike(first, _tensors(state), count - 1)
        for name, value in mean.items():  # a step towards it: equal weights stay equal to the last bit
            value += (_double(state[name]).to(value.device) - value) / count
    if not count:
        raise ModelError("a soup got no state dict; give those of one net or more")
    return {name: mean[name].to(value.dtype) if name in mean else value.clone() for name, value in first.items()}


def greedy_soup(
    states: Sequence[States],
    score: Callable[[dict[str, Tensor]], float],
    *,
    better: Better = "max",
    finish: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
) -> Soup:
    """Nets join the average from the best on, each only if the score on held rows is no worse with it.

    `score(state)` judges a state dict on rows that no net was trained on; `better` tells its direction. `finish(state)` makes
    an average ready before it is scored: `lambda state: with_norms(model, state, batches)` where there are batch norms. A
    net alone is scored as it is. On these rows the soup is never worse than the best net; of equal nets the lower number
    is tried first. Scores 2k - 1 times for k nets.

    Raises `ModelError` as `uniform_soup` does, and for scores that are all undefined; `RecipeError` for another direction.
    Source: arXiv:2203.05482, recipe 1.

    >>> nets = [{"w": torch.tensor([value])} for value in (0.0, 1.5, 9.0)]
    >>> soup = greedy_soup(nets, lambda state: abs(state["w"].item() - 1.0), better="min")
    >>> soup.nets, soup.state["w"].item(), soup.score
    ((1, 0), 0.75, 0.25)
    """
    if better not in ("max", "min"):
        raise RecipeError(f"better = {better!r}: 'max' or 'min' was expected")
    if not states:
        raise ModelError("a soup got no state dict; give those of one net or more")
    sign = 1.0 if better == "max" else -1.0
    for place, state in enumerate(states):
        _check_alike(_tensors(states[0]), _tensors(state), place)
    alone = [float(score(dict(state))) for state in states]
    defined = [place for place, value in enumerate(alone) if value == value]
    if not defined:
        raise ModelError(f"the score of every one of the {len(states)} nets is nan; give rows on which it is defined")
    order = sorted(defined, key=lambda place: (-sign * alone[place], place))
    nets, best = [order[0]], alone[order[0]]
    soup, path = uniform_soup([states[order[0]]]), [Tasted(order[0], alone[order[0]], True)]
    for place in order[1:]:
        mixed = uniform_soup(states[each] for each in (*nets, place))
        mixed = mixed if finish is None else finish(mixed)
        value = float(score(mixed))
        stays = sign * value >= sign * best  # recipe 1, line 4; a nan does not stay
        path.append(Tasted(place, value, stays))
        if stays:
            nets, best, soup = [*nets, place], value, mixed
    return Soup(state=soup, nets=tuple(nets), score=best, alone=tuple(alone), path=tuple(path))


def with_norms(
    model: nn.Module, state: States, batches: Iterable[Any], rows: Callable[[Any], int] | None = None
) -> dict[str, Tensor]:
    """The state with the batch-norm statistics of `batches` of the training rows, estimated at its weights.

    A copy of `model` holds the state meanwhile; `batches` and `rows` are as `reestimate_norms` takes them: inputs as the
    model does. Without a batch norm that tracks statistics the state comes back as it is.

    Raises `ModelError` where the state does not fit the model, `RecipeError` where there is no batch.
    Source: Izmailov et al., arXiv:1803.05407, algorithm 1, last line.

    >>> norm = nn.BatchNorm1d(1)
    >>> state = with_norms(norm, norm.state_dict(), [torch.tensor([[1.0], [3.0]])])
    >>> state["running_mean"].item(), state["running_var"].item()
    (2.0, 2.0)
    """
    held = copy.deepcopy(model)
    try:
        held.load_state_dict(dict(state))
    except RuntimeError as error:
        raise ModelError(f"the averaged weights do not fit the model: {' '.join(str(error).split())[:300]}") from error
    held.train()
    reestimate_norms(held, batches, rows)
    return {name: value.detach().clone() for name, value in _tensors(held.state_dict()).items()}


def _tensors(state: States) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _averaged(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _double(value: Tensor) -> Tensor:
    return value.detach().to(torch.complex128 if value.is_complex() else torch.float64)


def _check_alike(first: States, other: States, place: int) -> None:
    """One architecture: the same names, shapes and number types."""
    for name in (*first, *other):
        if name not in other or name not in first:
            has, lacks = (0, place) if name in first else (place, 0)
            raise ModelError(
                f"state {has} holds {name!r} and state {lacks} does not; a soup needs nets of one architecture"
            )
        mine, theirs = first[name], other[name]
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
            raise ModelError(
                f"{name!r} is {mine.dtype} of shape {tuple(mine.shape)} in state 0 and {theirs.dtype} of shape "
                f"{tuple(theirs.shape)} in state {place}; a soup needs nets of one architecture and number type"
            )

"""Whether a fast version of a function or module gives what the plain slow one gives: outputs and gradients, on several inputs.

Compared in double precision where both take it, so that what is left is not rounding. The gradients are those of
sum(output * c) with the same random c for both, by every floating input and by every parameter that has one name in both.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import ModelError
from tunesmith.records.state import random_state, set_random_state

TOLERANCES = {  # relative, absolute: the defaults of torch.testing.assert_close
    torch.float64: (1e-7, 1e-7),
    torch.float32: (1.3e-6, 1e-5),
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
}
Call = tuple[tuple[Any, ...], dict[str, Any]]


class DifferentFunction(ModelError, AssertionError):
    """Two versions of a function that do not give the same."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was compared and found the same."""

    calls: int
    outputs: int  # tensors
    gradients: int  # tensors
    double: bool  # in double precision
    apart: float  # the largest difference, as a share of what is allowed: below 1


def same_function(
    fast: Callable[..., Any],
    plain: Callable[..., Any],
    inputs: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> Agreement:
    """Compares `fast(*inputs)` with `plain(*inputs)`; raises `DifferentFunction` with the first difference.

    `inputs` is one call (a tensor, a tuple of arguments, or a dict of named ones) or a list of several, of several shapes.
    Two modules whose parameters have the same names are compared with the weights of `plain` in both. Where numbers are
    allowed to differ by atol + rtol · |plain| defaults to what `torch.testing.assert_close` takes for the precision.
    What was passed in is not changed; random generators are put back.

    >>> import torch
    >>> x = [torch.randn(3, 4), torch.randn(1, 9)]
    >>> same_function(torch.logsumexp, lambda x, dim: x.exp().sum(dim).log(), [(one, 1) for one in x]).gradients
    2
    """
    calls = [_call(each) for each in (inputs if isinstance(inputs, list) else [inputs])]
    if not calls:
        raise ModelError("same_function got no inputs; give a tensor, a tuple of arguments, or a list of them")
    random = random_state()
    try:
        double = _takes_double(fast, calls[0], seed) and _takes_double(plain, calls[0], seed)
        one, two = _twin(fast, double), _twin(plain, double)
        _share_weights(one, two)
        comparison = _Comparison(rtol, atol, seed)
        for place, each in enumerate(calls):
            comparison.call(place, one, two, _double(each) if double else each)
        return Agreement(len(calls), comparison.outputs, comparison.gradients, double, comparison.apart)
    finally:
        set_random_state(random)


class _Comparison:
    """Counts what was compared; raises at the first difference."""

    def __init__(self, rtol: float | None, atol: float | None, seed: int) -> None:
        self.rtol, self.atol, self.seed = rtol, atol, seed
        self.outputs = self.gradients = 0
        self.apart = 0.0

    def call(self, place: int, fast: Any, plain: Any, call: Call) -> None:
        where = f"call {place + 1} on {_shapes(call)}"
        theirs, given_theirs = self._ask(plain, call, f"the plain version raises in {where}")
        mine, given_mine = self._ask(fast, call, f"the fast version raises in {where}, the plain one does not")
        self._unchanged(call, given_mine, given_theirs, where)
        pairs = list(_pairs(mine, theirs, "", where))
        for name, one, two in pairs:
            self._equal(one, two, f"output{name} of {where}")
            self.outputs += 1
        self._slopes(fast, plain, given_mine, given_theirs, pairs, where)

    def _ask(self, function: Any, call: Call, trouble: str) -> tuple[Any, Call]:
        given = _free(call)
        torch.manual_seed(self.seed)
        try:
            with torch.enable_grad():
                return function(*given[0], **given[1]), given
        except Exception as error:  # whatever a user's own function raises
            raise DifferentFunction(f"{trouble}: {type(error).__name__}: {error}") from error

    def _unchanged(self, call: Call, fast: Call, plain: Call, where: str) -> None:
        for name, was, mine, theirs in zip(_names(call), _leaves(call), _leaves(fast), _leaves(plain), strict=True):
            if _same(was, theirs) and not _same(was, mine):
                raise DifferentFunction(
                    f"the fast version changes its {name} in place in {where}; the plain one does not"
                )

    def _slopes(
        self, fast: Any, plain: Any, mine: Call, theirs: Call, pairs: Sequence[tuple[str, Tensor, Tensor]], where: str
    ) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        sums: list[list[Tensor]] = [[], []]
        for name, one, two in pairs:
            if two.requires_grad and not one.requires_grad:
                raise DifferentFunction(
                    f"output{name} of {where} has a gradient in the plain version and none in the fast one"
                )
            if one.requires_grad and two.requires_grad:
                along = torch.randn(two.shape, generator=generator, dtype=torch.float64)
                for kept, each in zip(sums, (one, two), strict=True):
                    kept.append((each * along.to(each)).sum())
        if not sums[1]:
            return
        names, sources = _sources(fast, plain, mine, theirs)
        found = []
        for kept, source in zip(sums, sources, strict=True):
            found.append(torch.autograd.grad(sum(kept[1:], kept[0]), source, allow_unused=True))
        for name, one, two in zip(names, *found, strict=True):
            if one is None and two is None:
                continue
            zero = torch.zeros_like(one if two is None else two)
            self._equal(
                zero if one is None else one, zero if two is None else two, f"the gradient by {name} in {where}"
            )
            self.gradients += 1

    def _equal(self, one: Tensor, two: Tensor, what: str) -> None:
        if one.shape != two.shape:
            raise DifferentFunction(
                f"{what} has shape {tuple(one.shape)} in the fast version and {tuple(two.shape)} in the plain one"
            )
        if one.is_floating_point() != two.is_floating_point():
            raise DifferentFunction(f"{what} is {one.dtype} in the fast version and {two.dtype} in the plain one")
        rtol, atol = _tolerance(one, two)
        rtol, atol = (rtol if self.rtol is None else self.rtol), (atol if self.atol is None else self.atol)
        first, second = _wide(one), _wide(two)
        gap, allowed = (first - second).abs(), atol + rtol * second.abs()
        alike = (first == second) | (first.isnan() & second.isnan()) | (gap <= allowed)
        if not bool(alike.all()):
            raise DifferentFunction(_told(what, first, second, alike, rtol, atol))
        share = (gap / allowed)[torch.isfinite(gap) & (allowed > 0)]
        self.apart = max(self.apart, float(share.max()) if share.numel() else 0.0)


def _told(what: str, one: Tensor, two: Tensor, alike: Tensor, rtol: float, atol: float) -> str:
    place = tuple(int(axis) for axis in (~alike).nonzero()[0])
    mine, theirs = one[place].item(), two[place].item()
    return (
        f"{what} differs in {int((~alike).sum())} of {alike.numel()} numbers: first at {list(place)}, where the fast version gives "
        f"{mine:.9g} and the plain one {theirs:.9g}; {atol:g} + {rtol:g} · |plain| is allowed"
    )


def _tolerance(one: Tensor, two: Tensor) -> tuple[float, float]:
    found = [TOLERANCES.get(each.dtype, (0.0, 0.0)) for each in (one, two)]
    return max(found)


def _wide(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.complex128 if values.is_complex() else torch.float64)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | ((one != one) & (other != other))).all())


# What is called


def _call(given: Any) -> Call:
    if isinstance(given, Mapping):
        return (), dict(given)
    return (given if isinstance(given, tuple) else (given,)), {}


def _map(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: _map(value, change) for key, value in tree.items()}
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return type(tree)(_map(value, change) for value in tree)
    return tree


def _leaves(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map(tree, lambda leaf: (found.append(leaf), leaf)[1])  # type: ignore[func-returns-value]
    return found


def _names(call: Call) -> list[str]:
    """A name for each leaf: which argument it is of."""
    found = [f"input {place}" for place, value in enumerate(call[0]) for _ in _leaves(value)]
    return found + [f"input {name!r}" for name, value in call[1].items() for _ in _leaves(value)]


def _shapes(call: Call) -> str:
    return "inputs of shape " + ", ".join(str(tuple(leaf.shape)) for leaf in _leaves(call))


def _free(call: Call) -> Call:
    """Copies that a gradient can be taken by. They are no leaves, so that a version that writes to its inputs is found out."""

    def fresh(leaf: Tensor) -> Tensor:
        made = leaf.detach().clone()
        return made.requires_grad_().clone() if made.is_floating_point() or made.is_complex() else made

    freed: Call = _map(call, fresh)
    return freed


def _double(call: Call) -> Call:
    wide: Call = _map(call, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)
    return wide


def _twin(function: Any, double: bool) -> Any:
    if not isinstance(function, nn.Module):
        return function
    made = copy.deepcopy(function)
    return made.double() if double else made


def _takes_double(function: Any, call: Call, seed: int) -> bool:
    """Whether it gives double precision for double precision."""
    torch.manual_seed(seed)
    try:
        with torch.no_grad():
            given = _double((_map(call[0], torch.clone), _map(call[1], torch.clone)))
            result = _twin(function, True)(*given[0], **given[1])
    except Exception:  # whatever a user's own function raises: the comparison tells of it
        return False
    floating = [leaf for leaf in _leaves(result) if leaf.is_floating_point()]
    return all(leaf.dtype == torch.float64 for leaf in floating)


def _share_weights(fast: Any, plain: Any) -> None:
    """The weights of the plain module in both, where the names and shapes are the same."""
    if not isinstance(fast, nn.Module) or not isinstance(plain, nn.Module):
        return
    mine, theirs = fast.state_dict(), plain.state_dict()
    shapes = [
        {name: value.shape for name, value in each.items() if isinstance(value, Tensor)} for each in (mine, theirs)
    ]
    if shapes[0] == shapes[1]:
        fast.load_state_dict(theirs)


def _sources(fast: Any, plain: Any, mine: Call, theirs: Call) -> tuple[list[str], list[list[Tensor]]]:
    """What gradients are taken by: names, and the tensors of both versions."""
    found = [
        (name, one, two)
        for name, one, two in zip(_names(mine), _leaves(mine), _leaves(theirs), strict=True)
        if one.requires_grad and two.requires_grad
    ]
    if isinstance(fast, nn.Module) and isinstance(plain, nn.Module):
        held = dict(plain.named_parameters())
        found += [
            (f"parameter {name!r}", one, held[name])
            for name, one in fast.named_parameters()
            if name in held and one.shape == held[name].shape and one.requires_grad and held[name].requires_grad
        ]
    return [name for name, _, _ in found], [[one for _, one, _ in found], [two for _, _, two in found]]


def _pairs(one: Any, two: Any, name: str, where: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The tensors of two results of one form, by name."""
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        yield name, one, two
    elif isinstance(one, Mapping) and isinstance(two, Mapping) and set(one) == set(two):
        for key in two:
            yield from _pairs(one[key], two[key], f"{name}[{key!r}]", where)
    elif isinstance(one, list | tuple) and isinstance(two, list | tuple) and len(one) == len(two):
        for place, (mine, theirs) in enumerate(zip(one, two, strict=True)):
            yield from _pairs(mine, theirs, f"{name}[{place}]", where)
    elif isinstance(one, bool | int | float) and isinstance(two, bool | int | float):
        yield name, torch.tensor(float(one), dtype=torch.float64), torch.tensor(float(two), dtype=torch.float64)
    elif type(one) is not type(two) or isinstance(one, Mapping | list | tuple):
        raise DifferentFunction(
            f"output{name} of {where} is {_form(one)} in the fast version and {_form(two)} in the plain one"
        )


def _form(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(repr, value))}"
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, list | tuple) else "")

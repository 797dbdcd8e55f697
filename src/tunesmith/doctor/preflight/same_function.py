"""A fast way of computing something against the plain one: a tool for people.

"Write the slow, obvious version first, then make it fast and check that the two agree": Karpathy, A Recipe for Training Neural Networks
(2019), "generalize a special case". Agreement is asked of outputs and of gradients, on every input, also in double precision.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import seed_all
from tunesmith.records import ModelError
from tunesmith.records.state import random_state, set_random_state

Function = Callable[..., Any]
SEED = 0  # of whatever the two draw at random, and of the directions that gradients are asked along
DOUBLE = 1e-10  # relative difference in double precision; assumption: far above rounding, far below a slip in a formula


def same_function(
    fast: Function, plain: Function, inputs: Sequence[Any], *, rtol: float = 1e-4, atol: float = 1e-6
) -> None:
    """Checks that `fast` computes what `plain` does.

    `inputs` are several inputs, each a tensor or a tuple of arguments. Compared are the outputs (a tensor, or tensors in tuples, lists and
    mappings), the gradients by the floating inputs, and by the parameters that both have under the same name, at `rtol` and `atol`; then all
    of it again in double precision where both take it. Random numbers are seeded alike for the two; neither, nor an input, is changed.
    Raises `ModelError` that names the first difference.

    >>> x = torch.linspace(-2, 2, 9)
    >>> same_function(lambda x: x * torch.sigmoid(x), torch.nn.SiLU(), [x, 10 * x])
    """
    if not inputs:
        raise ModelError("no input was given; expected a list of tensors or of tuples of arguments")
    for place, given in enumerate(inputs):
        arguments = given if isinstance(given, tuple) else (given,)
        _compared(fast, plain, arguments, f"input {place}", rtol, atol)
        wide = tuple(_wide(each) for each in arguments)
        if any(isinstance(each, Tensor) and each.is_floating_point() for each in wide) and _takes(plain, wide):
            if not _takes(fast, wide):
                continue  # a kernel of single precision alone
            _compared(
                _doubled(fast),
                _doubled(plain),
                wide,
                f"input {place} in double precision",
                min(rtol, DOUBLE),
                min(atol, DOUBLE),
            )


def _wide(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _doubled(function: Function) -> Function:
    return copy.deepcopy(function).double() if isinstance(function, nn.Module) else function


def _takes(function: Function, arguments: tuple[Any, ...]) -> bool:
    """Whether it gives an answer in double precision."""
    random = random_state()
    try:
        with torch.no_grad():
            found = dict(_named(_doubled(function)(*arguments), "output"))
    except (RuntimeError, TypeError, ValueError):
        return False
    finally:
        set_random_state(random)
    return all(each.dtype == torch.float64 for each in found.values() if each.is_floating_point())


def _compared(
    fast: Function, plain: Function, arguments: tuple[Any, ...], where: str, rtol: float, atol: float
) -> None:
    mine, theirs = _asked(fast, arguments), _asked(plain, arguments)
    if list(mine) != list(theirs):
        odd = sorted(set(mine) ^ set(theirs))
        raise ModelError(f"{where}: {odd[0]} is there in one of the two alone")
    for name, wanted in theirs.items():
        _same(mine[name], wanted, f"{where}: {name}", rtol, atol)


def _asked(function: Function, arguments: tuple[Any, ...]) -> dict[str, Tensor]:
    """Outputs, and gradients of a sum of them with fixed random factors, by name."""
    function = copy.deepcopy(function) if isinstance(function, nn.Module) else function
    free = tuple(_free(each) for each in arguments)
    leaves = {f"the gradient by argument {place}": each for place, each in enumerate(free) if _floating(each)}
    if isinstance(function, nn.Module):
        leaves |= {f"the gradient by {name}": each for name, each in function.named_parameters() if each.requires_grad}
    random = random_state()
    try:
        seed_all(SEED)
        told = dict(_named(function(*free), "output"))
        generator = torch.Generator().manual_seed(SEED)
        total = [
            (each * torch.randn(each.shape, generator=generator, dtype=torch.float64).to(each)).sum()
            for each in told.values()
            if each.requires_grad
        ]
    finally:
        set_random_state(random)
    found = {name: each.detach() for name, each in told.items()}
    if total:
        gradients = torch.autograd.grad(sum(total[1:], total[0]), list(leaves.values()), allow_unused=True)
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            found[name] = torch.zeros_like(leaf) if gradient is None else gradient
    return found


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _free(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return copy.deepcopy(value)
    fresh = value.detach().clone()
    return fresh.requires_grad_() if fresh.is_floating_point() else fresh


def _named(result: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(result, Tensor):
        yield name, result
    elif isinstance(result, Mapping):
        for key, value in result.items():
            yield from _named(value, f"{name}[{key!r}]")
    elif isinstance(result, tuple | list):
        for place, value in enumerate(result):
            yield from _named(value, f"{name}[{place}]")


def _same(mine: Tensor, wanted: Tensor, where: str, rtol: float, atol: float) -> None:
    if mine.shape != wanted.shape:
        raise ModelError(
            f"{where} has the shape {tuple(mine.shape)}; expected {tuple(wanted.shape)} as the plain one gives"
        )
    one, two = mine.double().cpu(), wanted.double().cpu()
    close = torch.isclose(one, two, rtol=rtol, atol=atol, equal_nan=True)
    if bool(close.all()):
        return
    place = tuple(int(each) for each in (~close).nonzero()[0])
    gap = (one - two).abs().nan_to_num(float("inf"))
    raise ModelError(
        f"{where} differs in {int((~close).sum())} of {close.numel()} numbers, first at {list(place)}: {float(one[place]):.6g}, expected "
        f"{float(two[place]):.6g}; the largest difference is {float(gap.max()):.3g} (rtol {rtol:g}, atol {atol:g})"
    )

"""The model of a copy, called as the program calls it: a tool of the checks that look at the model alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench, seed_all
from tunesmith.doctor.preflight.courses import silent
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.trace import Enough
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, outputs_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
JITTER = 0.05  # of the spread of a parameter, added to wake what starts at exactly zero; assumption


def arguments(bench: Bench, batch: Batch) -> Arguments:
    """What the model is called with for a batch: the inputs, or whatever the program's own step makes of them.

    Raises `Inapplicable` where the model takes neither.
    """
    plain: Arguments = ((batch.inputs,), {})
    random = random_state()
    try:
        if bench.program.step is not None:
            caught = _caught(bench, batch)
            if caught is not None:
                return caught
        with quiet(), torch.no_grad():
            model = bench.twin().model.eval()
            model(batch.inputs)
    except Exception as error:  # whatever a user's own model raises
        raise Inapplicable(f"the net raises {type(error).__name__}: {error}".splitlines()[0][:200]) from error
    finally:
        set_random_state(random)
    return plain


def _caught(bench: Bench, batch: Batch) -> Arguments | None:
    """What the program's own step hands to the model first; None where it calls only parts of it."""
    heard: list[Arguments] = []

    def noted(module: nn.Module, args: Any, named: Any) -> None:
        heard.append((args, named))
        raise Enough

    twin = bench.twin()
    handle = twin.model.register_forward_pre_hook(noted, with_kwargs=True)
    try:
        with quiet(), silent():
            twin.step(batch)
    except Enough:
        pass
    except Exception:  # whatever a user's own step raises before it calls the model
        return None
    finally:
        handle.remove()
    return heard[0] if heard else None


def answer(bench: Bench, model: nn.Module, given: Arguments) -> Tensor:
    """The tensor that a model means, in the mode it stands in; each call draws the same random numbers."""
    random = random_state()
    try:
        seed_all(bench.seed)
        with quiet():
            return outputs_of(model(*given[0], **given[1]))
    finally:
        set_random_state(random)


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The tree with each tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(mapped(value, change) for value in tree) if not hasattr(tree, "_fields") else tree
    return tree


def mixed(one: Any, other: Any, change: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """Two trees of one form, leaf by leaf; `change` is given leaves of one shape."""
    if isinstance(one, Tensor):
        fits = isinstance(other, Tensor) and one.shape == other.shape and one.dim() > 0
        return change(one, other) if fits else one
    if isinstance(one, Mapping):
        return {key: mixed(value, other[key], change) for key, value in one.items()}
    if isinstance(one, tuple | list) and not hasattr(one, "_fields"):
        return type(one)(mixed(mine, theirs, change) for mine, theirs in zip(one, other, strict=True))
    return one


def leaves(tree: Any) -> Iterator[Tensor]:
    """The tensors of a tree that have dimensions."""
    if isinstance(tree, Tensor):
        if tree.dim() > 0:
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from leaves(value)


def judged_whole(model: nn.Module) -> nn.Module:
    """The model in evaluation mode, with the layers in plain lists and dicts that `eval()` does not reach: those are another check's."""
    model.eval()
    for module in list(model.modules()):
        for value in vars(module).values():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
            for each in held:
                if isinstance(each, nn.Module):
                    each.eval()
    return model


def in_double(bench: Bench, twin: Twin, given: Sequence[Arguments]) -> list[Arguments]:
    """Model and arguments in double precision where the model takes them; else everything stays as it is."""
    wide = [mapped(each, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf) for each in given]
    try:
        twin.model.double()
        with torch.no_grad():
            for each in wide:
                answer(bench, twin.model, each)
    except (RuntimeError, TypeError, ValueError):
        fresh = bench.model()
        twin.model = fresh.train() if twin.model.training else judged_whole(fresh)
        return list(given)
    return wide


@contextmanager
def shaken(model: nn.Module, seed: int) -> Iterator[None]:
    """The parameters moved a little at random: what a zero at the start would hide is seen."""
    generator = torch.Generator().manual_seed(seed)
    held = [(each, each.detach().clone()) for each in model.parameters() if each.is_floating_point()]
    try:
        with torch.no_grad():
            for each, was in held:
                size = float(was.double().std()) if was.numel() > 1 else 0.0
                noise = torch.randn(was.shape, generator=generator, dtype=torch.float64)
                each.add_((JITTER * (size or 1.0) * noise).to(each))
        yield
    finally:
        with torch.no_grad():
            for each, was in held:
                each.copy_(was)


def tolerance(values: Tensor) -> float:
    """What two ways of computing the same number may differ by, relative to the spread: the root of the precision."""
    return float(torch.finfo(values.dtype).eps ** 0.5)


def apart(one: Tensor, other: Tensor, scale: float) -> float:
    """The largest difference as a share of a scale; 0 where nothing can be compared."""
    if one.numel() == 0 or one.shape != other.shape:
        return 0.0
    gap = (one.detach().double() - other.detach().double()).abs()
    gap = gap[torch.isfinite(gap)]
    return float(gap.max()) / scale if gap.numel() and scale > 0 else 0.0


def spread_of(values: Tensor) -> float:
    """The spread of the finite numbers, or their size where they do not spread."""
    finite = values.detach().double()
    finite = finite[torch.isfinite(finite)]
    if finite.numel() < 2:
        return 0.0
    return float(finite.std()) or float(finite.abs().max())

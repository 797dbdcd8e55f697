"""Random generators that a user's loader, data set, sampler or transform holds as its own."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

_DEEPEST = 5  # attributes of attributes: loader.dataset.dataset.transform.steps[2]


def generator_states(root: Any) -> list[Any]:
    """The state of every generator found under an object, in the order of discovery."""
    return [_state(generator) for generator in own_generators(root)]


def set_generator_states(root: Any, states: list[Any]) -> None:
    """Puts them back."""
    for generator, state in zip(own_generators(root), states, strict=True):
        if isinstance(generator, torch.Generator):
            generator.set_state(state)
        elif isinstance(generator, np.random.Generator):
            generator.bit_generator.state = state
        elif isinstance(generator, np.random.RandomState):
            generator.set_state(state)
        else:
            generator.setstate(state)


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def own_generators(root: Any) -> list[Any]:
    """Generators among an object's attributes, their attributes, and short lists of them."""
    found: list[Any] = []
    seen: set[int] = set()

    def visit(thing: Any, depth: int) -> None:
        if id(thing) in seen or depth > _DEEPEST:
            return
        seen.add(id(thing))
        if isinstance(thing, (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)):
            found.append(thing)
            return
        for part in _parts(thing):
            visit(part, depth + 1)

    visit(root, 0)
    return found


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, (torch.Tensor, np.ndarray, str, bytes, int, float, torch.nn.Module, type)) or thing is None:
        return
    if isinstance(thing, (list, tuple)) and len(thing) <= 64:  # a pipeline of transforms, not a list of samples
        yield from thing
    elif isinstance(thing, dict) and len(thing) <= 64:
        yield from thing.values()
    else:
        yield from getattr(thing, "__dict__", {}).values()
        closure = getattr(thing, "__closure__", None) or ()
        for cell in closure:
            try:
                yield cell.cell_contents
            except ValueError:  # a cell not filled yet
                continue

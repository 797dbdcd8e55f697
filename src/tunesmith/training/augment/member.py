"""What a member of the catalogue is: the function, what it changes, and what it must be told beside the batch.

The strength is one dial in [0, 1] for all of them: at 0 nothing is changed, bit for bit and without a draw; at 0.5 stands
the value that is usual, with its source in the member's file; at 1 the change is strong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from tunesmith.records import Catalog, RecipeError

USUAL = 0.5
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Augmentation:
    """`function(batch, generator, strength)`, or `function(inputs, target, generator, strength)` where it mixes rows.

    `changes`: the inputs it is for, of "pictures", "tokens" and "numbers". `told`: further arguments that a run gives it.
    """

    name: str
    function: Callable[..., Any]
    changes: tuple[str, ...]
    mixes: bool = False
    told: frozenset[str] = frozenset()


AUGMENTATIONS: Catalog[Augmentation] = Catalog("augmentation")


def augmentation(
    name: str, *changes: str, mixes: bool = False, told: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Decorator: puts a function into the catalogue."""

    def put(function: Function) -> Function:
        AUGMENTATIONS.add(name)(Augmentation(name, function, changes, mixes, frozenset(told)))
        return function

    return put


def checked(strength: float) -> float:
    """A strength in [0, 1]. Raises `RecipeError`."""
    if not 0 <= strength <= 1:
        raise RecipeError(
            f"the strength of an augmentation is {strength!r}, a number from 0 to 1 was expected; 0.5 is usual"
        )
    return float(strength)


def uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers in [0, 1) on the generator's device, float32."""
    return torch.rand(shape, generator=generator, device=generator.device)

"""Hooks that a copy or a pickle of the model does not take along, and that keep nobody alive."""

import weakref
from typing import Any

from torch import nn

from tunesmith.doctor.probes.watcher_activations import Blind, unreal
from tunesmith.doctor.probes.watcher_view import entry, inside, is_compiled

FIRST = 8  # calls that are all looked at; then four an octave
SELDOM = 256  # calls between two looks in a long run; assumption: far below the price of an update


def due(call: int) -> bool:
    """Whether a call, counted from 1, is looked at.

    >>> [call for call in range(1, 70) if due(call)]
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
    """
    return call <= FIRST or call % min(SELDOM, 1 << (call.bit_length() - 3)) == 0


def coming(call: int) -> int:
    """The first call from `call` on that is looked at.

    >>> [coming(call) for call in (7, 9, 10, 33, 61)]
    [7, 10, 10, 40, 64]
    """
    if call <= FIRST:
        return call
    apart = min(SELDOM, 1 << (call.bit_length() - 3))
    return -(-call // apart) * apart


class Peep:
    """Calls a method of its owner while that is there; `first` comes before what the hook is given."""

    __torch_unserializable__ = True  # torch leaves a tensor's hook out of a saved tensor without a warning

    def __init__(self, owner: Any, method: str, *first: Any) -> None:
        self._owner, self._method, self._first = weakref.ref(owner), method, first

    def __call__(self, *given: Any) -> None:
        owner = self._owner()
        if owner is not None and not unreal():
            getattr(owner, self._method)(*self._first, *given)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blind, ())

    def __deepcopy__(self, memo: Any) -> Blind:
        return Blind()


def door(model: nn.Module) -> nn.Module | None:
    """The module on which hooks see the training's own calls; None where they would be compiled along."""
    found = entry(model)
    return None if getattr(found, "_compiled_call_impl", None) is not None else found


def open_inside(model: nn.Module) -> nn.Module | None:
    """The model inside its wrappers, where hooks on its layers run and break nothing; None for a compiled one."""
    inner = inside(model)
    compiled = is_compiled(entry(model)) or any(is_compiled(each) for each in inner.modules())
    return None if compiled else inner

"""Questions put to a live model between two updates, which leave nothing behind."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tunesmith.records.state import random_state, set_random_state


class Counting(Protocol):
    """Who counts passes of the model, and must not count those of a question."""

    paused: bool


@contextmanager
def question(model: nn.Module, counting: Sequence[Counting] = ()) -> Iterator[None]:
    """Evaluation mode without gradients; modes, buffers and generators are afterwards as they were."""
    modes = [(each, each.training) for each in model.modules()]
    buffers = [(each, each.detach().clone()) for each in model.buffers()]
    before = random_state()
    for one in counting:
        one.paused = True
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for one in counting:
            one.paused = False
        set_random_state(before)
        for module, was in modes:
            module.training = was
        with torch.no_grad():
            for buffer, kept in buffers:
                if not torch.equal(buffer, kept):
                    buffer.copy_(kept)


def answer(given: Any) -> Tensor | None:
    """The outputs in what a model gave: the first floating tensor that has places, `logits` before all others."""
    if isinstance(given, Tensor):
        return given if given.dim() > 1 and given.is_floating_point() else None
    if isinstance(given, Mapping):
        parts: Any = [given[name] for name in ("logits", *given) if name in given]
    else:
        parts = given if isinstance(given, tuple | list) else ()
    return next((found for each in parts if (found := answer(each)) is not None), None)

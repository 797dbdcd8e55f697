"""A forward pass beside the run, for models whose own pass cannot be looked into because it is compiled."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tunesmith.records.state import random_state, set_random_state


@contextmanager
def replayed(model: nn.Module) -> Iterator[nn.Module]:
    """The model, run without compiler and gradient inside the `with`; buffers and generators are put back."""
    random = random_state()
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield model
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        set_random_state(random)

"""A forward pass beside the run, for models whose own pass cannot be looked into because it is compiled."""

from typing import Any

import torch
from torch import nn

from tunesmith.records.state import random_state, set_random_state


def replay(model: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Calls the model without compiler and gradient, on copies of its buffers; the generators are put back."""
    random = random_state()
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            torch.func.functional_call(model, buffers, given, named)
    finally:
        set_random_state(random)

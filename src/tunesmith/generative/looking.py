"""Looks at nets that train, without a trace: modes, statistics and random numbers stay as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tunesmith.records.state import random_state, set_random_state


@contextmanager
def unchanged(*nets: nn.Module) -> Iterator[None]:
    """Nets in evaluation mode inside; modes and random generators as they were after."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    before = random_state()
    for net in nets:
        net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        set_random_state(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator seeded inside, every generator as it was after."""
    before = random_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_random_state(before)


def drawn(rows: Tensor, most: int, seed: int) -> Tensor:
    """Rows drawn by the seed, where there are more than enough: those that come first may be of one class."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most].to(rows.device)]

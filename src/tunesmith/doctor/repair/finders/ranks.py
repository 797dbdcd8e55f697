"""What several ranks do together: the smallest of their numbers holds for all."""

import torch
from torch import distributed


def world() -> int:
    """How many ranks train together; 1 without a process group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def least(value: int) -> int:
    """The smallest of all ranks' values; the value itself where there is one rank. Every rank must ask."""
    if world() == 1:
        return value
    device = torch.device("cuda", torch.cuda.current_device()) if distributed.get_backend() == "nccl" else None
    held = torch.tensor([value], dtype=torch.int64, device=device)
    distributed.all_reduce(held, op=distributed.ReduceOp.MIN)
    return int(held.item())

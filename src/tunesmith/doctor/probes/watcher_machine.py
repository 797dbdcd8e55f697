"""What the machine does while a loop goes on: seconds, memory, tensors."""

import gc
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

STATM = Path("/proc/self/statm")


def peak_mb(device: torch.device) -> float:
    """The most that device or process has held so far; nan where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def resident_mb() -> float:
    """What the process holds in memory now; nan where the system does not tell."""
    if not STATM.exists():
        return math.nan
    import resource

    return int(STATM.read_text().split()[1]) * resource.getpagesize() / 2**20


def live_tensors() -> tuple[int, int]:
    """Tensors that Python can reach, and the bytes of their storages, each counted once."""
    kinds = (Tensor, torch.nn.Parameter)
    found = [one for one in gc.get_objects() if type(one) in kinds]
    storages = {}
    for one in found:
        if one.layout == torch.strided and not one.is_meta:
            held = one.untyped_storage()
            storages[held.data_ptr()] = held.nbytes()
    return len(found), sum(storages.values())

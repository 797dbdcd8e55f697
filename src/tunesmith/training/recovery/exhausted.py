"""Is it for lack of memory that something broke, and giving back what can be given back."""

import gc
import traceback

import torch

SAID = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "STATUS_ALLOC_FAILED",
)  # CUDA, CPU, Windows, cuBLAS


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a device or of the machine.

    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    >>> out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)


def kept_graphs(error: BaseException) -> int:
    """How many tensors with a graph of autograd are alive, once the frames of an error are cleared: between updates there should be none."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    found = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
    return sum(one.grad_fn is not None for one in found)


def release(device: torch.device) -> None:
    """Gives back what the allocator keeps and nobody uses; to be called once the error and its frames are gone."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()

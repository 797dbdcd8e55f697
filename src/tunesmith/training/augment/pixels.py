"""Pictures of any type as floating numbers and back: bytes are rounded and kept in 0 … 255."""

import torch
from torch import Tensor


def as_floating(pictures: Tensor) -> Tensor:
    """Double precision as it is, everything else as float32."""
    return pictures if pictures.dtype == torch.float64 else pictures.float()


def as_before(values: Tensor, pictures: Tensor) -> Tensor:
    """The values in the type of the pictures; whole numbers rounded, within the range of their type.

    >>> as_before(torch.tensor([-3.0, 7.6, 300.0]), torch.zeros(3, dtype=torch.uint8)).tolist()
    [0, 8, 255]
    """
    if pictures.is_floating_point():
        return values.to(pictures.dtype)
    limits = torch.iinfo(pictures.dtype)
    return values.round().clamp(limits.min, limits.max).to(pictures.dtype)


def brightest(pictures: Tensor) -> float:
    """The value of white: 255 of bytes, 1 of floating numbers, as torchvision has it."""
    return 1.0 if pictures.is_floating_point() else 255.0


def a_picture(values: Tensor, like: Tensor) -> Tensor:
    """One number a picture, (N,), beside pictures (N, C, H, W)."""
    return values.to(like.device, like.dtype if like.is_floating_point() else None).reshape(-1, 1, 1, 1)

"""Embeddings of two views of the same samples, as the losses of self-supervised learning take them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tunesmith.blocks.losses.views import views
from tunesmith.records import DataError

Pair = tuple[Tensor, Tensor]


def pair(one: Tensor, other: Tensor, name: str, *, least: int = 1) -> Pair:
    """Two matrices (N, D) of one shape, half precision as single. Raises `ModelError` for others, `DataError` for too few rows."""
    first, second = views((one, other), None, 2, name)
    if len(first) < least:
        raise DataError(
            f"{name} got a batch of {len(first)} rows; it compares rows of a batch and takes {least} or more"
        )
    return first, second


@contextmanager
def full_precision(like: Tensor) -> Iterator[None]:
    """Inside, nothing is cast to half precision: products of many rows lose digits there."""
    with torch.autocast(like.device.type, enabled=False):
        yield

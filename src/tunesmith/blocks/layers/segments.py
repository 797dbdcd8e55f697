"""Several samples in one row: which places belong together, and where each stands in its own sample."""

import torch
from torch import Tensor


def segment_mask(segments: Tensor, *, causal: bool) -> Tensor:
    """What each place may see: the places of its own segment, if `causal` those up to itself. Shape: (N, L) -> boolean (N, 1, L, L).

    >>> segment_mask(torch.tensor([[1, 1, 2]]), causal=True)[0, 0].int().tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    seen = segments.unsqueeze(2) == segments.unsqueeze(1)
    if causal:
        place = torch.arange(segments.shape[1], device=segments.device)
        seen = seen & (place <= place[:, None])
    return seen.unsqueeze(1)


def places_within(segments: Tensor) -> Tensor:
    """Places that begin at 0 anew in each segment. Shape: (N, L) -> int64 (N, L).

    >>> places_within(torch.tensor([[0, 0, 1, 1, 1, 2]])).tolist()
    [[0, 1, 0, 1, 2, 0]]
    """
    place = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return place - torch.where(begins, place, 0).cummax(1).values

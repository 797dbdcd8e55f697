"""Poolings by name: many positions become one vector. A member is a factory `member(features) -> nn.Module`.

The layer is called as `pool(x, mask=None)` with x (N, L, C) and a boolean mask (N, L), True where a position is real.
A row without real positions gives zeros. A feature map is pooled as `pool(positions(x))`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tunesmith.records import Catalog

POOLINGS: Catalog[Callable[[int], nn.Module]] = Catalog("pooling")


def pooling(name: str, features: int) -> nn.Module:
    """A new layer of the pooling `name` for vectors of `features` entries: (N, L, features) -> (N, features)."""
    return POOLINGS[name](features)


def positions(x: Tensor) -> Tensor:
    """A feature map (N, C, *spatial) as a sequence of its positions, (N, L, C)."""
    return x.flatten(2).transpose(1, 2)


@POOLINGS.add("mean")
class MeanPooling(nn.Module):
    """y = Σ m x / Σ m over the positions, m the mask.

    Shape: (N, L, C), mask (N, L) -> (N, C).
    Use: the first choice; every position counts the same, so a long row of unimportant ones drowns a short
    important one.
    Source: global average pooling, Lin, Chen & Yan, arXiv:1312.4400, section 3.2.
    """

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return x.mean(1)
        real = mask.unsqueeze(-1)
        total = torch.where(real, x, 0).sum(1)  # where, not a product: a NaN behind the mask stays there
        return total / real.sum(1).clamp(min=1)


@POOLINGS.add("max")
class MaxPooling(nn.Module):
    """y = max of x over the positions with mask, entry by entry.

    Shape: (N, L, C), mask (N, L) -> (N, C).
    Use: where one position decides, such as a key word or a part of a picture; only that one gets a gradient.
    Source: max over time, Collobert et al., arXiv:1103.0398, section 3.3.2.
    """

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return x.amax(1)
        highest = x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)
        return torch.where(mask.any(1, keepdim=True), highest, 0)


@POOLINGS.add("attention")
class AttentionPooling(nn.Module):
    """y = Σ α x with α = softmax(uᵀ tanh(W x + b)) over the positions with mask.

    Shape: (N, L, C), mask (N, L) -> (N, C).
    Use: where which positions matter depends on what stands there; learns a weight for each, and needs more rows
    than the mean.
    Source: Yang et al., Hierarchical Attention Networks, NAACL 2016, eq. 5 to 7.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, features)
        self.score = nn.Linear(features, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        score: Tensor = self.score(torch.tanh(self.hidden(x)))
        if mask is None:
            return (score.softmax(1) * x).sum(1)
        real = mask.unsqueeze(-1)
        lowest = torch.finfo(
            score.dtype
        ).min  # finite, so that a row without real positions has no NaN, in gradients too
        share = torch.where(real, score.masked_fill(~real, lowest).softmax(1), 0)
        return (share * torch.where(real, x, 0)).sum(1)


@POOLINGS.add("first")
class FirstPooling(nn.Module):
    """y = x at the first position.

    Shape: (N, L, C), mask (N, L) -> (N, C).
    Use: encoders that were trained to gather the whole text in a token of its own at the front.
    Source: Devlin et al., BERT, arXiv:1810.04805, section 3, C.
    """

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        first = x[:, 0]
        return first if mask is None else torch.where(mask.any(1, keepdim=True), first, 0)


@POOLINGS.add("last")
class LastPooling(nn.Module):
    """y = x at the last position with mask.

    Shape: (N, L, C), mask (N, L) -> (N, C).
    Use: causal nets, where the last position alone has seen the whole text.
    Source: Radford et al., GPT, 2018, section 3.2.
    """

    def __init__(self, features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return x[:, -1]
        place = torch.arange(x.shape[1], device=x.device)
        is_last = mask & (place == torch.where(mask, place, -1).amax(1, keepdim=True))
        return torch.where(is_last.unsqueeze(-1), x, 0).sum(1)

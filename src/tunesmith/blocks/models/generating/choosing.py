"""The next token from its logits: the most probable, or one drawn from what is left of the distribution."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from tunesmith.records import ModelError


@dataclass(frozen=True, slots=True)
class Choosing:
    """How a token is chosen. Raises `ModelError` for values outside their ranges.

    temperature  the logits are divided by it; 0 takes the most probable token, the first of equals
    top_k        only so many of the most probable tokens: Fan, Lewis & Dauphin, arXiv:1805.04833, section 5
    top_p        only the fewest that together have this probability: Holtzman et al., arXiv:1904.09751, section 3.1
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ModelError(
                f"temperature = {self.temperature}; expected 0 (the most probable token) or a number above"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ModelError(f"top_k = {self.top_k}; expected how many tokens may come, 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ModelError(f"top_p = {self.top_p}; expected a probability above 0, at most 1")
        if self.temperature == 0 and (self.top_k is not None or self.top_p is not None):
            raise ModelError("top_k and top_p change nothing at temperature 0; set temperature to 1, or leave them out")

    def token(self, logits: Tensor, generator: Generator) -> int:
        """The next token. Shape: (V,) -> ()."""
        if self.temperature == 0:
            return int(logits.argmax())
        cumulated = chances(logits, self).cumsum(0)
        drawn = torch.rand((), generator=generator, dtype=torch.float64) * cumulated[-1]
        return int(torch.searchsorted(cumulated, drawn, right=True).clamp(max=len(cumulated) - 1))


def chances(logits: Tensor, choosing: Choosing) -> Tensor:
    """The probabilities that tokens are drawn with, in double precision on the CPU. Shape: (V,) -> the same.

    >>> chances(torch.tensor([2.0, 1.0, 0.0]), Choosing(temperature=1.0, top_k=2)).round(decimals=3).tolist()
    [0.731, 0.269, 0.0]
    """
    scaled = logits.double().cpu() / choosing.temperature
    order = scaled.argsort(descending=True, stable=True)
    share = scaled[order].softmax(0)
    if choosing.top_k is not None:
        share[choosing.top_k :] = 0
        share = share / share.sum()
    if choosing.top_p is not None:
        before = share.cumsum(0) - share
        share[before >= choosing.top_p] = 0  # the most probable token always stays
        share = share / share.sum()
    return torch.zeros_like(share).scatter(0, order, share)

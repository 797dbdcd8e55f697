"""Neighbouring words exchanged. Lample et al., Unsupervised Machine Translation, arXiv:1711.00043, with k = 1.

The rate of one word in ten is that of Wei & Zou, EDA, arXiv:1901.11196.
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform

RATE = 0.2  # of the words moved, at strength 1; half of it is usual, see above


@augmentation("token_swap", "tokens", told=("special",))
def token_swap(tokens: Tensor, generator: torch.Generator, strength: float = USUAL, *, special: int = 3) -> Tensor:
    """Pairs of neighbours are exchanged with probability 0.2 strength; a pair with padding or a special token stays.

    The pairs of a row begin at its first or its second token, which is drawn. A row keeps its tokens and its length.

    Shape: tokens (N, L), whole numbers; those below `special` are padding, unknown, end of text.
    Use: text whose class does not hang on the order of single words; without effect on a bag of single words.

    >>> row = torch.tensor([[7, 8, 9, 10, 11, 2, 0]])
    >>> token_swap(row, torch.Generator().manual_seed(5), 1.0).tolist()
    [[8, 7, 9, 10, 11, 2, 0]]
    """
    if not checked(strength) or tokens.shape[1] < 2:
        return tokens
    count, length = tokens.shape
    place = torch.arange(length, device=tokens.device).expand(count, length)
    second = uniform(generator, count, 1).lt(0.5).long().to(tokens.device)
    pair = (place + second) // 2  # a number for each pair of neighbours
    other = 2 * pair * 2 + 1 - 2 * second - place  # the sum of the two places of a pair, less one of them
    inside = (other >= 0) & (other < length)
    other = other.clamp(0, length - 1)
    drawn = (uniform(generator, count, length // 2 + 1) < RATE * strength).to(tokens.device)
    words = tokens >= special
    moved = drawn.gather(1, pair) & inside & words & words.gather(1, other)
    return tokens.gather(1, torch.where(moved, other, place))

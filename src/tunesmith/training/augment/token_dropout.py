"""Words made unknown. Iyyer et al., Deep Unordered Composition, ACL 2015, section 3.1 (word dropout).

The rate of one word in ten is that of random deletion in Wei & Zou, EDA, arXiv:1901.11196. A deleted word would
change the length; an unknown one keeps it, as in Bowman et al., arXiv:1511.06349.
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform

RATE = 0.2  # at strength 1; half of it is usual, see above


@augmentation("token_dropout", "tokens", told=("unknown", "special"))
def token_dropout(
    tokens: Tensor, generator: torch.Generator, strength: float = USUAL, *, unknown: int = 1, special: int = 3
) -> Tensor:
    """Each token from `special` on becomes `unknown` with probability 0.2 strength; padding and special tokens stay.

    Shape: tokens (N, L), whole numbers; those below `special` are padding, unknown, end of text.
    Use: text with few rows, where no single word decides; not for characters or bytes in short texts.

    >>> row = torch.tensor([[7, 8, 9, 7, 8, 9, 2, 0, 0]])
    >>> token_dropout(row, torch.Generator().manual_seed(0), 1.0).tolist()
    [[7, 8, 1, 1, 8, 9, 2, 0, 0]]
    """
    if not checked(strength):
        return tokens
    dropped = (uniform(generator, *tokens.shape) < RATE * strength).to(tokens.device)
    return tokens.masked_fill(dropped & (tokens >= special), unknown)

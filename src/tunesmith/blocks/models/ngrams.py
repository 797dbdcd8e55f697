"""Runs of consecutive tokens as indices of a table, by hashing, so that no dictionary of them is kept."""

import torch
from torch import Tensor

MULTIPLIER = 1_000_003  # assumption: a prime above any vocabulary, so that a pair of tokens has a key of its own
GOLDEN = -7046029254386353131  # 2**64 divided by the golden ratio, as a signed number; Knuth, TAOCP 3, section 6.4
BUCKETS = 2**16  # measured: docs/log.md, defaults; 2**14 costs 0.02 of accuracy, 2**18 gives 0.002 at 8 times the time


def with_ngrams(
    tokens: Tensor, longest: int, *, vocabulary: int, buckets: int = BUCKETS, padding: int = 0
) -> tuple[Tensor, Tensor]:
    """Indices of the tokens and of their 2- to `longest`-grams, and which of them hold no padding.

    The index of a token is itself; n-grams lie in [vocabulary, vocabulary + buckets), `buckets` a power of two.
    The buckets of the highest bits of a product with the golden ratio: neighbouring keys fall far apart.
    Shape: (N, L) -> (N, M), boolean (N, M), with M = L + (L - 1) + … + (L - longest + 1).
    """
    real = tokens != padding
    indices, masks = [tokens], [real]
    key, whole = tokens, real
    for length in range(2, min(longest, tokens.shape[1]) + 1):
        key = key[:, :-1] * MULTIPLIER + tokens[:, length - 1 :]  # wraps around at 2**64, as hashing may
        whole = whole[:, :-1] & real[:, length - 1 :]
        spread = key * GOLDEN
        indices.append(vocabulary + torch.bitwise_and(spread >> (64 - buckets.bit_length() + 1), buckets - 1))
        masks.append(whole)
    return torch.cat(indices, 1), torch.cat(masks, 1)

"""Texts as numbers: words and pieces of words, weighted by rarity, hashed; and the same in a few dense dimensions.

Weights: Salton & Buckley, Term-weighting approaches in automatic text retrieval (1988). Hashing: Weinberger et al.,
Feature Hashing for Large Scale Multitask Learning, arXiv:0902.2206. Dense: Deerwester et al., Indexing by Latent Semantic
Analysis (1990), by the randomised method of Halko, Martinsson & Tropp, arXiv:0909.4061.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array

WORDS, PIECES = 2**16, 2**17  # hashed columns; assumption: few texts have more
DIMENSIONS = 128  # of the dense form; assumption
PIECE = 2000  # characters of a text of which pieces are looked at; assumption


class TextEncoder:
    """Fitted on training texts. `sparse` gives CSR (N, M) of what stands in two texts or more, `dense` float32 (N, up to 128)."""

    def __init__(self, texts: Sequence[str], seed: int) -> None:
        self._seed = seed
        counts = _counts(texts)
        seen = np.bincount(counts.indices, minlength=counts.shape[1])
        self._kept = np.flatnonzero(seen >= min(2, len(texts)))
        self._rarity = (np.log((1 + len(texts)) / (1 + seen[self._kept])) + 1).astype(np.float32)
        self._axes = self._learnt(self._weighted(counts))

    def sparse(self, texts: Sequence[str]) -> Any:
        return self._weighted(_counts(texts))

    def dense(self, texts: Sequence[str]) -> Array:
        return np.asarray(self.sparse(texts) @ self._axes, np.float32)

    def _weighted(self, counts: Any) -> Any:
        counts = counts[:, self._kept]
        counts.data = ((1 + np.log(counts.data)) * self._rarity[counts.indices]).astype(np.float32)
        length = np.sqrt(np.asarray(counts.multiply(counts).sum(1)).ravel())
        counts.data /= np.repeat(np.maximum(length, 1e-9), np.diff(counts.indptr)).astype(np.float32)
        return counts

    def _learnt(self, weighted: Any) -> Array:
        from sklearn.utils.extmath import randomized_svd

        wanted = min(DIMENSIONS, min(weighted.shape) - 1)
        if wanted < 1 or not weighted.nnz:
            return np.zeros((weighted.shape[1], 1), np.float32)
        return np.asarray(randomized_svd(weighted, wanted, n_iter=3, random_state=self._seed)[2].T, np.float32)


def _counts(texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    shared: dict[str, Any] = {"norm": None, "alternate_sign": False, "dtype": np.float32}
    words = HashingVectorizer(n_features=WORDS, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared)
    pieces = HashingVectorizer(n_features=PIECES, analyzer="char_wb", ngram_range=(1, 4), **shared)
    short = [text[:PIECE] for text in texts]
    return hstack([words.transform(texts), pieces.transform(short)], format="csr")


def text_encoder(texts: Sequence[str], seed: int) -> TextEncoder:
    return TextEncoder(texts, seed)


def token_counts(rows: Array, width: int = 1024) -> Array:
    """(N, 1024) float32: how often tokens and pairs of neighbours stand in rows of token ids (N, L), hashed, as roots."""
    from tunesmith.doctor.audits.features_keys import mixed

    ids = rows.astype(np.int64).astype(np.uint64)
    with np.errstate(over="ignore"):
        pairs = mixed(mixed(ids[:, :-1]) + ids[:, 1:])
    found = np.zeros((len(rows), width), np.float32)
    for grams in (mixed(ids), pairs):
        place = (grams % np.uint64(width)).astype(np.int64) + np.arange(len(rows))[:, None] * width
        found += np.bincount(place.ravel(), minlength=found.size).reshape(found.shape)
    return np.sqrt(found)


Dense = Callable[[Sequence[str]], Array]

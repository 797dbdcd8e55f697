"""Scores of a language model from sums over tokens, sample by sample: perplexity, accuracy, exact match, with intervals.

perplexity = exp(Σ nll / Σ tokens); Jelinek et al., J. Acoust. Soc. Am. 62 (1977), S63. Legend: nll is -log p of the right token.
A sample matches exactly where the likeliest token is right at every place: greedy decoding from its prompt then gives its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.bootstrap import draws, percentiles
from tunesmith.blocks.metrics.judged import Array

LEVEL = 0.95
MOST = 700.0  # exp of more overflows


@dataclass(frozen=True, slots=True)
class TokenSums:
    """Sums over the labels of each sample, each (N,)."""

    nll: Array
    right: Array
    tokens: Array


def token_scores(sums: TokenSums, *, exact: bool) -> dict[str, float]:
    """Perplexity and token accuracy, and the share of exact matches where it is asked for.

    >>> sums = TokenSums(np.array([2 * np.log(2), 0.0]), np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    >>> {name: round(value, 4) for name, value in token_scores(sums, exact=True).items()}
    {'perplexity': 1.4142, 'token_accuracy': 0.75, 'exact_match': 0.5}
    """
    return _scored(sums, np.ones(len(sums.tokens)), exact)


def token_intervals(sums: TokenSums, *, exact: bool, count: int, seed: int) -> dict[str, tuple[float, float]]:
    """The percentile interval of each score over `count` resamples of whole samples: tokens of one text are not independent."""
    drawn = [_scored(sums, weight.astype(np.float64), exact) for weight in draws(len(sums.tokens), count, seed)]
    return {name: percentiles(np.array([one[name] for one in drawn]), LEVEL) for name in drawn[0]} if drawn else {}


def _scored(sums: TokenSums, weight: Array, exact: bool) -> dict[str, float]:
    tokens = float(weight @ sums.tokens)
    if tokens <= 0:
        return {"perplexity": float("nan"), "token_accuracy": float("nan")} | (
            {"exact_match": float("nan")} if exact else {}
        )
    found = {
        "perplexity": float(np.exp(min(float(weight @ sums.nll) / tokens, MOST))),
        "token_accuracy": float(weight @ sums.right) / tokens,
    }
    if exact:
        held = weight * (sums.tokens > 0)
        found["exact_match"] = float(held @ (sums.right == sums.tokens)) / float(held.sum())
    return found


def unigram(train: Array, judged: Array, vocabulary: int) -> Mapping[str, Any]:
    """The scores of a model that knows how often each token comes and looks at nothing: counts + 1 (Laplace)."""
    counts = np.bincount(train, minlength=vocabulary).astype(np.float64) + 1
    nll = -np.log(counts / counts.sum())[judged]
    return {
        "perplexity": float(np.exp(min(float(nll.mean()), MOST))),
        "token_accuracy": float((judged == counts.argmax()).mean()),
    }

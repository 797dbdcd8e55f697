"""Logits after training on resampled classes. King & Zeng, Political Analysis 9 (2001) 137, eq. 7; Saerens et al. (2002)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tunesmith.records import ModelError


def prior_correction(
    logits: Tensor, true_counts: Sequence[float] | Tensor, seen_counts: Sequence[float] | Tensor
) -> Tensor:
    """logits + log(n_c / n'_c): n of the data as they are, n' of the rows that were trained on, both as shares.

    Balanced or oversampled batches shift the class shares a model learns, and with them its probabilities. Bayes' rule
    moves them back; nothing is trained again. Logits (N, C), or one logit of a yes, (N,) or (N, 1), beside counts of no
    and yes. Not for a loss that was weighted as well: there n'_c is n_c times the weight of the class.

    >>> even = torch.tensor([[0.0, 0.0]])  # trained on as many of both, of 90 and 10
    >>> [round(share, 6) for share in prior_correction(even, [90, 10], [50, 50]).softmax(1)[0].tolist()]
    [0.9, 0.1]
    """
    shares = []
    for counts, what in ((true_counts, "true"), (seen_counts, "seen")):
        each = torch.as_tensor(counts, dtype=torch.float64).cpu()
        if each.dim() != 1 or len(each) < 2 or not bool(((each > 0) & each.isfinite()).all()):
            raise ModelError(
                f"the {what} counts are {each.tolist()}, one number above 0 for each class was expected; a class that was "
                "never seen has no logit to correct"
            )
        shares.append(each / each.sum())
    move = (shares[0] / shares[1]).log() if len(shares[0]) == len(shares[1]) else torch.empty(0)
    single = logits.dim() < 2 or logits.shape[-1] == 1
    if len(move) != (2 if single else logits.shape[-1]):
        raise ModelError(
            f"logits of shape {tuple(logits.shape)} came with {len(shares[0])} true and {len(shares[1])} seen counts; give "
            "one count for each class, two for a single logit"
        )
    return logits + (move[1] - move[0] if single else move).to(logits)

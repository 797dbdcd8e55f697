"""What embeddings are of use for: rows embedded by a frozen encoder, and a linear classifier on them.

Legend: z the N embeddings, standardised by the training rows; w, b weights and biases of K classes; λ the penalty.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tunesmith.generative.distances import slices
from tunesmith.generative.looking import unchanged
from tunesmith.generative.points import points, tensor
from tunesmith.records import DataError, RecipeError

ROWS = 1024  # embedded at a time
PENALTY = 1e-3  # of the mean loss; assumption
STEPS = 100  # of L-BFGS at most


def embed(encoder: nn.Module, rows: Any, *, batch: int = ROWS) -> Tensor:
    """The embeddings (N, D) of rows (N, …), in evaluation mode, without gradients, on the processor.

    The encoder is left as it was. `batch` rows are embedded at a time.

    Raises `DataError` for rows that are no array of numbers, `RecipeError` for a batch below 1.

    >>> embed(nn.Identity(), [[1.0, 2.0]]).tolist()
    [[1.0, 2.0]]
    """
    if batch < 1:
        raise RecipeError(f"batch = {batch!r}: rows of 1 or more at a time were expected")
    given = tensor(rows, "rows")
    like = next(encoder.parameters(), torch.zeros(0))
    with torch.no_grad(), unchanged(encoder):
        parts = [
            encoder(given[part].to(like.device, like.dtype)).flatten(1).cpu() for part in slices(len(given), batch)
        ]
    return torch.cat(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`accuracy` on the test rows with its standard `error` (binomial), `trained` that on the training rows, `common` the share of the
    commonest class of the test rows: what a constant answer scores."""

    accuracy: float
    error: float
    trained: float
    common: float
    rows: int


def linear_probe(train: Any, labels: Any, test: Any, test_labels: Any, *, penalty: float = PENALTY) -> Probe:
    """Logistic regression on embeddings: mean cross-entropy of w z + b, and λ |w|² / 2, brought to its least; scored on other rows.

    `train` and `test` are embeddings (N, D), pixels, any features; labels are whole numbers or words. Columns are standardised by the
    training rows, so that neither length nor offset matters: a probe does not see every collapse, and `embedding_health` beside it does.
    The problem is convex: there is no seed.

    Raises `DataError` for rows that do not fit their labels, fewer than two classes, or a class in `test` that is not in `train`;
    `RecipeError` for a penalty below 0.
    Source: Alain & Bengio, arXiv:1610.01644; as a protocol: Chen et al., arXiv:2002.05709, section 2.3.

    >>> z = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> linear_probe(z, ["a", "a", "b", "b"], z[1:3], ["a", "b"]).accuracy
    1.0
    """
    if not penalty >= 0:
        raise RecipeError(f"penalty = {penalty!r}: a number of 0 or more was expected")
    fitted, scored = points(train, "train").double(), points(test, "test", least=1).double()
    classes, known = np.unique(np.asarray(labels), return_inverse=True)
    places = {label: place for place, label in enumerate(classes.tolist())}
    strange = [label for label in np.unique(np.asarray(test_labels)).tolist() if label not in places]
    if len(known) != len(fitted) or len(np.asarray(test_labels)) != len(scored) or len(classes) < 2 or strange:
        raise DataError(
            f"{len(fitted)} and {len(scored)} rows with {len(known)} and {len(np.asarray(test_labels))} labels of {len(classes)} classes"
            + (f", {strange[0]!r} not among them" if strange else "")
            + "; a label for each row, two classes or more, and every class of the test rows in training were expected"
        )
    mean, deviation = fitted.mean(dim=0), fitted.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    fitted, scored = ((rows.to(mean) - mean) / scale for rows in (fitted, scored))
    target = torch.as_tensor(known, device=fitted.device)
    weights = _least(fitted, target, len(classes), penalty)
    wanted = torch.tensor([places[label] for label in np.asarray(test_labels).tolist()], device=fitted.device)
    right = float((_scores(scored, weights).argmax(dim=1) == wanted).double().mean())
    return Probe(
        accuracy=right,
        error=(right * (1 - right) / len(scored)) ** 0.5,
        trained=float((_scores(fitted, weights).argmax(dim=1) == target).double().mean()),
        common=float(torch.bincount(wanted).max()) / len(wanted),
        rows=len(scored),
    )


def _least(rows: Tensor, target: Tensor, classes: int, penalty: float) -> Tensor:
    """Weights (D + 1, K), biases last."""
    weights = torch.zeros(rows.shape[1] + 1, classes, dtype=rows.dtype, device=rows.device, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_grad=1e-5)

    def closure() -> Tensor:
        solver.zero_grad()
        loss = cross_entropy(_scores(rows, weights), target) + penalty / 2 * weights[:-1].square().sum()
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        solver.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return weights.detach()


def _scores(rows: Tensor, weights: Tensor) -> Tensor:
    return rows @ weights[:-1] + weights[-1]

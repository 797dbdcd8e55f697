"""One net that learns what an ensemble says. Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531.

Legend: p_m probabilities of teacher m, w_m its weight, z logits of the student, y the true label, T the temperature,
q_i = exp(z_i / T) / Σ_j exp(z_j / T) (eq. 1). A teacher's logits are not needed: softmax(log p / T) = softmax(z / T), for
log p is z but for a constant in each row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.losses import Reduced
from tunesmith.blocks.losses.distillation import Distillation
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles.averaging import average, checked, mixed, shares
from tunesmith.records import DataError, RecipeError

LEAST = 1e-12  # assumption: below it a probability tells of rounding, and 0 itself has no logarithm


def softened(probabilities: Array, temperature: float) -> Array:
    """q_i = p_i^(1/T) / Σ_j p_j^(1/T): what softmax(z / T) is where p = softmax(z). Shape (…, C), kept.

    Source: arXiv:1503.02531, eq. 1. Raises `RecipeError` for a temperature that is not above 0.

    >>> softened(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    if isinstance(temperature, bool) or not 0 < temperature < np.inf:
        raise RecipeError(f"temperature = {temperature!r}: a number above 0 was expected, usually 2 to 20")
    powers = np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class EnsembleDistillation(nn.Module):
    """alpha T² KL(p̄ ‖ softmax(z / T)) + (1 - alpha)(-log softmax(z)_y), p̄ = Σ w_m softened(p_m, T): a mean over samples.

    The loss of `distillation` in the catalogue, with the teachers in the target: `targets` packs them, so that nothing but the
    student is trained, kept and asked. T² keeps the gradient of the soft part as large as it is at T = 1, so that alpha means
    the same at every T (section 2). The paper's weights: most on the soft part. No gradient goes to a teacher.

    Teachers are nearly certain of their own training rows, where they tell little more than labels do: give rows that none
    of them saw where you have some. What a bag says out of fold is softer, but each row then has one teacher. Soft targets
    take longer to learn: a student with as many epochs as a teacher was worse than the teacher, with three times as many as
    good (benchmarks/ensembles.md).

    Shapes: outputs z (N, C), target (N, 1 + C) with the label in the first column, weight (N,); a run is judged by the loss,
    or by `metric=loss.accuracy`. Raises `RecipeError` for a temperature or alpha out of range, `ModelError` for outputs that
    do not fit.

    As a task's loss: `Task(net, (X, loss.targets(y, predictions)), kind="multi_regression", loss=loss, metric=loss.accuracy)`.
    The net's predictions are then its logits: `tunesmith.blocks.metrics.probabilities("multiclass", values)`.

    >>> loss = EnsembleDistillation(temperature=2.0, alpha=1.0)
    >>> target = torch.from_numpy(loss.targets([0], [[[0.9, 0.1]], [[0.9, 0.1]]]))
    >>> agreed = torch.tensor([[0.9, 0.1]]).log()
    >>> abs(round(float(loss(agreed, target).value), 6))
    0.0
    """

    name = "distillation"
    opaque = couples = additive = False
    scored = False  # the target is no label: the metrics of the catalogue do not apply

    def __init__(self, *, temperature: float = 2.0, alpha: float = 0.5) -> None:
        super().__init__()
        self.inner = Distillation(temperature=temperature, alpha=alpha)
        self.temperature, self.alpha = self.inner.temperature, self.inner.alpha

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        """Sum and weight; `.value` is the mean."""
        return self.inner(outputs, target, weight)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, alpha={self.alpha}"

    def targets(
        self, labels: Any, predictions: Sequence[Any] | Array, weights: Sequence[float] | Array | None = None
    ) -> Array:
        """Labels and teachers in one float32 array (N, 1 + C): y, then t = T log Σ w_m softened(p_m, T), centred in each row.

        Shapes: `labels` (N,) class indices, `predictions` (M, N, C) probabilities, or (M, N) of class 1 of two, `weights`
        (M,). What is averaged are the softened distributions, arithmetically (section 2); softmax(t / T) gives them back.
        Of rows without a label give any, and alpha = 1.

        Raises `DataError` as `average` does, and for labels that are no class indices.

        >>> EnsembleDistillation(temperature=1.0).targets([1], [[[0.5, 0.5]], [[0.5, 0.5]]]).tolist()
        [[1.0, 0.0, 0.0]]
        """
        one_column = len(predictions) > 0 and np.ndim(predictions[0]) == 1
        stacked = checked(predictions, "binary" if one_column else "multiclass")
        if stacked.ndim == 2:
            stacked = np.stack([1 - stacked, stacked], axis=2)
        truth = _indices(labels, stacked.shape[1], stacked.shape[2])
        told = mixed(softened(stacked, self.temperature), shares(weights, len(stacked)))
        logits = self.temperature * np.log(told)
        logits -= logits.mean(axis=1, keepdims=True)
        return np.concatenate([truth[:, None], logits], axis=1).astype(np.float32)

    @staticmethod
    def accuracy(outputs: Tensor, target: Tensor) -> float:
        """The share of rows whose true label, in the first column of `target`, the student (N, C) finds likeliest."""
        return float((torch.as_tensor(outputs).argmax(1) == torch.as_tensor(target)[:, 0].long()).double().mean())


def blended(
    truth: Any, predictions: Sequence[Any] | Array, alpha: float = 0.5, weights: Sequence[float] | Array | None = None
) -> Array:
    """alpha Σ w_m p_m + (1 - alpha) y: the target of a student of teachers that predict numbers.

    Under squared error this is distillation itself: alpha (ȳ - f)² + (1 - alpha)(y - f)² and (blended - f)² differ by what
    f has no part in. Where y is nan, a row without an answer, the teachers' mean stands alone.

    Shapes: `truth` (N,) or (N, K), `predictions` (M, N) or (M, N, K), `weights` (M,); the result like `truth`. Raises
    `DataError` as `average` does and for a truth of another shape, `RecipeError` for an alpha outside 0 to 1.

    >>> blended([0.0, float("nan")], [[1.0, 5.0], [3.0, 5.0]], alpha=0.25).tolist()
    [0.5, 5.0]
    """
    if isinstance(alpha, bool) or not 0 <= alpha <= 1:
        raise RecipeError(f"alpha = {alpha!r}: a share between 0 and 1 was expected, usually 0.5 to 0.9")
    mean = average(predictions, weights, kind="multi_regression")
    known = np.asarray(truth, dtype=np.float64)
    if known.shape != mean.shape:
        raise DataError(
            f"the truth has the shape {known.shape} and the teachers {mean.shape}; equal ones were expected"
        )
    return np.where(np.isnan(known), mean, alpha * mean + (1 - alpha) * known)


def _indices(labels: Any, rows: int, classes: int) -> Array:
    truth = np.asarray(labels)
    if truth.shape != (rows,) or (truth != np.floor(truth)).any() or truth.min() < 0 or truth.max() >= classes:
        raise DataError(
            f"the labels have the shape {truth.shape}; {rows} whole numbers from 0 to {classes - 1} were expected, the "
            "columns of the predictions"
        )
    return truth.astype(np.float64)

"""The gradient noise scale of a live model. McCandlish et al., arXiv:1812.06162, section 2.2 and appendix A.1."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from tunesmith.doctor.probes.noise_estimate import NoiseScale, noise_scale_of
from tunesmith.records import DataError, RecipeError
from tunesmith.training.batch import Batch
from tunesmith.training.fixed import fixed_loss
from tunesmith.training.fixed_loss import FixedLoss


def noise_scale(model: nn.Module, loss: Any, batches: Any, *, micro: int = 1) -> NoiseScale:
    """tr Σ / ‖G‖² at the weights of the model, from the gradients of each batch and of its micro-batches of `micro` samples.

    `micro=1` is per-example gradients; a larger one costs fewer calls and is as unbiased, but noisier in tr Σ. Batches
    should be random draws, and at least two for a standard error; they and their last micro-batch may be uneven: each
    size enters exactly. Evaluation mode, so that batch norm does not tie samples together, and dropout adds no noise of
    its own. Cost: one forward and backward over all samples, in pieces of `micro`; memory: two vectors as long as the
    weights. Model, gradients, modes and random generators are left as they were.
    Raises `RecipeError` where `micro` is below 1, `DataError` where a batch is no larger than `micro`.
    Use: the batch size beyond which more samples are wasted, for SGD and as a first guess for Adam; it grows as training
    goes on, so measure it late too.
    Source: arXiv:1812.06162, eq. 2.9 and appendix A.1.
    """
    if micro < 1:
        raise RecipeError(f"micro = {micro}: at least 1 sample was expected; 1 takes the gradient of every example")
    rows = []
    with fixed_loss(model, loss, batches) as fixed:
        for batch in list(fixed.batches):
            if batch.size <= micro:
                raise DataError(
                    f"a batch of {batch.size} is no larger than the micro-batches of {micro}; give larger batches, or a "
                    "smaller micro"
                )
            rows.append(_pair(fixed, batch, micro))
    small, big, size_small, size_big = (list(column) for column in zip(*rows, strict=True))
    found = noise_scale_of(small, big, size_small, size_big)
    return replace(found, passes=2)


def _pair(fixed: FixedLoss, batch: Batch, micro: int) -> tuple[float, float, float, float]:
    """Squared norms and sizes: the mean over the pieces, and that of their mean.

    With shares p of the loss's weight and b samples a piece, E Σ p‖g‖² = ‖G‖² + tr Σ Σ p/b and E‖Σ p g‖² = ‖G‖² +
    tr Σ Σ p²/b, whatever the pieces' sizes: 1 / Σ p/b and 1 / Σ p²/b are the two batch sizes.
    """
    total: Tensor = fixed.zeros()
    weight, squares, over, over_squares = 0.0, 0.0, 0.0, 0.0
    for start in range(0, batch.size, micro):
        piece = _rows(batch, start, start + micro)
        sum_gradient, mass = fixed.sum_gradient(piece)
        if mass == 0.0:  # every row is ignored: no part of the mean
            continue
        total += sum_gradient
        weight += mass
        squares += float(sum_gradient @ sum_gradient) / mass  # p ‖g‖² times the weight, for g = sum / mass
        over += mass / piece.size
        over_squares += mass**2 / piece.size
    big = float(total @ total) / weight**2
    return squares / weight, big, weight / over, weight**2 / over_squares


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    """Some rows of a batch; what is not as long as the batch goes along whole."""

    def cut(tree: Any) -> Any:
        if isinstance(tree, Tensor):
            return tree[start:stop] if tree.dim() and len(tree) == batch.size else tree
        if isinstance(tree, Mapping):
            return {key: cut(value) for key, value in tree.items()}
        return type(tree)(map(cut, tree)) if isinstance(tree, list | tuple) else tree

    return Batch(cut(batch.inputs), cut(batch.target), cut(batch.weight), min(stop, batch.size) - start)

"""Which arrays hold rows of token ids."""

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material

LOOK = 2000  # rows; assumption


def token_arrays(material: Material) -> list[str]:
    """Arrays (N, L) of whole numbers from one vocabulary in every place."""
    return [name for name, values in material.train.table.items() if _are_tokens(values)]


def _are_tokens(values: Array) -> bool:
    """Many different ids, and the ids of one place come in others too.

    Codes of categories differ by column: some columns have few ids, others many.
    """
    import numpy as np

    if (
        values.ndim != 2
        or values.dtype.kind not in "iu"
        or values.dtype == np.uint8
        or values.shape[1] < 4
        or len(values) < 2
    ):
        return False
    some = values[:LOOK]
    if some.min() < 0 or some.max() < 16:
        return False
    first, second = np.unique(some[:, 0]), np.unique(some[:, 1])
    shared = len(np.intersect1d(first, second))
    return bool(shared >= 2 and shared >= 0.2 * min(len(first), len(second)))

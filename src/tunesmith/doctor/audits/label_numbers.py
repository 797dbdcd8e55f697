"""Labels as whole numbers, where a loss will take them as indices as they are."""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material, View

IGNORED = -100  # torch.nn.CrossEntropyLoss leaves it out unless told otherwise


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Indices of classes of one part: each value and how often it comes."""

    values: Array  # int64, ascending
    counts: Array

    @property
    def low(self) -> int:
        return int(self.values[0])

    @property
    def high(self) -> int:
        return int(self.values[-1])


def index_labels(material: Material, view: View) -> Labels | None:
    """The labels of a part where they go to the loss as indices: whole numbers of a class task that nobody numbers anew."""
    target = view.target
    if not material.as_is or target is None or material.kind not in ("binary", "multiclass", "language"):
        return None
    if target.dtype.kind not in "iu" or not target.size:
        return None
    values, counts = np.unique(target, return_counts=True)
    if values.dtype == np.uint64 and values[-1] > np.uint64(2**63 - 1):
        values = np.minimum(values, np.uint64(2**63 - 1))
    return Labels(values.astype(np.int64), counts)


def signs(labels: Labels) -> bool:
    """Whether the labels are -1 and 1, as hinge losses want them."""
    return bool(labels.values.tolist() == [-1, 1])


def from_one(material: Material) -> int | None:
    """C where the labels of all parts are 1 … C, each of them there, and 0 nowhere; else None."""
    found = [index_labels(material, view) for view in material.parts.values()]
    train = index_labels(material, material.train)
    if train is None or material.kind == "language" or len(train.values) < 2:
        return None
    top = train.high
    whole = train.low == 1 and len(train.values) == top
    return top if whole and all(one is None or (one.low >= 1 and one.high <= top) for one in found) else None

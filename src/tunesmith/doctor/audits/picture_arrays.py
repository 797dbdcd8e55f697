"""Pictures of a part as they lie, and a few numbers of each: range, deviation, channels. No copy of the whole is made."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tunesmith.data.pictures import CHANNELS, SMALLEST_SIDE
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.number_columns import pieces
from tunesmith.records.check import Inapplicable


@dataclass(frozen=True, slots=True, eq=False)
class PictureNumbers:
    """What is known of each picture of a part."""

    key: str
    values: Array  # (N, H, W), (N, C, H, W) or (N, H, W, C)
    last: bool  # channels come last
    low: Array  # float32 (N,)
    high: Array
    std: Array
    means: Array  # float32 (N, C)
    deviations: Array  # float32 (N, C), of each channel
    whole: Array  # bool (N,): all pixels are whole numbers

    @property
    def finite(self) -> Array:
        return np.isfinite(self.low) & np.isfinite(self.high)


def channels_last(values: Array) -> bool | None:
    """Whether an array of four axes holds pictures with channels last; None where it is no array of pictures.

    >>> channels_last(np.zeros((2, 32, 32, 3))), channels_last(np.zeros((2, 3, 32, 32))), channels_last(np.zeros((2, 9)))
    (True, False, None)
    """
    if values.ndim == 3 and values.dtype == np.uint8 and min(values.shape[1:]) >= SMALLEST_SIDE:
        return False
    if values.ndim != 4 or values.dtype.kind not in "fu" or values.dtype.itemsize > 8:
        return None
    if values.shape[1] in CHANNELS and min(values.shape[2:]) >= SMALLEST_SIDE:
        return False
    return True if values.shape[3] in CHANNELS and min(values.shape[1:3]) >= SMALLEST_SIDE else None


def pictures_of(material: Material, view: View) -> list[PictureNumbers]:
    """The arrays of pictures of a part, measured once."""
    return material.kept(f"pictures {view.part}", lambda: list(_measured(view)))


def need_pictures(material: Material) -> None:
    """Raises `Inapplicable` where no array holds pictures."""
    if not any(channels_last(values) is not None for values in material.train.table.values()):
        raise Inapplicable("no array holds pictures")


def _measured(view: View) -> Iterator[PictureNumbers]:
    for key, values in view.table.items():
        last = channels_last(values)
        if last is None or not len(values):
            continue
        found = [_numbers(planes_of(piece, last)) for piece in pieces(values)]
        low, high, std, means, deviations, whole = (np.concatenate(column) for column in zip(*found, strict=True))
        yield PictureNumbers(key, values, last, low, high, std, means, deviations, whole)


def planes_of(piece: Array, last: bool) -> Array:
    """(N, C, H * W), as they are."""
    if piece.ndim == 3:
        return piece.reshape(len(piece), 1, -1)
    if last:
        return np.moveaxis(piece, 3, 1).reshape(len(piece), piece.shape[3], -1)
    return piece.reshape(*piece.shape[:2], -1)


def _numbers(planes: Array) -> tuple[Array, ...]:
    low, high = planes.min((1, 2)), planes.max((1, 2))
    whole = np.ones(len(planes), bool)
    if planes.dtype.kind == "f":
        whole = (planes == np.floor(planes)).all((1, 2))
    real = planes.astype(np.float32)
    count = np.float32(real.shape[2])
    with np.errstate(invalid="ignore", over="ignore"):
        means = real.sum(2) / count
        real -= means[:, :, None]
        variances = np.einsum("ncp,ncp->nc", real, real) / count
        whole_mean = means.mean(1, keepdims=True)
        std = np.sqrt((variances + (means - whole_mean) ** 2).mean(1))
        deviations = np.sqrt(variances)
    return low.astype(np.float32), high.astype(np.float32), std, means, deviations, whole

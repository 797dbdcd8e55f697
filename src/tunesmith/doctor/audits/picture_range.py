"""picture_range: pictures of 0 to 255 beside pictures of 0 to 1, within a part or from part to part.

Sees      the largest and smallest value of each picture: some pictures in another range than the bulk; a part whose pictures are 20
          times as wide or as narrow as those of the training part.
Matters   pictures in a range of their own are nearly black or blinding to the model; a part prepared otherwise judges another task.
Remedies  bring all pictures to one range before they are scaled (advice).
Limits    dark pictures are no fault: a picture counts as of 0 to 1 only where it holds fractions, or is a byte picture of 0 and 1
          among others that reach 64. Milder shifts between parts are left to the audit of shift.
Source    the two ranges that pictures come in (PIL and torchvision: 0 to 255, and 0 to 1); factors: assumption.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import parted, placed, subject_at
from tunesmith.doctor.audits.picture_arrays import PictureNumbers, need_pictures, pictures_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

BRIGHT = 64.0  # largest value from which pictures are of 0 to 255: a quarter of the range; assumption
UNIT = 1.0 + 1e-3  # largest value of pictures of 0 to 1, interpolated ones included
APART = 20.0  # deviations of one part over those of another: 255 for bytes against fractions, 74 against standardised; assumption
BULK = 0.5  # share of pictures that are the rule
ONE_RANGE = Remedy(title="audits.one_range", safety=Safety.ADVICE)


@audit("picture_range", faults=("data.bad_images",), cost=PASS)
def picture_range(material: Material) -> Iterator[Finding]:
    need_pictures(material)
    train = {one.key: one for one in pictures_of(material, material.train)}
    for view in parted(material):
        for pictures in pictures_of(material, view):
            yield from _within(material, view, pictures)
            if view.part != "train" and pictures.key in train:
                yield from _between(material, view, train[pictures.key], pictures)


def _kinds(pictures: PictureNumbers) -> tuple[Array, Array, Array]:
    """Which pictures are of 0 to 255, of 0 to 1, and which hold values below 0."""
    varied = pictures.finite & (pictures.high > pictures.low)
    bytes_like = varied & (pictures.low >= 0) & (pictures.high > BRIGHT)
    unit = varied & (pictures.low >= 0) & (pictures.high <= UNIT)
    if pictures.values.dtype.kind == "f":
        unit &= ~pictures.whole | (pictures.high == 1)
    return bytes_like, unit, varied & (pictures.low < 0)


def _within(material: Material, view: View, pictures: PictureNumbers) -> Iterator[Finding]:
    bytes_like, unit, negative = _kinds(pictures)
    count = len(bytes_like)
    if bytes_like.mean() > BULK and (unit.any() or negative.any()):
        odd = unit | negative
    elif unit.mean() > BULK and bytes_like.any():
        odd = bytes_like
    elif unit.mean() > BULK and negative.any() and pictures.low[negative].min() < -0.05:
        odd = negative & (pictures.low < -0.05)  # overshoot of interpolation stays above; assumption
    elif negative.mean() > BULK and bytes_like.any():
        odd = bytes_like
    else:
        return
    places = np.flatnonzero(odd)
    usual = ~odd & pictures.finite
    values: dict[str, Any] = {
        "part": view.part,
        "count": len(places),
        "share": len(places) / count,
        "low": float(pictures.low[odd].min()),
        "high": float(pictures.high[odd].max()),
        "usual_low": float(np.median(pictures.low[usual])),
        "usual_high": float(np.median(pictures.high[usual])),
        "place": placed(material, view, places),
    }
    yield Finding(
        fault="data.bad_images",
        severity="warning",
        message="audits.picture_range",
        values=values,
        evidence=(
            Evidence(name="share of pictures in another range", value=values["share"], threshold=0.0, where=view.part),
            Evidence(name="usual largest value", value=values["usual_high"], where=view.part),
        ),
        remedies=(ONE_RANGE,),
        confidence=0.9,
        subject={**subject_at(view, places), "scores": pictures.high[places].tolist()},
    )


def _between(material: Material, view: View, train: PictureNumbers, other: PictureNumbers) -> Iterator[Finding]:
    here, there = (float(np.median(one.std[one.finite])) if one.finite.any() else 0.0 for one in (train, other))
    if min(here, there) <= 0 or max(here, there) / min(here, there) < APART:
        return
    values: dict[str, Any] = {
        "part": view.part,
        "here": float(np.median(train.high[train.finite])),
        "there": float(np.median(other.high[other.finite])),
        "ratio": max(here, there) / min(here, there),
    }
    yield Finding(
        fault="data.bad_images",
        severity="error",
        message="audits.picture_range_of_part",
        values=values,
        evidence=(
            Evidence(name="deviation of a picture in train", value=here),
            Evidence(name=f"deviation of a picture in {view.part}", value=there),
            Evidence(name="ratio", value=values["ratio"], threshold=APART, source="assumption"),
        ),
        remedies=(ONE_RANGE,),
        status="confirmed",
    )

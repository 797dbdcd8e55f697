"""picture_channels: channels that are dead, exchanged or in another place.

Sees      pictures of which one channel is flat and the others are not; a part whose mean red, green and blue fit those of the training
          part only when they are read backwards; arrays (N, H, W, C) for a model of one's own.
Matters   colours lie: what the model learnt of red it is shown in blue. Layers of torch take the second axis for the channels.
Remedies  read all pictures by one reader, in one order of channels (advice).
Limits    an exchange is seen where the mean channels differ by more than their error, not in single pictures. An array with channels
          last is a note, for the model may turn it.
Source    comparison of means by their standard errors (5 of them, assumption).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import parted, placed, subject_at
from tunesmith.doctor.audits.picture_arrays import PictureNumbers, need_pictures, pictures_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

DEAD = 0.02  # deviation of a flat channel over that of the picture; assumption
MANY = 0.2  # share of pictures with one flat channel from which it is their nature; assumption
ERRORS = 5.0  # standard errors between the parts; assumption
BETTER = 0.4  # distance of the exchanged channels over that of those in place; assumption
FEWEST = 50  # pictures of a part
READER = Remedy(title="audits.one_reader", safety=Safety.ADVICE)
FIRST = Remedy(title="audits.channels_first", safety=Safety.ADVICE)


@audit("picture_channels", faults=("data.bad_images",), cost=PASS)
def picture_channels(material: Material) -> Iterator[Finding]:
    need_pictures(material)
    train = {one.key: one for one in pictures_of(material, material.train)}
    for pictures in train.values():
        if pictures.last and material.as_is:
            yield _last(pictures)
    for view in parted(material):
        for pictures in pictures_of(material, view):
            yield from _dead(material, view, pictures)
            if view.part != "train" and pictures.key in train:
                yield from _exchanged(view, train[pictures.key], pictures)


def _last(pictures: PictureNumbers) -> Finding:
    shape = "×".join(map(str, pictures.values.shape[1:]))
    return Finding(
        fault="data.bad_images",
        severity="note",
        message="audits.channels_last",
        values={"array": pictures.key, "shape": shape},
        evidence=(Evidence(name="channels on the last axis", value=float(pictures.values.shape[3])),),
        remedies=(FIRST,),
        confidence=0.5,
        subject={"columns": [pictures.key]},
    )


def _dead(material: Material, view: View, pictures: PictureNumbers) -> Iterator[Finding]:
    if pictures.means.shape[1] != 3:
        return
    widest = pictures.deviations.max(1)
    flat = (pictures.deviations <= DEAD * widest[:, None]) & (widest[:, None] > 0)
    odd = flat.any(1) & (pictures.std > 0)
    share = float(odd.mean())
    if not odd.any() or share > MANY:
        return
    places = np.flatnonzero(odd)
    yield Finding(
        fault="data.bad_images",
        severity="warning",
        message="audits.dead_channel",
        values={"part": view.part, "count": len(places), "share": share, "place": placed(material, view, places)},
        evidence=(Evidence(name="share of pictures with a flat channel", value=share, threshold=0.0, where=view.part),),
        remedies=(READER,),
        confidence=0.7,
        subject=subject_at(view, places),
    )


def _exchanged(view: View, train: PictureNumbers, other: PictureNumbers) -> Iterator[Finding]:
    if train.means.shape[1] != 3 or other.means.shape[1] != 3:
        return
    here, there = train.means[train.finite].astype(np.float64), other.means[other.finite].astype(np.float64)
    if min(len(here), len(there)) < FEWEST:
        return
    contrast = [one - one.mean(1, keepdims=True) for one in (here, there)]  # brightness taken away
    middle = [one.mean(0) for one in contrast]
    error = float(np.sqrt(sum((one.var(0) / len(one)).max() for one in contrast)))
    apart = float(np.abs(middle[0] - middle[1]).max())
    back = float(np.abs(middle[0] - middle[1][::-1]).max())
    if apart > ERRORS * error and back < BETTER * apart:
        yield Finding(
            fault="data.bad_images",
            severity="warning",
            message="audits.channels_exchanged",
            values={"part": view.part, "apart": apart, "back": back, "errors": apart / max(error, 1e-12)},
            evidence=(
                Evidence(
                    name="distance of the mean channels in standard errors",
                    value=apart / max(error, 1e-12),
                    threshold=ERRORS,
                ),
                Evidence(name="the same read backwards, over it", value=back / apart, threshold=BETTER),
            ),
            remedies=(READER,),
            confidence=0.8,
        )

"""picture_blank: pictures that show nothing, or whose lower part was never read.

Sees      pictures of one colour (or nearly: a deviation below 1 of 255 levels); pictures that end in rows of one flat colour, a
          tenth of their height at least, from a row that is full of other colours, while nearly all other pictures do not.
Matters   a blank picture has a label that nothing in it explains; a cut file is read in silence as grey from where it ends.
Remedies  fetch the files again, or leave them out (advice).
Limits    pictures on a plain background are flat at both ends and count as whole; a white end is a note, for no decoder fills
          with white; where one picture in twenty ends flat, that is how the pictures are.
Source    decoders fill what is missing of a JPEG with mid grey (ITU-T T.81 leaves it open); shares: assumption.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import parted, placed, subject_at
from tunesmith.doctor.audits.number_columns import pieces
from tunesmith.doctor.audits.picture_arrays import PictureNumbers, need_pictures, pictures_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS
from tunesmith.records.finding import Severity

FAINT = 1.0 / 255.0  # deviation of a nearly blank picture over the usual range; assumption
CUT = 1.0 / 10.0  # of the height; assumption
BLOCK = 18  # rows: the last ones of a JPEG come 16 at a time and may be half done; ITU-T T.81, A.2
FULL = 0.8  # share of a row that is not of the flat colour: noise of a cut photograph; assumption
USUAL = 0.05  # share of pictures that end flat from which it is their nature; assumption
MANY = 0.2  # share of blank pictures from which they are a kind of their own, such as empty tiles; assumption
MEND = Remedy(title="audits.mend_files", safety=Safety.ADVICE)


@audit("picture_blank", faults=("data.bad_images",), cost=PASS)
def picture_blank(material: Material) -> Iterator[Finding]:
    need_pictures(material)
    for view in parted(material):
        for pictures in pictures_of(material, view):
            reach = float(np.median((pictures.high - pictures.low)[pictures.finite])) if pictures.finite.any() else 0.0
            if reach <= 0:
                continue
            blank = pictures.finite & (pictures.high == pictures.low)
            faint = pictures.finite & ~blank & (pictures.std < FAINT * reach)
            if blank.any():
                severity: Severity = "warning" if blank.mean() <= MANY else "note"
                values: dict[str, Any] = {"level": float(np.median(pictures.high[blank]))}
                yield _told(material, view, blank, severity, "audits.blank_pictures", values)
            if faint.any():
                yield _told(
                    material, view, faint, "note", "audits.faint_pictures", {"std": float(pictures.std[faint].max())}
                )
            cut = _cut(pictures) & ~blank & ~faint
            if cut.any() and cut.mean() < USUAL:
                white = cut & _ends_white(pictures)  # a band of the picture itself: no decoder fills with white
                for which, severity in ((cut & ~white, "warning"), (white, "note")):
                    if which.any():
                        yield _told(material, view, which, severity, "audits.cut_pictures", {})


def _cut(pictures: PictureNumbers) -> Array:
    """Pictures that end in flat rows of one colour and do not begin so."""
    found = []
    for piece in pieces(pictures.values):
        rows = piece[:, None] if piece.ndim == 3 else np.moveaxis(piece, 3, 1) if pictures.last else piece
        height = rows.shape[2]
        least = max(2, int(np.ceil(CUT * height)))
        below = rows[:, :, height - least :]
        flat = (below == rows[:, :, -1:, -1:]).all((1, 2, 3))
        above = (rows[:, :, :2] == rows[:, :, :1, :1]).all((1, 2, 3))
        found.append(flat & ~above)
        for place in np.flatnonzero(found[-1]):
            found[-1][place] = _broken_off(rows[place], least)
    return np.concatenate(found)


def _ends_white(pictures: PictureNumbers) -> Array:
    """Whether the last pixel of each picture is as bright as any."""
    values = pictures.values
    corner = values[:, -1, -1] if values.ndim == 3 or pictures.last else values[:, :, -1, -1]
    return np.asarray(corner.reshape(len(values), -1).min(1) >= 0.99 * pictures.high[pictures.finite].max())


def _broken_off(picture: Array, reach: int) -> bool:
    """Whether a picture (C, H, W) is full to both sides just above its flat end; what stands on a plain ground is not."""
    other = (picture != picture[:, -1:, -1:]).any(0)  # (H, W)
    end = int(np.flatnonzero(other.any(1))[-1]) + 1
    start = max(0, end - max(2 * reach, BLOCK))
    return bool(other[start:end].mean(1).max() > FULL)


def _told(
    material: Material, view: View, which: Array, severity: Severity, message: str, more: dict[str, Any]
) -> Finding:
    places = np.flatnonzero(which)
    share = len(places) / len(which)
    values = {"part": view.part, "count": len(places), "share": share, "place": placed(material, view, places), **more}
    return Finding(
        fault="data.bad_images",
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name="share of such pictures", value=share, threshold=0.0, where=view.part),),
        remedies=(MEND,),
        confidence=0.9,
        status="confirmed" if message == "audits.blank_pictures" else "suspected",
        subject=subject_at(view, places),
    )

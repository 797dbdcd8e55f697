"""picture_sizes: picture files of a shape that the bulk does not have, or far smaller than what they are brought to.

Sees      width and height in the head of each file: sides twice as long or short in proportion as the median; files with less than a
          quarter of the pixels of the size that all are brought to.
Matters   bringing a picture to another shape stretches what is on it; enlarging a tiny one invents its pixels.
Remedies  crop or pad those files first, or choose data.image_size to fit them (advice).
Limits    notes: the reading tells that it resizes. At most 20,000 files of a part are opened.
Source    what readers do to fit sizes (PIL's resize keeps no shape); factors: assumption.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tunesmith.data.picture_files import BROKEN, Files, Folder, opened_zip
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import parted, thinned
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

MOST = 20_000  # files whose head is read; assumption
STRETCHED = 2.0  # aspect over the median aspect; assumption
TINY = 0.25  # pixels over those of the size all are brought to: a side is doubled; assumption
SHAPE = Remedy(title="audits.crop_or_pad", safety=Safety.ADVICE)


@audit("picture_sizes", faults=("data.bad_images",), cost=PASS)
def picture_sizes(material: Material) -> Iterator[Finding]:
    material.need_form("pictures")
    paths: dict[str, Path] = material.kept("picture paths", dict)
    opened = False
    for view in parted(material):
        path = paths.get("train" if view.planned else view.part, paths.get("train"))
        if view.sources and path is not None:
            opened = True
            rows = thinned(len(view), MOST)
            yield from _odd(view, rows, _sizes(Path(path), [view.sources[row] for row in rows]))
    if not opened:
        raise Inapplicable("the pictures are not files of their own")


def _sizes(path: Path, names: list[str]) -> Array:
    """Height and width of each file, 0 where its head cannot be read; upright is not asked for."""
    if path.is_dir():
        return _read(Folder(path), names)
    with opened_zip(path) as archive:
        return _read(archive, names)


def _read(files: Files, names: list[str]) -> Array:
    from PIL import Image

    found = np.zeros((len(names), 2))
    for place, name in enumerate(names):
        try:
            with Image.open(io.BytesIO(files.read(name))) as image:
                found[place] = image.size[::-1]
        except BROKEN:  # told of by the reading
            continue
    return found


def _odd(view: View, rows: Array, sizes: Array) -> Iterator[Finding]:
    known = sizes.min(1) > 0
    if not known.any():
        return
    aspect = np.ones(len(sizes))
    aspect[known] = sizes[known, 1] / sizes[known, 0]
    usual = float(np.median(aspect[known]))
    stretch = np.maximum(aspect / usual, usual / aspect)
    height, width = next(iter(view.table.values())).shape[2:]
    pixels = sizes.prod(1) / (height * width)
    for which, scores, message, bound in (
        (known & (stretch > STRETCHED), stretch, "audits.stretched_pictures", STRETCHED),
        (known & (pixels < TINY), pixels, "audits.tiny_pictures", TINY),
    ):
        if not which.any() or which.mean() > 0.5:
            continue
        places = np.flatnonzero(which)
        places = places[np.argsort(-np.abs(np.log(scores[places])), kind="stable")]
        first = places[0]
        names = [view.sources[rows[place]] for place in places]
        yield Finding(
            fault="data.bad_images",
            severity="note",
            message=message,
            values={
                "part": view.part,
                "count": len(places),
                "file": names[0],
                "height": int(sizes[first, 0]),
                "width": int(sizes[first, 1]),
                "to_height": height,
                "to_width": width,
            },
            evidence=(
                Evidence(
                    name="most extreme ratio",
                    value=float(scores[first]),
                    threshold=bound,
                    source="assumption",
                    where=view.part,
                ),
            ),
            remedies=(SHAPE,),
            status="confirmed",
            subject={"rows": view.rows[rows[places]].tolist(), "files": names, "scores": scores[places].tolist()},
        )

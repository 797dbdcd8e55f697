"""unscaled_columns: inputs of very different or very large scale, far from zero, or raw pixels.

Sees      in what goes to a network as it came: columns whose bulk is 100 times wider than that of others and wide in itself, columns
          whose middle lies 10 deviations from 0, columns of hundreds and more, and pixels of 0 to 255. Deviations are those of the
          1 % to 99 % quantiles, so that a few extreme rows are not called a scale.
Matters   the gradient of the first layer is the size of its inputs: the wide columns decide, and a rate that suits them is too low
          for the others or kills units.
Remedies  standardise with the moments of the training rows (risky: it changes what the model sees); pixels: divide by 255.
Limits    a note at most where the training scales the columns anyway. Whole numbers, truth values, columns of two values and columns
          that are 0 nearly everywhere are left out: codes and counts. A model that begins with a norm of its own needs none of it.
Source    LeCun et al., Efficient BackProp (1998), section 4.3; ratio 100 and offset 10: the fault's definition; sizes: assumption.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.pictures import as_pictures
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import few, thinned
from tunesmith.doctor.audits.number_columns import Numbers, number_columns, spread
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

RATIO = 100.0  # of the widest column to the narrowest; the fault's definition
OFFSET = 10.0  # middle over deviation; the fault's definition
WIDE = (
    10.0  # deviation from which a ratio or an offset hurts: below it, the wide columns are near unit scale; assumption
)
LARGE = 100.0  # root mean square of a column's bulk: raw pixels have 80 to 150; assumption
DARKEST = 8.0  # mean of pictures of 0 to 255: MNIST, mostly black, has 33; counts of words lie far below; assumption
FEW = 256  # pictures that tell their range; assumption
FEWEST = 20  # rows of which quantiles say something; assumption

SCALE = Remedy(title="audits.standardise", safety=Safety.RISKY, change={"data.scale": "standard"})
SCALE_ARRAYS = Remedy(title="audits.standardise_arrays", safety=Safety.ADVICE)
PIXELS = Remedy(title="audits.divide_pixels", safety=Safety.ADVICE)


@audit("unscaled_columns", faults=("data.unscaled_inputs",), cost=PASS)
def unscaled_columns(material: Material) -> Iterator[Finding]:
    if len(material.train) < FEWEST:
        raise Inapplicable(f"{len(material.train)} rows are too few to call a scale")
    for key, values in material.train.table.items():
        if _raw_pixels(values) and not goes_scaled(material, values):
            yield _pixels_told(key, values)
    numbers = [one for one in number_columns(material, material.train) if _real(material, one)]
    yield from _columns_told(material, numbers)


def goes_scaled(material: Material, values: Array) -> bool:
    """Whether the training, or the first layer, scales these values before the others see them."""
    if material.as_is:
        return material.norm_first
    if material.form == "table":
        return material.recipe.data.scale != "none"
    return as_pictures(values[:1]) is not None or (values.ndim <= 2 and material.recipe.data.scale != "none")


def _real(material: Material, numbers: Numbers) -> bool:
    whole = material.columns[numbers.key].kind == "array" and numbers.values.dtype.kind != "f"
    return not whole and not _raw_pixels(material.train.table[numbers.key])


def _raw_pixels(values: Array) -> bool:
    """Floats that are whole numbers of 0 to 255 in most places, as pictures have them, or bytes."""
    if values.ndim < 2 or values[:1].size < 49 or values.dtype.kind not in "fu":
        return False
    if values.dtype == np.uint8:
        return as_pictures(values[:1]) is not None
    some = values[thinned(len(values), FEW)]
    top = float(np.max(some, initial=0))
    whole = np.min(some, initial=0) >= 0 and 64 < top <= 255 and (some == np.floor(some)).mean() > 0.99
    return bool(whole and some.mean() > DARKEST)


def _pixels_told(key: str, values: Array) -> Finding:
    some = values[thinned(len(values), FEW)].astype(np.float64)
    mean, std = float(some.mean()), float(some.std())
    return Finding(
        fault="data.unscaled_inputs",
        severity="warning"
        if values.dtype.kind == "f"
        else "note",  # bytes are made floats by the program, perhaps scaled
        message="audits.raw_pixels",
        values={"array": key, "high": float(some.max()), "mean": mean, "std": std},
        evidence=(
            Evidence(name="largest value", value=float(some.max()), threshold=LARGE, source="assumption"),
            Evidence(name="deviation", value=std, threshold=WIDE, source="assumption"),
        ),
        remedies=(PIXELS,),
        confidence=0.7,
        subject={"columns": [key]},
    )


def _columns_told(material: Material, numbers: list[Numbers]) -> Iterator[Finding]:
    given = [one for one in numbers if not goes_scaled(material, one.values)]
    scaled = [one for one in numbers if goes_scaled(material, one.values)]
    if given:
        yield from _judged(_Bulk.of(material, given), material, ours=False)
    if scaled:
        yield from _judged(_Bulk.of(material, scaled), material, ours=True)


class _Bulk:
    """Name, middle and width of the columns that have a scale."""

    def __init__(self, names: Array, middle: Array, width: Array) -> None:
        self.names, self.middle, self.width = names, middle, width
        self.size = np.hypot(middle, width)

    @classmethod
    def of(cls, material: Material, numbers: list[Numbers]) -> "_Bulk":
        names: list[str] = []
        middle, width = [np.zeros(0)], [np.zeros(0)]
        for one in numbers:
            if material.columns[one.key].kind in ("date", "boolean"):
                continue
            found = spread(material, one)
            used = one.changing & ~found.two & (found.width > 0)
            names += [one.names[place] for place in np.flatnonzero(used)]
            middle.append(found.middle[used])
            width.append(found.width[used])
        return cls(np.array(names, object), np.concatenate(middle), np.concatenate(width))


def _judged(bulk: _Bulk, material: Material, *, ours: bool) -> Iterator[Finding]:
    if not len(bulk.names):
        return
    widest, narrowest = int(bulk.width.argmax()), int(bulk.width.argmin())
    ratio = float(bulk.width[widest] / bulk.width[narrowest])
    offset = np.abs(bulk.middle) / bulk.width
    far = (offset > OFFSET) & (np.abs(bulk.middle) > WIDE)
    uneven = ratio > RATIO and bulk.width[widest] > WIDE
    large = bulk.size > LARGE
    if not (uneven or far.any() or large.any()):
        return
    values: dict[str, Any] = {
        "widest": bulk.names[widest],
        "most": float(bulk.width[widest]),
        "narrowest": bulk.names[narrowest],
        "least": float(bulk.width[narrowest]),
        "ratio": ratio,
    }
    if uneven:
        message = "audits.uneven_columns"
        order = np.argsort(-bulk.width, kind="stable")
        wrong = order[bulk.width[order] > RATIO * bulk.width[narrowest]]
    elif large.any():
        message, wrong = "audits.large_columns", np.argsort(-bulk.size, kind="stable")[: int(large.sum())]
        values = {"size": float(bulk.size.max())}
    else:
        message, wrong = "audits.off_centre", np.flatnonzero(far)[np.argsort(-offset[far], kind="stable")]
        first = wrong[0]
        values = {"middle": float(bulk.middle[first]), "width": float(bulk.width[first]), "column": bulk.names[first]}
    values |= {"count": len(wrong), "total": len(bulk.names), "names": few(bulk.names[wrong])}
    yield Finding(
        fault="data.unscaled_inputs",
        severity="note" if ours else "warning",
        message=f"{message}_scaled" if ours else message,
        values=values,
        evidence=(
            Evidence(name="widest over narrowest deviation", value=ratio, threshold=RATIO, source="fault list"),
            Evidence(
                name="largest middle / deviation", value=float(offset.max()), threshold=OFFSET, source="fault list"
            ),
            Evidence(
                name="largest size of a column", value=float(bulk.size.max()), threshold=LARGE, source="assumption"
            ),
        ),
        remedies=() if ours else (SCALE if material.form == "table" or not material.as_is else SCALE_ARRAYS,),
        confidence=0.8,
        subject={"columns": bulk.names[wrong].tolist(), "scores": bulk.size[wrong].tolist()},
    )

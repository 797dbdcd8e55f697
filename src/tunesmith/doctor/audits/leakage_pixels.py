"""leakage_pixels: a few pixels give the class away: a stamp, a frame, a mark of the source.

Sees      each pixel (and channel) against each class: a threshold on it, or one value that it has in the class and hardly elsewhere, chosen
          on one half of the pictures and judged on the other. The rest of the picture is then judged without them.
Matters   the network learns the mark, and new pictures have none.
Remedies  crop or paint over the place (advice).
Limits    marks that stay in one place. Bright and dark classes whose pixels all tell, and pictures in which nothing but the marks
          tells anything (made-up tasks), are left alone or noted.
Source    Lapuschkin et al., Unmasking Clever Hans predictors, Nature Comm. 10 (2019); informedness: Youden, Cancer 3 (1950).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import is_pictures
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import folds_of, together
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

LOOK = 3000  # pictures; assumption
FEWEST = 20  # pictures of a class in each half; assumption
CELLS = 12_000_000  # pictures × pixels looked at together; assumption
STAMP = 0.95  # informedness of one pixel that is a mark; assumption
ALSO = 0.8  # and of the others that belong to it; assumption
LARGEST = 0.1  # share of the picture that a mark covers; assumption
SAME = 0.012  # of the range: values that count as the same, 3 of 255; assumption
NOTHING = 0.05  # power of the rest of the picture below which it tells nothing; assumption
LEVELS = (0.05, 0.2, 0.5, 0.8, 0.95)  # quantiles tried as thresholds
MOST_CLASSES = 50
HIDE = Remedy(title="leakage.hide_pixels", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Mark:
    label: int
    informed: float  # share of the class that has it - share of the others that do
    constant: bool  # one value
    places: Array  # flat places of the pixels
    rest: float  # power of the rest of the picture on this class


@audit("leakage_pixels", faults=("data.leakage",), cost=PASS)
def leakage_pixels(material: Material) -> Iterator[Finding]:
    if not material.classed:
        raise Inapplicable("the task has no classes")
    view = material.whole
    names = [
        name
        for name, values in view.table.items()
        if material.columns[name].kind == "picture" or (values.dtype.kind in "fiu" and is_pictures(values))
    ]
    if not names:
        raise Inapplicable("the data are no pictures")
    assert view.codes is not None
    for name in names:
        values = view.table[name]
        known = np.flatnonzero(view.codes >= 0)
        most = max(200, min(LOOK, CELLS // max(1, values[:1].size)))
        rng = material.rng("leakage_pixels")
        rows = rng.permutation(known)[:most]
        flat = values[rows].reshape(len(rows), -1).astype(np.float32)
        for mark in _marks(flat, view.codes[rows], len(material.classes), values.shape[1:], material):
            yield _finding(material, mark, values.shape[1:])


def _marks(flat: Array, codes: Array, classes: int, shape: tuple[int, ...], material: Material) -> Iterator[Mark]:
    spread = float(flat.max() - flat.min())
    if spread == 0:
        return
    half = np.arange(len(flat)) % 2 == 0
    for label in range(min(classes, MOST_CLASSES)):
        own = codes == label
        if min((own & half).sum(), (own & ~half).sum(), (~own & half).sum(), (~own & ~half).sum()) < FEWEST:
            continue
        best, constant, test = _informed(flat, own, half, spread)
        place = int(best.argmax())
        if best[place] < STAMP:
            continue
        told = _judged(flat[~half], own[~half], test)
        if told[place] < STAMP:
            continue
        places = np.flatnonzero(told >= ALSO)
        if len(places) > LARGEST * flat.shape[1]:
            continue
        rest = _rest(flat, own, places, shape, material)
        yield Mark(label, float(told[place]), bool(constant[place]), places, rest)


def _informed(flat: Array, own: Array, half: Array, spread: float) -> tuple[Array, Array, tuple[Array, Array]]:
    """For each pixel, on the first half: the best interval for the class, how informed it is, whether it is one value."""
    A, B = flat[half & own], flat[half & ~own]
    middle = np.median(A, axis=0)
    best, low, high = np.full(flat.shape[1], -1.0), np.zeros(flat.shape[1]), np.zeros(flat.shape[1])
    constant = np.zeros(flat.shape[1], bool)
    bounds = [(middle - SAME * spread, middle + SAME * spread, True)]
    for level in np.quantile(flat[half], LEVELS, axis=0):
        bounds += [(level, np.full_like(level, np.inf), False), (np.full_like(level, -np.inf), level, False)]
    for lower, upper, single in bounds:
        gain = _share(A, lower, upper) - _share(B, lower, upper)
        better = gain > best + (0.0 if single else 0.01)
        best, low, high = np.where(better, gain, best), np.where(better, lower, low), np.where(better, upper, high)
        constant = np.where(better, single, constant)
    return best, constant, (low, high)


def _share(values: Array, lower: Array, upper: Array) -> Array:
    return np.asarray(((values >= lower) & (values <= upper)).mean(0))


def _judged(flat: Array, own: Array, test: tuple[Array, Array]) -> Array:
    return _share(flat[own], *test) - _share(flat[~own], *test)


def _rest(flat: Array, own: Array, places: Array, shape: tuple[int, ...], material: Material) -> float:
    """Power on this class of a thumbnail from which the marked pixels and those around them are taken away."""
    hidden = np.zeros(flat.shape[1], bool)
    hidden[places] = True
    first = len(shape) == 3 and shape[0] <= 4
    picture = flat.reshape(len(flat), *shape)
    mask = hidden.reshape(shape)
    if len(shape) == 3:
        axis = 0 if first else 2
        picture, mask = picture.mean(axis + 1), np.asarray(mask.any(axis))
    height, width = mask.shape
    rows, columns = (np.linspace(0, size, min(size, 9)).astype(int) for size in (height, width))
    blocks = [
        picture[:, top:bottom, left:right].mean((1, 2))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
        if not mask[top:bottom, left:right].any()
    ]
    if not blocks:
        return 0.0
    X, y = np.column_stack(blocks).astype(np.float64), own.astype(np.float64)
    return together(X, y, 2, folds_of(len(y), material.rng("leakage_pixels folds")), material.seed, once=True).power


def _finding(material: Material, mark: Mark, shape: tuple[int, ...]) -> Finding:
    first = [int(one) for one in np.unravel_index(int(mark.places[0]), shape)]
    last = [int(one) for one in np.unravel_index(int(mark.places[-1]), shape)]
    label = str(material.classes[mark.label])
    real = mark.rest >= NOTHING
    values = {"label": label, "informed": mark.informed, "count": len(mark.places), "first": first, "last": last}
    values |= {"rest": max(0.0, mark.rest)}
    return Finding(
        fault="data.leakage",
        severity=("error" if mark.constant and mark.informed >= 0.98 else "warning") if real else "note",
        message="leakage.pixels",
        values=values,
        evidence=(
            Evidence(name="informedness of a pixel", value=mark.informed, threshold=STAMP, where=label),
            Evidence(name="power of the rest of the picture", value=mark.rest, threshold=NOTHING, where=label),
        ),
        remedies=(HIDE,),
        confidence=0.9 if mark.constant else 0.7,
        subject={"pixels": [[int(one) for one in np.unravel_index(int(place), shape)] for place in mark.places]},
    )

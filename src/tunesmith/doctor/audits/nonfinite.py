"""nonfinite: NaN or infinite numbers that reach the network or the loss.

Sees      infinite numbers in any column or target; NaN in arrays that go to the user's own model as they are, and in its targets;
          finite numbers beyond 3.4e38, which float32 makes infinite.
Matters   one such number makes the loss and, a step later, every weight NaN.
Remedies  leave the rows out or put a number in their place, and mend the step that made them (advice).
Limits    silent on gaps where the training fills them: tables and matrices of numbers for a built-in model; the missing cells
          are told of by missing_cells. NaN in a target of several numbers is a warning, for a masked loss may leave it out.
Source    IEEE 754: NaN in, NaN out.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, placed, sources, subject_at
from tunesmith.doctor.audits.number_columns import pieces
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS
from tunesmith.records.finding import Severity

LARGEST = float(np.finfo(np.float32).max)
MEND = Remedy(title="audits.mend_numbers", safety=Safety.ADVICE)


@audit("nonfinite", faults=("data.nonfinite",), cost=PASS)
def nonfinite(material: Material) -> Iterator[Finding]:
    for view in sources(material):
        for key, values in view.table.items():
            if values.dtype.kind == "f" and key not in material.roles.values():
                filled = not material.as_is and (material.form == "table" or values.ndim <= 2)
                yield from _in_array(material, view, key, values, filled=filled)
        yield from _in_target(material, view)


def _in_array(material: Material, view: View, key: str, values: Array, *, filled: bool) -> Iterator[Finding]:
    nan, infinite, columns = _bad(values)
    bad = infinite if filled else nan | infinite
    if not bad.any():
        return
    places = np.flatnonzero(bad)
    names = (
        [key]
        if values.ndim != 2
        else [f"{key}{place}" for place in np.flatnonzero(columns[1] | (columns[0] & (not filled)))]
    )
    yield _told(
        material, view, places, names, int((nan & bad).sum()) if not filled else 0, int(infinite.sum()), "error", key
    )


def _bad(values: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Which rows hold NaN, which hold a number that is infinite in float32, and the same for the columns."""
    nan: list[Array] = []
    infinite: list[Array] = []
    columns = (np.zeros(values[0].size, bool), np.zeros(values[0].size, bool))
    for piece in pieces(values):
        flat = piece.reshape(len(piece), -1)
        finite = np.isfinite(flat)
        if values.dtype.itemsize > 4:
            finite &= np.abs(flat) <= LARGEST
        if finite.all():
            nan.append(np.zeros(len(flat), bool))
            infinite.append(nan[-1])
            continue
        gone = np.isnan(flat)
        over = ~finite & ~gone
        nan.append(np.asarray(gone.any(axis=1)))
        infinite.append(np.asarray(over.any(axis=1)))
        np.logical_or(columns[0], gone.any(0), out=columns[0])
        np.logical_or(columns[1], over.any(0), out=columns[1])
    return np.concatenate(nan), np.concatenate(infinite), columns


def _in_target(material: Material, view: View) -> Iterator[Finding]:
    target = view.target
    if target is None or target.dtype.kind != "f" or not len(target):
        return
    nan, infinite, _ = _bad(target)
    kept = not material.as_is or material.recipe.loss.name.startswith("masked_")
    bad = infinite if kept else nan | infinite
    if bad.any():
        several = target.ndim > 1 and target.shape[1] > 1 and not infinite.any()
        severity: Severity = "warning" if several else "error"
        gone = 0 if kept else int((nan & bad).sum())
        yield _told(
            material, view, np.flatnonzero(bad), list(material.targets), gone, int(infinite.sum()), severity, "target"
        )


def _told(
    material: Material,
    view: View,
    places: Array,
    names: list[str],
    nan: int,
    infinite: int,
    severity: Severity,
    what: str,
) -> Finding:
    values = {
        "what": what if what != "target" else few(material.targets) or what,
        "part": view.part,
        "count": len(places),
        "rows": len(view),
        "nan": nan,
        "infinite": infinite,
        "place": placed(material, view, places),
    }
    return Finding(
        fault="data.nonfinite",
        severity=severity,
        message="audits.nonfinite_target" if what == "target" else "audits.nonfinite",
        values=values,
        evidence=(
            Evidence(name="rows with NaN", value=float(nan), threshold=0.0, where=view.part),
            Evidence(name="rows with an infinite number", value=float(infinite), threshold=0.0, where=view.part),
        ),
        remedies=(MEND,),
        status="confirmed" if severity == "error" else "suspected",
        subject={**subject_at(view, places), "columns": names},
    )

"""missing_cells: empty cells by column, columns empty in one part alone, rows without any value, rows without a target.

Sees      NaN and empty cells of the training rows; a column that is filled in one given part and has gaps in another beyond chance
          (chi-square, p < 1e-6, and 5 % of the rows at least); rows whose features are all empty.
Matters   a gap is filled or marked; where it comes in one part only, the model meets in use what it never learnt, or learns a
          mark that is not there later.
Remedies  see that all parts are exported alike; leave out columns that are mostly empty (advice).
Limits    only where the training fills gaps; in arrays that go to a network as they are they are errors of nonfinite. Parts that
          lie apart in time may differ by nature: a note then.
Source    chi-square test of a 2 by 2 table; shares: assumption.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2_contingency

from tunesmith.data.columns import missing_in
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, parted, subject_at
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

TOLD = 10  # columns told of one by one, those with most gaps
PART = 0.05  # difference of the share between parts; assumption
CHANCE = 1e-6  # p of the difference; assumption, low for there may be hundreds of columns
ALIKE = Remedy(title="audits.export_alike", safety=Safety.ADVICE)
DROP = Remedy(title="data.drop_column", safety=Safety.ADVICE)
MOSTLY = 0.5  # share of gaps beyond which a column is mostly empty; assumption


@audit("missing_cells", faults=("data.missing",), cost=PASS)
def missing_cells(material: Material) -> Iterator[Finding]:
    if material.as_is:
        raise Inapplicable("arrays that go to a network as they are have no empty cells; see nonfinite")
    gaps = {view.part: _gaps(material, view) for view in parted(material)}
    yield from _columns(gaps["train"])
    for view in material.others:
        yield from _apart(material, view, gaps["train"], gaps[view.part])
    yield from _empty_rows(material, gaps["train"])
    yield from _without_target(material)


def _gaps(material: Material, view: View) -> dict[str, Array]:
    """Which cells of each column are empty."""
    found = {}
    for key, values in view.table.items():
        if key in material.roles.values() or material.columns[key].kind == "constant":
            continue
        if values.ndim == 1 and values.dtype.kind in "fO":
            found[key] = missing_in(values)
        elif values.ndim == 2 and values.dtype.kind == "f" and np.isnan(np.min(values, initial=0)):
            found |= {f"{key}{place}": np.isnan(column) for place, column in enumerate(values.T)}
    return found


def _columns(gaps: dict[str, Array]) -> Iterator[Finding]:
    shares = sorted(((float(gone.mean()), name) for name, gone in gaps.items() if gone.any()), reverse=True)
    for share, name in shares[:TOLD]:
        yield Finding(
            fault="data.missing",
            severity="note",
            message="data.missing_cells",
            values={"column": name, "count": int(gaps[name].sum()), "share": share},
            evidence=(Evidence(name="share", value=share, threshold=0.0),),
            remedies=(DROP,) if share > MOSTLY else (),
            status="confirmed",
            subject={"columns": [name]},
        )
    if len(shares) > TOLD:
        rest = shares[TOLD:]
        yield Finding(
            fault="data.missing",
            severity="note",
            message="audits.more_missing_cells",
            values={"count": len(rest), "most": rest[0][0], "names": few(name for _, name in rest)},
            evidence=(Evidence(name="largest share", value=rest[0][0], threshold=0.0),),
            status="confirmed",
            subject={"columns": [name for _, name in rest], "scores": [share for share, _ in rest]},
        )


def _apart(material: Material, view: View, train: dict[str, Array], other: dict[str, Array]) -> Iterator[Finding]:
    if view.planned and material.train.time is None:
        return  # drawn from the same rows
    for name in train.keys() & other.keys():
        here, there = float(train[name].mean()), float(other[name].mean())
        if abs(here - there) < PART or (here > 0 and there > 0 and not 0.1 < here / there < 10):
            continue
        chance = _chance(train[name], other[name])
        if chance < CHANCE and (here == 0 or there == 0 or max(here, there) > MOSTLY > min(here, there)):
            values = {"column": name, "part": view.part, "here": here, "there": there}
            yield Finding(
                fault="data.missing",
                severity="warning" if not view.planned else "note",
                message="audits.missing_in_one_part",
                values=values,
                evidence=(
                    Evidence(name="share of gaps in train", value=here),
                    Evidence(name=f"share of gaps in {view.part}", value=there),
                    Evidence(name="p of the difference", value=chance, threshold=CHANCE),
                ),
                remedies=(ALIKE,),
                confidence=0.9,
                subject={"columns": [name]},
            )


def _chance(here: Array, there: Array) -> float:
    table = np.array([[gone.sum(), (~gone).sum()] for gone in (here, there)])
    return float(chi2_contingency(table, correction=False).pvalue) if table.sum(0).all() else 1.0


def _empty_rows(material: Material, gaps: dict[str, Array]) -> Iterator[Finding]:
    features = [key for key in material.train.table if material.columns[key].kind not in ("constant", "identifier")]
    whole = [key for key in features if key not in gaps and key not in material.roles.values()]
    if not gaps or len(gaps) < 2 or any(not any(name.startswith(key) for name in gaps) for key in whole):
        return
    empty = np.all(list(gaps.values()), axis=0)
    if not empty.any():
        return
    share = float(empty.mean())
    yield Finding(
        fault="data.missing",
        severity="warning",
        message="audits.empty_rows",
        values={"count": int(empty.sum()), "share": share},
        evidence=(Evidence(name="share of rows without any value", value=share, threshold=0.0),),
        remedies=(Remedy(title="audits.drop_rows", safety=Safety.ADVICE),),
        status="confirmed",
        subject=subject_at(material.train, np.flatnonzero(empty)),
    )


def _without_target(material: Material) -> Iterator[Finding]:
    """Rows that a training leaves out: those no part holds, and those that still stand in one."""
    train = material.train
    if train.target is None:
        return
    rows = len(train.sheet) if train.sheet is not None else 0
    held = sum(len(view) for view in material.parts.values() if view.part == "train" or view.planned)
    lost = max(rows - held, 0) if material.form == "table" else 0
    flat = train.target.reshape(len(train), -1)
    lost += int(missing_in(flat[:, 0]).sum()) if flat.dtype.kind in "fO" and len(material.targets) < 2 else 0
    if lost:
        yield Finding(
            fault="data.missing",
            severity="note",
            message="data.missing_targets",
            values={"count": lost, "rows": max(rows, len(train)), "source": train.name},
            evidence=(Evidence(name="rows", value=float(lost), threshold=0.0),),
            status="confirmed",
        )

"""constant_columns: columns, or whole inputs, that never change.

Sees      one distinct value and no gap in all training rows: one note for the columns of a table or array; an error where no input
          of a part changes at all although the rows do not share one target.
Matters   such a column can teach nothing; where all are constant, a step of the pipeline wrote the same row over and over.
Remedies  leave the column out, or mend the step that wrote it (advice).
Limits    pixels at the border of pictures of one size are constant by nature; they are named all the same, as a note.
Source    one distinct value is the definition of the fault.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.columns import missing_in
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, parted
from tunesmith.doctor.audits.number_columns import number_columns, pieces
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

FEWEST = 10  # rows of a part of which something can be said; assumption
DROP = Remedy(title="data.drop_column", safety=Safety.ADVICE)
MEND = Remedy(title="audits.mend_pipeline", safety=Safety.ADVICE)


@audit("constant_columns", faults=("data.constant",), cost=PASS)
def constant_columns(material: Material) -> Iterator[Finding]:
    if len(material.train) < 2:
        raise Inapplicable("one row changes nothing")
    dead = [view for view in parted(material) if len(view) >= FEWEST and _nothing_changes(view)]
    for view in dead:
        yield Finding(
            fault="data.constant",
            severity="error" if _differs(view) else "warning",
            message="audits.constant_inputs",
            values={"part": view.part, "count": len(view)},
            evidence=(Evidence(name="distinct rows", value=1.0, threshold=2.0),),
            remedies=(MEND,),
            status="confirmed",
            subject={"columns": list(view.table)},
        )
    if material.train not in dead:
        yield from _columns(material)


def _columns(material: Material) -> Iterator[Finding]:
    single = [name for name, column in material.columns.items() if column.kind == "constant"]
    for name in single:
        yield _told([name], "data.constant_column", {"column": name})
    for numbers in number_columns(material, material.train):
        still = (numbers.finite == len(material.train)) & (numbers.low == numbers.high)
        names = [numbers.names[place] for place in np.flatnonzero(still) if numbers.names[place] not in single]
        if not names:
            continue
        if len(numbers.names) == 1:
            yield _told(names, "audits.constant_in_training", {"column": names[0], "value": float(numbers.low[0])})
        else:
            values = {"count": len(names), "total": len(numbers.names), "array": numbers.key, "names": few(names)}
            yield _told(names, "audits.constant_array_columns", values)


def _told(names: list[str], message: str, values: dict[str, object]) -> Finding:
    return Finding(
        fault="data.constant",
        severity="note",
        message=message,
        values=values,
        evidence=(Evidence(name="distinct values", value=1.0, threshold=2.0),),
        remedies=(DROP,),
        status="confirmed",
        subject={"columns": names},
    )


def _nothing_changes(view: View) -> bool:
    return all(_still(values) for values in view.table.values())


def _still(values: Array) -> bool:
    """Whether all rows are equal; gaps are equal to gaps."""
    if values.dtype == object:
        words = values.reshape(len(values), -1)
        return all(tuple(row) == tuple(words[0]) for row in words[: len(words)].tolist()) if words.size else True
    gone = missing_in(values.reshape(-1)).any() if values.dtype.kind == "f" else False
    first = values[:1]
    if not gone:
        return all(bool((piece == first).all()) for piece in pieces(values))
    return all(bool(((piece == first) | (np.isnan(piece) & np.isnan(first))).all()) for piece in pieces(values))


def _differs(view: View) -> bool:
    if view.target is None:
        return False
    words = view.target.reshape(len(view), -1)[:, 0]
    return len(set(words.tolist())) > 1

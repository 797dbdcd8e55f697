"""outliers: a few values or rows so far from all others that they dominate what is learnt.

Sees      numbers (features, and the target of a regression) more than 20 robust deviations from their median that the tail
          of their own column does not explain; rows whose nearest neighbours are far; texts of odd length; pictures that
          look like no other.
Matters   squared, a few values outweigh all others: in the loss, in the gradient, and in mean and deviation of the scaling.
Remedies  correct or drop them; clip, or rank (`data.scale = "quantile"`); a robust loss; clip the gradient norm.
Limits    a warning only where at most a hundredth of the rows hold half of a column's squares. Columns of under 50 different
          values from the median are not looked at, nor faults that are more than a fiftieth of the rows. Neighbours of texts
          are not looked at.
Source    tails.py; 20 deviations and a hundredth of the rows: faults.md. Neighbours: Ramaswamy, Rastogi & Shim, Efficient
          Algorithms for Mining Outliers from Large Data Sets, SIGMOD 2000.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.features import features, picture_shape, texts, usable
from tunesmith.doctor.audits.features_pictures import as_pictures, thumbnail
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.doctor.audits.near_rows import distances
from tunesmith.doctor.audits.tails import Tail, tail_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

FAR = 20.0  # robust deviations; faults.md
CHANCE = 0.05  # values as far that the tail of a column may explain, over all columns; assumption
RARE, HALF = 0.01, 0.5  # a hundredth of the rows, half of the squares; faults.md, for the gradient norm
WIDE = 4096  # columns of an array above which they are not looked at one by one; assumption
FEWEST = 200  # rows from which on neighbours are looked at; assumption
NAMED = 100_000

LOOK = Remedy(title="audits.outliers.look", safety=Safety.ADVICE)
RANK = Remedy(title="audits.outliers.rank", safety=Safety.RISKY, change={"data.scale": "quantile"})
ROBUST = Remedy(title="audits.outliers.robust_loss", safety=Safety.RISKY, change={"loss.name": "huber"})


@audit("outliers", faults=("data.outliers",), cost=PASS)
def outliers(material: Material) -> Iterator[Finding]:
    yield from _numbers(material)
    yield from _targets(material)
    yield from _lengths(material)
    yield from _alone(material)


def _numbers(material: Material) -> Iterator[Finding]:
    view = material.whole
    columns = dict(_columns(material, view))
    found = [
        (float(tail.z[rows].max()), name, tail, rows)
        for name, values in columns.items()
        if len(rows := _far(tail := tail_of(values), len(columns)))
    ]
    for place, (_, name, tail, rows) in enumerate(sorted(found, key=lambda one: (-one[0], one[1]))):
        if place < 20:  # assumption: so many columns are told one by one
            yield _finding(view, name, columns[name], tail, rows, (LOOK, RANK))


def _columns(material: Material, view: View) -> Iterator[tuple[str, Array]]:
    for name in usable(material):
        values = view.table[name]
        if material.columns[name].kind in NUMERIC:
            yield name, values.astype(np.float64)
        elif values.ndim == 2 and values.dtype.kind in "fiu" and values.shape[1] <= WIDE:
            if picture_shape(values, np.arange(len(values))) is not None:
                continue
            for place in range(values.shape[1]):
                yield f"{name}[{place}]", values[:, place]


def _targets(material: Material) -> Iterator[Finding]:
    target = material.whole.target
    if target is None or "regression" not in material.kind or target.dtype.kind not in "fiu":
        return
    flat = target.reshape(len(target), -1)
    for place in range(flat.shape[1]):
        rows = _far(tail := tail_of(flat[:, place].astype(np.float64)), flat.shape[1])
        name = material.targets[place] if place < len(material.targets) else f"y{place}"
        if len(rows):
            yield _finding(material.whole, name, flat[:, place], tail, rows, (LOOK, ROBUST), target=True)


def _far(tail: Tail, columns: int) -> Array:
    """The rows that are too far, the farthest first."""
    rows = np.flatnonzero((tail.z > FAR) & (tail.expected < CHANCE / max(1, columns)))
    return rows[np.argsort(-tail.z[rows], kind="stable")]


def _finding(
    view: View, name: str, values: Array, tail: Tail, rows: Array, remedies: tuple[Remedy, ...], target: bool = False
) -> Finding:
    squares = float(tail.square[rows].sum())
    dominating = squares >= HALF and len(rows) <= max(1.0, RARE * len(values))
    return Finding(
        fault="data.outliers",
        severity="warning" if dominating else "note",
        message="audits.outliers.target" if target else "audits.outliers.column",
        values={
            "column": name,
            "count": len(rows),
            "z": float(tail.z[rows[0]]),
            "value": float(values[rows[0]]),
            "middle": float(np.nanmedian(values)),
            "squares": squares,
        },
        evidence=(
            Evidence(
                name="robust deviations from the median",
                value=float(tail.z[rows[0]]),
                threshold=FAR,
                source="faults.md",
                where=name,
            ),
            Evidence(
                name="values as far that its tail explains",
                value=float(tail.expected[rows[0]]),
                threshold=CHANCE,
                where=name,
            ),
            Evidence(
                name="share of the column's squares", value=squares, threshold=HALF, source="faults.md", where=name
            ),
        ),
        remedies=remedies,
        confidence=0.9 if dominating else 0.6,
        status="confirmed",
        subject={
            "rows": view.rows[rows].tolist()[:NAMED],
            "scores": tail.z[rows].round(2).tolist()[:NAMED],
            "values": [float(value) for value in values[rows]][:NAMED],
            "columns": [name],
        },
    )


def _lengths(material: Material) -> Iterator[Finding]:
    view = material.whole
    for name in material.words("text"):
        letters = np.array([len(text) for text in texts(view.table[name])], np.float64)
        tail = tail_of(np.log1p(letters))
        rows = np.flatnonzero((tail.expected < CHANCE) & (tail.z > FAR / 4))  # in logarithms: assumption
        if len(rows):
            rows = rows[np.argsort(-tail.z[rows], kind="stable")]
            yield Finding(
                fault="data.outliers",
                severity="note",
                message="audits.outliers.length",
                values={
                    "column": name,
                    "count": len(rows),
                    "length": int(letters[rows[0]]),
                    "middle": float(np.median(letters)),
                },
                evidence=(
                    Evidence(
                        name="texts as odd in length that the tail explains",
                        value=float(tail.expected[rows[0]]),
                        threshold=CHANCE,
                    ),
                ),
                remedies=(LOOK,),
                subject={
                    "rows": view.rows[rows].tolist()[:NAMED],
                    "scores": tail.z[rows].round(2).tolist()[:NAMED],
                    "columns": [name],
                },
            )


def _alone(material: Material) -> Iterator[Finding]:
    """Rows whose nearest neighbours in a sample are farther than the tail of such distances explains."""
    view = material.train
    if len(view) < FEWEST or material.words("text"):
        return
    rows = _as_numbers(material, view)
    far = distances(rows, material.rng("outliers"))
    tail = tail_of(np.log(np.maximum(far, 1e-9)))
    places = np.flatnonzero(
        (tail.expected < CHANCE) & (np.log(np.maximum(far, 1e-9)) > np.log(np.maximum(np.median(far), 1e-9)))
    )
    if not len(places) or len(places) > RARE * len(view):
        return
    places = places[np.argsort(-far[places], kind="stable")]
    yield Finding(
        fault="data.outliers",
        severity="note",
        message="audits.outliers.alone",
        values={
            "count": len(places),
            "rows": len(view),
            "times": float(far[places[0]] / max(float(np.median(far)), 1e-9)),
        },
        evidence=(
            Evidence(
                name="rows as far that the tail explains", value=float(tail.expected[places[0]]), threshold=CHANCE
            ),
        ),
        remedies=(LOOK,),
        confidence=0.5,
        subject={"rows": view.rows[places].tolist()[:NAMED], "scores": far[places].round(4).tolist()[:NAMED]},
    )


def _as_numbers(material: Material, view: View) -> Array:
    """Thumbnails where a row is a picture, else the features."""
    names = usable(material)
    values = view.table[names[0]]
    shape = picture_shape(values, np.arange(len(values))) if len(names) == 1 and values.dtype.kind in "fiub" else None
    if shape is None:
        return features(material)["train"]
    pictures = values.reshape(-1, *shape) if values.ndim == 2 else as_pictures(values)
    assert pictures is not None
    made = [
        np.nan_to_num(thumbnail(pictures[start : start + 1024].astype(np.float32)))
        for start in range(0, len(values), 1024)
    ]
    found = np.concatenate(made)
    return found / np.float32(max(float(found.std()), 1e-9))

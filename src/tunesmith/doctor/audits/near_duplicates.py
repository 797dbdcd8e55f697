"""near_duplicates: rows that are copies of each other but for a little, inside the parts and across them.

Sees      pictures that are shifted, scaled, mirrored, brightened, tinted or compressed copies; texts that share most of
          their pieces; rows of numbers far nearer to each other than to any other row. Equal rows: `duplicates`.
Matters   a near copy of a judged row among the training rows is scored as if it were understood.
Remedies  keep one of each; number the copies by group and divide by group, so that they lie in one part.
Limits    near is what chance does not explain: at most a tenth of the pairs told are expected to be no copies. Among things
          that are all alike (trousers) slight changes cannot be told from another of the kind: in Fashion-MNIST recompressed
          and cropped copies are missed, and half of the shifted ones. Fewer than 64 rows, texts
          under 20 letters and copies turned by an angle are not looked at. In a table with categories or with columns of
          few values rows come near each other by nature, and such pairs are never more than a note.
Source    near_pictures.py, near_text.py, near_rows.py, chance.py; measured: benchmarks/duplicates.md. That near copies in
          test sets of pictures are common: Barz & Denzler, Do We Train on Test Data?, Journal of Imaging 6 (2020).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.duplicates import DROP, NAMED
from tunesmith.doctor.audits.equal_rows import bare, column_keys
from tunesmith.doctor.audits.features import features, picture_shape, texts, usable
from tunesmith.doctor.audits.features_pictures import as_pictures
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.doctor.audits.near_pictures import NearPairs, near_pictures
from tunesmith.doctor.audits.near_rows import near_rows
from tunesmith.doctor.audits.near_text import near_texts
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

SHARE = 0.05  # of the judged rows: half of deepchecks' bound for equal rows; assumption
FEW = 5  # rows below which nothing is more than a note; assumption
FINE = 0.1  # different values a row, of a column that is no coarse one; assumption
GROUP = Remedy(title="audits.near_duplicates.group", safety=Safety.ADVICE)


@audit("near_duplicates", faults=("data.duplicates", "data.leakage"), cost=PASS)
def near_duplicates(material: Material) -> Iterator[Finding]:
    views = list(material.parts.values())
    keys = np.concatenate([keys.whole for keys in column_keys(material, views)])
    first = np.unique(keys, return_index=True)[1]  # of equal rows one, in an order that the contents give
    found = _near(material, views, first)
    found = replace(found, pairs=np.sort(first[found.pairs], axis=1))
    ends = np.cumsum([len(view) for view in views])
    part = np.searchsorted(ends, found.pairs, side="right")
    material.measured["near_duplicates"] = len(found.pairs)
    begins = np.r_[0, ends[:-1]]
    inside = np.flatnonzero((part[:, 0] == part[:, 1]) | _both_judged(part))
    if len(inside):
        yield _inside(views, begins, part[inside], found, inside)
    sure = _unlikely_by_nature(material)
    for judged in range(len(views)):
        across = np.flatnonzero((part.min(1) == 0) & (part.max(1) == judged)) if judged else np.empty(0, np.int64)
        if len(across):
            yield _across(
                views[0], views[judged], found.pairs[across] - begins[part[across]], part[across], found, across, sure
            )


def _near(material: Material, views: list[View], first: Array) -> NearPairs:
    """By the widest kind of column the rows have."""
    names = usable(material)
    rng = material.rng("near_duplicates")
    kinds = {name: material.columns[name].kind for name in names}
    whole = {
        name: np.concatenate([view.table[name] for view in views])[first]
        for name in names
        if kinds[name] not in NUMERIC
    }
    for values in whole.values():
        shape = picture_shape(values, np.arange(len(values))) if values.dtype.kind in "fiub" else None
        if shape is not None and len(names) == 1:
            plain = (
                values.reshape(-1, *shape)
                if values[:1].size == np.prod(shape) and values.ndim == 2
                else _channelled(values)
            )
            return near_pictures(plain, rng)
    words = [name for name in names if kinds[name] == "text"]
    if words:
        joined = zip(*(texts(whole[name]) for name in words), strict=True)
        return near_texts([bare(" ".join(row)) for row in joined])
    if not any(kinds[name] in (*NUMERIC, "array") for name in names):
        raise Inapplicable("the rows hold categories alone, which are equal or not")
    made = features(material)
    return near_rows(_narrow(np.concatenate([made[view.part] for view in views])[first], rng), rng)


def _channelled(values: Array) -> Array:
    found = as_pictures(values)
    return values if found is None else found


def _narrow(rows: Array, rng: np.random.Generator) -> Array:
    """Wide rows projected at random, which keeps distances (Johnson & Lindenstrauss 1984)."""
    if rows.shape[1] <= 256:
        return rows
    spun = rng.standard_normal((rows.shape[1], 128), dtype=np.float32) / np.float32(128**0.5)
    found: Array = rows @ spun
    return found


def _unlikely_by_nature(material: Material) -> bool:
    """Whether rows hold more than categories and coarse numbers."""
    kinds = {name: material.columns[name].kind for name in usable(material)}
    if "text" in kinds.values():
        return True
    if not set(kinds.values()) <= {"number", "array", "picture"}:
        return False
    numbers = [material.train.table[name] for name, kind in kinds.items() if kind == "number"]
    return min((len(np.unique(values)) / len(values) for values in numbers), default=1.0) >= FINE


def _both_judged(part: Array) -> Array:
    """Pairs between two parts, neither of them the training rows."""
    found: Array = (part != 0).all(1) & (part[:, 0] != part[:, 1])
    return found


def _inside(views: list[View], begins: Array, part: Array, found: NearPairs, some: Array) -> Finding:
    pairs = found.pairs[some]
    rows = [
        [int(views[view].rows[place - begins[view]]) for place, view in zip(column, parts, strict=True)]
        for column, parts in zip(pairs.T, part.T, strict=True)
    ]
    alike = len(np.unique(pairs))
    total = sum(len(view) for view in views)
    return Finding(
        fault="data.duplicates",
        severity="note",
        message="audits.near_duplicates.inside",
        values={
            "pairs": len(pairs),
            "count": alike,
            "rows": total,
            "share": alike / total,
            "expected": _false(found, some),
        },
        evidence=(
            Evidence(name="pairs nearer than chance explains", value=float(len(pairs)), threshold=_false(found, some)),
        ),
        remedies=(DROP, GROUP),
        confidence=0.9,
        subject={
            "rows": rows[0][:NAMED],
            "near": rows[1][:NAMED],
            "parts": [f"{views[one].part}, {views[two].part}" for one, two in part][:NAMED],
            "scores": found.likeness[some].round(4).tolist()[:NAMED],
        },
    )


def _across(
    train: View, judged: View, places: Array, part: Array, found: NearPairs, some: Array, sure: bool
) -> Finding:
    mine = np.where(part == 0, places, 0).max(1)
    theirs = np.where(part != 0, places, 0).max(1)
    count = len(np.unique(theirs))
    share = count / len(judged)
    expected = _false(found, some)
    return Finding(
        fault="data.leakage",
        severity="warning" if sure and share >= SHARE and count >= FEW else "note",
        message="audits.near_duplicates.across",
        values={
            "count": count,
            "rows": len(judged),
            "share": share,
            "part": judged.part,
            "pairs": len(some),
            "expected": expected,
        },
        evidence=(
            Evidence(
                name=f"share of the {judged.part} rows with a near copy in training",
                value=share,
                threshold=SHARE,
                source="assumption",
            ),
            Evidence(name="pairs nearer than chance explains", value=float(len(some)), threshold=expected),
        ),
        remedies=(GROUP,) if judged.planned else (GROUP, DROP),
        confidence=0.9,
        subject={
            "rows": judged.rows[theirs].tolist()[:NAMED],
            "training_rows": train.rows[mine].tolist()[:NAMED],
            "scores": found.likeness[some].round(4).tolist()[:NAMED],
            "part": judged.part,
        },
    )


def _false(found: NearPairs, some: Array) -> float:
    """So many of these pairs chance explains."""
    return round(found.expected * len(some) / max(1, len(found.pairs)), 2)

"""redundancy: columns that say the same: equal, on a line with each other, or one word for one word. A note.

Sees      correlations of all pairs of numbers, and levels of words (and of numbers with few values) that go with each other one to one.
Matters   harmless to most networks, but weights of such inputs mean nothing, and importance is shared among them.
Remedies  keep one of them (advice).
Limits    lines and levels only; columns determined by several others are not looked for. Wider than 1000 inputs: not looked at.
Source    fault list, data.poor_features; variance inflation: Belsley, Kuh & Welsch (1980).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import inputs_of, matrix, some_rows
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

LOOK = 5000  # rows; assumption
WIDEST = 1000  # inputs; assumption
SAME = 0.9999  # |correlation| of columns on a line; assumption
LEVELS = 100  # of a column that is compared level by level; assumption
FEWEST = 50  # rows
KEEP = Remedy(title="usefulness.keep_one", safety=Safety.ADVICE)


@audit("redundancy", faults=("data.poor_features",), cost=PASS)
def redundancy(material: Material) -> Iterator[Finding]:
    inputs = inputs_of(material)
    if not 2 <= len(inputs) <= WIDEST:
        raise Inapplicable(f"{len(inputs)} inputs; pairs of 2 to {WIDEST} are looked at")
    rows = some_rows(material, LOOK, "redundancy")
    if len(rows) < FEWEST:
        raise Inapplicable(f"fewer than {FEWEST} rows")
    numbers = matrix(inputs, material.whole, rows)
    words = np.array([bool(one.levels) for one in inputs])
    groups = _groups(numbers, words)
    names = [[inputs[place].name for place in group] for group in groups]
    material.measured["redundancy"] = names
    if names:
        shown = "; ".join(" = ".join(group[:4]) for group in names[:4])
        yield Finding(
            fault="data.poor_features",
            severity="note",
            message="usefulness.same",
            values={"count": sum(len(group) - 1 for group in names), "groups": shown},
            evidence=(
                Evidence(name="inputs that another one tells", value=float(sum(len(group) - 1 for group in names))),
            ),
            remedies=(KEEP,),
            confidence=0.9,
            subject={"columns": [name for group in names for name in group]},
        )


def _groups(numbers: Array, words: Array) -> list[list[int]]:
    """Places of inputs that say the same, two or more each."""
    parent = list(range(numbers.shape[1]))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for a, b in [*_lines(numbers, words), *_levels(numbers)]:
        parent[max(root(a), root(b))] = min(root(a), root(b))
    found: dict[int, list[int]] = {}
    for place in range(len(parent)):
        found.setdefault(root(place), []).append(place)
    return [group for group in found.values() if len(group) > 1]


def _lines(numbers: Array, words: Array) -> list[tuple[int, int]]:
    spread = np.nanstd(np.where(np.isnan(numbers).all(0), 0.0, numbers), axis=0)
    kept = np.flatnonzero(~words & (spread > 0) & (np.isnan(numbers).mean(0) < 0.5))
    if len(kept) < 2:
        return []
    X = numbers[:, kept]
    X = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    X = (X - X.mean(0)) / X.std(0)
    with one_thread():
        tied = np.abs(np.triu(X.T @ X / len(X), 1)) > SAME
    gaps = np.isnan(numbers[:, kept])
    pairs = np.argwhere(tied).tolist()
    return [(int(kept[a]), int(kept[b])) for a, b in pairs if (gaps[:, a] == gaps[:, b]).all()]


def _levels(numbers: Array) -> list[tuple[int, int]]:
    codes: dict[int, Array] = {}
    for place in range(numbers.shape[1]):
        values = numbers[:, place]
        distinct = np.unique(values[:500])
        if len(distinct) > LEVELS:
            continue
        levels, code = np.unique(values, return_inverse=True)
        if 3 <= len(levels) <= LEVELS and len(values) >= 5 * len(levels):
            codes[place] = code
    found = []
    for a in codes:
        for b in codes:
            width, other = int(codes[a].max()) + 1, int(codes[b].max()) + 1
            if a < b and width == other and len(np.unique(codes[a] * other + codes[b])) == width:
                found.append((a, b))
    return found

"""duplicates: rows with equal inputs inside one part, and what their labels say.

Sees      rows that equal an earlier one in every feature (in the pictures' every pixel, in the text's every letter; a gap
          equals a gap), texts that differ in case, spaces and punctuation alone, and equal inputs under different labels.
Matters   copies count twice in the loss; where they lie in two parts the score is too good; two labels for one input cannot
          both be learnt.
Remedies  keep one of each set; keep them in one part (`data.keep_duplicates_together`, which is the default); relabel.
Limits    equal rows of a table of few columns are counted against what coincidence explains, which takes two columns or
          more: of one column nothing is ever said above a note. Copies that differ a little: `near_duplicates`.
Source    equal_rows.py; warned of from a tenth of the rows on, as deepchecks does for train and test (faults.md).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.equal_rows import bare, coincidences, column_keys, groups_of
from tunesmith.doctor.audits.features import texts, usable
from tunesmith.doctor.audits.features_keys import row_keys
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

MANY = 0.1  # share of the rows; deepchecks' bound for shared rows
CONFLICTING = 0.01  # share of the rows that most rows equal to them contradict; assumption
FEW = 10  # rows below which nothing is more than a note; assumption
EXPLAINED = 0.5  # share of the equal pairs that coincidence explains, from which on they are no copies; assumption
NAMED = 100_000

DROP = Remedy(title="data.drop_duplicates", safety=Safety.ADVICE)
TOGETHER = Remedy(
    title="audits.duplicates.together", safety=Safety.RISKY, change={"data.keep_duplicates_together": True}
)
RELABEL = Remedy(title="audits.duplicates.relabel", safety=Safety.ADVICE)


@audit("duplicates", faults=("data.duplicates", "data.label_noise"), cost=PASS)
def duplicates(material: Material) -> Iterator[Finding]:
    for view in {id(view): view for view in (material.whole, *(v for v in material.others if not v.planned))}.values():
        yield from _of_view(material, view)


def _of_view(material: Material, view: View) -> Iterator[Finding]:
    if len(view) < 2:
        return
    keys = column_keys(material, [view])[0]
    groups = groups_of(keys.whole)
    repeated = sum(len(group) - 1 for group in groups)
    if view.part == "train":
        material.measured["duplicates"] = repeated
    if groups:
        pairs = sum(len(group) * (len(group) - 1) / 2 for group in groups)
        expected = coincidences(keys)
        copies = expected < EXPLAINED * pairs
        yield _exact(material, view, groups, repeated, pairs, expected, copies)
        yield from _conflicts(material, view, groups, copies)
    yield from _same_words(material, view, repeated)


def _exact(
    material: Material, view: View, groups: list[Array], repeated: int, pairs: float, expected: float, copies: bool
) -> Finding:
    share = repeated / len(view)
    much = copies and share >= MANY and repeated >= FEW
    rows, group = _flat(groups)
    values: dict[str, float | str] = {
        "count": repeated,
        "rows": len(view),
        "share": share,
        "groups": len(groups),
        "largest": len(groups[0]),
    }
    values |= {"part": view.part, "name": view.name, "expected": expected, "pairs": int(pairs)}
    kept = material.recipe.data.keep_duplicates_together
    return Finding(
        fault="data.duplicates",
        severity="warning" if much else "note",
        message="audits.duplicates.exact" if copies else "audits.duplicates.by_nature",
        values=values,
        evidence=(
            Evidence(name="share of rows that repeat another", value=share, threshold=MANY, source="deepchecks"),
            Evidence(name="equal pairs", value=pairs, threshold=expected, source="coincidence, equal_rows"),
        ),
        remedies=(DROP,) if kept else (DROP, TOGETHER),
        confidence=1.0 - min(1.0, expected / max(pairs, 1.0)),
        status="confirmed",
        subject={"rows": view.rows[rows].tolist()[:NAMED], "group": group[:NAMED]},
    )


def _conflicts(material: Material, view: View, groups: list[Array], copies: bool) -> Iterator[Finding]:
    """Equal inputs of different classes; by nature where the rows are equal by nature."""
    if view.codes is None or not material.classed:
        return
    torn = [group for group in groups if len(np.unique(view.codes[group])) > 1]
    if not torn:
        return
    rows, group = _flat(torn)
    fewer = sum(len(group) - int(np.unique(view.codes[group], return_counts=True)[1].max()) for group in torn)
    share = fewer / len(view)
    yield Finding(
        fault="data.label_noise",
        severity="warning" if copies and share >= CONFLICTING and fewer >= FEW else "note",
        message="audits.duplicates.conflict",
        values={"count": fewer, "groups": len(torn), "share": share, "part": view.part, "name": view.name},
        evidence=(
            Evidence(
                name="share of rows outvoted by equal ones", value=share, threshold=CONFLICTING, source="assumption"
            ),
        ),
        remedies=(RELABEL,),
        confidence=0.9 if copies else 0.3,
        status="confirmed" if copies else "suspected",
        subject={
            "rows": view.rows[rows].tolist()[:NAMED],
            "labels": [str(material.classes[code]) if code >= 0 else "" for code in view.codes[rows]][:NAMED],
            "group": group[:NAMED],
        },
    )


def _same_words(material: Material, view: View, exact: int) -> Iterator[Finding]:
    """Texts that are equal but for case, spaces and punctuation; those equal as they stand are told of already."""
    words = [name for name in usable(material) if material.columns[name].kind == "text" and name in view.table]
    if not words:
        return
    table = {name: view.table[name] for name in usable(material) if name in view.table}
    said = {name: np.array([bare(text) for text in texts(table[name])], object) for name in words}
    groups = [group for group in groups_of(row_keys(table | said)) if any(said[name][group[0]] for name in words)]
    more = sum(len(group) - 1 for group in groups) - exact
    if more <= 0:
        return
    rows, group = _flat(groups)
    yield Finding(
        fault="data.duplicates",
        severity="note",
        message="audits.duplicates.same_words",
        values={"count": more, "exact": exact, "rows": len(view), "part": view.part, "name": view.name},
        evidence=(Evidence(name="rows equal but for case, spaces and punctuation", value=float(more), threshold=0.0),),
        remedies=(DROP,),
        status="confirmed",
        subject={"rows": view.rows[rows].tolist()[:NAMED], "group": group[:NAMED]},
    )


def _flat(groups: list[Array]) -> tuple[Array, list[int]]:
    """Places of all groups one after the other, and the number of each one's group."""
    return np.concatenate(groups), [place for place, group in enumerate(groups) for _ in group]

"""generated: the data are largely what a model made, and reach less far than the real ones.

Sees      where `lineage` names a column, a value or a mark: the share of generated rows, and their generation. Against the real rows, or
          an `older` sample: texts that repeat each other more, tails of numbers and of texts' lengths that are thinner, rare categories and rare
          words that are gone.
Matters   a model trained on what models made loses variance and tails with every generation; where real data stay beside it, it does not.
Remedies  keep all real data and add generated rows to them, never in their place; judge on real rows (advice).
Limits    silent without `lineage` and `older`: it does not guess who wrote a text. Rows without a mark count as real. Tails: exact
          tests of level 1 % for all comparisons together, repeats: another of 1 %, at rows drawn independently; an older sample of
          another place or another choice is thinner or thicker too, so without a lineage it is suspected only. A model that smooths
          (a mixture of few components, a small model of letters) makes wider rows, and its tails say nothing. Fewer than 50 rows
          are not compared.
Source    Shumailov et al., arXiv:2305.17493; Gerstgrasser et al., arXiv:2404.01413; shrinking.py, repeating.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.equal_rows import bare
from tunesmith.doctor.audits.features import texts
from tunesmith.doctor.audits.lineage import GENERATED, REAL, UNTOLD, Lineage
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.doctor.audits.repeating import repeats
from tunesmith.doctor.audits.shrinking import FEWEST, Reach, of_numbers, of_texts, of_words, significant, words
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity, Status

MOSTLY = 0.5  # share of the rows: "largely", the fault list
LEVEL = 0.01  # of the tests of tails together, and of the one of repeats
HALVED = 0.5  # of the due share of outer rows, at which it is more than a note; assumption
NAMED = 100_000
MOST = 20_000  # texts of a column on either side whose words are compared, drawn at random; assumption
WIDE = 200  # columns of an array that are compared, drawn at random; assumption
ACCUMULATE = Remedy(title="audits.generated.accumulate", safety=Safety.ADVICE)
ON_REAL = Remedy(title="audits.generated.judge_on_real", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared: rows that may be generated, and rows that are older or real."""

    newer: View
    older: View
    against: str  # "older" or "real"
    told: bool  # whether a lineage says that the newer ones are generated


@audit("generated", faults=("data.generated",), cost=PASS)
def generated(material: Material) -> Iterator[Finding]:
    lineage = material.lineage
    if lineage is None and material.older is None:
        raise Inapplicable("neither a lineage nor an older sample was named")
    if lineage is not None:
        yield from _share(material, lineage)
    sides = _sides(material, lineage)
    if sides is None:
        return
    yield from _tails(material, sides)
    yield from _copies(material, sides)


def _share(material: Material, lineage: Lineage) -> Iterator[Finding]:
    """How many rows of the source are generated."""
    view = material.whole
    origin = lineage.origin[view.rows]
    made, real, untold = (int((origin == one).sum()) for one in (GENERATED, REAL, UNTOLD))
    share = made / max(1, made + real)
    material.measured["generated"] = {"share": share, "generated": made, "real": real, "untold": untold}
    if not made:
        return
    last = None if lineage.generation is None else int(lineage.generation[view.rows].max())
    values = {"name": lineage.name, "count": made, "rows": len(view), "share": made / len(view)}
    values |= {"real": real, "untold": untold, "last": last or 1}
    yield Finding(
        fault="data.generated",
        severity="warning" if share > MOSTLY else "note",
        message="audits.generated.share" if last is None else "audits.generated.generations",
        values=values,
        evidence=(Evidence(name="share of generated rows", value=share, threshold=MOSTLY, source="fault list"),),
        remedies=(ACCUMULATE, ON_REAL),
        confidence=1.0,
        status="confirmed",
        subject={"rows": view.rows[origin == GENERATED].tolist()[:NAMED]},
    )


def _sides(material: Material, lineage: Lineage | None) -> Sides | None:
    """Generated rows against older ones, or against the real ones beside them; all rows where none is known to be generated."""
    view = material.whole
    if lineage is None or not (lineage.origin[view.rows] == GENERATED).any():
        return None if material.older is None else Sides(view, material.older, "older", False)
    origin = lineage.origin[view.rows]
    made = view.take(np.flatnonzero(origin == GENERATED))
    if material.older is not None:
        return Sides(made, material.older, "older", True)
    return Sides(made, view.take(np.flatnonzero(origin == REAL)), "real", True)


def _tails(material: Material, sides: Sides) -> Iterator[Finding]:
    found = list(_reaches(material, sides))
    material.measured["thin tails"] = {one.name: {"ratio": one.ratio, "chance": one.chance} for one in found}
    thin = significant(found, LEVEL)
    if not thin:
        return
    shown = ", ".join(f"{one.name} ({one.newer:.1%} : {one.older:.1%})" for one in thin[:5])
    severity: Severity = "warning" if thin[0].ratio <= HALVED else "note"
    yield Finding(
        fault="data.generated",
        severity=severity,
        message=f"audits.generated.tails_{sides.against}",
        values={"count": len(thin), "tests": len(found), "columns": shown, "level": LEVEL},
        evidence=tuple(
            Evidence(
                name="share of outer rows, over that of the other sample",
                value=one.ratio,
                threshold=HALVED,
                where=one.name,
            )
            for one in thin[:5]
        ),
        remedies=(ACCUMULATE,),
        confidence=0.9 if sides.told else 0.6,
        status=_status(sides),
        subject={"columns": [one.name for one in thin], "scores": [one.ratio for one in thin]},
    )


def _reaches(material: Material, sides: Sides) -> Iterator[Reach]:
    """Each column that both samples have, and a target of one column."""
    rng = material.rng("generated")
    for name, column in material.columns.items():
        dated = column.kind == "date" or name in (material.roles.get("time"), material.roles.get("group"))
        if name in sides.newer.table and name in sides.older.table and not dated:
            newer, older = sides.newer.table[name], sides.older.table[name]
            yield from (one for one in _of_column(name, column.kind, newer, older, rng) if one is not None)
    targets = sides.newer.target, sides.older.target
    if targets[0] is not None and targets[1] is not None and targets[0].ndim == targets[1].ndim == 1:
        kind = "category" if material.classed or targets[0].dtype == object else "number"
        name = material.targets[0] if material.targets else "y"
        yield from (one for one in _of_column(name, kind, *targets, rng) if one is not None)  # type: ignore[arg-type]


def _of_column(name: str, kind: str, newer: Array, older: Array, rng: np.random.Generator) -> Iterator[Reach | None]:
    if kind == "category":
        yield of_words(name, _filled(newer), _filled(older), rng)
    elif kind == "text":
        now, before = (texts(one[rng.permutation(len(one))[:MOST]]) for one in (newer, older))
        yield of_numbers(f"{name}: words", _lengths(now), _lengths(before), rng)
        yield of_texts(f"{name}: rare words", now, before, rng)
    elif kind in NUMERIC and newer.ndim == 1:
        yield of_numbers(name, newer.astype(np.float64), older.astype(np.float64), rng)
    elif kind == "array" and newer.dtype.kind in "fiu" and newer.ndim <= 2 and newer.shape[1:] == older.shape[1:]:
        flat = [one.reshape(len(one), -1).astype(np.float64) for one in (newer, older)]
        for place in np.sort(rng.permutation(flat[0].shape[1])[:WIDE]).tolist():
            yield of_numbers(f"{name}[{place}]", flat[0][:, place], flat[1][:, place], rng)


def _lengths(said: list[str]) -> Array:
    return np.array([float(len(words(text))) for text in said])


def _filled(values: Array) -> list[str]:
    return [str(value) for value in values.tolist() if value is not None and value == value]


def _copies(material: Material, sides: Sides) -> Iterator[Finding]:
    """Texts that repeat each other more than those of the other sample."""
    names = [name for name in material.words("text") if name in sides.newer.table and name in sides.older.table]
    if not names or min(len(sides.newer), len(sides.older)) < FEWEST:
        return
    said = [
        [bare(" ".join(row)) for row in zip(*(texts(view.table[name]) for name in names), strict=True)]
        for view in (sides.newer, sides.older)
    ]
    found = repeats(said[0], said[1], material.rng("generated copies"))
    material.measured["repeated texts"] = {"share": found.newer, "against": found.older, "chance": found.chance}
    if found.chance > LEVEL:
        return
    yield Finding(
        fault="data.generated",
        severity="warning",
        message=f"audits.generated.copies_{sides.against}",
        values={"rows": found.rows, "share": found.newer, "other": found.older, "chance": found.chance},
        evidence=(
            Evidence(name="share of texts that repeat another", value=found.newer, threshold=found.older),
            Evidence(name="chance of such a difference", value=found.chance, threshold=LEVEL, source="permutations"),
        ),
        remedies=(ACCUMULATE,),
        confidence=0.9 if sides.told else 0.6,
        status=_status(sides),
        subject={"columns": names},
    )


def _status(sides: Sides) -> Status:
    return "confirmed" if sides.told else "suspected"

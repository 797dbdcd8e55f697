"""human_line: a column that repeats the target's labels with differences, as a second annotator would; how far people agree.

Sees      a column of the same labels as the target that agrees with it far beyond chance (kappa) and not always.
Matters   people's agreement is the ceiling: a model that agrees with the labels more than people do has learnt one annotator's
          habits. As an input the column gives the answer away.
Remedies  leave the column out of the inputs and keep it as a second opinion (advice).
Limits    where the second annotation is named (`human`) it is taken at its word. A guess of another model looks the same as a
          person's. A column equal to the target throughout is a copy, not an opinion, and the audits of leakage tell of it. With one
          second annotator nobody knows which of the two is right.
Source    Cohen 1960; Fleiss, Cohen & Everitt 1969; kappa from 0.41 "moderate": Landis & Koch, Biometrics 33 (1977) 159, table.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.agreement import cohens_kappa, counts_of, fleiss_kappa
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.records import DataError, Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

MODERATE = 0.41  # Landis & Koch, table
FEWEST = 30  # rows with both labels; assumption
APART = Remedy(title="remedy.keep_second_opinion", safety=Safety.ADVICE)


def human_line(labels: Any, *others: Any) -> dict[str, Any]:
    """Agreement of the labels with those of one or more other annotators, (N,) each, gaps as None or NaN.

    >>> told = human_line(["a", "b", "a", "b"], ["a", "b", "a", "a"])
    >>> told["share"], told["kappa"], told["rows"]
    (0.75, 0.5, 4)
    """
    columns = [_words(labels), *(_words(each) for each in others)]
    if not others or len({len(column) for column in columns}) > 1:
        raise DataError(
            f"annotations of {[len(one) for one in columns]} rows came; expected two or more of equal length"
        )
    there = np.array([all(cell is not None for cell in row) for row in zip(*columns, strict=True)], bool)
    names = sorted({cell for column in columns for cell in column if cell is not None})
    code = {name: place for place, name in enumerate(names)}
    codes = np.array([[code.get(cell, -1) for cell in column] for column in columns], np.int64).T[there]  # type: ignore[arg-type]
    pairs = [cohens_kappa(codes[:, 0], codes[:, place]) for place in range(1, codes.shape[1])]
    found: dict[str, Any] = {
        "rows": len(codes),
        "share": float(np.mean([pair.share for pair in pairs])),
        "kappa": float(np.mean([pair.kappa for pair in pairs])),
        "interval": pairs[0].interval if len(pairs) == 1 else None,
    }
    if len(others) > 1:
        found["fleiss"] = fleiss_kappa(counts_of(codes, len(names)))
        found["each"] = [{"share": one.share, "kappa": one.kappa, "interval": one.interval} for one in pairs]
    return found


def _words(labels: Any) -> list[str | None]:
    listed: Sequence[Any] = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    return [None if cell is None or cell != cell else _word(cell) for cell in listed]


def _word(cell: Any) -> str:
    whole = isinstance(cell, bool | int | float) and float(cell) == int(cell)
    return str(int(cell)) if whole else str(cell)


@audit("human_line", faults=("data.label_noise",), cost=PASS)
def second_annotations(material: Material) -> Iterator[Finding]:
    material.need_target("binary", "multiclass")
    if not material.classed or material.whole.target is None:
        raise Inapplicable("the target has no classes")
    target = material.whole.target
    names = set(_words(material.classes))
    if material.whole.human is not None:
        name = material.roles.get("human", "human")
        told = human_line(target, material.whole.human)
        material.measured["human"] = {"column": name, **told}
        yield _told(material, name, target, material.whole.human, told)
        return
    material.need_form("table")
    for name in (*material.words("category"), *material.numeric()):
        second = material.whole.table[name]
        if not _same_labels(second, names):
            continue
        told = human_line(target, second)
        if told["rows"] >= FEWEST and told["kappa"] >= MODERATE and told["share"] < 1.0:
            material.measured["human"] = {"column": name, **told}
            yield _told(material, name, target, second, told)


def _same_labels(second: Array, names: set[str | None]) -> bool:
    """Whether a column holds the classes of the target and no others, nearly all of them."""
    levels = set(_words(np.unique(second[_filled(second)])))
    return len(levels) >= 2 and levels <= names and len(levels) >= 0.5 * len(names)


def _filled(values: Array) -> Array:
    if values.dtype.kind == "f":
        return np.isfinite(values)
    return np.fromiter((value is not None for value in values), bool, len(values))


def _told(material: Material, name: str, target: Array, second: Array, told: dict[str, Any]) -> Finding:
    one, other = _words(target), _words(second)
    apart = [
        place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a is not None and b is not None and a != b
    ]
    low, high = told["interval"]
    return Finding(
        fault="data.label_noise",
        severity="note",
        message="audits.human_line_given" if material.whole.human is second else "audits.human_line",
        values={
            "column": name,
            "share": told["share"],
            "kappa": told["kappa"],
            "low": low,
            "high": high,
            "rows": told["rows"],
        },
        evidence=(
            Evidence(name="Cohen's kappa", value=told["kappa"], threshold=MODERATE, source="Landis & Koch 1977"),
        ),
        remedies=() if material.whole.human is second else (APART,),
        confidence=0.9 if material.whole.human is second else 0.5,
        subject={"columns": [name], "rows": material.whole.rows[apart[:100_000]].tolist()},
    )

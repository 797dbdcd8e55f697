"""leakage_identifier: a row number or an identifier tells the target, because rows or numbers were given by class.

Sees      columns of different whole numbers without large holes, columns that count with the rows, and identifiers (their digits, their
          first letters): their power on the target out of sample, beside that of the place in the file.
Matters   the model learns the order of the file; new rows have other numbers.
Remedies  leave the column out (advice).
Limits    identifiers that no model will see, and the order of the file itself, are a note. Numbers as targets: a note, since a counter may
          be a measured time. Dates and the column of time belong to `future_leak`.
Source    Kaufman et al., Leakage in Data Mining, ACM TKDD 6 (2012), section 2: identifiers that betray the target.
"""

import re
from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, goals_of, inputs_of, matrix
from tunesmith.doctor.audits.leakage_rest import drop
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import binned, folds_of, of_bins
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable

FEWEST = 100  # rows
TELLS = 0.3  # power from which a number tells the target; assumption
CERTAIN = 0.95  # power that is the target itself; assumption
DENSE = 2.0  # range of a counter by its rows; assumption
ROWS_A_BIN = 20  # assumption
DIGITS = re.compile(r"(\d+)\D*$")


@audit("leakage_identifier", faults=("data.leakage",), cost=PASS)
def leakage_identifier(material: Material) -> Iterator[Finding]:
    goals = goals_of(material)
    if len(goals) > 1:
        raise Inapplicable("there are several targets")
    goal = goals[0]
    known = ~np.isnan(goal.values)
    if known.sum() < FEWEST or len(np.unique(goal.values[known])) < 2:
        raise Inapplicable(f"fewer than {FEWEST} rows with a target that changes")
    target, classes = goal.values[known], len(goal.classes)
    folds = folds_of(len(target), material.rng("leakage_identifier"))
    bins = min(64, len(target) // ROWS_A_BIN)
    place = of_bins(binned(np.flatnonzero(known).astype(np.float64), bins), target, classes, folds)
    for name, values in _counters(material, known):
        power = of_bins(binned(values, bins), target, classes, folds)
        if power >= TELLS:
            yield _finding(material, goal, name, power, place, used=True)
    for name in material.words("identifier"):
        power = max(
            of_bins(codes, target, classes, folds) for codes in _of_words(material.whole.table[name][known], bins)
        )
        if power >= TELLS:
            yield _finding(material, goal, name, power, place, used=False)


def _counters(material: Material, known: Array) -> Iterator[tuple[str, Array]]:
    """Inputs that are numbers of rows: all different and whole, dense or in the order of the file."""
    inputs = [one for one in inputs_of(material) if not one.levels]
    if len(inputs) < 2:
        return
    taken = {name for role, name in material.roles.items()}
    for one in inputs:
        if one.column in taken or (one.place < 0 and material.columns[one.column].kind == "date"):
            continue
        first = matrix([one], material.whole, np.flatnonzero(known)[:200])[:, 0]
        if np.isnan(first).any() or (first != np.round(first)).any() or len(np.unique(first)) < len(first):
            continue
        values = matrix([one], material.whole, np.flatnonzero(known))[:, 0]
        if np.isnan(values).any() or (values != np.round(values)).any() or len(np.unique(values)) < len(values):
            continue
        dense = values.max() - values.min() + 1 <= DENSE * len(values)
        ordered = bool((np.diff(values) > 0).all() or (np.diff(values) < 0).all())
        if dense or ordered:
            yield one.name, values


def _of_words(values: Array, bins: int) -> Iterator[Array]:
    """The digits at the end and the letters before them, as levels."""
    if values.dtype != object:
        yield binned(values.astype(np.float64), bins)
        return
    words = ["" if value is None else str(value) for value in values.tolist()]
    found = [DIGITS.search(word) for word in words]
    numbers = np.array([float(one.group(1)) if one and len(one.group(1)) < 16 else np.nan for one in found])
    yield binned(numbers, bins)
    heads = [word[: one.start()] if one else word for word, one in zip(words, found, strict=True)]
    codes = np.unique(np.array(heads), return_inverse=True)[1].reshape(-1)
    yield codes if codes.max() < len(words) / ROWS_A_BIN else np.zeros(len(words), np.int64)


def _finding(material: Material, goal: Goal, name: str, power: float, place: float, used: bool) -> Finding:
    severity = "warning" if used and goal.classes and power >= 0.5 else "note"
    values = {"column": name, "target": goal.name, "power": power, "place": max(0.0, place)}
    return Finding(
        fault="data.leakage",
        severity="error" if severity == "warning" and power >= CERTAIN else severity,  # type: ignore[arg-type]
        message="leakage.identifier" if used else "leakage.identifier_unused",
        values=values,
        evidence=(
            Evidence(name="power of the column alone", value=power, threshold=TELLS, where=name),
            Evidence(name="power of the place in the file", value=place),
        ),
        remedies=(drop([name]),) if used else (),
        confidence=0.8,
        subject={"columns": [name]},
    )

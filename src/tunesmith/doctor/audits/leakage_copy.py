"""leakage_copy: a column is the target: equal, written in other words or units, or equal up to a little noise.

Sees      each input against the target, on all rows: the same values; one level a class, or one class a level; numbers that are a line or a
          smooth function of the target to within 0.1 % of its variance; a threshold that divides the classes without a mistake; a level
          that is one class exactly.
Matters   the score of such a model is nearly perfect and means nothing: the column will not exist when the model is used.
Remedies  leave the column out (advice: only a person knows whether it exists in time).
Limits    a task whose other inputs tell as much is an easy one, and nothing is said. Where there is one input only, or where the
          arrays hold nothing else that tells anything (a made-up task), a function of an input is the task itself: a note.
Source    deepchecks, FeatureLabelCorrelation, warns at a power of 0.7; here the power of the other inputs is set beside it. Noise of
          neighbours: Rice, Annals of Statistics 12 (1984), eq. 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, goals_of, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.leakage_rest import drop, rest_power
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import FEWEST, binned, folds_of, of_bins, smooth_power
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS
from tunesmith.records.finding import Severity

LOOK = 4000  # rows on which inputs are chosen that are then compared on all rows; assumption
PROMISING = 0.6  # power from which an input is compared on all rows; assumption, far below what a copy has
NOISE = 1e-3  # share of the target's variance that a copy may leave: 3 % noise; assumption
ROUNDING = 1e-6  # the same for numbers that were rounded to three digits; assumption
MISTAKES = 0.002  # share of rows in which a copy of classes may differ; assumption
EASY = 0.95  # power of the other inputs from which the task is an easy one; assumption
NOTHING = 0.05  # power of the other inputs below which they tell nothing; assumption
FEW_LEVELS = 64  # levels that are counted against classes; assumption
ROWS_A_LEVEL = 30  # rows on average that a level needs for its class to mean anything; assumption

How = Literal["equal", "line", "recoded", "function", "determined", "threshold", "one_class"]


@dataclass(frozen=True, slots=True)
class Copy:
    """How one input tells a target, and how much is left untold."""

    input: Input
    how: How
    left: float  # share of variance, or of rows with another class
    rows: int
    label: str = ""  # the class it is, for `one_class`


@audit("leakage_copy", faults=("data.leakage",), cost=PASS)
def leakage_copy(material: Material) -> Iterator[Finding]:
    goals, found = goals_of(material), found_copies(material)
    suspects = copied(material)
    for goal in goals:
        for copy in found[goal.name]:
            rest, count = rest_power(material, goal, suspects)
            severity = _severity(material, copy, rest, count)
            if severity is not None:
                yield _finding(goal, copy, severity, rest, count)


def found_copies(material: Material) -> dict[str, list[Copy]]:
    """Copies by target; none where most targets are among the inputs, as an autoencoder has it."""

    def make() -> dict[str, list[Copy]]:
        goals, inputs = goals_of(material), inputs_of(material)
        found = {goal.name: list(_copies(material, goal, inputs, len(goals))) for goal in goals}
        many = len(goals) > 1 and sum(bool(copies) for copies in found.values()) > len(goals) / 2
        return {goal.name: [] for goal in goals} if many else found

    return material.kept("leakage copies", make)


def copied(material: Material) -> set[str]:
    """Names of the inputs that are copies of a target."""
    return {copy.input.name for copies in found_copies(material).values() for copy in copies}


def _severity(material: Material, copy: Copy, rest: float, count: int) -> Severity | None:
    if count == 0:
        return "note"
    if copy.how == "equal":
        return "error"
    if rest >= EASY:
        return None
    if material.form == "arrays" and rest < NOTHING:
        return "note"
    return "error" if copy.how in ("line", "recoded", "one_class") else "warning"


def _finding(goal: Goal, copy: Copy, severity: Severity, rest: float, count: int) -> Finding:
    name = copy.input.name
    values = {"column": name, "target": goal.name, "left": copy.left, "rows": copy.rows, "rest": max(0.0, rest)}
    values |= {"label": copy.label, "others": count}
    bound = MISTAKES if goal.classes else NOISE
    told = "share of rows with another class" if goal.classes else "share of variance left"
    seen = (
        Evidence(name=told, value=copy.left, threshold=bound, where=name),
        Evidence(name="power of the other inputs", value=rest, threshold=EASY, where=goal.name),
    )
    return Finding(
        fault="data.leakage",
        severity=severity,
        message=f"leakage.copy_{copy.how}",
        values=values,
        evidence=seen,
        remedies=(drop([name]),),
        confidence=0.99 if copy.how == "equal" else 0.9,
        status="confirmed" if severity == "error" else "suspected",
        subject={"columns": [name]},
    )


def _copies(material: Material, goal: Goal, inputs: list[Input], goals: int) -> Iterator[Copy]:
    known = ~np.isnan(goal.values)
    if known.sum() < FEWEST or len(np.unique(goal.values[known])) < 2:
        return
    rows = some_rows(material, LOOK, "leakage_copy", known)
    numbers = matrix(inputs, material.whole, rows)
    promising = _promising(numbers, goal.values[rows], len(goal.classes), material, goals)
    for place in promising:
        one = inputs[place]
        values = matrix([one], material.whole)[:, 0]
        both = known & ~np.isnan(values)
        if both.sum() < max(FEWEST, 0.5 * known.sum()):
            continue
        v, y = values[both], goal.values[both]
        found = _as_class(one, v, y, goal.classes) if goal.classes else _as_number(one, v, y, material)
        if found is not None and (goals == 1 or found.how in ("equal", "line")):
            yield found


def _promising(numbers: Array, target: Array, classes: int, material: Material, goals: int) -> list[int]:
    """Places of inputs that may be copies, seen on some rows."""
    if goals > 1:
        return [place for place in range(numbers.shape[1]) if _correlation(numbers[:, place], target) > 0.99]
    folds = folds_of(len(target), material.rng("leakage_copy folds"))
    chosen = []
    for place in range(numbers.shape[1]):
        codes = binned(numbers[:, place])
        gaps = codes == 0
        if gaps.mean() > 0.5 or (codes.max() < 2 and not gaps.any()):
            continue
        if of_bins(codes, target, classes, folds) > PROMISING or (classes > 2 and _one_class(codes, target, classes)):
            chosen.append(place)
    return chosen


def _correlation(values: Array, target: Array) -> float:
    both = ~np.isnan(values)
    v, y = values[both], target[both]
    if len(v) < FEWEST or v.std() == 0 or y.std() == 0:
        return 0.0
    return abs(float(np.corrcoef(v, y)[0, 1]))


def _one_class(codes: Array, target: Array, classes: int) -> tuple[int, int, float] | None:
    """A level that is one class, exactly or nearly: (level, class, share of its rows that differ)."""
    if codes.max() > FEW_LEVELS:
        return None
    width = int(codes.max()) + 1
    table = np.bincount(codes * classes + target.astype(np.int64), minlength=width * classes).reshape(width, classes)
    union = table.sum(1)[:, None] + table.sum(0)[None, :] - table
    alike = table / np.maximum(1, union)
    level, label = np.unravel_index(int(alike.argmax()), alike.shape)
    enough = table[level, label] >= FEWEST / 3
    return (int(level), int(label), 1 - float(alike[level, label])) if enough and alike.max() >= 0.99 else None


def _as_class(one: Input, v: Array, y: Array, classes: tuple[str, ...]) -> Copy | None:
    equal = _same_words(one, v, y, classes)
    if equal <= MISTAKES:
        return Copy(one, "equal", equal, len(y))
    levels, codes = np.unique(v, return_inverse=True)
    code = y.astype(np.int64)
    if len(levels) <= FEW_LEVELS:
        table = np.bincount(codes * len(classes) + code, minlength=len(levels) * len(classes))
        table = table.reshape(len(levels), len(classes))
        wrong = 1 - float(table.max(1).sum()) / len(y)
        present = int((table.sum(0) > 0).sum())
        if wrong <= MISTAKES and len(y) >= ROWS_A_LEVEL * len(levels) / 3:
            recoded = len(levels) == present
            if recoded or len(y) >= ROWS_A_LEVEL * len(levels):
                return Copy(one, "recoded" if recoded else "determined", wrong, len(y))
        single = _one_class(codes, y, len(classes)) if len(classes) > 2 else None
        return None if single is None else Copy(one, "one_class", single[2], len(y), classes[single[1]])
    wrong = _mistakes_of_thresholds(v, code)
    return Copy(one, "threshold", wrong, len(y)) if wrong <= MISTAKES and len(y) >= 100 else None


def _same_words(one: Input, v: Array, y: Array, classes: tuple[str, ...]) -> float:
    """Share of rows in which the words or numbers of the input are not those of the class."""
    if one.levels:
        folded = {label.casefold().strip(): code for code, label in enumerate(classes)}
        codes = np.array([folded.get(level.casefold().strip(), -1) for level in one.levels])
        return float((codes[v.astype(np.int64)] != y).mean())
    numbers = np.array([_number(label) for label in classes])
    return float((numbers[y.astype(np.int64)] != v).mean())


def _number(label: str) -> float:
    try:
        return float({"True": "1", "False": "0"}.get(label, label))
    except ValueError:
        return float("nan")


def _mistakes_of_thresholds(v: Array, code: Array) -> float:
    """Share of rows beyond one run of each class, along the order of the values; equal values of two classes are mistakes."""
    order = np.lexsort((code, v))
    changes = int((np.diff(code[order]) != 0).sum())
    return max(0, changes - (len(np.unique(code)) - 1)) / 2 / len(v)


def _as_number(one: Input, v: Array, y: Array, material: Material) -> Copy | None:
    spread = float(y.var())
    if not one.levels:
        if _left((v - y) ** 2, y) <= ROUNDING:
            return Copy(one, "equal", _left((v - y) ** 2, y), len(y))
        left = _left(_line_residuals(v, y), y)
        if left <= NOISE:
            return Copy(one, "line", left, len(y))
    levels, codes = np.unique(v, return_inverse=True)
    if len(levels) > FEW_LEVELS and not one.levels:
        left = 1 - smooth_power(v, y, material.rng("leakage_copy neighbours"))
        return Copy(one, "function", max(0.0, left), len(y)) if left <= NOISE else None
    if len(y) < ROWS_A_LEVEL * len(levels):
        return None
    means = np.bincount(codes, y) / np.bincount(codes)
    left = float(((y - means[codes]) ** 2).mean()) / spread
    return Copy(one, "determined", left, len(y)) if left <= NOISE else None


def _line_residuals(v: Array, y: Array) -> Array:
    """Squared residuals of the line through the rows that fit it best, two rounds."""
    fitting = np.ones(len(v), bool)
    residuals = (y - y.mean()) ** 2
    for _ in range(2):
        centre = v[fitting].mean()
        spread = float(v[fitting].var())
        if spread == 0:
            return np.asarray(residuals)
        slope = float(((v[fitting] - centre) * (y[fitting] - y[fitting].mean())).mean()) / spread
        residuals = (y - y[fitting].mean() - slope * (v - centre)) ** 2
        fitting = residuals <= np.quantile(residuals, 0.95)
    return np.asarray(residuals)


def _left(squares: Array, y: Array) -> float:
    """Share of the variance that is left in all but the worst 1 % of rows: cells changed by hand hide no copy."""
    kept = squares <= np.partition(squares, int(0.99 * (len(squares) - 1)))[int(0.99 * (len(squares) - 1))]
    spread = float(y[kept].var())
    return float(squares[kept].mean()) / spread if spread > 0 else 1.0

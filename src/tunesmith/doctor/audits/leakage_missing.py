"""leakage_missing: whether a cell is filled tells the target, as in columns that are filled in after the outcome.

Sees      the classes of rows with an empty cell against those of rows with a filled one (numbers: their means), column by column.
Matters   what is written down only when something has happened is not there when it is to be foretold.
Remedies  find out when the column is filled in; leave it out if that is after the target (advice).
Limits    gaps that are empty cells or NaN; words and codes for a gap are told of by `sentinel_values`. A weaker tie than a column that is
          filled for one class only is a note: that data are missing often means something.
Source    Kaufman et al., Leakage in Data Mining, ACM TKDD 6 (2012), section 2; informedness: Youden, Cancer 3 (1950).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.columns import missing_in
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, goals_of
from tunesmith.doctor.audits.leakage_rest import drop, rest_power
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

FEWEST = 30  # rows on either side; assumption
TELLS = 0.9  # informedness of a gap that is the class itself; assumption
EXACT = 0.995
EASY = 0.95  # power of the other inputs from which the task is an easy one; assumption
WORTH_A_NOTE = 0.2  # Cramér's V, or the square root of the share of variance; assumption
CHANCE = 1e-9  # of a column filled for one class only; assumption, far below 1 / number of columns
WIDEST = 2000  # places of an array; assumption


@audit("leakage_missing", faults=("data.leakage", "data.missing"), cost=PASS)
def leakage_missing(material: Material) -> Iterator[Finding]:
    goals = goals_of(material)
    if len(goals) > 1:
        raise Inapplicable("there are several targets")
    goal = goals[0]
    known = ~np.isnan(goal.values)
    target = goal.values[known]
    for name, gaps in _gaps(material):
        gone = gaps[known]
        if min(gone.sum(), (~gone).sum()) < FEWEST or target.std() == 0:
            continue
        finding = (
            _of_classes(material, goal, name, gone, target) if goal.classes else _of_numbers(goal, name, gone, target)
        )
        if finding is not None:
            yield finding


def _gaps(material: Material) -> Iterator[tuple[str, Array]]:
    view = material.whole
    for name, values in view.table.items():
        if values.dtype.kind not in "fO" or material.columns[name].kind in ("picture", "identifier", "dropped"):
            continue
        flat = values.reshape(len(values), -1)
        if flat.shape[1] > WIDEST:
            continue
        for place in range(flat.shape[1]):
            gaps = np.asarray(missing_in(flat[:, place]))
            if gaps.any():
                yield (name if values.ndim == 1 else f"{name}[{place}]"), gaps


def _of_classes(material: Material, goal: Goal, name: str, gone: Array, target: Array) -> Finding | None:
    code = target.astype(np.int64)
    table = np.stack(
        [np.bincount(code[gone], minlength=len(goal.classes)), np.bincount(code[~gone], minlength=len(goal.classes))]
    )
    shares = table / table.sum(0).clip(1)
    filled_in_class = shares[1]  # share of rows of each class that are filled
    others = (table[1].sum() - table[1]) / (table.sum() - table.sum(0)).clip(1)
    informed = filled_in_class - others
    strength = float(np.abs(informed).max())
    label = int(informed.argmax() if informed.max() >= 0.999 * strength else informed.argmin())
    pure = int(table[1].argmax())
    purity = table[1][pure] / table[1].sum()
    base = float(table[:, pure].sum() / table.sum())
    unlikely = base ** float(table[1].sum())
    severity: Severity = "note"
    if strength >= TELLS or (purity == 1 and unlikely < CHANCE):
        rest, _ = rest_power(material, goal, [name])
        if strength >= TELLS and rest < EASY:
            severity = "error" if strength >= EXACT and min(table[0].sum(), table[1].sum()) >= 100 else "warning"
        elif purity == 1 and rest < EASY:
            severity, label = "warning", pure
    if severity == "note" and _cramer(table) < WORTH_A_NOTE:
        return None
    values = {"column": name, "target": goal.name, "label": goal.classes[label], "rows": int((~gone).sum())}
    values |= {"gone": float(table[0][label] / table[0].sum()), "filled": float(table[1][label] / table[1].sum())}
    return _finding(name, severity, "leakage.missing", values, ("informedness of the gap", strength, TELLS))


def _cramer(table: Array) -> float:
    table = table[:, table.sum(0) > 0]
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum()))


def _of_numbers(goal: Goal, name: str, gone: Array, target: Array) -> Finding | None:
    between = gone.mean() * (~gone).mean() * (target[gone].mean() - target[~gone].mean()) ** 2 / target.var()
    if between < WORTH_A_NOTE**2:
        return None
    values = {"column": name, "target": goal.name, "gone": float(target[gone].mean()), "share": float(between)}
    values |= {"filled": float(target[~gone].mean()), "rows": int((~gone).sum())}
    severity: Severity = "warning" if between >= TELLS else "note"
    return _finding(
        name,
        severity,
        "leakage.missing_numbers",
        values,
        ("share of variance between gaps and the rest", float(between), TELLS),
    )


def _finding(
    name: str, severity: Severity, message: str, values: dict[str, object], told: tuple[str, float, float]
) -> Finding:
    return Finding(
        fault="data.missing" if severity == "note" else "data.leakage",
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name=told[0], value=told[1], threshold=told[2], where=name),),
        remedies=() if severity == "note" else (drop([name]),),
        confidence=0.8,
        subject={"columns": [name]},
    )

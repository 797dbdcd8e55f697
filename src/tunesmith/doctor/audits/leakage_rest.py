"""What all inputs but a few tell about a target together: a leak stands out against it, an honest strong input does not."""

from collections.abc import Iterable

import numpy as np

from tunesmith.doctor.audits.leakage_inputs import Goal, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import FEWEST, folds_of, together
from tunesmith.records import Remedy, Safety

ROWS = 6000  # rows that a fast model is fitted and judged on; assumption
WIDE = 300  # inputs that the fast model sees, drawn at random where there are more; assumption


def rest_power(material: Material, goal: Goal, left_out: Iterable[str]) -> tuple[float, int]:
    """Power of the inputs that are not named, out of sample, and how many they are. (0, n) where it cannot be measured."""
    out = frozenset(left_out)
    key = f"leakage rest {goal.name} {sorted(out)}"
    found: tuple[float, int] = material.kept(key, lambda: _measured(material, goal, out))
    return found


def _measured(material: Material, goal: Goal, out: frozenset[str]) -> tuple[float, int]:
    inputs = [one for one in inputs_of(material) if one.name not in out]
    count = len(inputs)
    if not count:
        return 0.0, 0
    rng = material.rng("leakage rest")
    if count > WIDE:
        inputs = [inputs[place] for place in np.sort(rng.choice(count, WIDE, replace=False))]
    rows = some_rows(material, ROWS, "leakage rest rows", ~np.isnan(goal.values))
    target = goal.values[rows]
    if len(rows) < FEWEST or len(np.unique(target)) < 2:
        return 0.0, count
    numbers = matrix(inputs, material.whole, rows)
    classes = len(goal.classes)
    return together(numbers, target, classes, folds_of(len(rows), rng), material.seed, once=True).power, count


def drop(columns: Iterable[str]) -> Remedy:
    """Leave these columns out: only a person knows whether they exist when the model is used."""
    names = ", ".join(columns)
    return Remedy(title="leakage.drop", safety=Safety.ADVICE, values={"columns": names})

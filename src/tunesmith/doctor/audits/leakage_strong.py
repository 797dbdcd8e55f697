"""leakage_strong: one column alone tells nearly all that is to be known of the target, and all others together far less.

Sees      the power of each input alone in rows that were not looked at (share of the target's entropy or variance that it explains),
          beside the power of a fast model on all the others.
Matters   a value that is written down with the outcome, or after it, looks like this; so does a copy of the target with noise.
Remedies  find out when the column is filled in; leave it out if that is after the target (advice).
Limits    an honest measurement may be this strong: suspected, never an error. Columns that hold earlier targets of a table in the order
          of time are left out, copies and parts of the target are told of by `leakage_copy` and `leakage_sum`. Where the others tell nothing
          at all in arrays, a note: made-up tasks are like that.
Source    power: McFadden (1974), R² out of sample; deepchecks (FeatureLabelCorrelation) warns above 0.7 of the predictive power score
          whatever the other columns tell, which honest columns reach.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.future_lags import lags_of
from tunesmith.doctor.audits.leakage_copy import copied
from tunesmith.doctor.audits.leakage_inputs import Goal, goals_of, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.leakage_rest import drop, rest_power
from tunesmith.doctor.audits.leakage_sum import summed
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import BINS, powers, smooth_power
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable

LOOK = 6000  # rows; assumption
STRONG = 0.85  # power from which a column is held against the others; assumption, above honest columns of the data we measured
TIMES = 4.0  # how many times more the others leave untold; assumption
EASY = 0.9  # power of the others from which the task is an easy one; assumption
NOTHING = 0.05  # power of the others below which they tell nothing; assumption
FEWEST = 100  # rows


@audit("leakage_strong", faults=("data.leakage",), cost=PASS)
def leakage_strong(material: Material) -> Iterator[Finding]:
    goals = goals_of(material)
    if len(goals) > 1:
        raise Inapplicable("there are several targets")
    goal, inputs = goals[0], inputs_of(material)
    rows = some_rows(material, LOOK, "leakage_strong", ~np.isnan(goal.values))
    if len(rows) < FEWEST or len(inputs) < 2:
        raise Inapplicable(f"fewer than {FEWEST} rows with a target, or a single input")
    target = goal.values[rows]
    if len(np.unique(target)) < 2:
        raise Inapplicable("the target never changes")
    numbers = matrix(inputs, material.whole, rows)
    alone = powers(numbers, target, len(goal.classes), material.rng("leakage_strong folds"))
    if not goal.classes:
        alone = np.maximum(alone, [_smooth(numbers[:, place], target, material) for place in range(len(inputs))])
    told = copied(material) | summed(material)
    strong = [place for place in np.flatnonzero(alone > STRONG) if inputs[place].name not in told]
    if not strong or len(strong) > max(3, len(inputs) // 4):
        return
    names = [inputs[place].name for place in strong]
    rest, others = rest_power(material, goal, {*names, *told})
    for place in strong:
        power = float(alone[place])
        if others and rest <= EASY and 1 - rest >= TIMES * (1 - power) and not _earlier(material, goal, inputs[place]):
            yield _finding(material, goal, inputs[place].name, power, rest, others)


def _smooth(values: Array, target: Array, material: Material) -> float:
    """Power of a number by its neighbours, finer than bins; 0 where it has gaps or few values."""
    present = ~np.isnan(values)
    if present.mean() < 0.95 or len(np.unique(values[present])) <= BINS:
        return 0.0
    return smooth_power(values[present], target[present], material.rng("leakage_strong neighbours"))


def _earlier(material: Material, goal: Goal, one: object) -> bool:
    return any(lag < 0 for lag in lags_of(material, goal, [one]).values())  # type: ignore[list-item]


def _finding(material: Material, goal: Goal, name: str, power: float, rest: float, others: int) -> Finding:
    toy = material.form == "arrays" and rest < NOTHING
    values = {"column": name, "target": goal.name, "power": power, "rest": max(0.0, rest), "others": others}
    return Finding(
        fault="data.leakage",
        severity="note" if toy else "warning",
        message="leakage.strong",
        values=values,
        evidence=(
            Evidence(name="power of the column alone", value=power, threshold=STRONG, where=name),
            Evidence(name="power of the other inputs", value=rest, threshold=EASY, where=goal.name),
        ),
        remedies=(drop([name]),),
        confidence=0.7,
        subject={"columns": [name]},
    )

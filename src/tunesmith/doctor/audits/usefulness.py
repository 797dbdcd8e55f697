"""usefulness: what each column tells of the target, alone and beside the others. Measures; a note where most tell nothing.

Sees      the power of each input alone in rows that were not looked at, and by how much a fast model gets worse when the input is shuffled.
Matters   shows which columns a model lives on, and which it could do without.
Remedies  none: numbers for the report, in `measured["usefulness"]`.
Limits    columns that serve as group, time or weight are no inputs. An input that tells something only together with another has power 0
          alone; inputs that say the same share their importance.
Source    power: McFadden (1974), out of sample; importance by permutation: Breiman, Machine Learning 45 (2001), section 10.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, goals_of, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.doctor.audits.usefulness_power import blind_losses, fast_model, folds_of, powers, row_losses
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable

LOOK = 6000  # rows; assumption
FEWEST = 100  # rows
WIDE = 100  # inputs whose importance is measured; assumption
ERRORS = 3.0  # standard errors above nothing
USELESS = 0.8  # share of inputs that tell nothing which is worth a note; assumption
FEWEST_INPUTS = 5


@audit("usefulness", faults=("data.poor_features",), cost=PASS)
def usefulness(material: Material) -> Iterator[Finding]:
    goals, taken = goals_of(material), set(material.roles.values())
    inputs = [one for one in inputs_of(material) if one.column not in taken]
    if not inputs:
        raise Inapplicable("no column is an input: all that are numbers or categories serve as group, time or weight")
    if len(goals) > 1:
        raise Inapplicable("there are several targets")
    goal = goals[0]
    rows = some_rows(material, LOOK, "usefulness", ~np.isnan(goal.values))
    if len(rows) < FEWEST or len(np.unique(goal.values[rows])) < 2:
        raise Inapplicable(f"fewer than {FEWEST} rows with a target that changes")
    numbers, target = matrix(inputs, material.whole, rows), goal.values[rows]
    alone = powers(numbers, target, len(goal.classes), material.rng("usefulness alone"))
    chosen = np.sort(np.argsort(-alone, kind="stable")[:WIDE])
    importance, error = _importance(numbers[:, chosen], target, goal, material)
    told: dict[str, dict[str, float]] = {one.name: {"power": float(alone[place])} for place, one in enumerate(inputs)}
    for place, of, spread in zip(chosen.tolist(), importance.tolist(), error.tolist(), strict=True):
        told[inputs[place].name] |= {"importance": of, "error": spread}
    material.measured["usefulness"] = told
    useless = [
        one.name
        for one in inputs
        if told[one.name].get("importance", 0.0) <= ERRORS * told[one.name].get("error", 0.0)
        and told[one.name]["power"] <= 0.001
    ]
    if len(inputs) >= FEWEST_INPUTS and USELESS * len(inputs) <= len(useless) < len(inputs):
        yield _finding(goal, useless, len(inputs), rows)


def _importance(numbers: Array, target: Array, goal: Goal, material: Material) -> tuple[Array, Array]:
    """Loss that shuffling each input adds, as a share of what is unknown, and its standard error."""
    rng = material.rng("usefulness importance")
    out = folds_of(len(target), rng) == 0
    classes = len(goal.classes)
    with one_thread():
        model = fast_model(classes, material.seed).fit(numbers[~out], target[~out])
        judged, truth = numbers[out][:1500], target[out][:1500]
        level = max(float(blind_losses(truth, target[~out], classes).mean()), 1e-12)
        before = row_losses(model, judged, truth, classes)
        made, error = np.zeros(numbers.shape[1]), np.zeros(numbers.shape[1])
        for place in range(numbers.shape[1]):
            shuffled = judged.copy()
            shuffled[:, place] = rng.permutation(shuffled[:, place])
            added = (row_losses(model, shuffled, truth, classes) - before) / level
            made[place], error[place] = added.mean(), added.std() / np.sqrt(len(added))
    return made, error


def _finding(goal: Goal, useless: list[str], count: int, rows: Array) -> Finding:
    values = {
        "count": len(useless),
        "inputs": count,
        "target": goal.name,
        "rows": len(rows),
        "first": ", ".join(useless[:5]),
    }
    return Finding(
        fault="data.poor_features",
        severity="note",
        message="usefulness.little",
        values=values,
        evidence=(Evidence(name="inputs that tell nothing", value=float(len(useless)), threshold=USELESS * count),),
        confidence=0.7,
        subject={"columns": useless},
    )

"""poor_features: the columns that tell something drown in those that do not: a few, chosen, are clearly better than all.

Sees      a linear model and the nearest neighbours on all inputs, and on those whose power alone stands out, chosen anew within the training
          rows of each fold; both must be better on the few, and their mean clearly, on rows that were not looked at.
Matters   each useless input adds noise to every weight: with few rows a network learns it by heart.
Remedies  leave the useless inputs out, or regularise (advice).
Limits    selection only: that other forms of the inputs (ratios, logarithms) would be better is not tried, since a network makes its own.
          Inputs that tell something only together are not chosen, and then nothing is said.
Source    fault list, data.poor_features; choosing within folds: Ambroise & McLachlan, PNAS 99 (2002).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import goals_of, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.doctor.audits.usefulness_power import binned, blind_losses, folds_of, of_bins, row_losses
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import DEAR, Inapplicable

LOOK = 2000  # rows; assumption
FEWEST = 100  # rows
INPUTS = 10  # below which nothing drowns; assumption
WIDEST = 2000
FOLDS = 3
BINS = 5  # assumption
FEW = 0.34  # share of inputs that is chosen at most for the others to be called useless; assumption
GAIN = 0.05  # of power, for either model; assumption
MEAN_GAIN = 0.15  # and for both on average; assumption: a few useless inputs among many are usual
ERRORS = 3.0  # standard errors of the gain
NEIGHBOURS = 15  # assumption
CHOOSE = Remedy(title="usefulness.choose", safety=Safety.ADVICE)


@audit("poor_features", faults=("data.poor_features",), cost=DEAR)
def poor_features(material: Material) -> Iterator[Finding]:
    goals, inputs = goals_of(material), inputs_of(material)
    if len(goals) > 1 or not INPUTS <= len(inputs) <= WIDEST:
        raise Inapplicable(f"one target and {INPUTS} to {WIDEST} inputs are looked at")
    goal = goals[0]
    rows = some_rows(material, LOOK, "poor_features", ~np.isnan(goal.values))
    target, classes = goal.values[rows], len(goal.classes)
    if len(rows) < FEWEST or len(np.unique(target)) < 2:
        raise Inapplicable(f"fewer than {FEWEST} rows with a target that changes")
    numbers = matrix(inputs, material.whole, rows)
    alone = _alone(numbers, target, classes, material.rng("poor_features"))
    few = _standing_out(alone)
    if not len(few) or len(few) > FEW * len(inputs):
        return
    with one_thread():
        losses = _judged(numbers, target, classes, material)
    gains = [losses[f"{name} all"] - losses[f"{name} few"] for name in ("line", "neighbours")]
    both = (gains[0] + gains[1]) / 2
    if min(gain.mean() for gain in gains) > GAIN and both.mean() > max(
        MEAN_GAIN, ERRORS * both.std() / np.sqrt(len(both))
    ):
        names = [inputs[place].name for place in few]
        values = {"count": len(names), "inputs": len(inputs), "target": goal.name, "first": ", ".join(names[:5])}
        values |= {name.replace(" ", "_"): 1 - float(one.mean()) for name, one in losses.items()}
        yield Finding(
            fault="data.poor_features",
            severity="warning",
            message="usefulness.drowned",
            values=values,
            evidence=tuple(
                Evidence(name=f"power, {name}", value=1 - float(one.mean())) for name, one in losses.items()
            ),
            remedies=(CHOOSE,),
            confidence=0.7,
            subject={"columns": names},
        )


def _alone(numbers: Array, target: Array, classes: int, rng: np.random.Generator) -> Array:
    """Power of each input in few bins: coarse, and hardly disturbed by chance."""
    folds = folds_of(len(target), rng)
    columns = range(numbers.shape[1])
    return np.array([of_bins(binned(numbers[:, place], BINS), target, classes, folds) for place in columns])


def _standing_out(alone: Array) -> Array:
    """Inputs whose power is above that of nothing: as far above 0 as the worst inputs lie below it."""
    noise = max(0.0, -float(alone.min()))
    return np.flatnonzero(alone > max(0.01, 2 * noise))


def _judged(numbers: Array, target: Array, classes: int, material: Material) -> dict[str, Array]:
    """Losses of every row out of its fold, relative to knowing nothing, of both models on all inputs and on few."""
    rng = material.rng("poor_features folds")
    folds = folds_of(len(target), rng, FOLDS)
    made: dict[str, list[Array]] = {}
    for fold in range(FOLDS):
        out = folds == fold
        alone = _alone(numbers[~out], target[~out], classes, rng)
        few = _standing_out(alone)
        if not len(few):
            few = np.argsort(-alone, kind="stable")[:1]
        filled = _standard(numbers[~out], numbers[out])
        level = float(blind_losses(target[out], target[~out], classes).mean())
        for name, model in _models(classes).items():
            for told, chosen in (("all", slice(None)), ("few", few)):
                fitted = model().fit(filled[0][:, chosen], target[~out])
                losses = row_losses(fitted, filled[1][:, chosen], target[out], classes)
                made.setdefault(f"{name} {told}", []).append(np.minimum(losses / level, 20.0))
    return {name: np.concatenate(losses) for name, losses in made.items()}


def _models(classes: int) -> dict[str, Callable[[], Any]]:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.neighbors import KNeighborsRegressor

    if not classes:
        return {
            "line": lambda: RidgeCV(np.logspace(-2, 4, 7)),
            "neighbours": lambda: KNeighborsRegressor(NEIGHBOURS),
        }
    return {"line": lambda: LogisticRegression(C=0.1, max_iter=300), "neighbours": _Shares}


class _Shares:
    """Class shares among the neighbours, with one row of the class shares added: no share is 0."""

    def fit(self, X: Array, y: Array) -> "_Shares":
        from sklearn.neighbors import KNeighborsClassifier

        self.inner = KNeighborsClassifier(NEIGHBOURS).fit(X, y)
        self.classes_ = self.inner.classes_
        self.level = np.array([(y == label).mean() for label in self.classes_])
        return self

    def predict_proba(self, X: Array) -> Array:
        return np.asarray((self.inner.predict_proba(X) * NEIGHBOURS + self.level) / (NEIGHBOURS + 1))


def _standard(train: Array, other: Array) -> tuple[Array, Array]:
    """Standardised by the training rows, gaps at the mean, far values clipped at five spreads."""
    gone = np.isnan(train).all(0)
    mean = np.nanmean(np.where(gone, 0.0, train), axis=0)
    spread = np.nanstd(np.where(gone, 0.0, train), axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    made = [np.clip(np.nan_to_num((one - mean) / spread), -5, 5) for one in (train, other)]
    return made[0], made[1]

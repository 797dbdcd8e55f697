"""target_scale: numbers to predict that lie far from unit scale, and those that are better predicted by their logarithm.

Sees      the mean and the deviation of each target column, where the loss takes it as it is; and, for targets above 0, whether a
          ridge regression explains the logarithm better: the log likelihood of rows it was not fitted on, density of the
          logarithm brought back to the target.
Matters   a fresh output lies near 0 with deviation 1: the first loss is the square of the offset and the first steps throw the
          weights about. Where errors grow with the target, the few largest rows decide a squared loss.
Remedies  standardise the target (data.scale_target); begin the output's bias at the mean; predict the logarithm (advice).
Limits    a note where the training scales the target itself. The advice on logarithms is a note, and tried on 4,000 rows.
Source    thresholds: the fault's definition; Box & Cox, An Analysis of Transformations (1964), equation 6.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import few, thinned
from tunesmith.doctor.audits.number_columns import number_columns
from tunesmith.doctor.audits.target_constant import WIDE
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

LARGE, SMALL = 10.0, 0.01  # of mean and deviation; the fault's definition
LOOK = 4000  # rows of the trial; assumption
FEWEST = 100  # rows; assumption
GAIN = 0.1  # nats a row that the logarithm must win: a residual deviation 10 % smaller; assumption
SURE = 4.0  # standard errors of the gain; assumption
SKEWED = 1.0  # skewness of a target that the logarithm is tried on; an exponential distribution has 2; assumption
WIDEST = 200  # columns of the ridge
RIDGE = 1e-2  # of the standardised columns, a row

SCALE = Remedy(title="audits.scale_target", safety=Safety.RISKY, change={"data.scale_target": "standard"})
BIAS = Remedy(title="audits.bias_at_mean", safety=Safety.RISKY, change={"model.output_bias": "data"})
OWN = Remedy(title="audits.scale_own_target", safety=Safety.ADVICE)
LOG = Remedy(title="audits.predict_log", safety=Safety.ADVICE)


@audit("target_scale", faults=("data.unscaled_targets",), cost=PASS)
def target_scale(material: Material) -> Iterator[Finding]:
    target = material.need_target("regression", "multi_regression")
    if target.dtype.kind not in "fiu":
        raise Inapplicable("the target holds no numbers")
    if material.recipe.loss.name == "poisson_nll":
        raise Inapplicable("poisson_nll takes counts as they are")
    columns = target.reshape(len(target), -1).astype(np.float64)
    columns[~np.isfinite(columns)] = np.nan
    kept = ~np.isnan(columns).all(0)
    if not kept.any() or len(columns) < 2:
        raise Inapplicable("the target holds no numbers")
    if columns.shape[1] > WIDE:  # a picture, a spectrum: its numbers have one scale
        together = np.array([f"all {columns.shape[1]} columns"], object)
        yield from _scales(material, columns[:, kept].reshape(-1, 1), together)
        return
    names = np.array(_names(material, columns.shape[1]), object)[kept]
    yield from _scales(material, columns[:, kept], names)
    if columns.shape[1] == 1 and len(columns) >= FEWEST and columns.ndim == 2:
        yield from _logarithm(material, columns[:, 0])


def _names(material: Material, width: int) -> list[str]:
    return list(material.targets) if len(material.targets) == width else [f"y{place}" for place in range(width)]


def _scales(material: Material, columns: Array, names: Array) -> Iterator[Finding]:
    mean, std = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    wrong = (np.abs(mean) > LARGE) | (std > LARGE) | ((std < SMALL) & (std > 0))
    if not wrong.any():
        return
    ours = not material.as_is and material.recipe.data.scale_target != "none"
    first = np.flatnonzero(wrong)[np.argmax(np.maximum(np.abs(mean), std)[wrong])]
    values: dict[str, Any] = {
        "names": few(names[wrong]),
        "column": str(names[first]),
        "mean": float(mean[first]),
        "std": float(std[first]),
        "start": float(1 + (mean[first] / std[first]) ** 2) if std[first] else float("inf"),
    }
    yield Finding(
        fault="data.unscaled_targets",
        severity="note" if ours else "warning",
        message="audits.target_scaled" if ours else "audits.target_scale",
        values=values,
        evidence=(
            Evidence(
                name="mean of the target",
                value=values["mean"],
                threshold=LARGE,
                source="fault list",
                where=values["column"],
            ),
            Evidence(
                name="deviation of the target",
                value=values["std"],
                threshold=LARGE,
                source="fault list",
                where=values["column"],
            ),
        ),
        remedies=() if ours else (OWN,) if material.as_is else (SCALE, BIAS),
        confidence=0.8,
        status="confirmed" if ours else "suspected",
        subject={"columns": names[wrong].tolist()},
    )


def _logarithm(material: Material, target: Array) -> Iterator[Finding]:
    rows = thinned(len(target), LOOK)
    y = target[rows]
    if not np.isfinite(y).all() or y.min() <= 0 or len(np.unique(y)) < 20:
        return
    skewness = float(((y - y.mean()) ** 3).mean() / max(y.std(), 1e-300) ** 3)
    if skewness < SKEWED:
        return
    inputs = _inputs(material, rows)
    raw = _likelihoods(inputs, y)
    log = _likelihoods(inputs, np.log(y)) - np.log(y)  # the density of y where its logarithm is normal
    gain = log - raw
    mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
    if mean > max(GAIN, SURE * error):
        yield Finding(
            fault="data.unscaled_targets",
            severity="note",
            message="audits.log_target",
            values={
                "name": material.targets[0] if material.targets else "y",
                "skewness": skewness,
                "gain": mean,
                "error": error,
            },
            evidence=(
                Evidence(
                    name="gain of the logarithm in nats a row, out of sample",
                    value=mean,
                    threshold=GAIN,
                    source="assumption",
                ),
                Evidence(name="skewness", value=skewness, threshold=SKEWED, source="assumption"),
            ),
            remedies=(LOG,),
            confidence=0.6,
        )


def _inputs(material: Material, rows: Array) -> Array:
    """Standardised number columns with gaps at their mean, and a column of ones."""
    made = [np.ones((len(rows), 1))]
    for numbers in number_columns(material, material.train):
        used = np.flatnonzero(numbers.changing)[: WIDEST - sum(one.shape[1] for one in made)]
        some = numbers.values[rows][:, used].astype(np.float64)
        some = np.where(np.isfinite(some), some, numbers.mean[used])
        made.append(np.clip((some - numbers.mean[used]) / np.maximum(numbers.std[used], 1e-300), -10, 10))
    return np.concatenate(made, axis=1)


def _likelihoods(inputs: Array, y: Array) -> Array:
    """Log density of each row under a normal ridge fitted on the other half of the rows."""
    found = np.empty(len(y))
    even = np.arange(len(y)) % 2 == 0
    for fitted in (even, ~even):
        center, spread = y[fitted].mean(), max(float(y[fitted].std()), 1e-300)
        X = inputs[fitted]
        weights = np.linalg.solve(X.T @ X + RIDGE * len(X) * np.eye(X.shape[1]), X.T @ ((y[fitted] - center) / spread))
        variance = max(float((((y[fitted] - center) / spread - X @ weights) ** 2).mean()), 1e-12)
        wrong = (y[~fitted] - center) / spread - inputs[~fitted] @ weights
        found[~fitted] = -0.5 * np.log(2 * np.pi * variance) - np.log(spread) - wrong**2 / (2 * variance)
    return found

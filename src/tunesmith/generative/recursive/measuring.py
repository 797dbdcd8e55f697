"""What is measured of samples where the model has no numbers of its own: spread, tail and support beside real rows."""

import numpy as np

from tunesmith.generative.measures.prdc import prdc
from tunesmith.generative.recursive.subject import Array, Measure, Model
from tunesmith.records import DataError

OUTER = 0.05  # share of the real rows that is called their tail; assumption
NEIGHBOURS = 5  # of prdc; its authors' choice
FEWEST = 20  # real rows: a tail of one row; assumption


def measures_against(reference: Array) -> Measure:
    """A `measure` for rows of numbers (N, D), judged on as many samples as there are real rows in `reference`.

    `log_variance`: the mean over columns of the logarithm of the variance. `tail`: how many samples lie as far out (in robust
    deviations of the real rows) as the outermost 5 % of those, over 5 %; 1 of a sound model, 0 where the tails are gone. `support`:
    the coverage of the real rows, see `measure.prdc`. Raises `DataError` for fewer than 20 real rows.
    """
    real = np.asarray(reference, np.float64).reshape(len(reference), -1)
    if len(real) < FEWEST or not np.isfinite(real).all():
        raise DataError(f"the reference has {len(real)} rows; expected {FEWEST} or more, all of finite numbers")
    middle = np.median(real, axis=0)
    scale = np.maximum(1.4826 * np.median(np.abs(real - middle), axis=0), 1e-12)
    bound = float(np.quantile(_out(real, middle, scale), 1 - OUTER))

    def measure(model: Model, seed: int) -> dict[str, float | Array]:
        made = np.asarray(model.sample(len(real), seed), np.float64).reshape(-1, real.shape[1])
        with np.errstate(divide="ignore"):  # a model of one point has log variance -inf
            spread = float(np.log(made.var(axis=0)).mean())
        tail = float((_out(made, middle, scale) > bound).mean() / OUTER)
        return {"log_variance": spread, "tail": tail, "support": prdc(real, made, k=NEIGHBOURS).coverage}

    return measure


def _out(rows: Array, middle: Array, scale: Array) -> Array:
    """How far out each row lies."""
    found: Array = np.sqrt((((rows - middle) / scale) ** 2).mean(axis=1))
    return found

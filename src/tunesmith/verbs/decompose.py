"""`error_parts` and `learning_curve`: where an estimator's error comes from, and what more rows would bring."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunesmith.records import DataError, Task
from tunesmith.reports import QuietDisplay
from tunesmith.verbs.fit import as_recipe, fit
from tunesmith.verbs.predict import predict

if TYPE_CHECKING:
    from tunesmith.doctor.bias_variance import ErrorParts, LearningCurve
    from tunesmith.doctor.bias_variance.material import Material

REFITS = {"disjoint": 10, "bootstrap": 50}
REPEATS = 5


def error_parts(
    estimator: Any,
    data: Any = None,
    *,
    test: Any = None,
    target: str | None = None,
    recipe: Any = None,
    loss: Literal["auto", "squared", "zero_one"] = "auto",
    how: Literal["disjoint", "bootstrap"] = "disjoint",
    refits: int | None = None,
    samples: Sequence[Any] | None = None,
    noise: float | Literal["auto"] | None = "auto",
    held: float = 0.3,
    seed: int = 0,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> "ErrorParts":
    """Error = bias² + variance + noise, by refitting an estimator to training sets that differ.

    `estimator` is a `Task` (with a `recipe`; its own data), a scikit-learn estimator, or a factory `f(X, y, rng)` of fitted predictors;
    `data` is `(X, y)`, or a table with `target`. `test` is judged on, or a share `held` of the rows. `how="disjoint"` trains on sets that
    share no row: independent, and each with one in `refits` of the rows. `how="bootstrap"` draws with replacement. `samples` names the rows
    of each training set instead. `noise` is its variance where you know it, "auto" to measure it from rows with equal inputs, None to leave
    it in the bias. The same seed gives the same numbers.
    """
    from tunesmith.doctor.bias_variance import bootstrap, decomposed, disjoint, predictions_of
    from tunesmith.doctor.bias_variance.material import samples_told

    if how not in REFITS:
        raise DataError(f"how = {how!r} came; expected 'disjoint' or 'bootstrap'")
    material = _material(
        estimator, data, test, target, recipe, loss, held, seed, how == "bootstrap" or samples is not None
    )
    pool, count = material.pool, REFITS[how] if refits is None else refits
    if samples is not None:
        drawn = [np.asarray(sample) for sample in samples]
        pool = np.arange(len(material.target)) if material.given else pool
    else:
        rng = np.random.default_rng((seed, 1))
        drawn = disjoint(material.together[pool], count, rng) if how == "disjoint" else bootstrap(len(pool), count, rng)
    drawn = [pool[sample] for sample in drawn]
    found = predictions_of(material.refit(material.judged), drawn, seed, step)
    parts = decomposed(
        _alike(found, material),
        material.target[material.judged],
        loss=material.loss,
        how="given" if samples is not None else how,
        rows_per_fit=samples_told(drawn),
        units=material.units[material.judged],
        noise=noise,
        replicates=material.replicates,
    )
    return replace(parts, told=(*material.told, *parts.told))


def learning_curve(
    estimator: Any,
    data: Any = None,
    *,
    test: Any = None,
    target: str | None = None,
    recipe: Any = None,
    loss: Literal["auto", "squared", "zero_one"] = "auto",
    sizes: Sequence[int] | None = None,
    repeats: int = REPEATS,
    ahead: Sequence[float] = (2.0, 4.0),
    held: float = 0.3,
    seed: int = 0,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> "LearningCurve":
    """The error against the rows trained on, and by a law fitted to it what `ahead` times the rows would leave.

    Arguments as `error_parts` has them; each of `sizes` is trained `repeats` times on different rows.
    """
    from tunesmith.doctor.bias_variance import curve_of, fixed_order, predictions_of, sizes_of

    material = _material(estimator, data, test, target, recipe, loss, held, seed, False)
    pool = material.pool
    steps = sizes_of(len(pool)) if sizes is None else sorted(set(sizes))
    if not steps or steps[0] < 1 or steps[-1] > len(pool):
        raise DataError(
            f"sizes = {steps} came; expected numbers of rows from 1 to {len(pool)}, the rows there are to train on"
        )
    sets = fixed_order(len(pool), steps, repeats, np.random.default_rng((seed, 2)))
    flat = [pool[one] for each in sets for one in each]
    found = predictions_of(material.refit(material.judged), flat, seed, step)
    by_size = [_alike(found, material)[place : place + repeats] for place in range(0, len(flat), repeats)]
    curve = curve_of(
        by_size, steps, material.target[material.judged], loss=material.loss, pool=len(pool), seed=seed, ahead=ahead
    )
    return replace(curve, told=(*material.told, *curve.told))


def _material(
    estimator: Any,
    data: Any,
    test: Any,
    target: str | None,
    recipe: Any,
    loss: str,
    held: float,
    seed: int,
    bootstrapped: bool,
) -> "Material":
    from tunesmith.doctor.bias_variance.material import of_arrays, of_task

    if not isinstance(estimator, Task):
        if data is None:
            raise DataError("an estimator came without data; pass (X, y) as the second argument")
        return of_arrays(estimator, data, test, target, loss, held, seed)
    if data is not None or test is not None:
        raise DataError("a Task brings its own data; leave data and test out, or put them into the task")
    task = estimator if target is None else replace(estimator, target=target)
    return of_task(task, as_recipe(recipe), _trained, loss, held, seed, bootstrapped)


def _trained(task: Task, recipe: Any, seed: int, inputs: Any) -> np.ndarray[Any, Any]:
    """Labels or values that a training gives to `inputs`."""
    run = fit(task, recipe, display=QuietDisplay())
    said = predict(run, inputs)
    return np.asarray(said.values if said.values is not None else said.labels)


def _alike(predictions: np.ndarray[Any, Any], material: "Material") -> np.ndarray[Any, Any]:
    """Predictions in the form of the targets: labels that are words as words, one number a row without an axis of its own."""
    target = material.target[material.judged]
    if predictions.ndim == target.ndim + 2 and predictions.shape[-1] == 1:
        predictions = predictions[..., 0]
    return predictions.astype(str) if target.dtype.kind in "US" else predictions

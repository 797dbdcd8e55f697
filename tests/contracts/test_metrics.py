"""What every metric of the catalogue keeps, for every kind of task it fits."""

import math
import subprocess
import sys

import numpy as np
import pytest

from tunesmith.blocks.metrics import METRICS, intervals, noise, scores

CASES = [(name, kind) for name in METRICS for kind in METRICS[name].kinds]


def rows(kind, count, seed):
    generator = np.random.default_rng(seed)
    if kind == "regression":
        target = generator.normal(size=count)
        return target, target + generator.normal(size=count)
    if kind == "multi_regression":
        target = generator.normal(size=(count, 3))
        return target, target + generator.normal(size=(count, 3))
    if kind == "multilabel":
        given = generator.random((count, 4))
        return (generator.random((count, 4)) < given).astype(np.float32), given
    classes = 2 if kind == "binary" else 4
    logits, target = generator.normal(size=(count, classes)), generator.integers(0, classes, count)
    logits[np.arange(count), target] += 1
    return target, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def perfect(kind, target):
    if kind in ("regression", "multi_regression", "multilabel"):
        return target.astype(np.float64)
    return np.eye(target.max() + 1)[target]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_order_of_rows_does_not_matter_and_whole_weights_are_repeated_rows(name, kind):
    target, given = rows(kind, 80, seed=1)
    order = np.random.default_rng(2).permutation(80)
    times = np.random.default_rng(3).integers(0, 4, 80)

    plain = scores(kind, target, given, names=[name])[name]
    mixed = scores(kind, target[order], given[order], names=[name])[name]
    weighted = scores(kind, target, given, names=[name], weight=times)[name]
    repeated = scores(kind, np.repeat(target, times, axis=0), np.repeat(given, times, axis=0), names=[name])[name]

    assert mixed == pytest.approx(plain, rel=1e-12)
    assert weighted == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_better_is_the_side_of_a_perfect_prediction(name, kind):
    target, given = rows(kind, 80, seed=4)

    usual, best = (scores(kind, target, each, names=[name])[name] for each in (given, perfect(kind, target)))

    assert best == pytest.approx(1.0 if METRICS[name].better == "max" else 0.0, abs=1e-9)
    assert best > usual if METRICS[name].better == "max" else best < usual


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_single_and_double_precision_agree(name, kind):
    target, given = rows(kind, 80, seed=5)

    single, double = (scores(kind, target, given.astype(each), names=[name])[name] for each in (np.float32, np.float64))

    assert single == pytest.approx(double, rel=1e-5)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_interval_is_about_four_times_the_noise(name, kind):
    target, given = rows(kind, 400, seed=6)

    low, high = intervals(kind, target, given, names=[name], count=400)[name]
    error = noise(name, kind, target, given)

    assert low <= scores(kind, target, given, names=[name])[name] <= high
    assert 2.8 < (high - low) / error < 5.2


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_prediction_that_is_no_number_is_undefined(name, kind):
    target, given = rows(kind, 20, seed=7)
    given = given.copy()
    given[0] = np.nan

    assert math.isnan(scores(kind, target, given, names=[name])[name])
    assert math.isnan(noise(name, kind, target, given))


def test_no_metric_imports_torch_or_scikit_learn():
    script = (
        "import sys; from tunesmith.blocks.metrics import METRICS; list(METRICS);"
        "print({'torch', 'sklearn', 'scipy', 'polars'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"

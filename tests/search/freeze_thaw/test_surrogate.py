import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

from tunesmith.search.freeze_thaw.surrogate import JITTER, STRANGER, Beliefs, Points, Surrogate, matern


def points(features, left=None, trial=None, bump=None):
    count = len(features)
    return Points(
        np.asarray(features, dtype=float),
        np.zeros(count) if left is None else np.asarray(left, dtype=float),
        np.arange(count) if trial is None else np.asarray(trial),
        np.zeros(count) if bump is None else np.asarray(bump, dtype=float),
    )


def surrogate(count, **beliefs):
    return Surrogate(np.arange(count), count, Beliefs(**beliefs))


def test_the_kernel_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))

    assert matern(one, other) == pytest.approx(Matern(nu=2.5)(one, other), abs=1e-7)


def test_at_the_end_of_the_training_the_process_is_an_ordinary_one():
    rng = np.random.default_rng(1)
    seen, asked = rng.uniform(size=(12, 2)), rng.uniform(size=(6, 2))
    scores = np.sin(3 * seen[:, 0]) + seen[:, 1]
    ours = surrogate(2, level=0.0, level_variance=1.0, slope=0.0, slope_variance=0.0)
    over, noise = np.exp(2 * ours.theta[2]), np.exp(2 * ours.theta[5])
    kernel = ConstantKernel(1.0, "fixed") + ConstantKernel(over, "fixed") * Matern(1.0, "fixed", nu=2.5)
    theirs = GaussianProcessRegressor(kernel, alpha=noise + JITTER, optimizer=None).fit(seen, scores)

    ours.condition(points(seen), scores)
    mean, deviation = ours.predict(points(asked, trial=[STRANGER] * 6))

    expected, spread = theirs.predict(asked, return_std=True)
    assert mean == pytest.approx(expected, abs=1e-6)
    assert deviation**2 == pytest.approx(spread**2 + noise, abs=1e-6)  # a new trial has noise of its own


def test_what_is_left_of_a_curve_grows_with_the_square_of_the_time_that_is_left():
    ours = surrogate(1, slope_variance=0.0, level_variance=0.0, narrow=0.0)
    ours.theta[[1, 2, 4]] = -12.0  # nothing but the curve
    curve = np.exp(2 * ours.theta[3])

    variances = []
    for left in (0.2, 0.4, 0.8):
        ours.condition(points([[0.5]], left=[left], trial=[0]), np.array([1.0]))
        _, deviation = ours.predict(points([[0.5]], left=[0.0], trial=[0]))
        variances.append(deviation[0] ** 2)

    at_start = Points(np.array([[0.5]]), np.array([1.0]), np.array([STRANGER]), np.zeros(1))
    assert ours.predict(at_start)[1][0] ** 2 == pytest.approx(curve, rel=1e-3)
    assert variances == pytest.approx(
        [0.0, 0.0, 0.0], abs=1e-6
    )  # the end is where the curve starts from: it is 0 there


def test_only_the_latest_point_of_a_curve_tells_of_its_end():
    ours = surrogate(1, slope_variance=0.0, narrow=0.0)
    ours.theta[2] = -12.0  # falls do not differ over configurations

    def end(left, scores):
        count = len(left)
        ours.condition(points([[0.5]] * count, left=left, trial=[0] * count), np.array(scores))
        return ours.predict(points([[0.5]], trial=[0]))[0][0]

    low, high, later = end([0.8, 0.3], [1.4, 0.6]), end([0.8, 0.3], [1.0, 0.6]), end([0.8, 0.3], [1.4, 0.2])
    assert abs(high - low) < 0.1 * abs(later - low)


def test_early_scores_differ_less_than_late_ones():
    ours = surrogate(1)
    first = points([[0.1], [0.9]], left=[1.0, 1.0])

    ours.condition(first, np.array([1.0, 1.08]))
    mean, _ = ours.predict(first.at(np.zeros(2)))

    assert mean[1] - mean[0] > 0.08  # the difference at the end is told to be larger


def test_data_against_the_expert_take_the_bump_down():
    near, far = [[0.5, 0.5], [0.52, 0.5]], [[0.0, 0.0], [1.0, 1.0]]
    ours = surrogate(2)

    def at_expert(scores):
        ours.condition(points(near + far, bump=[1.0, 0.99, 0.0, 0.0]), np.array(scores))
        return ours.predict(points([[0.5, 0.55]], trial=[STRANGER], bump=[0.98]))[0][0]

    assert at_expert([1.2, 1.2, 0.5, 0.5]) > at_expert([0.0, 0.0, 1.0, 1.0]) + 0.5


def test_fitting_finds_which_parameter_matters():
    rng = np.random.default_rng(2)
    features = rng.uniform(size=(40, 2))
    scores = np.sin(6 * features[:, 0])
    ours = surrogate(2)
    before = ours._cost(ours.theta, points(features), scores)

    ours.fit(points(features), scores, np.random.default_rng(0), tries=150)

    assert ours._cost(ours.theta, points(features), scores) < before
    assert ours.theta[0] < ours.theta[1] - 0.5


def test_an_rbf_of_the_same_data_is_told_apart():
    """A check of the reference itself: another kernel gives other numbers."""
    one = np.array([[0.0], [0.7]])

    assert abs(matern(one, one)[0, 1] - RBF()(one)[0, 1]) > 0.02

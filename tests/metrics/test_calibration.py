import math

import numpy as np
import pytest

from tunesmith.blocks.metrics import calibration_error, fit_temperature, probabilities, scores
from tunesmith.blocks.metrics.calibration import HOTTEST
from tunesmith.records import DataError


def drawn(rows, classes, seed):
    """Logits whose softmax is the law the labels were drawn by."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(rows, classes))
    return logits, (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_the_factor_that_spoiled_the_logits_is_found(factor):
    logits, target = drawn(20_000, 5, seed=1)

    fitted = fit_temperature("multiclass", factor * logits, target)

    assert fitted.value == pytest.approx(factor, rel=0.05)
    assert fitted.nll_after <= fitted.nll_before
    assert fitted.error_after < 0.02
    if factor != 1.0:
        assert fitted.error_after < fitted.error_before


def test_the_losses_are_those_of_the_metric():
    logits, target = drawn(500, 3, seed=2)
    weight = np.random.default_rng(3).uniform(0.1, 2, 500)

    fitted = fit_temperature("multiclass", 3 * logits, target, weight)

    for loss, heat in ((fitted.nll_before, 1.0), (fitted.nll_after, fitted.value)):
        given = probabilities("multiclass", 3 * logits, heat)
        assert loss == pytest.approx(
            scores("multiclass", target, given, weight=weight, names=["log_loss"])["log_loss"], rel=1e-12
        )


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_no_other_temperature_is_better(kind):
    logits, target = drawn(300, 4, seed=4)
    target = target if kind == "multiclass" else np.eye(4)[target]

    fitted = fit_temperature(kind, 4 * logits, target)

    losses = [
        scores(kind, target, probabilities(kind, 4 * logits, heat), names=["log_loss"])["log_loss"]
        for heat in np.geomspace(0.1, 20, 200)
    ]
    assert fitted.nll_after <= min(losses) + 1e-12


def test_one_logit_and_two_give_the_same_temperature():
    logits, target = drawn(1000, 2, seed=5)

    two = fit_temperature("binary", 2.5 * logits, target)
    one = fit_temperature("multilabel", 2.5 * (logits[:, 1] - logits[:, 0]), target)

    assert one.value == pytest.approx(two.value, rel=1e-8)
    assert one.nll_after == pytest.approx(two.nll_after, rel=1e-12)


@pytest.mark.parametrize(
    ("logits", "target", "value"),
    [
        ([[5.0, 0.0], [0.0, 5.0]], [0, 1], 1.0),  # always right: colder is always better, and promises too much
        ([[5.0, 0.0], [0.0, 5.0]], [1, 0], HOTTEST),  # always wrong
        ([[0.0, 0.0], [0.0, 0.0]], [0, 1], 1.0),  # says nothing
        ([[1e6, 0.0], [1e6, 0.0]], [0, 1], HOTTEST),
    ],
)
def test_where_there_is_no_best_temperature_it_stays_within_bounds(logits, target, value):
    fitted = fit_temperature("multiclass", np.array(logits), np.array(target))

    assert fitted.value == pytest.approx(value)
    assert math.isfinite(fitted.nll_after)
    assert fitted.nll_after <= fitted.nll_before


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="logits that are numbers"):
        fit_temperature("multiclass", np.array([[np.inf, 0.0]]), np.array([0]))
    with pytest.raises(DataError, match="at least one row"):
        fit_temperature("multiclass", np.zeros((0, 2)), np.zeros(0, int))


def test_the_calibration_error_by_hand():
    given = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.35, 0.65]])
    target = np.array([0, 1, 1, 1])

    error = calibration_error("binary", given, target)

    # bins of width 1/15: {0.9, 0.9} at accuracy 0.5; 0.6 is the upper end of its bin, 0.65 lies in the next
    assert error == pytest.approx((2 * 0.4 + 0.4 + 0.35) / 4, rel=1e-12)
    assert calibration_error("multiclass", np.eye(3), np.arange(3)) == 0.0


def test_probabilities_of_large_logits_are_exact():
    assert probabilities("multiclass", np.array([[1e5, 0.0]])).tolist() == [[1.0, 0.0]]
    assert probabilities("multilabel", np.array([[-1e5, 0.0, 1e5]])).tolist() == [[0.0, 0.5, 1.0]]
    assert probabilities("binary", np.array([[0.0, 2.0]]), 2.0)[0, 1] == pytest.approx(
        1 / (1 + math.exp(-1)), rel=1e-15
    )

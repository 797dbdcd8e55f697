import numpy as np
import pytest

from tunesmith.doctor.bias_variance import equal_units, noise_in, unclaimed
from tunesmith.doctor.bias_variance.squared import squared_noise
from tunesmith.doctor.bias_variance.zero_one import disagreement


def test_the_variance_of_replicates_is_found_whatever_their_means_are():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(500), 3)

    found = noise_in(100.0 * units + rng.normal(0, 2, len(units)), units, squared_noise)

    assert found.value == pytest.approx(4.0, rel=0.1)
    assert abs(found.value - 4.0) < 4 * np.sqrt(found.spread.variance)
    assert (found.rows, found.groups, found.equal) == (1500, 500, 0)


def test_rows_that_come_once_have_no_say():
    y = np.concatenate([np.tile([0.0, 2.0], 20), np.arange(100)])
    units = np.concatenate([np.repeat(np.arange(20), 2), 20 + np.arange(100)])

    assert noise_in(y, units, squared_noise).value == 2.0


def test_labels_that_disagree_are_noise():
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(300), 4)
    y = (rng.random(len(units)) < 0.25).astype(int)

    assert noise_in(y, units, disagreement).value == pytest.approx(0.25 * 0.75, rel=0.1)


def test_few_replicates_claim_nothing():
    y, units = np.arange(100.0), np.concatenate([np.arange(95), np.arange(5)])

    assert noise_in(y, units, squared_noise) is None
    assert unclaimed(y, units) == "error_parts.few_replicates"


def test_copies_claim_nothing():
    y, units = np.tile(np.arange(50.0), 2), np.tile(np.arange(50), 2)

    assert noise_in(y, units, squared_noise) is None
    assert unclaimed(y, units) == "error_parts.copies"


@pytest.mark.parametrize(
    "inputs",
    [
        np.array([[0.0, 1.0], [2.0, 3.0], [-0.0, 1.0]]),
        np.array([[np.nan, 1.0], [2.0, 3.0], [np.nan, 1.0]]),
        np.array([["a", 1], ["b", 1], ["a", 1]], object),
        np.array(["a", "b", "a"]),
        np.arange(12).reshape(3, 2, 2) % 8,
        {"one": np.array([1, 2, 1]), "two": np.array([5.0, 5.0, 5.0])},
    ],
)
def test_equal_inputs_are_found_in_any_form(inputs):
    units = equal_units(inputs)

    assert units[0] == units[2]
    assert units[0] != units[1]


def test_columns_are_not_mixed_up():
    assert len(set(equal_units([np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])]).tolist())) == 4

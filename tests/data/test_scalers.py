import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunesmith.data.scalers import SCALERS
from tunesmith.data.scalers.piecewise import Piecewise

VALUES = np.random.default_rng(0).lognormal(0, 1.5, (500, 3)) * [1, 100, 1e-3]
FINITE = st.floats(-1e6, 1e6, width=32)


@pytest.mark.parametrize("name", SCALERS)
def test_travels_as_json_bit_for_bit(name):
    scaler = SCALERS[name].fit(VALUES)

    copy = SCALERS[name].from_json(json.loads(json.dumps(scaler.to_json())))

    assert np.array_equal(copy.transform(VALUES), scaler.transform(VALUES))
    assert copy.widths == scaler.widths


@pytest.mark.parametrize("name", SCALERS)
@given(values=arrays(np.float64, st.tuples(st.integers(2, 40), st.integers(1, 3)), elements=FINITE))
@settings(max_examples=25, deadline=None)
def test_inverse_gives_back_the_training_values(name, values):
    scaler = SCALERS[name].fit(values)

    back = scaler.inverse(scaler.transform(values))

    assert scaler.transform(values).shape == (len(values), sum(scaler.widths))
    assert np.allclose(back, values, rtol=1e-6, atol=1e-6 * (1 + np.abs(values).max()))


@pytest.mark.parametrize("name", SCALERS)
@given(values=arrays(np.float64, st.tuples(st.integers(2, 40), st.just(1)), elements=FINITE))
@settings(max_examples=25, deadline=None)
def test_larger_numbers_never_get_smaller_features(name, values):
    scaler = SCALERS[name].fit(values)

    features = scaler.transform(np.sort(values, axis=0))

    assert np.isfinite(features).all()
    assert (np.diff(features, axis=0) >= -1e-9 * (1 + np.abs(features).max())).all()


def test_standard_is_that_of_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    expected = StandardScaler().fit(VALUES[:300]).transform(VALUES)

    assert np.allclose(SCALERS["standard"].fit(VALUES[:300]).transform(VALUES), expected)


def test_robust_is_that_of_scikit_learn():
    from sklearn.preprocessing import RobustScaler

    expected = RobustScaler().fit(VALUES[:300]).transform(VALUES)

    assert np.allclose(SCALERS["robust"].fit(VALUES[:300]).transform(VALUES), expected)


def test_quantile_agrees_with_scikit_learn_between_the_ends():
    from sklearn.preprocessing import QuantileTransformer

    theirs = QuantileTransformer(n_quantiles=500, output_distribution="normal").fit_transform(VALUES)
    ours = SCALERS["quantile"].fit(VALUES).transform(VALUES)

    inside = np.abs(theirs) < 2.5
    assert np.allclose(ours[inside], theirs[inside], atol=1e-6)


def test_quantile_puts_equal_values_in_the_middle_of_their_ranks():
    values = np.r_[np.zeros(80), np.arange(1, 21)][:, None].astype(float)

    features = SCALERS["quantile"].fit(values).transform(values)

    assert features[0, 0] == pytest.approx(-0.26, abs=0.02)  # inverse normal of 0.4


def test_piecewise_follows_equation_1():
    scaler = Piecewise((np.array([0.0, 2.0, 3.0, 7.0]),))

    features = scaler.transform(np.array([[-1.0], [1.0], [2.0], [2.5], [5.0], [9.0]]))

    expected = [[-0.5, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0.5], [1, 1, 1.5]]
    assert features.tolist() == expected


def test_piecewise_bins_are_quantiles_of_the_training_part():
    scaler = Piecewise.fit(np.arange(97.0)[:, None])

    assert np.allclose(scaler.bins[0], np.arange(0, 97, 2))


@pytest.mark.parametrize("name", ["standard", "robust"])
def test_a_column_that_never_changed_is_nothing_later_either(name):
    scaler = SCALERS[name].fit(np.full((10, 1), 0.1))

    assert scaler.transform(np.array([[5.0]])).tolist() == [[0.0]]


def test_standard_keeps_float32_and_its_precision():
    values = VALUES.astype(np.float32)

    features = SCALERS["standard"].fit(values).transform(values)

    assert features.dtype == np.float32
    assert np.abs(features.mean(axis=0, dtype=np.float64)).max() < 1e-6

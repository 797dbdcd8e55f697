"""Features are the same in every order, learnt on training rows alone, finite, and better than what came."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.doctor.audits.features import features, tree_inputs, whole_features
from tunesmith.doctor.audits.features_keys import row_keys
from tunesmith.doctor.audits.features_pictures import as_pictures, orientations
from tunesmith.doctor.audits.features_text import token_counts
from tunesmith.records import Task
from tunesmith.records.check import Inapplicable


@given(st.integers(0, 10_000), st.sampled_from(["f4", "f8", "i8", "u1"]))
@settings(max_examples=20, deadline=None)
def test_keys_are_equal_where_rows_are(seed, kind):
    draw = np.random.default_rng(seed)
    rows = draw.integers(0, 3, (40, 3)).astype(kind)

    keys = row_keys({"x": rows})

    _, named = np.unique(rows, axis=0, return_inverse=True)
    assert ((keys[:, None] == keys) == (named.reshape(-1)[:, None] == named.reshape(-1))).all()


@pytest.mark.parametrize("shape", [(60, 3, 16, 16), (60, 28, 28), (60, 16, 12, 3), (60, 5), (60, 9, 2)])
@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_arrays_of_every_shape(shape, kind):
    draw = np.random.default_rng(0)
    X = draw.integers(0, 256, shape).astype(kind)
    if kind == "f4":
        X.reshape(60, -1)[3, 0] = np.nan
        X.reshape(60, -1)[4, 1] = np.inf

    made = features(material_of_arrays({"train": (X[:40], None), "test": (X[40:], None)}))

    assert made["train"].dtype == np.float32
    assert (len(made["train"]), len(made["test"])) == (40, 20)
    assert made["train"].shape[1] == made["test"].shape[1]
    assert np.isfinite(made["train"]).all()
    assert np.isfinite(made["test"]).all()


def test_the_test_part_teaches_nothing():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(50, 4))

    one = features(material_of_arrays({"train": (X, None), "test": (X * 100, None)}))
    other = features(material_of_arrays({"train": (X, None), "test": (X - 5, None)}))

    np.testing.assert_array_equal(one["train"], other["train"])


def test_the_order_of_the_rows_changes_nothing():
    pictures = np.random.default_rng(0).integers(0, 256, (70, 1, 12, 12)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(70)

    one, other = (features(material_of_arrays({"train": (X, None)}))["train"] for X in (pictures, pictures[order]))

    np.testing.assert_allclose(one[order], other, atol=1e-4)


def test_neighbours_are_better_than_on_pixels():
    X, y = load_digits(return_X_y=True)
    made = features(material_of_arrays({"train": (X[:600], None), "test": (X[600:], None)}))

    score = KNeighborsClassifier(5).fit(made["train"], y[:600]).score(made["test"], y[600:])

    assert score > KNeighborsClassifier(5).fit(X[:600], y[:600]).score(X[600:], y[600:])


def test_a_table_of_everything():
    draw = np.random.default_rng(0)
    rows = 200
    frame = pl.DataFrame(
        {
            "size": [None if i % 9 == 0 else float(v) for i, v in enumerate(draw.lognormal(size=rows))],
            "colour": [
                None if i % 7 == 0 else str(v) for i, v in enumerate(draw.choice(["red", "green", "blue"], rows))
            ],
            "said": [
                " ".join(draw.choice(["the", "old", "house", "by", "sea", "stood", "empty", "long"], 8))
                for _ in range(rows)
            ],
            "label": draw.integers(0, 2, rows),
        }
    )
    material = material_of(Task(train=frame, target="label"))

    made = whole_features(material)

    assert len(made) == len(material.whole)
    assert np.isfinite(made).all()
    trees = tree_inputs(material, material.whole)
    assert trees is not None
    assert trees.shape == (len(material.whole), 2)
    assert np.isnan(trees).any()


def test_no_feature_column():
    with pytest.raises(Inapplicable):
        features(
            material_of(
                Task(train=pl.DataFrame({"label": [0, 1] * 20, "same": [1] * 40}), target="label", drop=("same",))
            )
        )


def test_an_edge_points_where_it_points():
    """A bright right half: the gradient points across, so all strength is in the first bar of a half circle."""
    picture = np.zeros((1, 1, 16, 16), np.float32)
    picture[..., 8:] = 1.0

    bars = orientations(picture).reshape(4, 4, 9)

    assert bars[:, 1:3, 0].min() > 0
    assert np.abs(bars[:, :, 1:]).max() < 1e-6
    assert np.abs(bars[:, 0]).max() < 1e-6


def test_token_counts_count():
    rows = np.array([[5, 5, 6, 0], [0, 6, 5, 5]])

    counts = token_counts(rows) ** 2

    np.testing.assert_allclose(counts.sum(1), [7, 7])  # four tokens and three pairs
    assert not np.allclose(counts[0], counts[1])  # the pairs differ


@pytest.mark.parametrize(
    ("shape", "made"), [((2, 9, 8), (2, 1, 9, 8)), ((2, 32, 16, 3), (2, 3, 32, 16)), ((2, 3, 32, 16), (2, 3, 32, 16))]
)
def test_pictures_by_shape(shape, made):
    found = as_pictures(np.zeros(shape))

    assert found is not None
    assert found.shape == made


@pytest.mark.parametrize("shape", [(2, 30), (2, 5, 3), (2, 40, 4, 40)])
def test_no_pictures(shape):
    assert as_pictures(np.zeros(shape)) is None

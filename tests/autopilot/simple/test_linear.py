"""The linear model beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from tunesmith.autopilot.simple.linear import Linear
from tunesmith.autopilot.simple.storing import stored, unstored
from tunesmith.data.spec import Numbers, Part, Pictures, Tokens
from tunesmith.records.check import Inapplicable

SPEC = {"numbers": Numbers(4, tuple("abcd"))}


def part(rows, seed, classes):
    drawn = np.random.default_rng(seed)
    numbers = (drawn.normal(size=(rows, 4)) * [1, 10, 0.1, 0] + 3).astype(np.float32)
    score = numbers[:, 0] + numbers[:, 1] / 10 + drawn.normal(size=rows) / 2
    target = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) if classes else score
    return Part({"numbers": numbers}, target, None, np.arange(rows))


@pytest.mark.parametrize(("kind", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
def test_it_says_what_scikit_learn_says(kind, classes, tmp_path):
    train, new = part(300, 0, classes), part(50, 1, classes)
    scaler = StandardScaler().fit(train.inputs["numbers"])
    theirs = LogisticRegression(C=1.0, max_iter=500) if classes else Ridge(alpha=1.0)
    theirs.fit(scaler.transform(train.inputs["numbers"]), train.target)

    stored(tmp_path / "linear.npz", Linear.fitted(train, SPEC, kind, 1.0, 0))
    said = unstored(tmp_path / "linear.npz", SPEC, kind).predict(new, classes or 1)

    seen = scaler.transform(new.inputs["numbers"])
    np.testing.assert_allclose(said, theirs.predict_proba(seen) if classes else theirs.predict(seen), atol=2e-3)


def test_words_and_pairs_of_words_tell_texts_apart():
    drawn = np.random.default_rng(0)
    texts = drawn.integers(2, 30, (400, 12)).astype(np.int32)
    target = drawn.integers(0, 2, 400)
    for row in range(400):  # the order of two words says it, which counts of single words cannot
        texts[row, 3:5] = (30, 31) if target[row] else (31, 30)
    texts[:, 9:] = 0  # padding
    rows = Part({"tokens": texts}, target, None, np.arange(400))
    spec = {"tokens": Tokens(32, 12)}

    model = Linear.fitted(rows, spec, "binary", 10.0, 0)

    assert np.mean(model.predict(rows, 2).argmax(1) == target) > 0.95


def test_a_class_that_is_absent_from_training_gets_no_probability():
    rows = part(100, 0, 2)

    said = Linear.fitted(rows, SPEC, "multiclass", 1.0, 0).predict(rows, 3)

    assert said.shape == (100, 3)
    assert said[:, 2].max() == 0
    np.testing.assert_allclose(said.sum(1), 1)


def test_pictures_are_flattened_and_what_cannot_be_fitted_is_said():
    pictures = np.random.default_rng(0).integers(0, 255, (60, 1, 4, 4)).astype(np.uint8)
    bright = (pictures.mean((1, 2, 3)) > 127).astype(np.int64)
    spec = {"pictures": Pictures(1, 4, 4, (0.5,), (0.3,))}
    rows = Part({"pictures": pictures}, bright, None, np.arange(60))

    assert np.mean(Linear.fitted(rows, spec, "binary", 1.0, 0).predict(rows, 2).argmax(1) == bright) > 0.9
    with pytest.raises(Inapplicable, match="one class"):
        Linear.fitted(Part({"pictures": pictures}, bright * 0, None, np.arange(60)), spec, "binary", 1.0, 0)


def test_text_beside_numbers_is_seen_with_them():
    drawn = np.random.default_rng(0)
    texts = drawn.integers(2, 20, (400, 8)).astype(np.int32)
    numbers = drawn.normal(size=(400, 4)).astype(np.float32)
    value = 2 * (texts == 7).any(1) + numbers[:, 1]
    both = Part({"tokens": texts, "numbers": numbers}, value, None, np.arange(400))
    spec = {"tokens": Tokens(20, 8)} | SPEC

    model = Linear.fitted(both, spec, "regression", 10.0, 0)

    left = value - model.predict(both, 1)
    assert 1 - left.var() / value.var() > 0.8  # words alone tell half of it, and so do the numbers

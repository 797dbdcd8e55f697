"""Trees kept as arrays say what scikit-learn's own say."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from tunesmith.autopilot.simple.boosted import Boosted
from tunesmith.autopilot.simple.features import matrix
from tunesmith.autopilot.simple.storing import stored, unstored
from tunesmith.data.spec import Categories, Numbers, Part, Tokens
from tunesmith.records.check import Inapplicable

SPEC = {"numbers": Numbers(3, ("a", "b", "c")), "categories": Categories((6, 300), ("d", "e"))}


def part(rows, seed, classes=2):
    drawn = np.random.default_rng(seed)
    numbers = drawn.normal(size=(rows, 3)).astype(np.float32)
    numbers[drawn.uniform(size=rows) < 0.1, 1] = np.nan
    codes = np.stack([drawn.integers(0, 6, rows), drawn.integers(0, 300, rows)], axis=1)
    score = numbers[:, 0] + np.isin(codes[:, 0], (2, 5)) - np.nan_to_num(numbers[:, 1]) + drawn.normal(size=rows) / 3
    target = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) if classes else score
    return Part({"numbers": numbers, "categories": codes}, target, None, np.arange(rows))


def falling(target, classes):
    if not classes:
        return lambda said: float(np.mean((said - target) ** 2))
    return lambda said: float(-np.log(said[np.arange(len(target)), target] + 1e-12).mean())


@pytest.mark.parametrize("classes", [2, 4, 0])
def test_the_arrays_say_what_scikit_learn_says(classes):
    train, new = part(500, 0, classes), part(200, 1, classes)
    columns, codes = matrix(train, SPEC)
    maker = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    theirs = maker(max_iter=12, categorical_features=codes, early_stopping=False, random_state=0)
    theirs.fit(columns, train.target)
    kind = {2: "binary", 4: "multiclass", 0: "regression"}[classes]

    ours = Boosted.of(theirs, SPEC, kind).predict(new, classes or 1)

    seen, _ = matrix(new, SPEC)
    expected = theirs.predict_proba(seen) if classes else theirs.predict(seen)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)
    assert codes.tolist() == [False, False, False, True, False]  # 300 levels are more than trees take


def test_trees_grow_until_held_rows_say_stop_and_are_kept_in_a_file(tmp_path):
    train, held, new = part(400, 0), part(200, 1), part(100, 2)
    loss = falling(held.target, 2)

    grown = Boosted.fitted(train, held, SPEC, "binary", {"learning_rate": 0.3}, loss, lambda: False, 0, 2)
    stored(tmp_path / "trees.npz", grown)
    read = unstored(tmp_path / "trees.npz", SPEC, "binary")

    rounds = len(grown.arrays["output"])
    more = Boosted.of(
        HistGradientBoostingClassifier(
            learning_rate=0.3, max_iter=rounds + 30, categorical_features=matrix(train, SPEC)[1], early_stopping=False
        ).fit(matrix(train, SPEC)[0], train.target),
        SPEC,
        "binary",
    )
    assert 10 <= rounds < 500
    assert loss(grown.predict(held, 2)) <= loss(more.predict(held, 2))
    np.testing.assert_array_equal(read.predict(new, 2), grown.predict(new, 2))


def test_time_that_is_over_ends_the_growth():
    train, held = part(300, 0), part(100, 1)

    grown = Boosted.fitted(train, held, SPEC, "binary", {}, falling(held.target, 2), lambda: True, 0, 2)

    assert len(grown.arrays["output"]) == 10


def test_text_and_several_labels_have_no_trees():
    tokens = Part({"tokens": np.ones((5, 4), np.int32)}, np.zeros(5, np.int64), None, np.arange(5))

    with pytest.raises(Inapplicable, match="text"):
        matrix(tokens, {"tokens": Tokens(10, 4)})
    with pytest.raises(Inapplicable, match="multilabel"):
        Boosted.fitted(part(20, 0), part(20, 1), SPEC, "multilabel", {}, lambda said: 0.0, lambda: True, 0, 2)


def test_grown_again_with_as_many_trees_it_is_the_same():
    train, held = part(300, 0, 4), part(100, 1, 4)
    setting = {"learning_rate": 0.2}

    found = Boosted.fitted(train, held, SPEC, "multiclass", setting, falling(held.target, 4), lambda: True, 3, 4)
    again = Boosted.grown(train, SPEC, "multiclass", setting, found.rounds, 3)

    assert found.rounds == 10
    np.testing.assert_allclose(again.predict(held, 4), found.predict(held, 4), rtol=1e-6)


def test_of_text_beside_numbers_the_numbers_are_taken():
    rows = part(50, 0)
    beside = Part(dict(rows.inputs) | {"tokens": np.ones((50, 4), np.int32)}, rows.target, None, rows.rows)

    columns, codes = matrix(beside, SPEC | {"tokens": Tokens(10, 4)})

    assert columns.shape == (50, 5)
    np.testing.assert_array_equal(columns, matrix(rows, SPEC)[0])
    assert codes.sum() == 1

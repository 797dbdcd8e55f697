import json

import numpy as np
import pytest

from tunesmith.data.categories import CategoryBlock
from tunesmith.data.numbers import DAY, MatrixBlock, NumberBlock
from tunesmith.data.plain import PlainBlock
from tunesmith.data.token_rows import TokenBlock
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection

RNG = np.random.default_rng(0)


def table(rows=200):
    when = np.floor(RNG.uniform(0, 3 * 365, rows)) * DAY + RNG.integers(0, 24, rows) * 3600.0
    value = RNG.normal(5, 3, rows)
    gaps = np.where(RNG.random(rows) < 0.2, np.nan, value * 2)
    levels = RNG.choice(["a", "b", "c", None], rows)
    return {"value": value, "gaps": gaps, "when": when, "level": levels}


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "piecewise", "none"])
def test_numbers_come_back_bit_for_bit_after_json(scale):
    columns = table()
    block = NumberBlock(["value", "gaps", "when"], DataSection(scale=scale), ["when"])
    block.fit(columns)

    copy = NumberBlock.from_json(json.loads(json.dumps(block.to_json())))

    assert np.array_equal(copy.transform(columns), block.transform(columns))
    assert copy.spec() == block.spec()
    assert block.transform(columns).shape == (200, block.spec().width)
    assert len(block.spec().names) == block.spec().width


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "piecewise", "none"])
def test_numbers_are_what_they_were_after_inverse(scale):
    columns = table()
    block = NumberBlock(["value", "gaps", "when"], DataSection(scale=scale), ["when"])
    block.fit(columns)

    back = block.inverse(block.transform(columns))

    assert np.allclose(back["value"], columns["value"], atol=1e-3)
    assert np.allclose(back["gaps"], columns["gaps"], atol=1e-3, equal_nan=True)
    assert np.abs(back["when"] - columns["when"]).max() < 60  # of 3 years in float32


def test_a_missing_number_is_the_median_and_marked():
    block = NumberBlock(["gaps"], DataSection(scale="none"))
    block.fit({"gaps": np.array([1.0, 2.0, 9.0, np.nan])})

    assert block.transform({"gaps": np.array([np.nan, 7.0])}).tolist() == [[2.0, 1.0], [7.0, 0.0]]


def test_a_gap_first_seen_in_prediction_is_the_median():
    block = NumberBlock(["value"], DataSection(scale="none"))
    block.fit({"value": np.array([1.0, 2.0, 9.0])})

    assert block.transform({"value": np.array([np.nan])}).tolist() == [[2.0]]


def test_a_date_turns_with_the_year_the_week_and_the_day():
    columns = table()
    block = NumberBlock(["when"], DataSection(scale="none"), ["when"])
    block.fit(columns)

    features = block.transform({"when": np.array([0.0, 365.2425 * DAY, 7 * DAY, 3600 * 6.0])})

    assert block.spec().names[0] == "when"
    assert features[0].tolist() == [0, 0, 1, 0, 1, 0, 1]  # days; sine and cosine of year, week, day
    assert features[1, 1:3] == pytest.approx([0, 1], abs=1e-6)
    assert features[2, 3:5] == pytest.approx([0, 1], abs=1e-6)
    assert features[3, 5:7] == pytest.approx([1, 0], abs=1e-6)


def test_dates_without_hours_have_no_place_in_the_day():
    block = NumberBlock(["when"], DataSection(), ["when"])
    block.fit({"when": np.arange(50) * DAY})

    assert not any("day)" in name for name in block.spec().names)


def test_scales_come_from_the_training_part_alone():
    block = NumberBlock(["value"], DataSection(scale="standard"))
    block.fit({"value": np.array([0.0, 2.0])})

    assert block.transform({"value": np.array([100.0])}).tolist() == [[99.0]]


def test_levels_that_are_rare_unseen_or_missing_have_their_places():
    block = CategoryBlock(["level"], DataSection(min_count=2))
    block.fit({"level": np.array(["a", "a", "b", "b", "c", None], object)})

    indices = block.transform({"level": np.array(["a", "b", "c", "new", None], object)})

    assert indices.ravel().tolist() == [2, 3, 0, 0, 1]
    assert block.spec().sizes == (4,)
    assert "1 of 3 levels" in block.notices[0]
    assert "2 rows" in block.remarks({"level": np.array(["c", "new", "a"], object)})[0]


def test_the_most_frequent_levels_are_kept():
    values = np.array([f"l{i}" for i in range(20) for _ in range(i + 1)], object)
    block = CategoryBlock(["level"], DataSection(max_categories=5))
    block.fit({"level": values})

    kept = set(block.inverse(np.arange(2, 7)[:, None])["level"])

    assert kept == {f"l{i}" for i in range(15, 20)}


def test_categories_come_back_after_json():
    columns = table()
    block = CategoryBlock(["level"], DataSection())
    block.fit(columns)

    copy = CategoryBlock.from_json(json.loads(json.dumps(block.to_json())))

    assert np.array_equal(copy.transform(columns), block.transform(columns))
    assert copy.inverse(copy.transform(columns))["level"] == columns["level"].tolist()


def test_a_matrix_fills_its_gaps_and_comes_back_after_json():
    values = RNG.normal(size=(100, 4)).astype(np.float32)
    values[::7, 2] = np.nan
    block = MatrixBlock(["x"], DataSection())
    block.fit({"x": values})

    features = block.transform({"x": values})
    copy = MatrixBlock.from_json(json.loads(json.dumps(block.to_json())))

    assert features.shape == (100, 5)
    assert features[::7, 4].tolist() == [1.0] * 15
    assert np.isfinite(features).all()
    assert np.array_equal(copy.transform({"x": values}), features)


def test_plain_arrays_keep_shape_and_type():
    block = PlainBlock(["x"], DataSection())
    block.fit({"x": np.zeros((3, 2, 2), np.int64)})

    copy = PlainBlock.from_json(json.loads(json.dumps(block.to_json())))

    assert copy.transform({"x": np.ones((5, 2, 2), np.int32)}).dtype == np.int64
    with pytest.raises(DataError, match=r"\(3,\)"):
        copy.transform({"x": np.zeros((5, 3))})


def test_tokens_beyond_their_table_are_refused_by_row():
    block = TokenBlock(["x"], DataSection(), vocabulary=5)
    block.fit({"x": np.array([[1, 2], [4, 0]])})

    with pytest.raises(DataError, match="token 5 in row 1"):
        block.transform({"x": np.array([[1, 1], [5, 0]])})

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from tests.audits.columns_cases import as_is, found, graver, of, rng, table, with_cells
from tunesmith.doctor.audits.constant_columns import constant_columns
from tunesmith.doctor.audits.level_spelling import level_spelling
from tunesmith.doctor.audits.missing_cells import missing_cells
from tunesmith.doctor.audits.mixed_types import mixed_types
from tunesmith.doctor.audits.near_constant import near_constant
from tunesmith.doctor.audits.nonfinite import nonfinite
from tunesmith.doctor.audits.number_columns import PIECE, number_columns
from tunesmith.doctor.audits.sentinel_values import sentinel_values
from tunesmith.doctor.audits.unscaled_columns import unscaled_columns

LOOKS = (
    constant_columns,
    near_constant,
    unscaled_columns,
    nonfinite,
    missing_cells,
    mixed_types,
    sentinel_values,
    level_spelling,
)


# The numbers themselves


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from(["f4", "f8", "i4", "u1", "?"]))
@settings(max_examples=40, deadline=None)
def test_moments_are_those_of_numpy(seed, width, dtype):
    draw = rng(seed)
    X = (draw.normal(1000, 3, (31, width)) % 200).astype(dtype)
    if dtype[0] == "f":
        X[draw.random(X.shape) < 0.2] = np.nan

    (numbers,) = number_columns(as_is(X), as_is(X).train)

    real = X.astype(float)
    gone = np.isnan(real).all(0)
    assert numbers.finite.tolist() == (~np.isnan(real)).sum(0).tolist()
    for name, want in (("mean", np.nanmean), ("std", np.nanstd), ("low", np.nanmin), ("high", np.nanmax)):
        came = getattr(numbers, name)
        np.testing.assert_allclose(came[~gone], want(real[:, ~gone], axis=0), rtol=1e-6, atol=1e-6)


def test_moments_in_pieces_are_those_of_the_whole():
    X = rng().normal(1e6, 1e-2, (3 * PIECE // 64 + 7, 64))

    (numbers,) = number_columns(as_is(X), as_is(X).train)

    np.testing.assert_allclose(numbers.std, X.std(0), rtol=1e-5)
    np.testing.assert_allclose(numbers.mean, X.mean(0), rtol=1e-12)


# Columns that do not change


def test_a_constant_column_of_a_table():
    frame = table().with_columns(pl.lit(7).alias("seven"), pl.lit("x").alias("word"))

    told = found(constant_columns, of(frame, "label"))

    assert {finding.subject["columns"][0] for finding in told} == {"seven", "word"}
    assert {finding.message for finding in told} == {"data.constant_column"}
    assert not graver(told)


def test_a_column_that_changes_outside_the_training_rows_alone():
    frame = table(300)
    place = of(frame, "label").parts["test"].rows[0]
    frame = with_cells(frame.with_columns(pl.lit(1.5).alias("still")), "still", [place], [2.5], pl.Float64)

    (told,) = found(constant_columns, of(frame, "label"))

    assert told.message == "audits.constant_in_training"
    assert told.values["value"] == 1.5


def test_constant_columns_of_an_array_are_one_finding():
    X = rng().normal(size=(50, 40)).astype("f4")
    X[:, [3, 17]] = 2.0

    (told,) = found(constant_columns, as_is(X, np.arange(50) % 2))

    assert told.subject["columns"] == ["x3", "x17"]


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("shape", [(60, 5), (60, 3, 8, 8), (60, 12, 4)])
def test_inputs_that_were_zeroed(part, shape):
    parts = {name: [rng(1).normal(size=shape).astype("f4"), np.arange(60) % 3] for name in ("train", "val", "test")}
    parts[part][0] = np.zeros(shape, "f4")
    train = parts.pop("train")

    told = graver(found(constant_columns, as_is(*train, **{name: tuple(pair) for name, pair in parts.items()})))

    assert [(one.severity, one.values["part"]) for one in told] == [("error", part)]


def test_near_constant_and_what_carries_the_label():
    frame = table(2000, 1)
    label = frame["label"].to_numpy()
    rare = np.zeros(2000)
    rare[rng(2).choice(2000, 12, replace=False)] = 1.0
    telling = np.zeros(2000)
    telling[np.flatnonzero(label == "yes")[:14]] = 1.0
    frame = frame.with_columns(rare=pl.Series(rare) * 3.5, telling=pl.Series(telling) * 3.5)

    (told,) = found(near_constant, of(frame, "label", {"data.val": 0.0, "data.test": 0.0}))

    assert told.subject["columns"] == ["rare"]
    assert sorted(told.subject["rows"]) == np.flatnonzero(rare).tolist()


def test_one_hot_columns_are_not_near_constant():
    X = np.eye(400, dtype="f4")[rng().integers(0, 400, 2000)]

    assert not found(near_constant, as_is(X, rng(1).integers(0, 2, 2000)))


# Scale


@pytest.mark.parametrize("factor", [1e3, 1e5])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_column_of_another_scale(factor, dtype):
    X = rng().normal(size=(500, 6)).astype(dtype)
    X[:, 2] *= factor

    (told,) = found(unscaled_columns, as_is(X, np.arange(500) % 2))

    assert told.severity == "warning"
    assert told.subject["columns"] == ["x2"]
    assert told.values["ratio"] == pytest.approx(factor, rel=0.3)


def test_columns_far_from_zero():
    X = rng().normal(size=(500, 4)).astype("f4")
    X[:, 1] += 60.0

    (told,) = found(unscaled_columns, as_is(X, np.arange(500) % 2))

    assert (told.severity, told.message, told.subject["columns"]) == ("warning", "audits.off_centre", ["x1"])


def test_everything_is_large():
    X = rng().normal(0, 1000, (300, 4)).astype("f4")

    (told,) = found(unscaled_columns, as_is(X, np.arange(300) % 2))

    assert told.message == "audits.large_columns"
    assert len(told.subject["columns"]) == 4


@pytest.mark.parametrize("form", ["flat", "one channel", "channels last", "bytes"])
def test_raw_pixels(form):
    images = datasets.load_digits().images.repeat(2, 1).repeat(2, 2) * (255 / 16)
    X = np.floor(images).astype("u1" if form == "bytes" else "f4")
    X = {"flat": X.reshape(len(X), -1), "one channel": X[:, None], "channels last": X[..., None], "bytes": X}[form]

    (told,) = found(unscaled_columns, as_is(X, datasets.load_digits().target))

    assert told.message == "audits.raw_pixels"
    assert told.severity == ("note" if form == "bytes" else "warning")


def test_what_the_training_scales_is_a_note():
    data = datasets.load_wine()

    (told,) = found(unscaled_columns, of((data.data, data.target)))
    (raw,) = found(unscaled_columns, of((data.data, data.target), recipe={"data.scale": "none"}))

    assert (told.severity, raw.severity) == ("note", "warning")
    assert raw.remedies[0].change == {"data.scale": "standard"}


def test_a_model_that_begins_with_a_norm():
    from torch import nn

    from tunesmith.doctor.preflight import bench_of_program
    from tunesmith.records import Program

    X, y = rng().normal(0, [1, 5000, 1], (300, 3)).astype("f4"), np.arange(300) % 2
    severities = []
    for first in (nn.BatchNorm1d(3), nn.Identity()):
        model = nn.Sequential(first, nn.Linear(3, 2))
        program = Program(model, nn.CrossEntropyLoss(), None, (X, y), batch_size=32, epochs=1)
        severities += [one.severity for one in found(unscaled_columns, bench_of_program(program).material)]

    assert severities == ["note", "warning"]


def sound_arrays():
    draw = rng(5)
    words = (draw.random((600, 300)) < 0.02) * draw.integers(1, 6, (600, 300))
    heavy = draw.normal(size=(600, 4))
    heavy[:3, 0] = [9e5, 1.1e6, 3e6]  # outliers are no scale
    yield "standard", draw.normal(size=(600, 5)).astype("f4")
    yield "unit", draw.random((600, 5)).astype("f4")
    yield "one-hot", np.eye(30, dtype="f4")[draw.integers(0, 30, 600)]
    yield "counts", words.astype("f4")
    yield "tf-idf", (words / np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1)).astype("f4")
    yield "tokens", draw.integers(0, 30_000, (600, 40))
    yield "categories", draw.integers(0, [5, 2000, 3], (600, 3))
    yield "embeddings", draw.normal(0, 0.02, (600, 64)).astype("f4")
    yield "pictures", draw.random((600, 3, 8, 8)).astype("f4")
    yield "signals", np.cumsum(draw.normal(0, 0.1, (600, 50, 2)), axis=1).astype("f4")
    yield "outliers", heavy.astype("f4")
    yield "one column", draw.normal(size=(600, 1)).astype("f4")
    yield "vector", draw.normal(size=600).astype("f4")
    yield "truth values", draw.random((600, 4)) < 0.3
    yield "iris", datasets.load_iris().data.astype("f4")
    yield "digits", datasets.load_digits().data.astype("f4")
    yield "diabetes", datasets.load_diabetes().data.astype("f4")


@pytest.mark.parametrize(("name", "X"), list(sound_arrays()))
def test_sound_arrays_are_left_alone(name, X):
    material = as_is(X, np.arange(len(X)) % 2)

    for look in LOOKS:
        assert not graver(found(look, material)), (name, look.__name__)


# Numbers that are none


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(40, 3), (40, 1, 8, 8), (40, 6, 2)])
def test_nan_and_infinity_reach_a_network(part, bad, shape):
    parts = {name: [rng(1).normal(size=shape).astype("f4"), np.arange(40) % 2] for name in ("train", "val", "test")}
    parts[part][0].reshape(40, -1)[[7, 31], 1] = bad
    train = parts.pop("train")

    (told,) = found(nonfinite, as_is(*train, **{name: tuple(pair) for name, pair in parts.items()}))

    assert (told.severity, told.status, told.values["part"]) == ("error", "confirmed", part)
    assert told.subject["rows"] == [7, 31]
    assert told.values["nan" if np.isnan(bad) else "infinite"] == 2


def test_numbers_that_float32_cannot_hold():
    X = rng().normal(size=(40, 3))
    X[4, 2] = 1e39

    (told,) = found(nonfinite, as_is(X))

    assert (told.subject["rows"], told.subject["columns"]) == ([4], ["x2"])


def test_gaps_that_are_filled_are_no_error_and_infinity_is():
    X = rng().normal(size=(80, 3))
    X[5, 1] = np.nan

    assert not found(nonfinite, of((X, np.arange(80) % 2)))
    (gap,) = found(missing_cells, of((X, np.arange(80) % 2), recipe={"data.val": 0.0, "data.test": 0.0}))
    X[6, 1] = np.inf
    (told,) = found(nonfinite, of((X, np.arange(80) % 2)))

    assert (gap.severity, gap.subject["columns"]) == ("note", ["x1"])
    assert (told.severity, told.subject["rows"]) == ("error", [6])


def test_infinity_in_a_table():
    frame = with_cells(table(), "income", [3, 9], ["inf", "-inf"])

    told = found(nonfinite, of(frame, "label"))

    assert sorted(row for one in told for row in one.subject["rows"]) == [3, 9]
    assert told[0].subject["columns"] == ["income"]


@pytest.mark.parametrize(("width", "severity"), [(1, "error"), (3, "warning")])
def test_targets_that_are_no_numbers(width, severity):
    y = rng().normal(size=(50, width))
    y[4] = np.nan

    (told,) = found(nonfinite, as_is(rng().normal(size=(50, 2)), y[:, 0] if width == 1 else y))

    assert (told.severity, told.subject["rows"]) == (severity, [4])


# Gaps


@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_gaps_by_column(share):
    frame = table(1000)
    gone = np.flatnonzero(rng(3).random(1000) < share)
    frame = with_cells(frame, "age", gone, ["?"] * len(gone))

    told = found(missing_cells, of(frame, "label", {"data.val": 0.0, "data.test": 0.0}))

    assert (told[0].message, told[0].subject["columns"]) == ("data.missing_cells", ["age"])
    assert told[0].values["count"] == len(gone)
    assert not graver(told)


@pytest.mark.parametrize("part", ["train", "test"])
def test_gaps_in_one_part_only(part):
    parts = {"train": table(600), "test": table(300, 1)}
    frame = parts[part]
    gone = rng(3).choice(len(frame), len(frame) // 2, replace=False)
    parts[part] = with_cells(frame, "colour", gone, [None] * len(gone))

    told = graver(found(missing_cells, of(parts["train"], "label", test=parts["test"])))

    assert [(one.message, one.subject["columns"]) for one in told] == [("audits.missing_in_one_part", ["colour"])]


def test_gaps_alike_in_all_parts_are_no_fault():
    parts = []
    for seed in (0, 1):
        gone = rng(seed).choice(500, 60, replace=False)
        parts.append(with_cells(table(500, seed), "age", gone, [""] * 60))

    assert not graver(found(missing_cells, of(parts[0], "label", test=parts[1])))


def test_rows_without_any_value():
    X = rng().normal(size=(60, 4))
    X[[3, 4]] = np.nan

    told = graver(found(missing_cells, of((X, np.arange(60) % 2), recipe={"data.val": 0.0, "data.test": 0.0})))

    assert [(one.message, one.subject["rows"]) for one in told] == [("audits.empty_rows", [3, 4])]


def test_rows_without_a_target():
    frame = with_cells(table(), "label", [5, 6, 7], [None] * 3)

    told = found(missing_cells, of(frame, "label"))

    assert [one.values["count"] for one in told if one.message == "data.missing_targets"] == [3]


# Kinds of cells


@pytest.mark.parametrize(
    ("column", "cells", "message", "severity"),
    [
        ("income", ["much", "little", "much"], "data.mixed_types", "warning"),
        ("income", ["1.200,50"] * 3, "data.mixed_types", "warning"),
        ("day", ["soon"] * 3, "data.mixed_types", "warning"),
    ],
)
def test_stray_words(column, cells, message, severity):
    frame = with_cells(table(), column, [3, 50, 90], cells)

    (told,) = found(mixed_types, of(frame, "label"))

    assert (told.message, told.severity) == (message, severity)
    assert told.subject == {"columns": [column], "rows": [3, 50, 90]}


@pytest.mark.parametrize("column", ["age", "day"])
def test_stray_words_of_the_test_data(column):
    test = with_cells(table(200, 1), column, [7, 8], ["none of it", "perhaps"])

    train = with_cells(table(), column, [], [])  # as text, like the file of the test data
    (told,) = found(mixed_types, of(train, "label", test=test))

    assert (told.severity, told.subject["rows"]) == ("warning", [7, 8])


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_numbers_and_a_word_half_and_half(share):
    places = np.flatnonzero(rng(2).random(400) < share)
    frame = with_cells(table(), "income", places, ["unknown"] * len(places))

    (told,) = found(mixed_types, of(frame, "label"))

    assert (told.message, told.severity) == ("audits.numbers_and_words", "warning")
    assert told.subject["rows"] == places.tolist()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_two_decimals(share):
    frame = table()
    cells = [f"{value:.2f}" for value in frame["income"].to_list()]
    places = np.flatnonzero(rng(4).random(400) < share)
    for place in places:
        cells[place] = cells[place].replace(".", ",")

    told = found(
        mixed_types, of(frame.with_columns(income=pl.Series(cells)), "label", {"data.val": 0.0, "data.test": 0.0})
    )

    assert [one.severity for one in told] == ["warning"]
    assert set(told[0].subject["rows"]) <= set(places.tolist()) or told[0].message == "audits.two_decimals"


def test_two_forms_of_dates():
    frame = table()
    days = frame["day"].to_list()
    cells = [f"{day:%Y-%m-%d}" if place % 3 else f"{day:%d.%m.%Y}" for place, day in enumerate(days)]

    (told,) = found(
        mixed_types, of(frame.with_columns(day=pl.Series(cells)), "label", {"data.val": 0.0, "data.test": 0.0})
    )

    assert (told.message, told.severity) == ("audits.two_date_forms", "warning")
    assert told.subject["rows"] == list(range(0, 400, 3))


def test_numbers_with_units_are_a_note():
    frame = table().with_columns(weight=pl.Series([f"{value:.1f} kg" for value in rng().normal(70, 9, 400)]))

    (told,) = found(mixed_types, of(frame, "label"))

    assert (told.message, told.severity) == ("audits.numbers_with_units", "note")


def test_ticket_numbers_are_a_note():
    draw = rng()
    tickets = [
        f"{draw.choice(['A/5', 'PC', 'W.C.', 'SOTON', 'CA', 'F.C.'])} {n}" if n % 5 == 0 else str(n)
        for n in draw.integers(1000, 99999, 400)
    ]
    frame = table().with_columns(ticket=pl.Series(tickets))

    assert not graver(found(mixed_types, of(frame, "label")))


@pytest.mark.parametrize("marker", ["?", "NA", "null", ""])
def test_marks_of_missing_values_are_not_words(marker):
    frame = with_cells(table(), "income", range(0, 100, 2), [marker] * 50)

    assert not found(mixed_types, of(frame, "label"))


@pytest.mark.parametrize("mark", [-999.0, -9999.0, -1e6 + 1, 9999.0, 99999.0, -1000.0])
@pytest.mark.parametrize("form", ["table", "array"])
def test_a_mark_for_missing_values(mark, form):
    places = sorted(rng(7).choice(400, 25, replace=False).tolist())
    frame = with_cells(table(), "age", places, [int(mark)] * 25, pl.Int64)
    if form == "array":
        material = as_is(frame.select("age", "flag").to_numpy().astype("f4"), np.arange(400) % 2)
    else:
        material = of(frame, "label")

    (told,) = found(sentinel_values, material)

    assert told.severity == "warning"
    assert told.values["mark"] == mark
    assert told.subject["rows"] == places


def test_a_mark_in_the_test_part_alone():
    test = with_cells(table(200, 1), "age", [4, 5, 6, 7], [-999] * 4, pl.Int64)

    (told,) = found(sentinel_values, of(table(), "label", test=test))

    assert (told.values["part"], told.subject["rows"]) == ("test", [4, 5, 6, 7])


def test_zero_apart_is_a_note():
    pressure = rng().normal(72, 10, 400).round()
    pressure[::20] = 0

    (told,) = found(sentinel_values, of(table().with_columns(pressure=pl.Series(pressure)), "label"))

    assert (told.message, told.severity) == ("audits.zero_apart", "note")


@pytest.mark.parametrize(
    "values",
    [
        np.arange(400) % 2 * 2.0 - 1,
        rng().poisson(0.3, 400),
        np.where(rng().random(400) < 0.9, 0, rng(1).lognormal(8, 1, 400)),
        np.clip(rng().normal(size=400), -2, 2),
        rng().standard_cauchy(400),
        rng().integers(-1, 12, 400),
        1.0 * (rng().random(400) < 0.02),
    ],
)
def test_no_mark(values):
    assert not graver(found(sentinel_values, of(table().with_columns(v=pl.Series(values)), "label")))


def test_levels_in_several_spellings():
    frame = with_cells(table(), "colour", [2, 4], ["Red", "RED."])

    (told,) = found(level_spelling, of(frame, "label"))

    assert (told.severity, told.values["groups"], told.values["count"]) == ("note", 1, 2)


def test_signs_are_no_spelling():
    frame = table().with_columns(colour=pl.Series(["A+", "A-", "A", "0", "B+", "-1", "1", "c++"] * 50))

    assert not found(level_spelling, of(frame, "label"))


# Whatever comes


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": [1.0, 2.0], "y": [0, 1]}),
        pl.DataFrame({"a": [None] * 30, "y": [0, 1] * 15}),
        pl.DataFrame({"a": ["", " ", None] * 10, "b": range(30), "y": ["à", "ß", "中"] * 10}),
        pl.DataFrame({"a": [2**62 + n for n in range(30)], "y": [True, False] * 15}),
        pl.DataFrame({"a": [True, None, False] * 10, "y": range(30)}),
        pl.DataFrame({"列": ["一", "二"] * 15, "y": [0.5, 1.5, 2.5] * 10}),
        pl.DataFrame({"a": [date(2020, 1, 1), None] * 15, "y": [0, 1] * 15}),
        pl.DataFrame({"a": [float("inf")] * 30, "y": [0, 1] * 15}),
        pl.DataFrame({"a": [1e308, -1e308] * 15, "y": [0, 1] * 15}),
    ],
)
def test_odd_tables(frame):
    material = of(frame, "y")

    for look in LOOKS:
        found(look, material)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((1, 3), "f4"),
        np.full((30, 2), np.nan),
        np.zeros((30, 0)),
        np.arange(30, dtype="u8") + np.uint64(2**63),
        np.zeros((30, 2), "f2"),
        np.zeros((30, 1, 1, 1, 4), "f4"),
        np.ones(30, bool),
    ],
)
def test_odd_arrays(X):
    for y in (None, np.arange(len(X)) % 2, np.full(len(X), np.nan)):
        for look in LOOKS:
            found(look, as_is(X, y))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_sets_of_scikit_learn(name):
    data = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame({f"c{place}": column for place, column in enumerate(data.data.T)} | {"target": data.target})

    for material in (of((data.data, data.target)), of(frame, "target")):
        for look in LOOKS:
            assert not graver(found(look, material)), look.__name__


@pytest.mark.parametrize(("name", "target"), [("adult_2000", "income"), ("sms_1000", "label")])
def test_the_demo_tables(root, name, target):
    material = of(str(root / f"src/tunesmith/demo_data/{name}.csv.gz"), target)

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__


@pytest.mark.parametrize(
    ("name", "target", "known"),
    [
        ("adult_train", "income", set()),
        ("california_housing", "median_house_value", set()),
        ("mammography_imbalanced", "class", set()),
        ("wine_quality", "quality", set()),
        ("bike_sharing_hour", "cnt", set()),
        ("bank_marketing_4120", "y", set()),
    ],
)
def test_real_tables(shared, name, target, known):
    material = of(str(shared / f"data/tabular/{name}.csv.gz"), target)

    told = [one for look in LOOKS for one in graver(found(look, material))]

    assert {column for one in told for column in one.subject["columns"]} == known

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import datasets

from tests.audits.columns_cases import as_is, found, graver, of, rng, table, with_cells
from tunesmith.doctor.audits.imbalance import imbalance
from tunesmith.doctor.audits.label_floats import label_floats
from tunesmith.doctor.audits.label_range import label_range
from tunesmith.doctor.audits.label_spelling import label_spelling
from tunesmith.doctor.audits.label_start import label_start
from tunesmith.doctor.audits.row_order import row_order
from tunesmith.doctor.audits.sortedness import sortedness
from tunesmith.doctor.audits.target_constant import target_constant
from tunesmith.doctor.audits.target_scale import target_scale
from tunesmith.doctor.audits.target_ties import target_ties
from tunesmith.doctor.audits.unseen_classes import unseen_classes

LOOKS = (
    imbalance,
    label_floats,
    label_range,
    label_spelling,
    label_start,
    row_order,
    target_constant,
    target_scale,
    target_ties,
    unseen_classes,
)
X = rng().normal(size=(300, 4)).astype("f4")
ALL = {"data.val": 0.0, "data.test": 0.0}


def labels(classes, rows=300, seed=0):
    return rng(seed).permutation(np.arange(rows) % classes)


# Indices


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("dtype", ["i8", "i4", "u1"])
def test_a_label_beyond_the_output(part, dtype):
    parts = {name: labels(5).astype(dtype) for name in ("train", "val", "test")}
    parts[part][[3, 8]] = 5
    others = {name: (X, parts[name]) for name in ("val", "test")}

    (told,) = graver(found(label_range, as_is(X, parts["train"], 5, **others)))

    assert (told.severity, told.message, told.values["part"]) == ("error", "audits.labels_beyond", part)
    assert (told.subject["rows"], told.subject["labels"]) == ([3, 8], [5])


@pytest.mark.parametrize(("mark", "severity"), [(-100, "note"), (-1, "warning"), (-2, "error"), (-7, "error")])
def test_labels_below_zero(mark, severity):
    y = labels(4)
    y[[2, 9, 77]] = mark

    (told,) = found(label_range, as_is(X, y, 4))

    assert (told.severity, told.subject["rows"]) == (severity, [2, 9, 77])


def test_whole_numbers_below_zero_may_be_numbers():
    ratings, temperatures = labels(3) - 1, rng().integers(-9, 30, 300)

    assert not graver(found(label_range, as_is(X, ratings)))
    assert [one.severity for one in graver(found(label_range, as_is(X, temperatures, kind="multiclass")))] == [
        "warning"
    ]
    assert not found(label_range, as_is(X, temperatures, kind="regression"))


@pytest.mark.parametrize("y", [labels(2) * 5, labels(2) * 5.0])
def test_two_numbers_may_be_numbers(y):
    assert [one.severity for one in found(label_range, as_is(X, y))] == ["warning"]


def test_tokens_beyond_the_vocabulary_and_what_is_ignored():
    y = rng().integers(0, 50, (300, 12))
    y[:, 8:] = -100

    assert not graver(found(label_range, as_is(y, y, 50, kind="language")))
    y[4, 2] = 50
    (told,) = found(label_range, as_is(y, y, 50, kind="language"))

    assert (told.severity, told.subject["rows"]) == ("error", [4])


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize(("low", "high"), [(0, 2), (-1, 1), (0, 255), (-0.1, 1)])
def test_targets_of_a_yes_or_no_loss(kind, low, high):
    y = rng().random((300, 3) if kind == "multilabel" else 300).astype("f4")
    y.reshape(300, -1)[7, 0], y.reshape(300, -1)[9, 0] = low, high

    told = found(label_range, as_is(X, y, kind=kind))

    assert [one.severity for one in told] == ["error"]
    assert set(told[0].subject["rows"]) <= {7, 9}


@pytest.mark.parametrize(
    "y",
    [
        labels(2).astype("f4"),
        rng().random(300).astype("f4"),
        (rng().random((300, 6)) < 0.3).astype("f4"),
        labels(2) * 2 - 1,
        labels(2),
        labels(2).astype(bool),
    ],
)
def test_sound_yes_or_no_targets(y):
    material = as_is(X, y, kind="multilabel" if y.ndim == 2 else "binary")

    assert not graver(found(label_range, material))


@pytest.mark.parametrize(("width", "severity"), [(5, "error"), (None, "note"), (6, "note")])
def test_labels_from_one(width, severity):
    material = as_is(X, labels(5) + 1, width)

    (told,) = found(label_start, material)

    assert (told.severity, told.values["top"]) == (severity, 5)
    assert not graver(found(label_range, material))


def test_a_file_numbers_its_classes_anew():
    frame = table().with_columns(label=pl.Series(labels(4, 400) + 1))

    (told,) = found(label_start, of(frame, "label"))

    assert told.severity == "note"


@pytest.mark.parametrize("y", [labels(5), labels(5)[labels(5) != 3], labels(2), labels(5) + 2])
def test_labels_that_start_elsewhere(y):
    assert not found(label_start, as_is(X[: len(y)], y, 9))


def test_float_labels():
    y = labels(4).astype("f4")

    (known,) = found(label_floats, as_is(X, y, 4))
    (unknown,) = found(label_floats, as_is(X, y))

    assert (known.severity, unknown.severity) == ("warning", "note")
    assert not found(label_floats, as_is(X, labels(2).astype("f4"), 2))


# Spelling


@pytest.mark.parametrize("other", ["YES", "yes.", "Yes ", "y\u200bes"])
def test_a_class_in_two_spellings(other):
    frame = table()
    rows = [place for place, label in enumerate(frame["label"].to_list()) if label == "yes"][:4]
    told = found(label_spelling, of(with_cells(frame, "label", rows, [other] * 4), "label", ALL))

    assert [(one.severity, one.subject["rows"]) for one in told] == [("warning", rows)]


def test_another_spelling_in_the_test_part():
    test = table(200, 1).with_columns(pl.col("label") + ".")

    told = found(label_spelling, of(table(), "label", test=test))

    assert {one.severity for one in told} == {"error"}
    assert {one.values["part"] for one in told} == {"test"}
    assert not found(unseen_classes, of(table(), "label", test=test))


def test_one_and_one_point_zero_among_words():
    y = ["1", "2", "1.0", "many"] * 30

    (told,) = found(label_spelling, of({"a": np.arange(120) % 7, "y": y}, "y"))

    assert told.subject["labels"] == ["1", "1.0"]


def test_letters_may_be_classes():
    frame = table().with_columns(label=pl.Series(["a", "A", "b", "B"] * 100))

    assert not found(label_spelling, of(frame, "label"))


# Classes by size


@pytest.mark.parametrize(("rare", "severity"), [(20, "note"), (5, "warning"), (2, "warning"), (150, "")])
def test_imbalance_of_two(rare, severity):
    y = np.zeros(300, np.int64)
    y[:rare] = 1

    told = found(imbalance, as_is(X, rng(1).permutation(y), 2))

    assert max((one.severity for one in told), default="") == severity  # "warning" > "note" > ""
    if severity:
        ratio = next(one for one in told[0].evidence if one.name == "ratio")
        assert ratio.value == pytest.approx((300 - rare) / rare)


def test_the_entropy_is_that_of_scipy():
    y = rng().choice(5, 1000, p=[0.9, 0.05, 0.03, 0.01, 0.01])
    material = as_is(rng().normal(size=(1000, 2)), y, 5)

    found(imbalance, material)

    want = stats.entropy(np.bincount(y)) / np.log(5)
    assert material.measured["class entropy"] == pytest.approx(want)


@pytest.mark.parametrize(
    "recipe", [{"loss.class_weights": "balanced"}, {"data.sampler": "balanced"}, {"data.sampler": "oversample"}]
)
def test_what_the_recipe_weighs_is_no_trouble(recipe):
    y = np.zeros(300, np.int64)
    y[:20] = 1

    assert found(imbalance, of((X, y)))
    assert not found(imbalance, of((X, y), recipe=recipe))


def test_a_class_without_training_rows():
    groups = np.arange(400) // 10
    for rare in range(40):
        y = np.where(groups == rare, "rare", np.where(np.arange(400) % 2, "yes", "no"))
        frame = table(400).with_columns(g=pl.Series(groups), label=pl.Series(y.tolist()))
        material = of(frame, "label", group="g")
        if "rare" not in material.train.target:
            break

    told = graver(found(imbalance, material))

    assert [one.message for one in told] == ["data.untrained_class"]
    assert told[0].subject["classes"] == ["rare"]


def test_classes_of_a_part_that_the_training_has_not():
    y = labels(4)

    (files,) = found(unseen_classes, of((X, y), test=(X, np.where(y == 3, 9, y))))
    (arrays,) = found(unseen_classes, as_is(X, y, None, val=(X, np.where(y == 3, 9, y))))

    assert (files.severity, arrays.severity) == ("error", "warning")
    assert files.subject["rows"] == np.flatnonzero(y == 3).tolist()
    assert files.subject["labels"] == ["9"]


# Numbers to predict


@pytest.mark.parametrize(("offset", "scale"), [(0, 1000), (500, 1), (1e6, 1e5), (0, 1e-4), (-40, 1)])
def test_a_target_of_another_scale(offset, scale):
    y = offset + scale * rng(2).normal(size=300)

    (raw,) = found(target_scale, as_is(X, y))
    (ours,) = found(target_scale, of((X, y), kind="regression"))
    (table_none,) = found(target_scale, of((X, y), kind="regression", recipe={"data.scale_target": "none"}))

    assert (raw.severity, ours.severity, table_none.severity) == ("warning", "note", "warning")
    assert raw.values["mean"] == pytest.approx(y.mean())
    assert table_none.remedies[0].change == {"data.scale_target": "standard"}


def test_one_column_of_several():
    y = rng(2).normal(size=(300, 3))
    y[:, 1] *= 400

    (told,) = found(target_scale, as_is(X, y))

    assert told.subject["columns"] == ["y1"]


@pytest.mark.parametrize(
    "y", [rng(1).normal(size=300), rng(1).random(300), rng(1).normal(size=(300, 4)) * 3, rng(1).poisson(2, 300) * 1.0]
)
def test_sound_targets(y):
    assert not found(target_scale, as_is(X, y, kind="auto"))


@pytest.mark.parametrize(("noise", "told"), [("growing", True), ("even", False)])
def test_the_logarithm(noise, told):
    draw = rng(4)
    X = draw.normal(size=(1500, 3))
    line = X @ [0.5, -0.3, 0.2]
    y = (
        np.exp(3 + line + draw.normal(0, 0.5, 1500))
        if noise == "growing"
        else 300 + 20 * draw.exponential(size=1500) * 0 + 30 * line + draw.gumbel(0, 20, 1500)
    )

    messages = [one.message for one in found(target_scale, of((X, y), kind="regression"))]

    assert ("audits.log_target" in messages) == told


@pytest.mark.parametrize("value", [0.0, 3.5, "only"])
def test_a_target_that_never_changes(value):
    frame = table().with_columns(label=pl.lit(value))

    (told,) = found(target_constant, of(frame, "label"))

    assert (told.severity, told.fault) == ("error", "data.constant")


def test_a_constant_target_of_a_program_may_be_a_dummy():
    (told,) = found(target_constant, as_is(X, np.zeros(300, np.int64)))

    assert told.severity == "warning"


def test_nearly_all_targets_are_one_number():
    y = np.where(np.arange(300) % 20 == 0, rng(1).normal(50, 9, 300), 0.0)

    (told,) = found(target_constant, as_is(X, y))

    assert (told.severity, told.values["value"]) == ("note", 0.0)


@pytest.mark.parametrize("end", ["largest", "smallest"])
def test_a_capped_target(end):
    y = rng(3).normal(10, 3, 2000).round(2)
    y = np.minimum(y, np.quantile(y, 0.95)) if end == "largest" else np.maximum(y, np.quantile(y, 0.05))

    (told,) = found(target_ties, of((rng().normal(size=(2000, 2)), y), kind="regression", recipe=ALL))

    assert (told.severity, told.message) == ("note", f"audits.heap_{end}")
    assert told.values["count"] == len(told.subject["rows"]) == (y == (y.max() if end == "largest" else y.min())).sum()


def test_few_numbers_and_many_ties():
    few = rng(3).integers(1, 6, 500)
    counts = rng(3).poisson(30, 2000)

    (told,) = found(target_ties, of((rng().normal(size=(500, 2)), few), kind="regression"))

    assert told.message == "audits.few_numbers"
    assert not found(target_ties, of((rng().normal(size=(2000, 2)), counts), kind="regression"))


# Order


def test_runs_are_counted_as_by_hand():
    strength, _ = sortedness(np.array([0, 0, 1, 1, 1, 0]))  # 4 runs, 3 of 5 neighbours match, chance 0.4

    assert strength == pytest.approx((3 / 5 - 0.4) / 0.6)


def test_the_chances_are_even():
    draw = rng(9)
    of_labels = [sortedness(draw.integers(0, 4, 300))[1] for _ in range(400)]
    of_numbers = [sortedness(draw.exponential(size=300))[1] for _ in range(400)]

    for chances in (of_labels, of_numbers):
        assert stats.kstest(chances, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("form", ["sorted", "blocks", "drifting"])
def test_rows_in_the_order_of_their_classes(classes, form):
    y = np.sort(labels(classes))
    if form == "blocks":
        y = np.concatenate([y[place::3] for place in range(3)])
    if form == "drifting":
        swap = rng(1).choice(300, 60, replace=False)
        y[swap] = y[rng(2).permutation(swap)]
    material = of((X, y))

    (told,) = found(row_order, material)
    (fed,) = found(row_order, of((X, y), recipe={"data.sampler": "sequential"}))

    assert (told.severity, fed.severity) == ("note", "warning")
    assert material.measured["sortedness"] > 0.25


def test_rows_in_the_order_of_their_numbers():
    y = np.sort(rng().normal(size=300))

    assert found(row_order, of((X, y), kind="regression"))
    assert not found(row_order, of((X, rng(1).permutation(y)), kind="regression"))


@pytest.mark.parametrize("y", [labels(2), labels(10), np.arange(300) % 3, rng().normal(size=300), np.zeros(300)])
def test_rows_in_no_order(y):
    assert not found(row_order, as_is(X, y))


# Whatever comes


@pytest.mark.parametrize(
    "y",
    [
        np.full(300, np.nan),
        np.r_[np.nan, np.arange(299) % 3],
        np.arange(300) + 2**40,
        np.arange(300, dtype="u8") + np.uint64(2**63),
        rng().integers(-128, 127, 300).astype("i1"),
        np.array(["à", "中", ""] * 100, object),
        np.array([None, "b", "c"] * 100, object),
        np.full((300, 2), np.inf),
        rng().random((300, 2, 3)),
        np.zeros((300, 0)),
        np.zeros(300, "f2"),
        np.full(300, 1e308),
    ],
)
def test_odd_targets(y):
    for material in (as_is(X, y), as_is(X, y, 3), as_is(X, y, kind="binary"), as_is(X, y, kind="multiclass")):
        for look in LOOKS:
            found(look, material)


def test_one_row():
    for look in LOOKS:
        found(look, as_is(X[:1], np.zeros(1, np.int64)))
        found(look, as_is(X[:0], np.zeros(0, np.int64)))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"])
def test_sets_of_scikit_learn(name):
    data = getattr(datasets, f"load_{name}")()

    for look in LOOKS:
        assert not graver(found(look, of((data.data, data.target)))), look.__name__
        if name not in ("diabetes", "linnerud"):  # targets of 150 and 180
            assert not graver(found(look, as_is(data.data, data.target, len(data.target_names)))), look.__name__


@pytest.mark.parametrize(("name", "target"), [("adult_2000", "income"), ("sms_1000", "label")])
def test_the_demo_tables(root, name, target):
    material = of(str(root / f"src/tunesmith/demo_data/{name}.csv.gz"), target)

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__


@pytest.mark.parametrize(
    ("name", "target", "known"),
    [
        ("adult_train", "income", set()),
        ("california_housing", "median_house_value", {"audits.heap_largest", "audits.target_scaled"}),
        ("mammography_imbalanced", "class", {"data.class_imbalance", "audits.sorted_rows"}),
        ("wine_quality", "quality", {"data.class_imbalance"}),
        ("bike_sharing_hour", "cnt", {"audits.target_scaled", "audits.sorted_rows"}),
        ("bank_marketing_4120", "y", set()),
    ],
)
def test_real_tables(shared, name, target, known):
    material = of(str(shared / f"data/tabular/{name}.csv.gz"), target)

    told = [one for look in LOOKS for one in found(look, material)]

    assert not graver(told)
    assert {one.message for one in told} == known

"""Copies, sums, strong columns, identifiers and gaps: planted in sound data, and sound data as they are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from tests.audits.leakage_cases import looked, loud, table
from tunesmith.records import Task

COPIES = {
    "equal": lambda y, rng: y,
    "other units": lambda y, rng: 32 + 1.8 * y,
    "falling": lambda y, rng: -y,
    "rounded": lambda y, rng: np.round(y, 2),
    "noise of 1 %": lambda y, rng: y + 0.01 * y.std() * rng.normal(size=len(y)),
    "curved": lambda y, rng: np.exp(y / 2),
    "a cell in 200 changed": lambda y, rng: np.where(np.arange(len(y)) % 200 == 7, 50.0, y),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_number_is_found_and_named(how):
    frame, y, _, rng = table()
    frame = frame.with_columns(pl.Series("later", COPIES[how](y, rng)), pl.Series("y", y))

    found = loud(looked(Task(train=frame, target="y"), "leakage_copy"))

    assert [finding.subject["columns"] for finding in found] == [["later"]]
    assert found[0].fault == "data.leakage"
    assert found[0].severity == ("warning" if how == "curved" else "error")


RECODINGS = {
    "equal": lambda y: y,
    "capitals": lambda y: np.char.upper(y),
    "numbers": lambda y: np.where(y == "yes", 7, 3),
    "other words": lambda y: np.where(y == "yes", "granted", "refused"),
    "finer": lambda y: np.where(y == "yes", "granted", np.where(np.arange(len(y)) % 2, "refused", "withdrawn")),
    "one in 600 differs": lambda y: np.where(np.arange(len(y)) == 5, "yes", np.where(y == "yes", "granted", "refused")),
}


@pytest.mark.parametrize("how", RECODINGS)
def test_a_class_in_other_words_is_found(how):
    frame, _, y, _ = table()
    made = pl.Series("later", RECODINGS[how](y).tolist())
    frame = frame.with_columns(made, pl.Series("y", y.tolist()))

    found = loud(looked(Task(train=frame, target="y"), "leakage_copy"))

    assert [finding.subject["columns"] for finding in found] == [["later"]]


def test_a_column_that_is_one_class_of_many():
    data = datasets.load_digits()
    X = np.column_stack([data.data, data.target == 4])

    found = loud(looked(Task(train=(X, data.target)), "leakage_copy"))

    assert [finding.subject["columns"] for finding in found] == [["x[64]"]]
    assert found[0].values["label"] == "4"


@pytest.mark.parametrize("place", [0, 17, 30])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_target_among_the_columns_of_an_array(place, noise):
    data = datasets.load_diabetes()
    rng = np.random.default_rng(1)
    X = np.column_stack([data.data, rng.normal(size=(len(data.data), 21))])
    X[:, place] = data.target + noise * data.target.std() * rng.normal(size=len(X))

    found = loud(looked(Task(train=(X, data.target)), "leakage_copy"))

    assert [finding.subject["columns"] for finding in found] == [[f"x[{place}]"]]


def test_an_only_input_and_a_made_up_task_are_no_more_than_a_note():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6))

    assert not loud(looked(Task(train=(X[:, :1], np.sin(X[:, 0])))))
    assert not loud(looked(Task(train=(X, (X[:, 0] > 0).astype(int)))))
    assert not loud(looked(Task(train=(X, X[:, 0] + X[:, 1]))))
    assert not loud(looked(Task(train=(X, X @ rng.normal(size=6)))))
    assert not loud(looked(Task(train=(X, X))))


SUMS = {
    "sum": (lambda p, q, r: p + q, {"p", "q"}),
    "difference": (lambda p, q, r: p - q, {"p", "q"}),
    "mean": (lambda p, q, r: (p + q) / 2, {"p", "q"}),
    "product": (lambda p, q, r: p * q, {"p", "q"}),
    "ratio": (lambda p, q, r: 100 * p / q, {"p", "q"}),
    "body mass": (lambda p, q, r: np.round(p / q**2, 4), {"p", "q"}),
    "three": (lambda p, q, r: p + q - r, {"p", "q", "r"}),
    "whole weights": (lambda p, q, r: 3 * p + q + 2 * r, {"p", "q", "r"}),
}


@pytest.mark.parametrize("how", SUMS)
@pytest.mark.parametrize("spoiled", [0, 20])
def test_parts_of_a_target_are_found_and_named(how, spoiled):
    frame, y, _, rng = table()
    p, q, r = np.exp(rng.normal(1, 0.5, (3, len(y))) + 0.2 * y)
    make, parts = SUMS[how]
    target = make(p, q, r)
    target[:spoiled] += rng.normal(size=spoiled) * target.std()
    frame = frame.with_columns(p=p, q=q, r=r, total=target)

    found = loud(looked(Task(train=frame, target="total"), "leakage_sum"))

    assert len(found) == 1
    assert set(found[0].subject["columns"]) == parts
    assert found[0].severity == "error"


@pytest.mark.parametrize("width", [10, 300])
def test_a_sum_among_many_columns_of_an_array(width):
    rng = np.random.default_rng(3)
    X = rng.poisson(20, size=(1500, width)).astype(float)
    y = X[:, 2] + X[:, 7] - X[:, 5]
    X[:, 0] += 0.5 * y  # the task is one without the leak too

    found = loud(looked(Task(train=(X, y)), "leakage_sum"))

    assert [finding.subject["columns"] for finding in found] == [["x[2]", "x[5]", "x[7]"]]


def test_a_nearly_exact_sum_is_none():
    frame, y, _, rng = table()
    p, q = rng.normal(size=(2, len(y)))
    frame = frame.with_columns(p=p, q=q, total=p + q + 0.1 * rng.normal(size=len(y)))

    assert not looked(Task(train=frame, target="total"), "leakage_sum")


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.2])
def test_a_noisy_copy_stands_out_against_the_others(noise):
    frame, y, _, rng = table()
    frame = frame.with_columns(pl.Series("later", y + noise * y.std() * rng.normal(size=len(y))), pl.Series("y", y))

    found = loud(looked(Task(train=frame, target="y"), "leakage_strong"))

    assert [finding.subject["columns"] for finding in found] == [["later"]]


def test_an_earlier_value_of_the_target_is_honest():
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.normal(size=1500))
    frame = pl.DataFrame({"lag1": y[:-1], "other": rng.normal(size=1499), "third": rng.normal(size=1499), "y": y[1:]})

    assert not loud(looked(Task(train=frame, target="y"), "leakage_strong", "future_leak", "leakage_copy"))


@pytest.mark.parametrize("shuffled", [False, True])
def test_numbers_given_by_class(shuffled):
    frame, _, y, rng = table()
    order = np.argsort(y, kind="stable")
    frame = frame.with_columns(pl.Series("y", y.tolist()))[order].with_columns(
        sample=pl.Series(np.arange(len(y)) + 500)
    )
    frame = frame[rng.permutation(len(y))] if shuffled else frame
    frame = frame.select("a", "b", "c", "colour", "sample", "y")

    found = loud(looked(Task(train=frame, target="y"), "leakage_identifier"))

    assert [finding.subject["columns"] for finding in found] == [["sample"]]


def test_a_column_filled_after_the_outcome():
    frame, _, y, rng = table()
    cells = [
        f"{amount:.0f}" if one == "yes" else None for one, amount in zip(y, rng.normal(50, 9, len(y)), strict=True)
    ]
    frame = frame.with_columns(pl.Series("refund", cells), pl.Series("y", y.tolist()))

    found = loud(looked(Task(train=frame, target="y"), "leakage_missing"))

    assert [finding.subject["columns"] for finding in found] == [["refund"]]
    assert found[0].values["label"] == "yes"


def test_a_column_filled_for_some_of_one_class_only():
    frame, _, y, _ = table()
    cells = [1.0 + k % 9 if one == "yes" and k % 4 == 0 else None for k, one in enumerate(y)]
    frame = frame.with_columns(pl.Series("number", cells), pl.Series("y", y.tolist()))

    assert [finding.severity for finding in looked(Task(train=frame, target="y"), "leakage_missing")] == ["warning"]


def test_gaps_at_random_say_nothing():
    frame, _, y, rng = table()
    cells = [None if hidden else 1.0 for hidden in rng.random(len(y)) < 0.3]
    frame = frame.with_columns(pl.Series("number", cells), pl.Series("y", y.tolist()))

    assert not looked(Task(train=frame, target="y"), "leakage_missing")


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_and_columns_changes_nothing(seed):
    frame, y, _, rng = table(seed % 7)
    frame = frame.with_columns(p=rng.poisson(9, len(y)), q=rng.poisson(5, len(y)), again=3 - 2 * y)
    frame = frame.with_columns(y=y)
    mixed = np.random.default_rng(seed)
    other = frame[mixed.permutation(len(frame))].select(mixed.permutation(frame.columns).tolist())
    names = "leakage_copy", "leakage_sum", "leakage_missing", "redundancy"

    first, second = (looked(Task(train=one, target="y"), *names) for one in (frame, other))

    assert [(one.message, one.severity, sorted(one.subject["columns"])) for one in first] == [
        (one.message, one.severity, sorted(one.subject["columns"])) for one in second
    ]
    assert any(one.message == "leakage.copy_line" for one in first)


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_sound_arrays_are_quiet(name):
    data = getattr(datasets, f"load_{name}")()

    assert not loud(looked(Task(train=(data.data, data.target))))


def test_sound_tables_are_quiet(root):
    folder = root / "src" / "tunesmith" / "demo_data"

    assert not loud(looked(Task(train=folder / "adult_2000.csv.gz", target="income")))
    assert not loud(looked(Task(train=folder / "sms_1000.csv.gz", target="label")))


TABLES = {
    "adult_train": "income",
    "california_housing": "median_house_value",
    "mammography_imbalanced": "class",
    "wine_quality": "quality",
    "bank_marketing_4120": "y",
}


@pytest.mark.parametrize("name", TABLES)
def test_shared_tables_are_quiet(shared, name):
    task = Task(train=shared / "data" / "tabular" / f"{name}.csv.gz", target=TABLES[name])

    assert not loud(looked(task))


def test_adult_with_its_own_test_part_is_quiet(shared):
    folder = shared / "data" / "tabular"

    assert not loud(
        looked(Task(train=folder / "adult_train.csv.gz", test=folder / "adult_test.csv.gz", target="income"))
    )


def test_bike_sharing_holds_its_known_traps(shared):
    found = looked(Task(train=shared / "data" / "tabular" / "bike_sharing_hour.csv.gz", target="cnt"))

    errors = [finding for finding in found if finding.severity == "error"]
    assert [finding.subject["columns"] for finding in errors] == [["casual", "registered"]]
    assert "cnt = casual + registered" in errors[0].because
    warned = [finding for finding in found if finding.severity == "warning"]
    assert [finding.message for finding in warned] == ["leakage.future"]

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

import tunesmith
from tests.audits.planting import scenes, sentences
from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.doctor.audits.duplicates import duplicates
from tunesmith.doctor.audits.equal_rows import bare, coincidences, column_keys, groups_of
from tunesmith.records import Recipe, Task, healthy, revise


def table(**columns):
    return material_of(Task(train=pl.DataFrame(columns), target="y"))


def exact(material):
    return [one for one in duplicates(material) if one.fault == "data.duplicates" and "same_words" not in one.message]


def test_the_sms_messages_repeat_themselves_403_times(shared):
    file = shared / "data" / "text" / "sms_spam.csv.gz"
    messages = pl.read_csv(file)["text"]

    (found,) = exact(material_of(Task(train=file, target="label")))

    assert found.values["count"] == 403 == len(messages) - messages.n_unique()
    assert found.severity == "note"
    assert len(found.subject["rows"]) == messages.is_duplicated().sum()


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_copies_in_a_wide_table_are_warned_of(share):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 6)), rng.integers(0, 2, 400)
    copied = rng.permutation(400)[: int(400 * share)]
    X, y = np.concatenate([X, X[copied]]), np.concatenate([y, y[copied]])

    (found,) = exact(material_of(Task(train=(X, y))))

    assert found.severity == "warning"
    assert found.values["count"] == len(copied)
    assert set(found.subject["rows"]) == {*copied.tolist(), *range(400, 400 + len(copied))}
    rows, group = np.array(found.subject["rows"]), np.array(found.subject["group"])
    assert all(np.array_equal(X[rows[group == one]][0], X[rows[group == one]][1]) for one in np.unique(group))


def test_copied_pictures_are_warned_of():
    pictures = scenes(120)
    X = np.concatenate([pictures, pictures[:40]])

    (found,) = exact(material_of_arrays({"train": (X, np.arange(160) % 2)}))

    assert found.severity == "warning"
    assert found.values["groups"] == 40


def test_equal_inputs_of_two_labels_are_told():
    pictures = scenes(200)
    X, y = np.concatenate([pictures, pictures[:30]]), np.arange(230) % 2
    y[200:215] = 1 - y[:15]
    y[215:] = y[15:30]

    found = next(one for one in duplicates(material_of_arrays({"train": (X, y)})) if one.fault == "data.label_noise")

    assert found.severity == "warning"
    assert found.values["count"] == 15
    assert set(found.subject["rows"]) == {*range(15), *range(200, 215)}


def test_texts_that_differ_in_case_and_spaces_are_told():
    said = sentences(60)
    said[30:35] = [f"  {text.upper()} !! " for text in said[:5]]
    said[35] = said[6]

    found = list(duplicates(table(text=said, y=["a", "b"] * 30)))

    assert {one.message: one.values["count"] for one in found if one.fault == "data.duplicates"} == {
        "audits.duplicates.exact": 1,
        "audits.duplicates.same_words": 5,
    }


@pytest.mark.parametrize("levels", [2, 4, 12])
def test_independent_columns_explain_their_equal_rows(levels):
    rng = np.random.default_rng(levels)
    columns = {name: [f"l{value}" for value in rng.integers(0, levels, 2000)] for name in "abc"}
    material = table(**columns, y=rng.permutation(["p", "q"] * 1000).tolist())
    keys = column_keys(material, [material.whole])[0]
    closed = 2000 * 1999 / 2 / levels**3

    expected = coincidences(keys)

    assert expected == pytest.approx(closed, rel=0.35)
    assert healthy(duplicates(material))


def test_coincidence_does_not_explain_copies():
    rng = np.random.default_rng(0)
    columns = {name: np.tile(rng.integers(0, 1000, 500), 2) for name in "abcd"}
    material = material_of_arrays({"train": (np.stack(list(columns.values()), 1), np.arange(1000) % 2)})

    assert coincidences(column_keys(material, [material.train])[0]) < 5


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_quiet_on_real_tables(name):
    data = getattr(datasets, f"load_{name}")()

    assert healthy(duplicates(material_of(Task(train=(data.data, data.target)))))


@pytest.mark.parametrize(("file", "target"), [("adult_2000.csv.gz", "income"), ("sms_1000.csv.gz", "label")])
def test_quiet_on_the_demonstration_data(file, target):
    data = f"{tunesmith.__path__[0]}/demo_data/{file}"

    assert healthy(duplicates(material_of(Task(train=data, target=target))))


def test_a_gap_equals_a_gap():
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[10] = X[20] = [np.nan, 1.0, 2.0]
    X[30] = -0.0
    X[31] = 0.0

    (found,) = exact(material_of_arrays({"train": (X, np.arange(50) % 2)}))

    assert sorted(found.subject["rows"]) == [10, 20, 30, 31]


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_are_looked_at(rows):
    material = material_of_arrays({"train": (np.zeros((rows, 3)), np.zeros(rows, int))})

    assert [one.values["count"] for one in exact(material)] == [1] * (rows - 1)


def test_all_rows_equal():
    (found,) = exact(material_of_arrays({"train": (np.ones((40, 3)), np.arange(40) % 2)}))

    assert found.values["count"] == 39
    assert found.values["largest"] == 40


def test_empty_texts_are_no_same_words():
    found = duplicates(table(text=[None, "", "!!", "...", *sentences(20)], y=["a", "b"] * 12))

    assert all("same_words" not in one.message for one in found)


def test_dividing_equal_rows_is_advised_against():
    X = np.tile(np.random.default_rng(0).normal(size=(100, 4)), (2, 1))
    recipe = revise(Recipe(), {"data.keep_duplicates_together": False})
    material = material_of(Task(train=(X, np.arange(200) % 2)), recipe)

    (found,) = exact(material)

    assert {"data.keep_duplicates_together": True} in [dict(one.change) for one in found.remedies]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(values, random):
    keys = np.array(values)
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = groups_of(keys[order])

    assert {frozenset(np.array(order)[group].tolist()) for group in shuffled} == {
        frozenset(group.tolist()) for group in groups_of(keys)
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 59), st.integers(0, 2**31))
def test_a_copy_of_a_row_is_exactly_that_pair(row, seed):
    X = np.random.default_rng(seed).normal(size=(60, 4))
    X = np.concatenate([X, X[row : row + 1]])

    (found,) = exact(material_of_arrays({"train": (X, np.arange(61) % 2)}))

    assert found.subject["rows"] == [row, 60]


@settings(max_examples=200)
@given(st.text())
def test_a_bare_text_is_its_own(text):
    assert bare(bare(text)) == bare(text)

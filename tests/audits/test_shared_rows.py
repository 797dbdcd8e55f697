import numpy as np
import polars as pl
import pytest

from tests.audits.planting import scenes, sentences
from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.doctor.audits.shared_rows import shared_rows
from tunesmith.records import Recipe, Task, healthy, revise
from tunesmith.records.check import Inapplicable


def arrays(train, test):
    return material_of_arrays({"train": (train, np.arange(len(train)) % 2), "test": (test, np.arange(len(test)) % 2)})


@pytest.mark.parametrize(("shared_count", "severity"), [(2, "note"), (10, "warning"), (60, "error")])
def test_training_rows_among_the_test_rows(shared_count, severity):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(500, 5)), rng.normal(size=(200, 5))
    mine, theirs = rng.permutation(500)[:shared_count], rng.permutation(200)[:shared_count]
    test[theirs] = train[mine]

    (found,) = shared_rows(arrays(train, test))

    assert found.fault == "data.leakage"
    assert found.severity == severity
    pairs = dict(zip(found.subject["rows"], found.subject["training_rows"], strict=True))
    assert pairs == dict(zip(theirs.tolist(), mine.tolist(), strict=True))


def test_pictures_and_another_number_type():
    pictures = scenes(80)
    test = np.concatenate([scenes(40, seed=1), pictures[:20]]).astype(np.float32)

    (found,) = shared_rows(arrays(pictures, test))

    assert found.severity == "error"
    assert found.subject["rows"] == list(range(40, 60))


def test_texts():
    said = sentences(100)
    train = pl.DataFrame({"text": said[:80], "y": ["a", "b"] * 40})
    test = pl.DataFrame({"text": said[70:100], "y": ["a", "b"] * 15})
    recipe = revise(Recipe(), {"data.val": 0.0})

    (found,) = shared_rows(material_of(Task(train=train, test=test, target="y"), recipe))

    assert found.subject["rows"] == list(range(10))
    assert found.subject["training_rows"] == list(range(70, 80))


def test_rows_of_few_values_are_equal_by_nature():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 3, (800, 4)), rng.integers(0, 3, (300, 4))

    found = list(shared_rows(arrays(train, test)))

    assert healthy(found)
    assert found[0].message == "audits.shared_rows.by_nature"
    assert found[0].values["expected"] == pytest.approx(800 * 300 / 3**4, rel=0.2)


def test_quiet_on_adult(shared):
    folder = shared / "data" / "tabular"
    task = Task(train=folder / "adult_train.csv.gz", test=folder / "adult_test.csv.gz", target="income")

    assert healthy(shared_rows(material_of(task)))


def test_a_planned_split_keeps_equal_rows_together():
    X = np.tile(np.random.default_rng(0).normal(size=(100, 4)), (2, 1))

    assert not list(shared_rows(material_of(Task(train=(X, np.arange(200) % 2)))))


def test_without_another_part_there_is_nothing_to_look_at():
    with pytest.raises(Inapplicable):
        list(shared_rows(material_of_arrays({"train": (np.zeros((3, 2)), np.zeros(3, int))})))

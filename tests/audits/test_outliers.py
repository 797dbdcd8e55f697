import numpy as np
import polars as pl
import pytest
from scipy.stats import median_abs_deviation
from sklearn import datasets

import tunesmith
from tests.audits.planting import scenes, sentences
from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.doctor.audits.outliers import outliers
from tunesmith.doctor.audits.tails import tail_of
from tunesmith.records import Task, healthy


def arrays(X, y=None):
    return material_of_arrays({"train": (X, np.arange(len(X)) % 2 if y is None else y)})


@pytest.mark.parametrize("factor", [100.0, 1e4, 1e9])
@pytest.mark.parametrize("count", [1, 4])
def test_a_few_far_values_are_warned_of(factor, count):
    X = np.random.default_rng(0).normal(3, 1, size=(600, 4))
    rows = [7, 99, 345, 500][:count]
    X[rows, 2] *= factor

    (found,) = (one for one in outliers(arrays(X)) if one.message == "audits.outliers.column")

    assert found.severity == "warning"
    assert sorted(found.subject["rows"]) == rows
    assert found.subject["columns"] == ["x[2]"]
    assert found.subject["scores"] == sorted(found.subject["scores"], reverse=True)


def test_a_named_column_of_a_table():
    rng = np.random.default_rng(0)
    income = rng.lognormal(10, 0.5, 500)
    income[42] = 1e12
    frame = pl.DataFrame({"income": income, "age": rng.normal(40, 9, 500), "y": ["a", "b"] * 250})

    (found,) = (one for one in outliers(material_of(Task(train=frame, target="y"))) if one.severity == "warning")

    assert found.subject["columns"] == ["income"]
    assert found.subject["rows"] == [42]


def test_the_target_of_a_regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = X @ [1.0, 2.0, 3.0]
    y[[5, 6]] = 900.0, -1200.0

    (found,) = (one for one in outliers(arrays(X, y)) if one.message == "audits.outliers.target")

    assert found.severity == "warning"
    assert found.subject["rows"] == [6, 5]


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(size=3000),
        lambda rng: rng.lognormal(0, 1, 3000),
        lambda rng: rng.lognormal(0, 2, 3000),
        lambda rng: rng.standard_t(2.5, 3000),
        lambda rng: rng.pareto(1.5, 3000),
        lambda rng: rng.exponential(size=3000),
        lambda rng: np.where(rng.random(3000) < 0.95, 0.0, rng.lognormal(8, 1, 3000)),
        lambda rng: rng.poisson(0.02, 3000).astype(float),
        lambda rng: np.full(3000, 4.0),
        lambda rng: rng.random(3000) < 0.01,
    ],
)
def test_what_a_tail_explains_is_no_outlier(draw):
    X = np.stack([np.asarray(draw(np.random.default_rng(seed)), float) for seed in range(6)], axis=1)

    assert healthy(outliers(arrays(X)))


def test_the_robust_score_is_that_of_scipy():
    values = np.random.default_rng(0).normal(5, 2, 501)

    z = tail_of(values).z

    assert z == pytest.approx(
        np.abs(values - np.median(values)) / median_abs_deviation(values, scale="normal"), rel=0.01
    )


def test_the_order_and_the_unit_do_not_matter():
    rng = np.random.default_rng(0)
    values = np.r_[rng.normal(size=300), 80.0]
    order = rng.permutation(301)

    assert tail_of(values[order]).expected == pytest.approx(tail_of(values).expected[order])
    assert tail_of(values * 1e-30).z == pytest.approx(tail_of(values).z)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_quiet_on_real_tables(name):
    data = getattr(datasets, f"load_{name}")()

    assert healthy(outliers(material_of(Task(train=(data.data, data.target)))))


@pytest.mark.parametrize(("file", "target"), [("adult_2000.csv.gz", "income"), ("sms_1000.csv.gz", "label")])
def test_quiet_on_the_demonstration_data(file, target):
    data = f"{tunesmith.__path__[0]}/demo_data/{file}"

    assert healthy(outliers(material_of(Task(train=data, target=target))))


def test_texts_of_odd_length():
    said = sentences(400)
    said[33] = " ".join(sentences(200, seed=3))
    frame = pl.DataFrame({"text": said, "y": ["a", "b"] * 200})

    (found,) = (one for one in outliers(material_of(Task(train=frame, target="y"))) if "length" in one.message)

    assert found.severity == "note"
    assert found.subject["rows"] == [33]


def test_a_row_unlike_all_others():
    X = np.random.default_rng(0).normal(size=(1000, 12))
    X[77] = 15.0

    (found,) = (one for one in outliers(arrays(X)) if "alone" in one.message)

    assert found.subject["rows"][0] == 77


def test_a_picture_unlike_all_others():
    pictures = scenes(300) // 4 + 90
    pictures[17] = 255 * (np.indices((3, 32, 32)).sum(0) % 16 > 7)

    found = [one for one in outliers(arrays(pictures)) if "alone" in one.message]

    assert found
    assert found[0].subject["rows"][0] == 17


@pytest.mark.parametrize("X", [np.zeros((1, 2)), np.ones((300, 2)), np.full((60, 2), np.nan)])
def test_nothing_to_see(X):
    assert healthy(outliers(arrays(X)))


def test_gaps_are_no_outliers():
    X = np.random.default_rng(0).normal(size=(500, 3))
    X[::5, 1] = np.nan
    X[3, 2] = np.inf

    assert not [one for one in outliers(arrays(X)) if one.message == "audits.outliers.column"]

"""A second annotation is scored as a prediction, and never an input."""

import numpy as np
import polars as pl
import pytest

import tunesmith as ts
from tunesmith.blocks import metrics


def annotated(rows=300, apart=0.1, gaps=False):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3)).astype(np.float32)
    y = np.where(X[:, 0] + 0.2 * rng.normal(size=rows) > 0, "yes", "no").astype(object)
    second = np.where(rng.random(rows) < apart, np.where(y == "yes", "no", "yes"), y).astype(object)
    if gaps:
        second[::5] = None
    return X, y, second


def test_of_a_column(tmp_path):
    X, y, second = annotated(gaps=True)
    path = tmp_path / "data.csv"
    pl.DataFrame({f"x{i}": X[:, i] for i in range(3)} | {"y": list(y), "second": list(second)}).write_csv(path)

    run = ts.fit(str(path), {"train.epochs": 1}, target="y", human="second", folder=tmp_path / "run")

    told = run.scores["parts"]["test"]["human"]
    rows = run.predictions("test")["rows"]
    there = np.array([second[row] is not None for row in rows])
    agree = np.mean([second[row] == y[row] for row in rows[there]])
    assert told["rows"] == there.sum()
    assert told["scores"]["accuracy"] == pytest.approx(agree)
    assert not {"log_loss", "roc_auc"} & set(told["scores"])
    assert {column["name"]: column["kind"] for column in run.columns}["second"] == "human"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "human line" in page


def test_of_arrays_with_classes():
    X, y, second = annotated()

    run = ts.fit((X, y), {"train.epochs": 1}, human=second)

    rows = run.predictions("test")["rows"]
    assert run.scores["parts"]["test"]["human"]["scores"]["accuracy"] == pytest.approx(np.mean(second[rows] == y[rows]))


def test_of_numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y = X[:, 0] * 100 + 1000
    second = y + rng.normal(size=200)

    run = ts.fit((X, y), {"train.epochs": 1}, human=second)

    rows = run.predictions("test")["rows"]
    known = metrics.scores("regression", y[rows].astype(float), second[rows])["r2"]
    assert run.scores["parts"]["test"]["human"]["scores"]["r2"] == pytest.approx(known, rel=1e-4)


def test_without_one_nothing_is_said():
    X, y, _ = annotated()

    assert "human" not in ts.fit((X, y), {"train.epochs": 1}).scores["parts"]["test"]


def test_an_annotation_of_another_length_is_refused():
    X, y, second = annotated()

    with pytest.raises(ts.TunesmithError, match="299 values and the data have 300 rows"):
        ts.fit((X, y), human=second[:-1])


def test_the_audit_takes_the_named_one_at_its_word():
    X, y, second = annotated(apart=0.6)

    found = ts.audit((X, y), human=second, only=["human_line"])

    assert [one.message for one in found] == ["audits.human_line_given"]
    assert found.measured["human"]["share"] == pytest.approx(np.mean(y == second))

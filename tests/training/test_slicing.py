"""The groups of a judged part, from a training to its file, its page and the last lines of what is printed."""

import io
import json

import numpy as np
import polars as pl
import pytest

import tunesmith as ts
from tunesmith.records import Recipe
from tunesmith.reports import PlainDisplay

QUICK = {"train.epochs": 6, "train.batch_size": 32, "optim.lr": 0.01, "model.width": 16}


def table(rows=1500, planted=True):
    """Two columns that decide; where the town is "B", the label is a coin (if planted), which no model can know."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    town = rng.choice(["A", "B", "C"], rows, p=[0.5, 0.3, 0.2])
    label = x[:, 0] + x[:, 1] > 0
    coin = (town == "B") & (rng.random(rows) < 0.5) if planted else np.zeros(rows, bool)
    y = np.where(label ^ coin, "yes", "no")
    return pl.DataFrame({"u": x[:, 0], "v": x[:, 1], "town": town, "y": y})


@pytest.mark.parametrize("metric", ["accuracy", "f1", "log_loss"])
def test_a_planted_group_is_told_in_the_file_the_page_and_the_last_lines(metric, tmp_path):
    out = io.StringIO()

    run = ts.fit(
        table(), QUICK | {"eval.metric": metric}, target="y", folder=tmp_path / "run", display=PlainDisplay(out)
    )

    told = json.loads((tmp_path / "run" / "slices" / "test.json").read_text())
    first = told["slices"][0]
    assert (first["by"], first["name"], first["worse"]) == ("town", "B", True)
    assert first["count"] == sum(table()["town"].to_numpy()[run.predictions("test")["rows"]] == "B")
    assert told["asked"] == metric
    assert told["metric"] == ("roc_auc" if metric == "f1" else metric)
    assert told["tested"] == len(told["slices"])
    assert run.slices == told
    assert "worse on: town B (" in out.getvalue()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Where it is worse" in page
    assert "beyond what chance explains" in page


def test_where_nothing_is_notable_nothing_is_said_in_the_terminal(tmp_path):
    out = io.StringIO()

    run = ts.fit(table(planted=False), QUICK, target="y", folder=tmp_path / "run", display=PlainDisplay(out))

    assert not any(one["worse"] for one in run.slices["slices"])
    assert "worse on" not in out.getvalue()
    assert "On none of " in (tmp_path / "run" / "report.html").read_text()


def test_confidence_is_listed_and_never_called_worse(tmp_path):
    run = ts.fit(table(), QUICK, target="y", folder=tmp_path / "run")

    assert len(run.slices["confidence"]) >= 2
    assert not any(one["worse"] for one in run.slices["confidence"])


def test_classes_are_groups_where_there_are_more_than_two():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 1500, p=[0.4, 0.4, 0.2])
    place = np.where((y == 2) & (rng.random(1500) < 0.7), 1, y)  # most of class 2 lie where class 1 lies
    X = (3 * np.eye(3)[place] + rng.normal(size=(1500, 3))).astype(np.float32)

    run = ts.fit((X, y), QUICK)

    first = run.slices["slices"][0]
    assert (first["by"], first["name"], first["worse"]) == ("class", "2", True)
    assert {"x0", "x1", "x2"} <= {one["by"] for one in run.slices["slices"]}


def test_a_number_is_judged_by_its_errors_and_not_by_r2(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 2))
    y = 3 * x[:, 0] + np.where(x[:, 1] > 0.7, 3.0, 0.1) * rng.normal(size=1200)

    run = ts.fit(
        pl.DataFrame({"u": x[:, 0], "v": x[:, 1], "y": y}),
        QUICK,
        target="y",
        kind="regression",
        folder=tmp_path / "run",
    )

    first = run.slices["slices"][0]
    assert run.slices["metric"] == "rmse"
    assert (first["by"], first["worse"]) == ("v", True)
    assert first["name"].startswith("more than 0.")
    assert {one["by"] for one in run.slices["slices"]} == {"u", "v", "truth"}


def test_too_few_rows_leave_no_file(tmp_path):
    run = ts.fit(table(120), {"train.epochs": 1}, target="y", folder=tmp_path / "run")

    assert run.slices is None
    assert not (tmp_path / "run" / "slices").exists()
    assert "Where it is worse" not in (tmp_path / "run" / "report.html").read_text()


def test_without_a_test_part_the_validation_rows_are_looked_at(tmp_path):
    recipe = Recipe.model_validate({"data": {"test": 0.0}, "train": {"epochs": 1}})

    ts.fit(table(), recipe, target="y", folder=tmp_path / "run")

    assert json.loads((tmp_path / "run" / "slices" / "val.json").read_text())["part"] == "val"

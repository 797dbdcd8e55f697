"""From a run to predictions of new data, preprocessing included."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tunesmith as ts
from tunesmith.records import DataError, ModelError, RunError
from tunesmith.reports import QuietDisplay

FAST = {"train.epochs": 3, "eval.bootstrap": 0}


def written(path: Path, kind: str, rows: int = 200) -> Path:
    generator = np.random.default_rng(0)
    size, colour = generator.normal(50, 20, rows), generator.choice(["red", "green", "blue"], rows)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["size", "colour", "y"])
        for one, other in zip(size, colour, strict=True):
            big = one + 30 * (other == "red") > 60
            table.writerow(
                [
                    f"{one:.2f}" if generator.random() > 0.05 else "",
                    other,
                    ("big" if big else "small") if kind == "classes" else f"{1000 + 10 * one:.1f}",
                ]
            )
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: ts.fit(
            str(written(folder / f"{kind}.csv", kind)), FAST, target="y", folder=folder / kind, display=QuietDisplay()
        )
        for kind in ("classes", "numbers")
    }


def test_the_test_rows_predicted_from_the_folder_are_those_of_the_run(runs: dict[str, Any], tmp_path: Path) -> None:
    run = runs["classes"]
    held = run.predictions("test")
    source = (run.folder.parent / "classes.csv").read_text().splitlines()
    new = tmp_path / "new.csv"
    new.write_text("\n".join([source[0], *(source[1 + row] for row in held["rows"])]) + "\n")

    found = ts.load(run.folder).predict(new)

    assert np.allclose(found.probabilities, held["probabilities"], atol=1e-6)
    assert set(found.labels) <= {"big", "small"}


def test_a_regression_is_predicted_in_the_unit_of_its_column(runs: dict[str, Any]) -> None:
    found = ts.predict(runs["numbers"].folder, {"size": [50.0, 51.0], "colour": ["red", "blue"]})

    assert found.values.shape == (2,)
    assert ((found.values > 900) & (found.values < 2200)).all()


def test_as_json_has_the_public_shape(runs: dict[str, Any]) -> None:
    new = {"size": [10.0, 99.0], "colour": ["red", "blue"]}

    classes = json.loads(json.dumps(ts.predict(runs["classes"].folder, new).as_dict()))
    numbers = json.loads(json.dumps(ts.predict(runs["numbers"].folder, new).as_dict()))

    assert classes["classes"] == ["big", "small"]
    assert set(classes["predictions"][0]) == {"label", "probabilities"}
    assert sum(classes["predictions"][0]["probabilities"]) == pytest.approx(1)
    assert set(numbers["predictions"][0]) == {"value"}


def test_the_label_follows_the_threshold_of_the_run(runs: dict[str, Any]) -> None:
    predictor = ts.load(runs["classes"].folder)
    new = {"size": list(np.linspace(0, 120, 50)), "colour": ["blue"] * 50}

    predictor.threshold = 1e-9
    eager = predictor.predict(new).labels
    predictor.threshold = 1 - 1e-9
    wary = predictor.predict(new).labels

    positive = predictor.classes[predictor.positive]
    assert eager.count(positive) > wary.count(positive)


def test_a_missing_column_names_the_nearest(runs: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="color"):
        ts.predict(runs["classes"].folder, {"size": [1.0], "color": ["red"]})


def test_extra_columns_and_levels_not_seen_are_told(runs: dict[str, Any]) -> None:
    found = ts.predict(runs["classes"].folder, {"size": [1.0], "colour": ["violet"], "weight": [3.0]})

    assert len(found) == 1
    assert any("weight" in notice for notice in found.notices)
    assert any("colour" in notice for notice in found.notices)


def test_no_rows_are_told(runs: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        ts.predict(runs["classes"].folder, {"size": [], "colour": []})


def test_a_network_of_ones_own_is_given_as_an_instance(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(100, 3)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

    run = ts.fit(ts.Task(net, train=(inputs, labels)), FAST, folder=tmp_path / "run", display=QuietDisplay())
    predictor = ts.load(tmp_path / "run", model=net())

    by_array = predictor.predict(inputs)
    by_loader = predictor.predict(DataLoader(TensorDataset(torch.from_numpy(inputs)), batch_size=32))
    run.model.eval()
    with torch.no_grad():
        outputs = run.model(torch.from_numpy(inputs)).numpy()
    assert np.array_equal(by_array.probabilities.argmax(1), outputs.argmax(1))
    assert np.allclose(by_array.probabilities, by_loader.probabilities, atol=1e-6)
    with pytest.raises(ModelError, match="is not stored as code"):
        ts.load(tmp_path / "run")


def test_a_run_in_memory_predicts_too() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(100, 3)).astype(np.float32)
    run = ts.fit((inputs, np.where(inputs[:, 0] > 0, "up", "down")), FAST, display=QuietDisplay())

    found = ts.predict(run, inputs[:5])

    assert set(found.labels) <= {"up", "down"}


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run folder|no run"):
        ts.load(tmp_path)

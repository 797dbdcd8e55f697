"""Documents and records: whole, cut short, larger than what is read at once."""

import json
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.history import History
from tunesmith.runs.readers.json_stream import Pieces


def read(folder: Path, text: str, name: str = "log.json") -> list[History]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return readers.read_log(path)


def loss(history: History, part: str = "train") -> list[float]:
    found = history.get("loss", part)
    assert found is not None
    return found.values.tolist()


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    (history,) = read(
        tmp_path,
        '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": Infinity}\n{"step": 4, "loss": "nan"}\n',
        "a.jsonl",
    )

    np.testing.assert_array_equal(loss(history), [0.5, np.nan, np.inf, np.nan])


def test_null_is_no_value(tmp_path: Path) -> None:
    (history,) = read(tmp_path, '{"loss": [0.9, 0.5, 0.4], "val_loss": [null, 0.6, null]}')

    assert loss(history, "val") == [0.6]
    assert history.get("loss", "val").steps.tolist() == [1]  # type: ignore[union-attr]


def test_a_last_line_that_is_cut_short(tmp_path: Path) -> None:
    (history,) = read(tmp_path, '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n{"step": 3, "lo', "a.jsonl")

    assert loss(history) == [0.5, 0.4]
    assert "the last line is cut short and left out" in history.notices


def test_lines_that_are_no_records(tmp_path: Path) -> None:
    (history,) = read(
        tmp_path,
        '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\nWARNING: slow\n{"step": 3, "loss": 0.3}\n',
        "a.jsonl",
    )

    assert loss(history) == [0.5, 0.4, 0.3]
    assert any("1 lines of another form left out, the first is line 3" in notice for notice in history.notices)


@pytest.mark.parametrize(
    "text",
    [
        '{"log_history": [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4}, {"st',
        '[{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4}, {"step": 3, ',
    ],
)
def test_a_document_that_is_cut_short(tmp_path: Path, text: str) -> None:
    (history,) = read(tmp_path, text)

    assert loss(history) == [0.5, 0.4]
    assert any("cut short" in notice for notice in history.notices)


def test_a_large_document_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {
        "args": {"lr": 0.1},
        "history": {"loss": [1 / (i + 1) for i in range(500)], "val_loss": [2 / (i + 1) for i in range(500)]},
    }
    whole = read(tmp_path, json.dumps(document))
    monkeypatch.setattr("tunesmith.runs.readers.json.LARGE", 10)

    pieces = read(tmp_path, json.dumps(document))

    assert loss(pieces[0]) == loss(whole[0])
    assert loss(pieces[0], "val") == loss(whole[0], "val")
    assert pieces[0].facts == whole[0].facts == {"lr": 0.1}


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pieces_give_what_the_document_holds(size: int) -> None:
    document = {"a": [1, 2.5, {"b": [3]}], "c": {"d": ["x", None], "e": -4e-5}, "f": "}]", "g": []}
    text = json.dumps(document, indent=1)

    found = list(Pieces(text[i : i + size] for i in range(0, len(text), size)))

    assert found == [
        (("a",), 1),
        (("a",), 2.5),
        (("a",), {"b": [3]}),
        (("c", "d"), "x"),
        (("c", "d"), None),
        (("c", "e"), -4e-5),
        (("f",), "}]"),
    ]


def test_the_summary_of_transformers_is_no_point_of_the_curve(tmp_path: Path) -> None:
    records = [
        {"loss": 2.0, "epoch": 1.0, "step": 10},
        {"loss": 1.0, "epoch": 2.0, "step": 20},
        {"train_loss": 1.5, "train_runtime": 9.5, "epoch": 2.0, "step": 20},
    ]

    (history,) = read(tmp_path, json.dumps(records))

    assert loss(history) == [2.0, 1.0]
    assert history.facts["seconds"] == 9.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"accuracy": 0.9, "name": "final"}', "no training curve"),
        ('["a", "b"]', "no training curve"),
        ('{"rows": [{"name": "a", "age": 3}, {"name": "b", "age": 4}]}', "no training curve"),
        ('{"log_history": []}', "without records"),
    ],
)
def test_documents_that_are_no_curves(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)

"""Printed logs: what ends in an error, what never was a training, what only looks like one."""

from pathlib import Path

import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.history import History
from tunesmith.runs.readers.lines import Reader, label_text


def read(folder: Path, text: str, name: str = "out.log") -> list[History]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return readers.read_log(path)


def test_a_training_that_crashed(tmp_path: Path) -> None:
    text = "".join(f"epoch {e} loss {1 / e:.4f}\n" for e in range(1, 6))
    trace = 'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\n    loss.backward()\n'
    trace += "torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB\n"

    (history,) = read(tmp_path, text + trace)

    assert history.facts["crash"] == {"kind": "OutOfMemoryError", "message": "CUDA out of memory. Tried 2 GiB"}
    assert history.facts["finished"] is False
    assert len(history.get("loss")) == 5  # type: ignore[arg-type]
    assert any("ends with an error: torch.OutOfMemoryError" in notice for notice in history.notices)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "usage: train.py [-h] --lr LR\ntrain.py: error: the following arguments are required: --lr\n",
            "usage text .*--lr.* never began",
        ),
        (
            "loading\nTraceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'\n",
            "ends with \"KeyError: 'x'\"",
        ),
        (
            "The loss of 3 men was felt in 1775.\nAll was well.\n" * 5,
            "no loss or score stands beside numbers that change",
        ),
        ("Downloading 50%|█████     | 5/10 [00:01<00:01,  5.0it/s]\n" * 5, "no training curve"),
        ("127.0.0.1 - - [10/Oct/2000:13:55:36] GET /a.gif 200 2326\n" * 5, "no training curve"),
        ("batch_size: 64\nlearning_rate: 0.001\nepochs: 10\n", "no training curve"),
    ],
)
def test_texts_that_are_no_curves(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)


def test_code_in_a_warning_sets_nothing(tmp_path: Path) -> None:
    code = "For example, write:\nloader = DataLoader(dataset, batch_size=1)\n    return loss_of(1), 10\n"

    (history,) = read(tmp_path, code + "".join(f"epoch {e} loss {1 / e:.4f}\n" for e in range(1, 6)))

    assert "batch_size" not in history.facts


def test_thousands_and_decimal_points(tmp_path: Path) -> None:
    (history,) = read(tmp_path, "".join(f"step {1000 * e:,} loss {1 / e:.4f}\n" for e in range(1, 6)))

    assert history.get("loss").steps.tolist() == [1000, 2000, 3000, 4000, 5000]  # type: ignore[union-attr]


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    (history,) = read(
        tmp_path,
        "step 1: train loss 2.0, val loss 2.1\nstep 2: train loss nan, val loss inf\nstep 3: train loss nan, val loss nan\n",
    )

    found = history.get("loss", "train")
    assert found is not None
    assert [str(v) for v in found.values] == ["2.0", "nan", "nan"]


def test_a_heading_holds_for_the_lines_below_it_alone(tmp_path: Path) -> None:
    (history,) = read(
        tmp_path, "".join(f"Epoch {e}\nloss: {1 / e:.4f}\nEvaluating...\nloss: {2 / e:.4f}\n" for e in range(1, 6))
    )

    assert history.get("loss", "train").values[0] == 1  # type: ignore[union-attr]
    assert history.get("loss", "val").values[0] == 2  # type: ignore[union-attr]


def test_a_last_test_is_a_test(tmp_path: Path) -> None:
    (history,) = read(
        tmp_path,
        "".join(f"epoch {e} train_loss {1 / e:.4f} val_loss {2 / e:.4f}\n" for e in range(1, 6))
        + "Test accuracy: 0.87\n",
    )

    assert history.get("accuracy", "test").values.tolist() == [0.87]  # type: ignore[union-attr]


def test_runs_of_a_restarted_program(tmp_path: Path) -> None:
    once = "".join(f"Epoch {e}/5 loss {2 * 0.5**e:.4f}\n" for e in range(1, 6))

    found = read(tmp_path, once + "Restarting\n" + once)

    assert len(found) == 2


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("Epoch 3/50", {"Epoch": 3}),
        ("Epoch 3/50, loss = 1.5e-1", {"Epoch": 3, "loss": 0.15}),
        ("[12:30:45] step 7 loss 0.5 (took 3.2s, 12.5 it/s, 3.2G)", {"step": 7, "loss": 0.5}),
        ("v1.13.1 on 10.0.0.1 at 2023-05-01 12:00:00,123", None),
        ("loss 0.5 at step 100", {"loss": 0.5, "loss 0.5 at step": 100}),
        ("Accuracy: 9839/10000 (98%) after epoch 2", {"Accuracy": 0.9839, "after epoch": 2}),
        ("val_loss improved from 0.5 to 0.4, saving model", None),
        ("top-1 acc: 55.5%", {"top-1 acc": 0.555}),
        ("number of nan iterations: 0 | loss: 0.5", {"loss": 0.5}),
        ("batch_cost: 0.10, loss: 0.5", {"loss": 0.5}),
    ],
)
def test_records_of_lines(line: str, record: dict[str, float] | None) -> None:
    found = Reader({}, False).record(line)

    wanted = None if record is None else sorted(record.values())
    assert (None if found is None else sorted(found.values())) == (None if wanted is None else pytest.approx(wanted))


def test_words_before_a_number() -> None:
    assert label_text(" | total used time ") == "total used time"
    assert label_text(" (") == ""
    assert label_text(", Loss: train ") == "Loss train"

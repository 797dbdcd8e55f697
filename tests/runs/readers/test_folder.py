"""Folders of others' logs: of each run the file that tells most."""

import json
from pathlib import Path

import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers

CSV = "epoch,train_loss,val_loss\n" + "".join(f"{e},{1 / (e + 1)},{2 / (e + 1)}\n" for e in range(5))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def state(steps: int) -> str:
    return json.dumps(
        {
            "global_step": steps,
            "max_steps": 100,
            "log_history": [{"step": s, "loss": 9 / (s + 1)} for s in range(0, steps, 10)],
        }
    )


def test_versions_of_lightning(tmp_path: Path) -> None:
    for version in (0, 1):
        put(tmp_path / f"lightning_logs/version_{version}/metrics.csv", CSV)
        put(tmp_path / f"lightning_logs/version_{version}/hparams.yaml", "lr: 0.5\n")

    found = readers.read_log(tmp_path)

    assert [one.reader for one in found] == ["csv", "csv"]
    assert found[0].facts["lr"] == 0.5
    assert any("2 runs" in notice for notice in found[0].notices)


def test_of_checkpoints_the_last_tells_all(tmp_path: Path) -> None:
    for steps in (20, 100, 90):
        put(tmp_path / f"out/checkpoint-{steps}/trainer_state.json", state(steps))

    (history,) = readers.read_log(tmp_path)

    assert len(history.get("loss")) == 10  # type: ignore[arg-type]
    assert history.facts["finished"] is True
    assert any("checkpoint-100" in notice for notice in history.notices)


def test_a_run_of_mlflow(tmp_path: Path) -> None:
    for name, factor in (("train_loss", 1), ("val/loss", 2)):
        put(
            tmp_path / "0/abc/metrics" / name,
            "".join(f"{1700000000000 + s} {factor / (s + 1)} {s}\n" for s in range(5)),
        )
    put(tmp_path / "0/abc/params/batch_size", "32")

    (history,) = readers.read_log(tmp_path)

    assert (history.reader, history.facts) == ("mlflow", {"batch_size": 32})
    assert {(one.part, one.name) for one in history} == {("train", "loss"), ("val", "loss")}


def test_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    put(tmp_path / "metrics.csv", CSV)
    put(tmp_path / "elsewhere/results.csv", "a,b\n1,2\n3,4\n")

    (history,) = readers.read_log(tmp_path)

    assert any("1 files of the folder left out: elsewhere/results.csv" in notice for notice in history.notices)


def test_a_printed_log_counts_where_nothing_better_is(tmp_path: Path) -> None:
    put(tmp_path / "run/train.log", "".join(f"epoch {e} loss {1 / (e + 1)}\n" for e in range(5)))

    (history,) = readers.read_log(tmp_path)

    assert history.reader == "printed"


def test_folders_without_logs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no log in folder"):
        readers.read_log(tmp_path)

    put(tmp_path / "data.csv", "a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match=r"no training curve in folder .*data\.csv"):
        readers.read_log(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        readers.read_log(tmp_path / "nowhere.csv")


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(range(256)) * 10)

    with pytest.raises(DataError, match="no log that can be read; there are readers for csv, folder"):
        readers.read_log(path)

"""Tables as they really lie about: odd rows, cut ends, packed, large."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.history import LONGEST, History
from tunesmith.runs.readers import blocks


def read(folder: Path, text: str, name: str = "log.csv") -> History:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return readers.read_log(path)[0]


def values(history: History, part: str = "train", name: str = "loss") -> list[float]:
    found = history.get(name, part)
    assert found is not None
    return found.values.tolist()


def test_empty_cells_are_no_values_but_nan_is(tmp_path: Path) -> None:
    history = read(tmp_path, "step,loss,val_loss\n1,0.5,\n2,nan,0.6\n3,inf,\n4,0.1,NaN\n")

    np.testing.assert_array_equal(values(history), [0.5, np.nan, np.inf, 0.1])
    np.testing.assert_array_equal(values(history, "val"), [0.6, np.nan])


def test_a_row_that_is_cut_short_at_the_end(tmp_path: Path) -> None:
    history = read(tmp_path, "epoch,loss,val_loss\n1,0.5,0.6\n2,0.4,0.5\n3,0.3")

    assert values(history) == [0.5, 0.4]
    assert "the last line is cut short and left out" in history.notices


def test_rows_of_another_form_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{i},{9 - i},1\n" for i in range(8))
    history = read(tmp_path, "epoch,loss,val_loss\n" + rows + "killed by somebody at noon, sorry, really, yes\n8,1,1\n")

    assert values(history) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert any("1 lines of another form left out, the first is line 10" in notice for notice in history.notices)


def test_a_later_header_may_name_other_columns(tmp_path: Path) -> None:
    history = read(
        tmp_path,
        "epoch,loss\n1,0.5\n2,0.4\nepoch,loss,val_loss\n3,0.3,0.6\n4,0.2,0.5\n"
        + "".join(f"{i},0.1,0.5\n" for i in range(5, 20)),
    )

    assert values(history)[:4] == [0.5, 0.4, 0.3, 0.2]
    assert values(history, "val")[:2] == [0.6, 0.5]


def test_packed_and_cut_short(tmp_path: Path) -> None:
    text = "epoch,loss\n" + "".join(f"{i},{1 / (i + 1)}\n" for i in range(20000))
    packed = gzip.compress(text.encode())
    path = tmp_path / "log.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])

    (history,) = readers.read_log(path)

    assert 1000 < history.get("loss").counted < 20000  # type: ignore[union-attr]
    assert "the file is cut short: what could be unpacked was read" in history.notices


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    header = {"gb18030": "轮次,训练损失,验证损失", "cp1252": "Époque,perte,val_perte"}.get(
        encoding, "epoch,loss,val_loss"
    )
    path = tmp_path / "log.csv"
    path.write_bytes((header + "\n" + "".join(f"{i},{9 - i},{10 - i}\n" for i in range(8))).encode(encoding))

    (history,) = readers.read_log(path)

    assert (values(history)[0], values(history, "val")[0]) == (9, 10)


def test_a_training_that_went_on_from_a_checkpoint(tmp_path: Path) -> None:
    first, second = [(s, 1.0) for s in range(0, 1000, 100)], [(s, 2.0) for s in range(500, 1500, 100)]
    history = read(tmp_path, "step,loss\n" + "".join(f"{s},{v}\n" for s, v in first + second))

    assert history.resumed == (500.0,)
    assert values(history) == [1.0] * 5 + [2.0] * 10
    assert any("another attempt goes on 1 times" in notice for notice in history.notices)


def test_a_count_that_begins_anew_while_the_loss_goes_on_is_one_run(tmp_path: Path) -> None:
    loss = [2.0 * 0.8**i for i in range(20)]
    history = read(tmp_path, "epoch,loss\n" + "".join(f"{i % 10},{v}\n" for i, v in enumerate(loss)))

    found = history.get("loss")

    assert found is not None
    assert found.steps.tolist() == list(range(20))
    np.testing.assert_allclose(found.values, loss)
    assert history.resumed == ()
    assert any("begin anew" in notice for notice in history.notices)


def test_one_row_out_of_order_is_no_new_run(tmp_path: Path) -> None:
    rows = (
        [f"{s},{10 - s / 100}," for s in range(0, 500, 100)]
        + ["5,,0.7"]
        + [f"{s},{10 - s / 100}," for s in range(500, 900, 100)]
    )

    found = readers.read_log(write(tmp_path, "step,loss,val_acc\n" + "\n".join(rows) + "\n"))

    assert len(found) == 1
    assert found[0].get("accuracy", "val").steps.tolist() == [400]  # type: ignore[union-attr]


def write(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "lr,batch_size,val_acc\n0.1,32,0.8\n0.01,64,0.9\n0.1,128,0.7\n",
            "no training curve but a table: .*batch_size",
        ),
        ("number,value,params_lr\n0,0.5,0.1\n1,0.7,0.01\n2,0.6,0.3\n3,0.2,0.2\n", "but a table"),
        ("class,precision,recall\ncat,0.8,0.9\ndog,0.7,0.6\nowl,0.5,0.4\n", "but a table"),
        ("sepal_length,sepal_width,species\n5.1,3.5,setosa\n4.9,3.0,setosa\n", "no training curve"),
        ("epoch,seconds\n1,12.5\n2,12.6\n", "no training curve: among its columns"),
    ],
)
def test_tables_that_are_no_curves(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        readers.read_log(write(tmp_path, text))


def test_settings_that_a_trainer_wrote_beside_it(tmp_path: Path) -> None:
    (tmp_path / "hparams.yaml").write_text("lr: 0.001  # the rate\nbatch_size: 32\nnote: x\n")

    history = read(tmp_path, "epoch,train_loss\n0,1.0\n1,0.5\n", "metrics.csv")

    assert history.facts == {"lr": 0.001, "batch_size": 32}


def test_a_constant_column_of_settings_is_a_fact(tmp_path: Path) -> None:
    history = read(tmp_path, "epoch,loss,batch_size,epochs\n1,1.0,64,50\n2,0.5,64,50\n3,0.4,64,50\n")

    assert history.facts == {"batch_size": 64, "epochs": 50, "finished": False}


def test_a_long_column_is_condensed(tmp_path: Path) -> None:
    history = read(tmp_path, "step,loss\n" + "".join(f"{i},{(i * 7919) % 1000}\n" for i in range(30000)))

    found = history.get("loss")

    assert found is not None
    assert len(found) <= LONGEST
    assert found.counted == 30000
    assert (found.low.min(), found.high.max()) == (0, 999)
    assert any("30000 values" in notice for notice in history.notices)


def test_the_way_of_large_files_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{i // 100},{i},{1 / (i + 1)},{'' if i % 100 else 0.5}\n" for i in range(5000)]
    rows[3000] = "30,3000,nan,\n"
    rows.insert(4000, "epoch,step,train_loss,val_loss\n")
    rows.insert(4500, "# a comment\n")
    path = write(tmp_path, "epoch,step,train_loss,val_loss\n" + "".join(rows))
    slow = readers.read_log(path)
    monkeypatch.setattr("tunesmith.runs.readers.csv.LARGE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 20000)

    fast = readers.read_log(path)

    for one, other in zip(slow, fast, strict=True):
        assert len(one.curves) == len(other.curves)
        for a, b in zip(one.curves, other.curves, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
            np.testing.assert_array_equal(a.steps, b.steps)


def test_words_among_the_columns_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        tmp_path,
        "phase,step,loss\n" + "".join(f"{'val' if i % 10 == 9 else 'train'},{i},{1 / (i + 1)}\n" for i in range(3000)),
    )
    monkeypatch.setattr("tunesmith.runs.readers.csv.LARGE", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 10000)

    (history,) = readers.read_log(path)

    assert (len(history.get("loss", "train")), len(history.get("loss", "val"))) == (2700, 300)  # type: ignore[arg-type]

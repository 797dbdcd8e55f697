"""Event files, written here byte by byte by the public format, read without TensorBoard."""

import struct
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.readers.wire import checksum, checksums


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def scalar(tag: str, value: float) -> bytes:
    return field(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)


def tensor(tag: str, value: float, kind: int = 1) -> bytes:
    """A `TensorProto` of one number: float (1) or double (2) as content, half (19) as bits."""
    if kind == 19:
        body = field(1, 19) + field(13, varint(int(np.float16(value).view(np.uint16))))
    else:
        body = field(1, kind) + field(4, struct.pack("<f" if kind == 1 else "<d", value))
    return field(1, tag.encode()) + field(8, body) + field(9, field(1, field(1, b"scalars")))


def event(step: int, *values: bytes, time: float = 1.7e9) -> bytes:
    body = varint(1 << 3 | 1) + struct.pack("<d", time + step) + field(2, step)
    return body + field(5, b"".join(field(1, value) for value in values))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def write(path: Path, *events: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    version = varint(1 << 3 | 1) + struct.pack("<d", 1.7e9) + field(3, b"brain.Event:2")
    path.write_bytes(b"".join(record(one) for one in (version, *events)))
    return path


def falling(steps: range, tag: str = "train/loss") -> list[bytes]:
    return [event(step, scalar(tag, 2 - step / 100)) for step in steps]


def test_the_checksum_is_castagnoli_s() -> None:
    assert checksum(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    some = [b"", b"a", bytes(range(200)), b"123456789"]
    assert checksums(some) == [checksum(one) for one in some]


def test_plain_and_tensor_scalars(tmp_path: Path) -> None:
    events = [
        event(
            s,
            scalar("train/loss", 2 - s / 10),
            tensor("val/loss", 2.5 - s / 10),
            tensor("lr", 0.125, 19),
            tensor("grad_norm", 1.5, 2),
        )
        for s in range(5)
    ]

    (history,) = readers.read_log(write(tmp_path / "events.out.tfevents.1.host", *events))

    assert history.axis == "step"
    np.testing.assert_allclose(history.get("loss", "train").values, [2, 1.9, 1.8, 1.7, 1.6], rtol=1e-6)  # type: ignore[union-attr]
    np.testing.assert_allclose(history.get("loss", "val").values, [2.5, 2.4, 2.3, 2.2, 2.1], rtol=1e-6)  # type: ignore[union-attr]
    assert history.get("lr").values.tolist() == [0.125] * 5  # type: ignore[union-attr]
    assert history.get("grad_norm").values.tolist() == [1.5] * 5  # type: ignore[union-attr]
    assert history.facts["seconds"] == 4


def test_a_cut_off_last_record(tmp_path: Path) -> None:
    path = write(tmp_path / "events.out.tfevents.1.host", *falling(range(10)))
    path.write_bytes(path.read_bytes()[:-7])

    (history,) = readers.read_log(path)

    assert len(history.get("loss")) == 9  # type: ignore[arg-type]
    assert any("cut short after 10 records" in notice for notice in history.notices)


def test_a_damaged_record_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "events.out.tfevents.1.host", *falling(range(10)))
    data = bytearray(path.read_bytes())
    data[-10] ^= 1  # a bit in the last event's value
    path.write_bytes(bytes(data))

    (history,) = readers.read_log(path)

    assert len(history.get("loss")) == 9  # type: ignore[arg-type]
    assert "1 damaged records left out" in history.notices


def test_later_files_of_a_run_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    write(tmp_path / "events.out.tfevents.100.host", *falling(range(0, 100, 10)))
    write(
        tmp_path / "events.out.tfevents.200.host",
        *[event(step, scalar("train/loss", 9.0)) for step in range(50, 150, 10)],
    )

    (history,) = readers.read_log(tmp_path)

    assert history.resumed == (50.0,)
    loss = history.get("loss")
    assert loss is not None
    assert loss.steps.tolist() == list(range(0, 150, 10))
    assert loss.values[5:].tolist() == [9.0] * 10


def test_runs_in_sub_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "events.out.tfevents.1.host", *falling(range(5)))

    found = readers.read_log(tmp_path)

    assert [Path(one.title).name for one in found] == ["a", "b"]


def test_folders_of_train_and_validation_are_one_run(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        write(tmp_path / "run" / part / "events.out.tfevents.1.host", *falling(range(5), "epoch_loss"))

    (history,) = readers.read_log(tmp_path)

    assert history.get("loss", "train") is not None
    assert history.get("loss", "val") is not None


def test_curves_of_a_group_of_torch(tmp_path: Path) -> None:
    write(tmp_path / "events.out.tfevents.1.host", *falling(range(5), "lr"))
    for part in ("train", "val"):
        write(tmp_path / f"loss_{part}" / "events.out.tfevents.1.host", *falling(range(5), "loss"))

    (history,) = readers.read_log(tmp_path)

    assert {(one.part, one.name) for one in history} >= {("train", "loss"), ("val", "loss")}


def test_the_epoch_lies_beside_the_steps(tmp_path: Path) -> None:
    events = [event(step, scalar("train_loss", 1.0), scalar("epoch", step // 10)) for step in range(0, 40, 2)]

    (history,) = readers.read_log(write(tmp_path / "events.out.tfevents.1.host", *events))

    assert history.get("epoch").values[-1] == 3  # type: ignore[union-attr]


def test_pictures_are_no_curve(tmp_path: Path) -> None:
    picture = field(1, b"sample") + field(4, field(4, b"\x89PNG" * 3000))

    with pytest.raises(DataError, match="no scalars"):
        readers.read_log(write(tmp_path / "events.out.tfevents.1.host", event(1, picture)))

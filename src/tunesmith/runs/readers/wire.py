"""Records of TensorBoard event files, read without it: TFRecord framing, CRC-32C, the few protobuf fields that hold scalars.

A record is a length (8 bytes), its checksum (4), the data, and the checksum of the data (4), all lowest byte first; a
checksum is CRC-32C rotated right by 15 and increased by 0xa282ead8 (tensorflow, `core/lib/io/record_writer.h`).
Field numbers are those of `event.proto`, `summary.proto` and `tensor.proto`.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed
CHECKED = 4096  # bytes; longer records hold pictures or histograms, whose data are not looked at
TOGETHER = 2048  # records checked at once
LARGEST = 1 << 31  # bytes of a record; more is a damaged length


def _table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


TABLE = _table()
PLAIN_TABLE: list[int] = TABLE.tolist()


def checksum(data: bytes) -> int:
    """Masked CRC-32C.

    >>> hex(checksum(b"123456789"))  # CRC-32C is 0xe3069283
    '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = PLAIN_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return _masked(crc ^ 0xFFFFFFFF)


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def checksums(records: Sequence[bytes]) -> list[int]:
    """Of many records at once: byte after byte of all of them."""
    lengths = np.array([len(one) for one in records])
    order = np.argsort(-lengths, kind="stable")
    longest = int(lengths.max(initial=0))
    whole = np.zeros((len(records), longest), np.uint8)
    for row, at in enumerate(order):
        whole[row, : lengths[at]] = np.frombuffer(records[at], np.uint8)
    crc = np.full(len(records), 0xFFFFFFFF, np.uint32)
    reach = np.searchsorted(-lengths[order], -np.arange(longest), "left")  # records longer than the position
    for position in range(longest):
        n = reach[position]
        crc[:n] = TABLE[(crc[:n] ^ whole[:n, position]) & 0xFF] ^ (crc[:n] >> np.uint32(8))
    found = np.empty(len(records), np.uint32)
    found[order] = crc ^ np.uint32(0xFFFFFFFF)
    return [_masked(int(one)) for one in found]


@dataclass(slots=True)
class Damage:
    """What could not be read."""

    records: int = 0  # with a wrong checksum: left out
    after: int | None = None  # so many good ones came before the file broke off


def records(file: IO[bytes], damage: Damage) -> Iterator[bytes]:
    """The data of each whole record."""
    waiting: list[tuple[bytes, int]] = []
    good = 0
    while True:
        head = file.read(12)
        if not head:
            break
        length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else LARGEST
        if len(head) < 12 or length >= LARGEST or checksum(head[:8]) != struct.unpack("<I", head[8:])[0]:
            damage.after = good
            break
        data, tail = file.read(length), file.read(4)
        if len(data) < length or len(tail) < 4:
            damage.after = good
            break
        good += 1
        waiting.append((data, struct.unpack("<I", tail)[0]))
        if len(waiting) == TOGETHER:
            yield from _sound(waiting, damage)
            waiting = []
    yield from _sound(waiting, damage)


def _sound(waiting: list[tuple[bytes, int]], damage: Damage) -> Iterator[bytes]:
    short = [i for i, (data, _) in enumerate(waiting) if len(data) <= CHECKED]
    found = dict(zip(short, checksums([waiting[i][0] for i in short]), strict=True))
    for i, (data, told) in enumerate(waiting):
        if found.get(i, told) == told:
            yield data
        else:
            damage.records += 1


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: int for varints, bytes for the rest. Raises `ValueError` where it is none."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value: Any
            value, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"a field of kind {kind}")
        if at > end:
            raise ValueError("a field beyond the end")
        yield key >> 3, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number beyond the end")
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7


@dataclass(slots=True)
class Event:
    """One event: when, at which step, and its scalars by tag; settings of the hparams plug-in."""

    wall_time: float
    step: int
    scalars: list[tuple[str, float]]
    settings: dict[str, Any]


def event(data: bytes) -> Event:
    found = Event(0.0, 0, [], {})
    for number, value in fields(data):
        if number == 1:
            found.wall_time = struct.unpack("<d", value)[0]
        elif number == 2:
            found.step = value - (1 << 64) if value >= 1 << 63 else value
        elif number == 5:
            for inner, one in fields(value):
                if inner == 1:
                    _value(one, found)
    return found


def _value(data: bytes, into: Event) -> None:
    """`Summary.Value`: a tag with a plain number, a tensor of one number, or settings."""
    tag, number, plugin = "", None, b""
    for field, value in fields(data):
        if field == 1:
            tag = value.decode("utf-8", "replace")
        elif field == 2:
            number = struct.unpack("<f", value)[0]
        elif field == 8 and number is None:
            number = tensor(value)
        elif field == 9:
            plugin = value
    if tag.startswith("_hparams_/"):
        into.settings |= hparams(plugin)
    elif number is not None and b"pr_curves" not in plugin and b"text" not in plugin:
        into.scalars.append((tag, number))


CONTENT = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # DataType by number, as `tensor_content` holds them
LISTED = {5: "<f4", 6: "<f8"}


def tensor(data: bytes) -> float | None:
    """The number of a `TensorProto` of one element, None of others."""
    kind, found = 0, []
    for field, value in fields(data):
        if field == 1:
            kind = value
        elif field == 4 and kind in CONTENT and len(value) == np.dtype(CONTENT[kind]).itemsize:
            found.append(float(np.frombuffer(value, CONTENT[kind])[0]))
        elif field in LISTED and isinstance(value, bytes):
            if len(value) == np.dtype(LISTED[field]).itemsize:
                found.append(float(np.frombuffer(value, LISTED[field])[0]))
        elif field in (7, 10, 13):
            whole = varint(value, 0)[0] if isinstance(value, bytes) else value
            if field == 13:  # half and bfloat16 as bits
                bits = np.array([whole], np.uint16 if kind == 19 else np.uint32)
                found.append(
                    float(
                        bits.view(np.float16)[0]
                        if kind == 19
                        else (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)[0]
                    )
                )
            else:
                found.append(float(whole - (1 << 64) if whole >= 1 << 63 else whole))
    return found[0] if len(found) == 1 else None


def hparams(data: bytes) -> dict[str, Any]:
    """Settings of `SessionStartInfo` within the metadata of the hparams plug-in."""
    found: dict[str, Any] = {}
    for start in _under(data, 1, 2, 3):
        for entry in _under(start, 1):
            pair = dict(fields(entry))
            for field, value in fields(pair.get(2, b"")):
                name = pair.get(1, b"").decode("utf-8", "replace")
                if field == 2:
                    found[name] = struct.unpack("<d", value)[0]
                elif field == 3:
                    found[name] = value.decode("utf-8", "replace")
    return found


def _under(data: bytes, *way: int) -> Iterator[bytes]:
    """Messages at the end of a way of field numbers."""
    for field, value in fields(data):
        if field == way[0] and isinstance(value, bytes):
            if len(way) == 1:
                yield value
            else:
                yield from _under(value, *way[1:])

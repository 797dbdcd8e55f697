"""results.csv of YOLO: terms of the loss, scores of the detector, rates by group; its settings from args.yaml beside it."""

from pathlib import Path

from tunesmith.runs.history import History
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.csv import read_table
from tunesmith.runs.readers.opening import is_text

MARKS = ((b"train/box_loss", b"metrics/"), (b"train/loss", b"metrics/accuracy_top"), (b"train/giou_loss", b"metrics/"))


def takes(path: Path, head: bytes) -> bool:
    first = head.split(b"\n", 1)[0]
    return not path.is_dir() and is_text(head) and any(all(mark in first for mark in pair) for pair in MARKS)


@reader("yolo", order=30, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    """The whole loss that Ultralytics lowers is the sum of its terms, which are logged with their gains."""
    return read_table(path, roles, "yolo")

"""Faces and their points, from the Kaggle file or from pictures beside a table.

Coordinates are in pixels of the picture, (0, 0) being the upper left corner of the upper left pixel; a missing cell is NaN.

* `training.csv`, also `.gz`: the 30 coordinate columns, and `Image` with 9,216 numbers of 0 to 255. It names no persons: each
  different picture counts as a person of its own.
* a folder or `.zip` of grey PNGs `ROW.png`, beside a table with `row`, `person_id`, the 30 columns and perhaps `kaggle_mask` (15 letters 0 and 1:
  points marked 0 are taken as missing, as they are in the Kaggle file).
"""

import csv
import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import tunesmith as ts
from cases.keypoints.points import COLUMNS, POINTS, SIDE

Array = np.ndarray[Any, Any]
Row = dict[str, str]
ENDING = "_keypoints15.csv.gz"  # of the table beside `NAME.zip` or the folder `NAME`


class BadFaces(ts.TunesmithError, ValueError):
    """Data that are no faces with points."""


@dataclass(frozen=True)
class Faces:
    """Pictures (N, S, S) of 0 to 255, points (N, 30) in pixels with NaN where missing, and the person of each row."""

    pictures: Array
    points: Array
    persons: Array  # text

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return int(self.pictures.shape[1])

    def take(self, rows: Array) -> "Faces":
        return Faces(self.pictures[rows], self.points[rows], self.persons[rows])


def read(data: str | Path, points: str | Path | None = None) -> Faces:
    """The faces of a Kaggle file, or of a folder or zip with its table. Raises `BadFaces` with one sentence."""
    place = Path(data).expanduser()
    if not place.exists():
        raise BadFaces(f"there is no {place}; give a Kaggle training.csv, or a folder or .zip of pictures")
    if place.is_dir() or place.suffix == ".zip":
        return _pictures_beside(place, table_of(place) if points is None else Path(points).expanduser())
    if points is not None:
        raise BadFaces(f"{place.name} holds its own points; leave --points out, or give a folder or .zip of pictures")
    return _kaggle(place)


def reduced(faces: Faces, size: int) -> Faces:
    """Smaller pictures, by the mean of square blocks, and the coordinates in pixels of those: a point at 40 of 96 is at 20 of 48."""
    if size == faces.size:
        return faces
    block, rest = divmod(faces.size, size)
    if rest or block < 1:
        raise BadFaces(
            f"pictures of {faces.size} pixels cannot be reduced to {size}; take {faces.size} or {faces.size // 2}"
        )
    blocks = faces.pictures.reshape(len(faces), size, block, size, block).astype(np.float32)
    pictures = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return Faces(pictures, faces.points / block, faces.persons)


def table_of(place: Path) -> Path:
    """The table that lies beside a folder or zip of pictures."""
    found = place.with_name(place.stem + ENDING)
    if not found.exists():
        raise BadFaces(f"no table of points lies beside {place.name} (looked for {found.name}); name it with --points")
    return found


def _kaggle(path: Path) -> Faces:
    pictures, points = [], []
    for line, row in _rows(path, (*COLUMNS, "Image")):
        pixels = row["Image"].split()
        try:
            values = np.array(pixels, dtype=np.float32)
        except ValueError:
            values = np.full(1, np.nan, np.float32)
        if len(values) != SIDE * SIDE or not bool(((values >= 0) & (values <= 255)).all()):
            raise BadFaces(
                f"{path.name}, line {line}: Image holds {len(pixels)} values, {SIDE * SIDE:,} numbers of 0 to 255 were expected"
            )
        pictures.append(values.astype(np.uint8).reshape(SIDE, SIDE))
        points.append(_coordinates(row, path.name, line))
    persons = [hashlib.blake2b(picture.tobytes(), digest_size=8).hexdigest() for picture in pictures]
    return Faces(np.stack(pictures), np.array(points, dtype=np.float32), np.array(persons))


def _pictures_beside(place: Path, table: Path) -> Faces:
    if not table.exists():
        raise BadFaces(f"there is no {table}; name the table of points with --points")
    files = _files(place)
    pictures, points, persons = [], [], []
    for line, row in _rows(table, ("row", "person_id", *COLUMNS)):
        number = row["row"].strip()
        if not number.isdigit() or int(number) not in files:
            raise BadFaces(f"{table.name}, line {line}: there is no picture {number!r} in {place.name}")
        pictures.append(_picture(files[int(number)], place.name, number))
        points.append(_unmasked(_coordinates(row, table.name, line), row, table.name, line))
        persons.append(row["person_id"].strip())
    return Faces(np.stack(pictures), np.array(points, dtype=np.float32), np.array(persons))


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """The rows of a table with their line. Raises `BadFaces` for columns that are absent and for a table without rows."""
    try:
        with _opened(path) as file:
            reader = csv.DictReader(file)
            absent = [name for name in needed if name not in (reader.fieldnames or ())]
            if absent:
                more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
                raise BadFaces(
                    f"{path.name} has no column {absent[0]!r}{more}; the header of the Kaggle file was expected"
                )
            line = 1
            for line, row in enumerate(reader, start=2):
                if None in row or None in row.values():
                    raise BadFaces(f"{path.name}, line {line}: the row has not as many cells as the header")
                yield line, row
            if line == 1:
                raise BadFaces(f"{path.name} has no rows below its header")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise BadFaces(f"{path.name} cannot be read as a table ({error}); a .csv or .csv.gz was expected") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open("r", encoding="utf-8", newline="")


def _coordinates(row: Row, name: str, line: int) -> list[float]:
    found = []
    for column in COLUMNS:
        cell = row[column].strip()
        try:
            value = float(cell) if cell else float("nan")
        except ValueError:
            value = float("inf")
        if np.isinf(value):
            raise BadFaces(
                f"{name}, line {line}: {column} is {cell!r}; a number of pixels, or an empty cell, was expected"
            )
        found.append(value)
    return found


def _unmasked(values: list[float], row: Row, name: str, line: int) -> list[float]:
    """The coordinates of the points that the mask leaves."""
    mask = row.get("kaggle_mask", "1" * len(POINTS)).strip()
    if len(mask) != len(POINTS) or set(mask) - {"0", "1"}:
        raise BadFaces(f"{name}, line {line}: kaggle_mask is {mask!r}; {len(POINTS)} letters 0 or 1 were expected")
    return [value if mask[place // 2] == "1" else float("nan") for place, value in enumerate(values)]


def _files(place: Path) -> dict[int, bytes]:
    """The bytes of the PNGs by their number."""
    if place.is_dir():
        named = {file.stem: file.read_bytes() for file in sorted(place.glob("*.png"))}
    else:
        try:
            with zipfile.ZipFile(place) as archive:
                named = {Path(name).stem: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
        except zipfile.BadZipFile as error:
            raise BadFaces(f"{place.name} is no zip file that can be read ({error})") from error
    found = {int(stem): data for stem, data in named.items() if stem.isdigit()}
    if not found:
        raise BadFaces(f"{place.name} holds no pictures called ROW.png")
    return found


def _picture(data: bytes, source: str, number: str) -> Array:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = np.asarray(opened.convert("L"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise BadFaces(f"picture {number} of {source} cannot be read ({error})") from error
    if picture.shape != (SIDE, SIDE):
        raise BadFaces(
            f"picture {number} of {source} has {picture.shape[1]}x{picture.shape[0]} pixels; {SIDE}x{SIDE} were expected"
        )
    return picture

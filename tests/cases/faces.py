"""Synthetic faces: a bright dot at each point, on grey noise."""

import csv
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np

from cases.keypoints.points import COLUMNS, POINTS, SIDE
from cases.keypoints.reading import Faces

# A face in the middle of the picture, symmetrical, in pixels of 96.
PLACES = {
    "left_eye_center": (66, 38),
    "right_eye_center": (30, 38),
    "left_eye_inner_corner": (59, 39),
    "left_eye_outer_corner": (73, 39),
    "right_eye_inner_corner": (37, 39),
    "right_eye_outer_corner": (23, 39),
    "left_eyebrow_inner_end": (56, 29),
    "left_eyebrow_outer_end": (80, 30),
    "right_eyebrow_inner_end": (40, 29),
    "right_eyebrow_outer_end": (16, 30),
    "nose_tip": (48, 58),
    "mouth_left_corner": (63, 76),
    "mouth_right_corner": (33, 76),
    "mouth_center_top_lip": (48, 73),
    "mouth_center_bottom_lip": (48, 84),
}
FEW = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip")  # what most Kaggle rows have


def synthetic(rows: int, persons: int, seed: int = 0) -> Faces:
    """Each face is moved by a few pixels, every second one has four of its points alone; a dot lies at the middle of its pixel."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(60, 100, (rows, SIDE, SIDE)).astype(np.uint8)
    points = np.full((rows, len(COLUMNS)), np.nan, np.float32)
    for row in range(rows):
        right, down = rng.integers(-8, 9, 2)
        for place, name in enumerate(POINTS):
            x, y = PLACES[name][0] + right, PLACES[name][1] + down
            pictures[row, y, x] = 255
            if row % 2 == 0 or name in FEW:
                points[row, 2 * place : 2 * place + 2] = x + 0.5, y + 0.5
    return Faces(pictures, points, np.array([f"person {row % persons}" for row in range(rows)]))


def write_kaggle(faces: Faces, path: Path) -> Path:
    """The form of the Kaggle file, gzipped where the name says so."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, "Image"])
    for picture, points in zip(faces.pictures, faces.points, strict=True):
        writer.writerow([*map(_cell, points), " ".join(map(str, picture.ravel().tolist()))])
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_zip(faces: Faces, place: Path, hidden: str = "") -> Path:
    """PNGs in a zip, and the table beside it; the points called `hidden` are complete there, and masked."""
    from PIL import Image

    with zipfile.ZipFile(place, "w") as archive:
        for row, picture in enumerate(faces.pictures):
            data = io.BytesIO()
            Image.fromarray(picture).save(data, "PNG")
            archive.writestr(f"faces/{row:05}.png", data.getvalue())
    mask = "".join("0" if name == hidden else "1" for name in POINTS)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["row", "person_id", "kaggle_mask", *COLUMNS])
    for row, points in enumerate(faces.points):
        writer.writerow([row, faces.persons[row], mask, *map(_cell, points)])
    place.with_name(f"{place.stem}_keypoints15.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))
    return place


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:g}"

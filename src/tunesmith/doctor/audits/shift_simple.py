"""Pictures and texts in a few plain numbers that nothing is fitted for: rows that a fit has seen could be told by it. No network."""

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.leakage_inputs import is_pictures
from tunesmith.doctor.audits.material import Material, View

SIDE = 6  # places of a thumbnail along each axis; assumption
TEXT: tuple[tuple[str, Callable[[str], float]], ...] = (
    ("letters", lambda text: float(len(text))),
    ("words", lambda text: float(len(text.split()))),
    ("digits", lambda text: _share(r"\d", text)),
    ("capitals", lambda text: _share(r"[A-Z]", text)),
    ("signs", lambda text: _share(r"[^\w\s]", text)),
    ("letters outside ASCII", lambda text: _share(r"[^\x00-\x7f]", text)),
)


def _share(pattern: str, text: str) -> float:
    return len(re.findall(pattern, text)) / max(1, len(text))


def simple_numbers(material: Material, view: View, rows: Array) -> dict[str, Array]:
    """float64 (len(rows),) by name: means of a thumbnail and spread of each channel; counts of letters and signs."""
    made: dict[str, Array] = {}
    for name, values in view.table.items():
        kind = material.columns[name].kind
        if kind == "text":
            texts = ["" if value is None else str(value) for value in values[rows].tolist()]
            made |= {f"{name}: {told}": np.array([count(text) for text in texts]) for told, count in TEXT}
        elif values.dtype.kind in "fiu" and (kind == "picture" or is_pictures(values)):
            made |= _thumbnail(name, values[rows])
    return made


def _thumbnail(name: str, pictures: Array) -> dict[str, Array]:
    if pictures.ndim == 3:
        pictures = pictures[:, None]
    elif pictures.shape[1] > 4:
        pictures = np.moveaxis(pictures, 3, 1)
    made = {}
    tops, lefts = (np.linspace(0, size, min(size, SIDE) + 1).astype(int) for size in pictures.shape[2:])
    for channel in range(pictures.shape[1]):
        one = pictures[:, channel].astype(np.float32)
        made[f"{name} channel {channel} spread"] = one.std((1, 2)).astype(np.float64)
        for row, (top, bottom) in enumerate(pairwise(tops)):
            for column, (left, right) in enumerate(pairwise(lefts)):
                made[f"{name} channel {channel} [{row},{column}]"] = (
                    one[:, top:bottom, left:right].mean((1, 2)).astype(np.float64)
                )
    return made

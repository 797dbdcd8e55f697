"""Logs that are cut, shuffled, doubled or spoiled are read, or refused in a sentence; nothing else is raised."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.runs.readers.samples import SAMPLES
from tunesmith.records import DataError
from tunesmith.runs import readers


def damaged(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    match draw.randrange(6):
        case 0:
            return text[: draw.randrange(len(text))]
        case 1:
            return text[draw.randrange(len(text)) :]
        case 2:
            draw.shuffle(lines)
            return "\n".join(lines)
        case 3:
            letters = list(text)
            for _ in range(10):
                letters[draw.randrange(len(letters))] = draw.choice('0123456789.,:;|"{}[]() \n\tabc%-e=∞损')
            return "".join(letters)
        case 4:
            return "\n".join(line for line in lines if draw.random() < 0.6)
        case _:
            return text + text


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_log_is_read_or_refused(name: str, tmp_path: Path) -> None:
    sample, draw = SAMPLES[name], random.Random(name)
    for number in range(2):
        path = tmp_path / str(number) / sample.file
        path.parent.mkdir()
        path.write_text(damaged(sample.text, draw), encoding="utf-8", newline="")

        try:
            found = readers.read_log(path)
        except DataError:
            continue

        for curve in (curve for history in found for curve in history):
            assert len(curve.steps) == len(curve.values) == len(curve.low) == len(curve.high) <= curve.counted
            assert (np.diff(curve.steps) > 0).all()

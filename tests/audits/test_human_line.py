"""A second annotator is found and measured."""

import numpy as np
import polars as pl
import pytest

from tunesmith.doctor.audits import AUDITS, material_of
from tunesmith.doctor.audits.human_line import human_line
from tunesmith.records import DataError, Task


def table(agree: float, rows: int = 400) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, rows)
    second = np.where(draw.random(rows) < agree, y, draw.integers(0, 3, rows))
    names = np.array(["cat", "dog", "owl"])
    return pl.DataFrame({"x": draw.normal(size=rows) + y, "second": names[second], "label": names[y]})


def test_a_second_annotator():
    frame = table(0.8)
    material = material_of(Task(train=frame, target="label"))

    (finding,) = AUDITS["human_line"].look(material)

    differ = (frame["second"] != frame["label"]).to_numpy()
    assert finding.severity == "note"
    assert finding.subject["columns"] == ["second"]
    assert finding.subject["rows"] == np.flatnonzero(differ).tolist()
    assert material.measured["human"]["share"] == pytest.approx(1 - differ.mean())
    assert material.measured["human"]["interval"][0] < 0.8 < material.measured["human"]["interval"][1]


@pytest.mark.parametrize("agree", [0.2, 1.0])
def test_chance_and_a_plain_copy_are_no_annotator(agree):
    assert list(AUDITS["human_line"].look(material_of(Task(train=table(agree), target="label")))) == []


def test_several_annotators():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 4, 500)
    others = [np.where(draw.random(500) < 0.7, y, draw.integers(0, 4, 500)) for _ in range(3)]

    told = human_line(y, *others)

    assert told["kappa"] == pytest.approx(0.7, abs=0.06)
    assert 0.45 < told["fleiss"] < told["kappa"]  # the others agree with each other in 0.7² beyond chance
    assert len(told["each"]) == 3


def test_annotations_of_different_length():
    with pytest.raises(DataError, match="equal length"):
        human_line([1, 2], [1, 2, 3])

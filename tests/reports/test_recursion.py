"""The picture and the table of a simulation."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from tunesmith.reports.recursion import MOST_ROWS, picture, places, table

ASKED = {"model": "gaussian", "regime": "replace", "generations": 3, "n": 10, "share": None, "replicates": 9, "seed": 0}
ONE = {"mean": [-0.1, -0.2, -0.4], "standard_error": [0.01, 0.02, 0.02], "expected": [-0.11, -0.21, -0.35]}


def told(**changed: Any) -> dict[str, Any]:
    return {**ASKED, "measures": {"log_variance": {**ONE, "apart": 2.5}}, **changed}


def test_the_closed_form_is_drawn_over_the_simulation() -> None:
    other = {**ONE, "expected": None, "apart": None}
    drawn = picture([told(), told(regime="mix", share=0.25, measures={"log_variance": other, "tail": other})])

    root = ElementTree.fromstring(drawn)
    paths = [one.get("class") for one in root.iter() if one.tag.endswith("path")]
    words = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert paths == ["band c1", "line line c1", "line dashed c1", "band c2", "line line c2", "band c1", "line line c1"]
    assert "replace, dashed: closed form" in words
    assert words.count("mix (25% real)") == 2
    assert "gaussian: log variance" in words


def test_one_replicate_has_no_error_and_one_generation_no_line() -> None:
    lone = {"mean": [2.0], "standard_error": [float("nan")], "expected": [1.5], "apart": None}
    alone = told(generations=1, replicates=1, measures={"variance": lone})

    assert "2     1.5" in table(alone)
    assert "nan" not in picture([alone])


def test_a_long_table_shows_the_first_and_the_last() -> None:
    long = {name: list(np.linspace(0, 1, 200)) for name in ("mean", "standard_error", "expected")}
    shown = table(told(generations=200, measures={"log_variance": {**long, "apart": None}}))

    assert places(told(generations=200))[0::11] == [0, 199]
    assert len(shown.splitlines()) == MOST_ROWS + 2

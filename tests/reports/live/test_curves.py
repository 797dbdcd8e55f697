"""Curves for a chart: nothing of the lowest and highest is lost, and a narrow window holds the points as they are."""

from pathlib import Path

import numpy as np
import pytest

from tests.reports.live.conftest import filled
from tunesmith.records import Recipe
from tunesmith.reports.live.curves import curve_of, numbers
from tunesmith.runs import Run


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run.create(tmp_path_factory.mktemp("long") / "run", recipe=Recipe())
    values = np.random.default_rng(0).normal(size=400_000).cumsum()
    values[123_456] = 1e6
    with run.writer() as writer:
        writer.begin_attempt()
        for start in range(0, len(values), 5000):
            writer.add("loss", np.arange(start, start + 5000), values[start : start + 5000])
            writer.flush()
    return run


def test_a_long_curve_keeps_its_peaks(long: Run) -> None:
    curve = curve_of(long, "loss", "", 800)

    values = long.signals.read("loss")[1]
    assert len(curve["steps"]) <= 800
    assert not curve["exact"]
    assert max(curve["high"]) == 1e6
    assert min(curve["low"]) == values.min()


def test_a_narrow_window_is_exact(long: Run) -> None:
    curve = curve_of(long, "loss", "", 800, 123_400, 123_500)

    steps, values = long.signals.read("loss", first=123_400, last=123_500)
    assert curve["exact"]
    assert "low" not in curve
    assert (curve["steps"], curve["mean"]) == (steps.tolist(), values.tolist())


@pytest.mark.parametrize("first", [0, 1000, 100_000])
@pytest.mark.parametrize("width", [10_000, 250_000])
def test_a_window_at_any_width_is_bounded_by_its_points(long: Run, first: int, width: int) -> None:
    curve = curve_of(long, "loss", "", 500, first, first + width)

    values = long.signals.read("loss", first=first, last=first + width)[1]
    assert len(curve["steps"]) <= 500
    assert max(curve["high"]) == values.max()
    assert min(curve["low"]) == values.min()


def test_a_signal_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")

    assert curve_of(run, "nothing", "")["steps"] == []
    assert curve_of(run, "loss", "nowhere")["steps"] == []


def test_what_json_has_no_word_for_is_none() -> None:
    assert numbers(np.array([1.0, np.nan, np.inf, -np.inf, 0.0])) == [1.0, None, None, None, 0.0]

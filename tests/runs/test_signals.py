import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.records import Recipe, UnknownName
from tunesmith.runs import MemoryWriter, Run
from tunesmith.runs.levels import WIDTH, of_points, thinned


def written(pieces, flush_each=True, **attempt):
    writer = MemoryWriter()
    writer.begin_attempt(**attempt)
    start = 0
    for piece in pieces:
        writer.add("loss", np.arange(start, start + len(piece)), piece)
        start += len(piece)
        if flush_each:
            writer.flush()
    return writer


@given(st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=8), max_size=150), st.booleans())
@settings(deadline=None, max_examples=40)
def test_every_bit_comes_back_however_the_points_came(pieces, flush_each):
    everything = np.array([value for piece in pieces for value in piece], dtype=np.float64)
    writer = written(pieces, flush_each)

    names = writer.signals.names()

    if not len(everything):
        assert names == []
        return
    steps, values = writer.signals.read("loss")
    assert steps.tolist() == list(range(len(everything)))
    assert values.tobytes() == everything.tobytes()


def test_the_bits_of_a_nan_are_kept():
    odd = np.array([0x7FF8000000000123], dtype=np.uint64).view(np.float64)
    writer = written([odd])

    _, values = writer.signals.read("loss")

    assert values.view(np.uint64)[0] == 0x7FF8000000000123


@pytest.mark.parametrize("stride", [0, 1, 5])
def test_even_and_uneven_steps_come_back(stride):
    writer = MemoryWriter()
    writer.begin_attempt()
    even = np.arange(100) * stride
    uneven = even[-1] + np.cumsum(np.random.default_rng(0).integers(0, 4, 100))

    writer.add("a", even, np.arange(100.0))
    writer.flush()
    writer.add("a", uneven, np.arange(100.0))

    assert np.array_equal(writer.signals.read("a")[0], np.concatenate([even, uneven]))


@given(st.integers(0, 700), st.integers(0, 700), st.integers(1, 90))
@settings(deadline=None, max_examples=40)
def test_a_range_has_both_its_ends(first, last, size):
    values = np.random.default_rng(1).normal(size=600)
    writer = MemoryWriter()
    writer.begin_attempt()
    for start in range(0, 600, size):
        writer.add("a", np.arange(start, min(start + size, 600)), values[start : start + size])
        writer.flush()

    steps, found = writer.signals.read("a", first=first, last=last)

    assert steps.tolist() == list(range(first, min(last, 599) + 1))
    assert np.array_equal(found, values[first : last + 1] if last >= first else [])


@pytest.fixture(scope="module")
def long():
    values = np.cumsum(np.random.default_rng(3).normal(size=300_000))
    values[1000] = 1e6  # one spike has to stay visible at every level
    values[2000:2005] = np.nan
    writer = MemoryWriter()
    writer.begin_attempt()
    for start in range(0, len(values), 777):
        writer.add("loss", np.arange(start, min(start + 777, len(values))), values[start : start + 777])
        writer.flush()
    return writer, values


@pytest.mark.parametrize("points", [1, 3, 50, 400, 1000, 2000])
@pytest.mark.parametrize(
    ("first", "last"), [(None, None), (123, 280_001), (70_000, 70_900), (299_999, None), (None, 0)]
)
def test_a_coarse_curve_is_the_curve_of_the_points(long, points, first, last):
    writer, values = long
    low, high = first or 0, len(values) - 1 if last is None else last
    inside = values[low : high + 1]

    curve = writer.signals.curve("loss", points=points, first=first, last=last)

    assert 0 < len(curve.steps) <= points
    assert curve.steps[0] == low
    assert np.nanmin(curve.low) == np.nanmin(inside)
    assert np.nanmax(curve.high) == np.nanmax(inside)
    ends = [*curve.steps[1:], high + 1]
    for index, (start, stop) in enumerate(zip(curve.steps, ends, strict=True)):
        part = values[start:stop]
        assert curve.low[index] == np.nanmin(part)
        assert curve.high[index] == np.nanmax(part)
        assert curve.mean[index] == pytest.approx(np.nanmean(part), rel=1e-9)


def test_a_short_curve_is_its_points(long):
    writer, values = long

    curve = writer.signals.curve("loss", points=1000, first=1990, last=2010)

    assert curve.steps.tolist() == list(range(1990, 2011))
    np.testing.assert_array_equal(curve.mean, values[1990:2011])


def test_a_curve_does_not_read_the_points(long, monkeypatch):
    writer, _ = long
    read = []
    monkeypatch.setattr(
        "tunesmith.runs.signals.of_points", lambda steps, values: read.append(len(steps)) or of_points(steps, values)
    )

    writer.signals.curve("loss", points=1000)

    assert sum(read) < WIDTH


def test_an_unknown_signal_is_told_with_the_nearest():
    writer = MemoryWriter()
    writer.begin_attempt()
    writer.add("grad_norm", 1, 1.0, where="fc1")

    with pytest.raises(UnknownName, match="no signal called 'grad_nrm'; did you mean 'grad_norm'"):
        writer.signals.read("grad_nrm")
    with pytest.raises(UnknownName, match="'grad_norm' has no place called ''; known: fc1"):
        writer.signals.read("grad_norm")
    with pytest.raises(ValueError, match="at least 1"):
        writer.signals.curve("grad_norm", "fc1", points=0)


def test_names_and_places_in_order():
    writer = MemoryWriter()
    writer.begin_attempt()
    for where in ("fc2", "", "fc1"):
        writer.add("norm", [1], [2.0], where=where)
    writer.add("loss", [1], [2.0])

    assert writer.signals.names() == [("loss", ""), ("norm", ""), ("norm", "fc1"), ("norm", "fc2")]


def test_the_export_is_standard_json_and_exact(tmp_path):
    run = Run.create(tmp_path / "r", recipe=Recipe())
    values = [0.1, float("nan"), float("inf"), -float("inf"), 5e-324]
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", range(5), values, where="层")

    path = run.signals.export_jsonl(tmp_path / "out.jsonl")

    def refuse(word):
        raise AssertionError(word)

    rows = [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert {(row["name"], row["where"]) for row in rows} == {("loss", "层")}
    np.testing.assert_array_equal([float(row["value"]) for row in rows], values)


def test_the_same_buckets_whatever_the_flushes(long):
    _, values = long
    at_once = written([values])
    writer, _ = long

    one, other = at_once.signals.curve("loss", points=300), writer.signals.curve("loss", points=300)

    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)
    assert len(thinned(of_points(np.arange(5), np.zeros(5)), 2).steps) == 2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.runs.levels import WIDTH, coarser, joined, merged, of_points, packed, thinned, unpacked

ANY = st.floats(allow_nan=True, allow_infinity=True)


def expected(values):
    finite = values[np.isfinite(values)]
    return (finite.min(), finite.max(), finite.astype(np.longdouble).mean()) if len(finite) else (np.nan,) * 3


@given(st.lists(ANY, min_size=1, max_size=60), st.data())
@settings(deadline=None, max_examples=60)
def test_merging_gives_the_extremes_and_the_mean_of_the_finite_values(values, data):
    values = np.array(values)
    cuts = sorted({0, *data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))})

    made = merged(of_points(np.arange(len(values)), values), np.array(cuts))

    for index, (start, stop) in enumerate(zip(cuts, [*cuts[1:], len(values)], strict=True)):
        low, high, mean = expected(values[start:stop])
        assert (made.first[index], made.last[index], made.size[index]) == (start, stop - 1, stop - start)
        np.testing.assert_array_equal([made.low[index], made.high[index]], [low, high])
        scale = np.abs(values[start:stop][np.isfinite(values[start:stop])]).max(initial=0.0)
        np.testing.assert_allclose(float(made.mean[index]), float(mean), rtol=1e-12, atol=float(scale) * 1e-12)


def test_merging_twice_is_merging_once():
    values = np.random.default_rng(0).normal(size=WIDTH * WIDTH)
    values[::7] = np.nan
    once = merged(of_points(np.arange(len(values)), values), np.array([0]))

    middle, left = coarser(of_points(np.arange(len(values)), values))
    twice, none = coarser(middle)

    assert len(left.first) == len(none.first) == 0
    for one, other in zip(once, twice, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_what_fills_no_bucket_is_left_over():
    full, left = coarser(of_points(np.arange(WIDTH + 3), np.zeros(WIDTH + 3)))

    assert full.size.tolist() == [WIDTH]
    assert left.first.tolist() == [WIDTH, WIDTH + 1, WIDTH + 2]


@pytest.mark.parametrize("points", [1, 2, 7, 100, 999, 1000, 5000])
def test_a_thinned_curve_has_at_most_so_many_points_and_keeps_the_extremes(points):
    values = np.random.default_rng(points).normal(size=1000)

    curve = thinned(of_points(np.arange(1000), values), points)

    assert len(curve.steps) == min(points, 1000)
    assert curve.low.min() == values.min()
    assert curve.high.max() == values.max()
    assert ((curve.low <= curve.mean) & (curve.mean <= curve.high)).all()
    assert curve.steps[0] == 0


def test_bytes_hold_every_bit():
    buckets = merged(
        of_points(np.arange(10), np.array([np.nan, 1e308, -0.0, 5e-324, *range(6)])), np.array([0, 1, 2, 3, 4])
    )

    again = unpacked(packed(buckets))

    for one, other in zip(buckets, again, strict=True):
        assert one.tobytes() == other.tobytes()


def test_nothing_joined_is_nothing():
    assert len(joined([]).first) == 0
    assert len(thinned(joined([]), 5).steps) == 0

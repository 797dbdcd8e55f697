"""A column in bounded memory keeps its lowest, mean and highest, and the first value that is not finite."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.runs.readers.points import PENDING, Points


def filled(values: np.ndarray, piece: int, longest: int) -> Points:
    points = Points(longest)
    rows = np.arange(len(values), dtype=float)
    for begin in range(0, len(values), piece):
        part = slice(begin, begin + piece)
        points.extend(rows[part], 2 * rows[part], rows[part] // 10, values[part])
    return points


def test_a_short_column_is_kept_as_it_is() -> None:
    values = np.array([1.0, np.nan, np.inf, -2.0])

    column = filled(values, 3, 100).column()

    np.testing.assert_array_equal(column.values, values)
    np.testing.assert_array_equal(column.steps, [0, 2, 4, 6])
    assert (column.counted, column.broken) == (4, 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60000), st.integers(100, 9000), st.integers(0, 2**32 - 1))
def test_a_long_one_keeps_its_sum_and_its_ends(length: int, piece: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=length)

    points = filled(values, piece, 50)
    column = points.column()

    assert len(column) <= 50
    assert points.kept.shape[1] <= 100
    assert column.counted == length
    assert (column.low.min(), column.high.max()) == (values.min(), values.max())
    sizes = np.diff(column.rows, append=length)
    np.testing.assert_allclose((column.values * sizes).sum(), values.sum(), atol=1e-8 * length)
    np.testing.assert_array_equal(column.steps, 2 * column.rows)


def test_the_first_value_that_is_not_finite_is_not_lost() -> None:
    values = np.ones(4 * PENDING)
    values[20000] = np.nan

    column = filled(values, 1000, 100).column()

    at = np.flatnonzero(np.isnan(column.values))
    assert len(at) == 1
    assert column.rows[at[0]] <= 20000 < np.append(column.rows, len(values))[at[0] + 1]
    assert column.broken == 1


def test_no_sum_overflows() -> None:
    column = filled(np.full(3 * PENDING, 1e308), 1000, 10).column()

    np.testing.assert_allclose(column.values, 1e308)

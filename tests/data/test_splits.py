import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data import splits
from tunesmith.data.splits import Shares
from tunesmith.records import DataError

SHARES = Shares(0.15, 0.15)


def parts_of(split):
    return split.train, split.val, split.test


def assert_partition(split, rows):
    assert np.array_equal(np.sort(np.concatenate(parts_of(split))), np.arange(rows))


@given(st.integers(1, 400), st.integers(0, 5), st.floats(0, 0.4), st.floats(0, 0.4))
@settings(max_examples=60, deadline=None)
def test_every_row_lies_in_one_part_and_training_has_rows(rows, seed, val, test):
    split = splits.random(rows, Shares(val, test), seed)

    assert_partition(split, rows)
    assert len(split.train) > 0
    if rows >= splits.FEWEST:
        assert (len(split.val), len(split.test)) == Shares(val, test).counts(rows)


@given(st.lists(st.integers(0, 5), min_size=4, max_size=300), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_stratified_parts_have_their_size_and_each_class_its_share(labels, seed):
    labels = np.array(labels)

    split = splits.stratified(labels, SHARES, seed)

    assert_partition(split, len(labels))
    counts = np.bincount(labels)
    training = np.bincount(labels[split.train], minlength=len(counts))
    assert (training[counts > 0] > 0).all()
    if (counts[counts > 0] >= 40).all():
        for part, size in zip(parts_of(split)[1:], SHARES.counts(len(labels)), strict=True):
            wanted = counts * size / len(labels)
            assert len(part) == size
            assert np.abs(np.bincount(labels[part], minlength=len(counts)) - wanted).max() < 1


def test_stratified_counts_are_the_largest_remainders():
    labels = np.repeat([0, 1, 2], [50, 30, 20])

    split = splits.stratified(labels, Shares(0.15, 0.15), 0)

    # quotas 7.5, 4.5, 3: the two halves are rounded so that the parts hold 15
    assert np.bincount(labels[split.test]).tolist() in ([8, 4, 3], [7, 5, 3])
    assert np.bincount(labels[split.val]).tolist() in ([8, 4, 3], [7, 5, 3])


def test_a_class_of_one_row_is_trained_on():
    labels = np.r_[np.zeros(40, int), 1]

    split = splits.stratified(labels, SHARES, 0)

    assert 40 in split.train


@given(st.lists(st.integers(0, 30), min_size=4, max_size=200), st.integers(0, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_units_are_never_divided(units, seed, stratify):
    units = np.array(units)
    labels = units % 3

    split = (
        splits.stratified(labels, SHARES, seed, units) if stratify else splits.random(len(units), SHARES, seed, units)
    )

    assert_partition(split, len(units))
    held = [set(units[part]) for part in parts_of(split)]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert not stratify or set(labels[split.train]) == set(labels)


def test_duplicates_leave_class_shares_exact_where_single_rows_abound():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    units = np.arange(1000)
    units[900:] = rng.integers(0, 50, 100)
    labels[900:] = labels[units[900:]]

    split = splits.stratified(labels, SHARES, 0, units)

    wanted = np.bincount(labels) * 0.15
    assert np.abs(np.bincount(labels[split.test]) - wanted).max() <= 1
    assert np.abs(np.bincount(labels[split.val]) - wanted).max() <= 1


def test_units_alone_fill_the_parts_nearly():
    units = np.repeat(np.arange(200), 5)

    split = splits.random(1000, SHARES, 0, units)

    assert abs(len(split.val) - 150) <= 5
    assert abs(len(split.test) - 150) <= 5


@given(st.lists(st.integers(0, 12), min_size=6, max_size=150), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_group_lies_in_two_parts(groups, seed):
    groups = np.array(groups)
    if len(np.unique(groups)) < 3:
        with pytest.raises(DataError, match="groups cannot be divided"):
            splits.grouped(groups, SHARES, seed)
        return

    split = splits.grouped(groups, SHARES, seed)

    assert_partition(split, len(groups))
    held = [set(groups[part]) for part in parts_of(split)]
    assert all(held)
    assert len(held[0]) + len(held[1]) + len(held[2]) == len(np.unique(groups))


def test_groups_and_duplicates_are_joined():
    groups = np.repeat(np.arange(20), 5)
    twins = np.arange(100)
    twins[0] = twins[99]  # the first and the last group share a row

    split = splits.grouped(groups, SHARES, 0, twins)

    assert any({0, 99} <= set(part.tolist()) for part in parts_of(split))


@given(st.lists(st.integers(0, 40), min_size=6, max_size=150))
@settings(max_examples=60, deadline=None)
def test_by_time_later_parts_are_later_and_ties_stay_together(times):
    times = np.array(times, float)
    if len(np.unique(times)) < 3:
        with pytest.raises(DataError, match="different values"):
            splits.by_time(times, SHARES, 0)
        return

    split = splits.by_time(times, SHARES, 0)

    assert_partition(split, len(times))
    assert times[split.train].max() < times[split.val].min()
    assert times[split.val].max() < times[split.test].min()


def test_by_time_parts_have_their_size_without_ties():
    split = splits.by_time(np.random.default_rng(0).permutation(100).astype(float), SHARES, 0)

    assert [len(part) for part in parts_of(split)] == [70, 15, 15]


def test_the_seed_decides_and_nothing_else():
    labels = np.arange(60) % 3

    first, again, other = (splits.stratified(labels, SHARES, seed) for seed in (1, 1, 2))

    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(DataError, match="below 1"):
        Shares(0.5, 0.5)


def test_three_rows_are_all_trained_on():
    split = splits.random(3, SHARES, 0)

    assert len(split.train) == 3

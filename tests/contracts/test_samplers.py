import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.samplers import SAMPLERS, padding
from tunesmith.records import DataError

LABELS = np.random.default_rng(0).choice(3, 90, p=[0.6, 0.3, 0.1])
CLASSY = ("balanced", "oversample", "sqrt")


def order_of(name, *, labels=LABELS, seed=0, epoch=0, rank=0, world=1, batch_size=12, per_class=None):
    place = {"rank": rank, "world": world, "batch_size": batch_size, "per_class": per_class}
    return SAMPLERS[name](labels=labels, rows=len(labels), seed=seed, epoch=epoch, **place)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_and_epoch_give_the_same_order(name, seed):
    first, again = (order_of(name, seed=seed, epoch=3) for _ in range(2))

    assert np.array_equal(first, again)
    assert first.dtype == np.int64


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "sequential"])
def test_another_epoch_or_seed_gives_another_order(name):
    order = order_of(name)

    assert not np.array_equal(order, order_of(name, epoch=1))
    assert not np.array_equal(order, order_of(name, seed=1))


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_order_stays_within_the_rows(name):
    order = order_of(name)

    assert order.min() >= 0
    assert order.max() < len(LABELS)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_have_equal_lengths_and_share_the_order_of_one(name, world):
    ranks = [order_of(name, rank=rank, world=world) for rank in range(world)]
    alone = order_of(name)

    together = np.sort(np.concatenate(ranks))

    assert len({len(rank) for rank in ranks}) == 1
    assert len(together) - len(alone) < world * 12
    if name in ("shuffle", "sequential"):
        assert len(together) == len(LABELS) + padding(len(LABELS), world)
        assert np.array_equal(np.unique(together), np.arange(len(LABELS)))


@pytest.mark.parametrize("name", ["shuffle", "sequential"])
def test_places_of_ranks_are_disjoint_where_they_divide_evenly(name):
    ranks = [order_of(name, rank=rank, world=3) for rank in range(3)]

    assert np.array_equal(np.sort(np.concatenate(ranks)), np.arange(90))


@pytest.mark.parametrize("rank", [0, 1])
def test_balanced_puts_exactly_as_many_of_each_class_in_each_batch(rank):
    order = order_of("balanced", rank=rank, world=2)

    batches = LABELS[order].reshape(-1, 12)

    assert all(np.array_equal(np.bincount(batch), [4, 4, 4]) for batch in batches)


def test_balanced_has_as_many_batches_as_a_plain_epoch():
    assert len(order_of("balanced")) == -(-90 // 12) * 12


def test_balanced_goes_through_a_class_in_rounds():
    visits = np.bincount(order_of("balanced"), minlength=90)

    spread = [np.ptp(visits[label == LABELS]) for label in range(3)]

    assert max(spread) <= 1


def test_oversample_brings_every_class_to_the_largest_and_leaves_no_row_out():
    order = order_of("oversample")

    counts = np.bincount(LABELS[order])

    assert counts.tolist() == [np.bincount(LABELS).max()] * 3
    assert len(np.unique(order)) == 90


def test_sqrt_takes_classes_in_proportion_to_the_root_of_their_rows():
    sizes = np.bincount(LABELS)
    wanted = 90 * np.sqrt(sizes) / np.sqrt(sizes).sum()

    counts = np.bincount(LABELS[order_of("sqrt")])

    assert counts.sum() == 90
    assert np.abs(counts - wanted).max() < 1


@pytest.mark.parametrize("name", CLASSY)
def test_a_task_without_classes_is_refused_with_a_sentence(name):
    with pytest.raises(DataError, match="shuffle"):
        SAMPLERS[name](labels=None, rows=9, seed=0, epoch=0, batch_size=3, per_class=None)


def test_a_batch_that_cannot_be_balanced_names_one_that_can():
    with pytest.raises(DataError, match="batch_size = 30"):
        order_of("balanced", batch_size=32)


@given(st.integers(1, 300), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_shuffle_visits_each_row_once_and_padding_by_repeats(rows, world, epoch):
    parts = [
        SAMPLERS["shuffle"](labels=None, rows=rows, seed=1, epoch=epoch, batch_size=4, rank=rank, world=world)
        for rank in range(world)
    ]

    visits = np.bincount(np.concatenate(parts), minlength=rows)

    assert visits.sum() == rows + padding(rows, world)
    assert visits.min() >= 1

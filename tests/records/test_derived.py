import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import Derived, Recipe, RecipeError, derived, updates_of


def test_every_number_comes_with_its_equation():
    recipe = Recipe(train={"batch_size": 32, "accumulate": 4, "epochs": 10}, schedule={"warmup": "0.05dur"})

    found = derived(recipe, rows=1000)

    assert found == [
        Derived("effective batch", 128, "train.batch_size x train.accumulate = 32 x 4 = 128"),
        Derived(
            "updates per epoch",
            8,
            "ceil(micro-batches / train.accumulate) = ceil(ceil(1000 / 32) / 4) = ceil(32 / 4) = 8",
        ),
        Derived("total updates", 80, "train.epochs x updates per epoch = 10 x 8 = 80"),
        Derived("warm-up updates", 4, "ceil(share x total updates) = ceil(0.05 x 80) = 4"),
    ]


def test_what_is_still_open_is_left_out():
    assert derived(Recipe(), rows=10) == []
    assert [one.name for one in derived(Recipe(train={"batch_size": 4}), rows=10)] == [
        "effective batch",
        "updates per epoch",
    ]


def test_a_run_counted_in_steps():
    found = derived(Recipe(train={"batch_size": 4, "steps": 200}, schedule={"warmup": "0.1dur"}), rows=10)

    assert [(one.name, one.value) for one in found[2:]] == [("total updates", 200), ("warm-up updates", 20)]


@given(st.integers(1, 10_000), st.integers(1, 64), st.integers(1, 8), st.integers(1, 5))
def test_updates_per_epoch_are_those_of_a_loop(rows, batch, accumulate, epochs):
    recipe = Recipe(train={"batch_size": batch, "accumulate": accumulate, "epochs": epochs})

    found = {one.name: one.value for one in derived(recipe, rows)}

    windows = len(range(0, len(range(0, rows, batch)), accumulate))
    assert (found["updates per epoch"], found["total updates"]) == (windows, windows * epochs)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (500, 500),
        ("500", 500),
        ("500updates", 500),
        ("0.05dur", 50),
        ("0.1dur", 100),
        ("1dur", 1000),
        ("0dur", 0),
        ("1e-1dur", 100),
        ("0.0001dur", 1),
        ("2ep", 200),
        ("0.5ep", 50),
        ("10000samples", 313),
    ],
)
def test_amounts_in_updates(amount, expected):
    assert updates_of(amount, total=1000, per_epoch=100, effective_batch=32) == expected


@given(st.integers(1, 999), st.integers(1, 100_000))
def test_a_share_is_exact(thousandths, total):
    amount = f"{thousandths / 1000}dur"

    assert updates_of(amount, total, 1, 1) == math.ceil(thousandths * total / 1000) == -(-thousandths * total // 1000)


@pytest.mark.parametrize("amount", ["5 days", "", "ep", "-3", "nan", "5epochs"])
def test_what_is_no_amount(amount):
    with pytest.raises(RecipeError, match="no number with a unit; units: dur"):
        updates_of(amount, 10, 10, 10)


def test_a_share_beyond_the_run():
    with pytest.raises(RecipeError, match=r"'1\.5dur' is longer than the run"):
        updates_of("1.5dur", 10, 10, 10)

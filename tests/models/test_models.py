from types import SimpleNamespace

import pytest

from tunesmith.blocks import models
from tunesmith.records import ModelError, Recipe, Source, UnknownName, revise

NUMBERS = {"numbers": SimpleNamespace(width=3, names=("a", "b", "c"))}
TOKENS = {"tokens": SimpleNamespace(vocabulary=30, length=7, padding=0)}
PICTURES = {"pictures": SimpleNamespace(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,))}


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (NUMBERS, "mlp"),
        (PICTURES, "cnn"),
        (TOKENS, "bag"),
        (TOKENS | NUMBERS, "bag"),
        ({"x": SimpleNamespace(shape=(2,))}, "mlp"),
    ],
)
def test_auto_goes_by_the_inputs(spec, name):
    assert models.choose(spec) == name


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'transformer'"):
        models.build("transfomer", Recipe(), TOKENS, 2, "binary")


def test_a_net_that_predicts_no_token_is_refused_for_language():
    with pytest.raises(ModelError, match=r"the lstm does not predict the next token; set model\.name = 'decoder'"):
        models.build("lstm", Recipe(), TOKENS, 30, "language")


def test_what_a_person_has_set_stays():
    recipe = revise(Recipe(), {"optim.lr": 0.5, "train.ema": None}, Source("command line"))

    settled = models.settle(recipe, "mlp", NUMBERS, 20_000)

    assert settled.optim.lr == 0.5
    assert settled.train.ema is None
    assert settled.source("optim.lr").kind == "command line"


def test_a_recipe_written_in_python_stays_too():
    settled = models.settle(Recipe.model_validate({"schedule": {"warmup": 7}}), "mlp", NUMBERS, 20_000)

    assert settled.schedule.warmup == 7


def test_what_nobody_has_set_is_derived_and_says_from_what():
    settled = models.settle(Recipe(), "auto", TOKENS, 4_000)

    assert settled.model.embedding_dim == models.defaults("bag", TOKENS, 4_000)["model.embedding_dim"]
    assert str(settled.source("model.embedding_dim")) == "derived (bag on 4,000 rows)"


def test_settling_twice_changes_nothing():
    once = models.settle(Recipe(), "mlp", NUMBERS, 4_000)

    assert models.settle(once, "mlp", NUMBERS, 9_000_000) == once


@pytest.mark.parametrize("rows", [1, 30, 500, 10**4, 10**7])
def test_batches_are_powers_of_two_within_their_bounds(rows):
    batch = models.batch_for(rows, 256)

    assert 8 <= batch <= 256
    assert batch & (batch - 1) == 0


def test_the_number_of_updates_hardly_depends_on_the_rows():
    updates = [
        models.epochs_for(rows, 64, updates=1000, least=1, most=1000) * rows / 64 for rows in (1_000, 9_000, 40_000)
    ]

    assert all(1000 <= count <= 1000 * 1.7 for count in updates)

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings

from tests.records.strategies import recipes
from tunesmith.records import Recipe, RecipeError, Source, UnknownName, apply, revise
from tunesmith.records.recipe import PATHS, validated


def test_every_field_has_a_description_and_a_default():
    recipe = Recipe()

    described = {
        path: type(getattr(recipe, path.split(".")[0])).model_fields[path.split(".")[1]].description for path in PATHS
    }

    assert [path for path, text in described.items() if not text] == []
    assert recipe.sources() == {}


def test_revise_changes_a_copy_and_keeps_where_it_came_from():
    recipe = Recipe()

    revised = revise(recipe, {"optim.lr": 1e-4, "train.epochs": 3}, Source("command line"))

    assert (revised.optim.lr, revised.train.epochs) == (1e-4, 3)
    assert recipe.optim.lr == "auto"
    assert revised.source("optim.lr") == Source("command line")
    assert revised.source("optim.name") == Source("default")


def test_a_source_for_each_change():
    sources = {"optim.lr": Source("derived", "0.1 x 64 / 256 = 0.025"), "train.epochs": Source("file", "a.toml:1")}

    revised = revise(Recipe(), {"optim.lr": 0.025, "train.epochs": 2}, sources)

    assert str(revised.source("optim.lr")) == "derived (0.1 x 64 / 256 = 0.025)"
    assert revised.sources() == sources


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optim.lrr": 1}, "no recipe field called 'optim.lrr'; did you mean 'optim.lr'?"),
        ({"train.lr": 1}, "section [train] has no field called 'lr'; did you mean 'optim.lr'?"),
        ({"optimm.lr": 1}, "no section [optimm] for 'optimm.lr'; did you mean 'optim.lr'?"),
        (
            {"zzz.qqq": 1},
            "no section [zzz] for 'zzz.qqq'; sections: data, model, loss, optim, schedule, train, eval, run",
        ),
        ({"lrr": 1}, "did you mean"),
        ({"batch_size": 1}, "may be train.batch_size or eval.batch_size"),
        ({"optim.": 1}, "no recipe field called 'optim.'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(changes, words):
    with pytest.raises(UnknownName) as caught:
        revise(Recipe(), changes)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("optim.lr", "fast", 'optim.lr = "fast": expected a number > 0 or "auto"'),
        ("optim.lr", 0, "optim.lr = 0: expected a number > 0"),
        ("optim.lr", True, "optim.lr = true: expected a number"),
        ("optim.lr", float("nan"), "optim.lr = nan: expected a number > 0"),
        ("optim.lr", float("inf"), "optim.lr = inf: expected a number > 0"),
        ("optim.lr", None, 'optim.lr = "none": expected a number'),
        ("train.epochs", 2.5, 'train.epochs = 2.5: expected a whole number >= 1 or "auto"'),
        ("train.epochs", "3", 'train.epochs = "3": expected a whole number'),
        ("data.scale", "standart", "did you mean 'standard'?"),
        ("data.val", 1.0, "data.val = 1.0: expected a number >= 0 and < 1"),
        ("train.seed", -1, "train.seed = -1: expected a whole number >= 0"),
        ("train.seed", 2**64, "expected a whole number >= 0 and < 2^63"),
        ("loss.class_weights", [1.0, -1.0], "a list of numbers > 0"),
        ("schedule.warmup", "5 days", '"0.05dur", "2ep"'),
        ("run.language", "fr", "no language called 'fr'; known: en, zh"),
        ("optim.extra", {"a": None}, "leave out what is not set"),
        ("optim.extra", {"a": float("nan")}, "finite number"),
        ("optim", 3, "'optim' is a section of the recipe"),
    ],
)
def test_a_wrong_value_is_answered_with_kind_and_range(path, value, words):
    with pytest.raises(RecipeError) as caught:
        revise(Recipe(), {path: value})

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_that_exclude_each_other():
    with pytest.raises(RecipeError, match=r"0\.6 \+ 0\.5 = 1\.1 leaves nothing to train on"):
        revise(Recipe(), {"data.val": 0.6, "data.test": 0.5})


def test_plain_data_by_section_by_path_and_by_bare_name():
    nested = Recipe(optim={"lr": 0.1, "extra": {"nesterov": True}})
    flat = Recipe(**{"optim.lr": 0.1, "optim.extra.nesterov": True})
    bare = Recipe(lr=0.1, **{"optim.extra": {"nesterov": True}})

    assert nested == flat == bare
    assert bare.notices == ("lr is called optim.lr here",)
    assert nested.source("optim.lr").kind == "given"


def test_a_wrong_keyword_is_one_sentence_too():
    with pytest.raises(UnknownName, match=r"did you mean 'optim\.lr'\?"):
        Recipe(optim={"lrr": 1})


def test_numbers_of_numpy_and_tuples_are_taken():
    revised = revise(
        Recipe(),
        {
            "train.epochs": np.int64(3),
            "optim.lr": np.float32(0.5),
            "train.deterministic": np.True_,
            "loss.class_weights": (1, 2),
        },
    )

    assert [
        type(revised.get(path)) for path in ("train.epochs", "optim.lr", "train.deterministic", "loss.class_weights")
    ] == [int, float, bool, list]


def test_a_path_into_a_table_keeps_its_neighbours():
    recipe = revise(Recipe(), {"schedule.extra": {"power": 2, "cycle": {"a": 1}}})

    revised = revise(recipe, {"schedule.extra.cycle.b": 2})

    assert revised.schedule.extra == {"power": 2, "cycle": {"a": 1, "b": 2}}
    assert recipe.schedule.extra == {"power": 2, "cycle": {"a": 1}}


def test_the_word_none_stands_for_no_value_where_a_field_admits_none():
    revised = revise(
        Recipe(), {"train.patience": "none", "run.save_seconds": "none", "model.norm": "none", "data.scale": "none"}
    )

    assert (revised.train.patience, revised.run.save_seconds) == (None, None)
    assert (revised.model.norm, revised.data.scale) == ("none", "none")


def test_the_same_value_twice_is_fine_and_two_values_are_not():
    assert Recipe(learning_rate=0.1, **{"optim.lr": 0.1}).optim.lr == 0.1

    with pytest.raises(
        RecipeError, match=r"optim\.lr is given twice: learning_rate = 0\.1 and optim\.lr = 0\.2; keep one"
    ):
        Recipe(learning_rate=0.1, **{"optim.lr": 0.2})


def test_apply_is_the_door_for_recipes_and_refuses_what_is_not_one():
    assert apply(Recipe(), {"optim.clip_norm": 1.0}).optim.clip_norm == 1.0

    with pytest.raises(RecipeError, match="changes a program or a model, not a recipe"):
        apply(Recipe(), {"surgery.unfreeze": True})
    with pytest.raises(RecipeError, match="to a int; expected a Recipe"):
        apply(3, {"optim.lr": 1})


@settings(max_examples=20, deadline=None)
@given(recipes)
def test_copies_are_equal_and_keep_their_sources(recipe):
    plain = recipe.model_dump()

    again = pickle.loads(pickle.dumps(recipe))
    checked = validated(plain, recipe.sources())

    assert again == checked == copy.deepcopy(recipe) == recipe
    assert hash(again) == hash(recipe)
    assert again.sources() == checked.sources() == recipe.sources()

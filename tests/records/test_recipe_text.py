import json
import tomllib

import pytest
from hypothesis import given, settings

from tests.records.strategies import recipes
from tunesmith.records import (
    Recipe,
    RecipeError,
    Source,
    TunesmithError,
    UnknownName,
    read_recipe,
    recipe_from_json,
    recipe_from_toml,
    recipe_schema,
    recipe_to_json,
    recipe_to_toml,
)
from tunesmith.records.recipe import PATHS


@settings(max_examples=30, deadline=None)
@given(recipes)
def test_there_and_back(recipe):
    toml, commented, plain = recipe_to_toml(recipe), recipe_to_toml(recipe, comments=True), recipe_to_json(recipe)

    assert recipe_from_toml(toml) == recipe_from_toml(commented) == recipe_from_json(plain) == recipe
    assert recipe_to_toml(recipe_from_toml(toml)) == toml
    assert recipe_to_json(recipe_from_json(plain)) == plain


def test_the_commented_recipe_names_every_field_with_kind_and_default():
    text = recipe_to_toml(Recipe(), comments=True)

    flowing = " ".join(line.removeprefix("# ") for line in text.splitlines())
    assert set(PATHS) == {f"{section}.{name}" for section, fields in tomllib.loads(text).items() for name in fields}
    assert 'peak learning rate, per optimizer update; a number > 0 or "auto"; default "auto" lr = "auto"' in flowing
    assert max(map(len, text.splitlines())) <= 110


def test_each_value_knows_its_file_and_line():
    text = '# mine\n[optim]\nname = "sgd"\n\n[train]\nseed = 3\n[optim.extra]\nnesterov = true\n'

    recipe = recipe_from_toml(text, "my.toml")

    assert recipe.sources() == {
        "optim.name": Source("file", "my.toml:3"),
        "train.seed": Source("file", "my.toml:6"),
        "optim.extra": Source("file", "my.toml:7"),
    }


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("[optim]\n\nlrr = 1", UnknownName, "did you mean 'optim.lr'? (r.toml:3)"),
        (
            "[train]\nlr = 1",
            UnknownName,
            "section [train] has no field called 'lr'; did you mean 'optim.lr'? (r.toml:2)",
        ),
        ("[optin]\nlr = 1", UnknownName, "no section [optin] for 'optin.lr'; did you mean 'optim.lr'? (r.toml:2)"),
        ("\n[optin]", UnknownName, "(r.toml:2)"),
        ("train = 3", RecipeError, "train = 3 (r.toml:1): 'train' is a section"),
        ("[[optim]]\nlr = 1", RecipeError, "(r.toml:1): 'optim' is a section"),
        ('[optim]\nlr = "1"', RecipeError, 'optim.lr = "1" (r.toml:2): expected a number > 0 or "auto"'),
        ("[optim]\nlr = 1979-05-27", RecipeError, "(r.toml:2): expected a number"),
        ("[train]\nepochs = 0", RecipeError, "train.epochs = 0 (r.toml:2): expected a whole number >= 1"),
        ("[optim]\nlr = 1\n\nlr = 2", RecipeError, "r.toml:4: optim.lr is given twice (first on line 2); keep one"),
        (
            "[optim]\nlr = 1\n[train]\n[optim]\n",
            RecipeError,
            "r.toml:4: optim is given twice (first on line 1); keep one",
        ),
        ("optim.lr = 1\noptim.lr = 1", RecipeError, "r.toml:2: optim.lr is given twice (first on line 1)"),
        ("[optim\nlr = 1", RecipeError, "r.toml:1: no TOML: "),
        ("[optim]\nname = adamw", RecipeError, "r.toml:2: no TOML: invalid value at column 8; text stands in quotes"),
        ("[optim]\nlr =", RecipeError, "r.toml:2: no TOML: invalid value"),
        ("a = " + "[" * 5000, RecipeError, "nested too deeply"),
        ('[data]\nscale = "robus"', RecipeError, "did you mean 'robust'?"),
        ("learning_rat = 1", UnknownName, "did you mean 'learning_rate'? (r.toml:1)"),
        (
            "per_device_train_batch_size = 8\n[train]\nbatch_size = 9",
            RecipeError,
            "train.batch_size is given twice: per_device_train_batch_size = 8 (r.toml:1) and train.batch_size = 9 (r.toml:3)",
        ),
        ("zero_optimization = true", RecipeError, "zero_optimization = true (r.toml:1) asks for ZeRO"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(text, kind, words):
    with pytest.raises(kind) as caught:
        recipe_from_toml(text, "r.toml")

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"optim": {"lr": 1,}}', "r.json:1: no JSON: "),
        ('{"optim":\n {"lr": }}', "r.json:2: no JSON: expecting value at column 9"),
        ("[1]", "r.json holds a list; expected an object with the sections data, model"),
        ('{"optim": {\n"lr": 1,\n"lr": 2}}', "r.json:3: optim.lr is given twice (first on line 2); keep one"),
        ('{"optim": {"lr": 1,\n"lrr": 2}}', "did you mean 'optim.lr'? (r.json:2)"),
        ('{"optimm": {"lr": 1}}', "no section [optimm] for 'optimm.lr'; did you mean 'optim.lr'? (r.json:1)"),
        ('{"optim": {"lr": NaN}}', "optim.lr = nan (r.json:1): expected a number > 0"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_mistake_in_json(text, words):
    with pytest.raises(TunesmithError) as caught:
        recipe_from_json(text, "r.json")

    assert words in str(caught.value)


def test_null_and_none_in_json():
    assert recipe_from_json('{"train": {"patience": null}}').train.patience is None
    assert recipe_from_json('{"train": {"patience": "none"}}').train.patience is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_files_as_editors_save_them(tmp_path, encoding, ending):
    path = tmp_path / "配方.toml"
    path.write_bytes(ending.join(["# 注释", "[optim]", "lr = 0.5", '[optim.extra]\n"名" = "值 ü"']).encode(encoding))

    recipe = read_recipe(path)

    assert recipe.optim.lr == 0.5
    assert recipe.optim.extra == {"名": "值 ü"}
    assert recipe.source("optim.lr").detail == f"{path}:3"


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(b"[optim]\nname = '\xff\xfa'")
    (tmp_path / "recipe.yaml").write_text("a: 1")
    (tmp_path / "folder.toml").mkdir()

    with pytest.raises(RecipeError, match=r"no recipe file .*recipi\.toml; did you mean 'recipe\.toml'\?"):
        read_recipe(tmp_path / "recipi.toml")
    with pytest.raises(RecipeError, match=r"recipe\.toml:2: the text is not UTF-8"):
        read_recipe(tmp_path / "recipe.toml")
    with pytest.raises(RecipeError, match=r"neither \.toml nor \.json"):
        read_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "folder.toml")


def test_an_empty_file_is_the_default_recipe():
    assert recipe_from_toml("") == recipe_from_json("{}") == Recipe()


def test_the_schema_names_every_field_and_lets_none_stand_for_null():
    schema = json.loads(json.dumps(recipe_schema()))

    sections = {
        name: schema["$defs"][one["$ref"].rpartition("/")[2]]
        for name, one in ((n, o if "$ref" in o else o["allOf"][0]) for n, o in schema["properties"].items())
    }
    assert {f"{section}.{name}" for section, one in sections.items() for name in one["properties"]} == set(PATHS)
    assert {"const": "none", "type": "string"} in sections["train"]["properties"]["patience"]["anyOf"]
    assert all(one["additionalProperties"] is False for one in sections.values())

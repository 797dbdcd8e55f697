import tomllib

from hypothesis import given, settings

from tests.records.strategies import recipes
from tunesmith.records import recipe_to_json, recipe_to_toml
from tunesmith.records.lines import json_keys, toml_keys

TOML = '''# comment = 1
a.b = 1.5 # [x]
"q.r" = """
 [no]
x = 1
"""
[optim] # hi
lr = [1,
  2, {z = 3}]
extra = {power = 2, "n m" = {u = 'a}'}, w = 1}
[[arr]]
k = 2020-01-01T07:32:00
[x."y z".w]
v = true'''


def test_keys_of_toml_with_their_lines():
    assert list(toml_keys(TOML)) == [
        (("a", "b"), 2),
        (("q.r",), 3),
        (("optim",), 7),
        (("optim", "lr"), 8),
        (("optim", "lr", "2", "z"), 9),
        (("optim", "extra"), 10),
        (("optim", "extra", "power"), 10),
        (("optim", "extra", "n m"), 10),
        (("optim", "extra", "n m", "u"), 10),
        (("optim", "extra", "w"), 10),
        (("arr",), 11),
        (("arr", "k"), 12),
        (("x", "y z", "w"), 13),
        (("x", "y z", "w", "v"), 14),
    ]


def nested_keys(table, above=()):
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from nested_keys(value, (*above, key))


@settings(max_examples=20, deadline=None)
@given(recipes)
def test_the_scanner_finds_the_keys_the_parser_finds(recipe):
    toml, plain = recipe_to_toml(recipe), recipe_to_json(recipe)

    found = {key for key, _ in toml_keys(toml)}

    assert found == set(nested_keys(tomllib.loads(toml)))
    assert {key for key, _ in json_keys(plain)} == set(nested_keys(recipe.model_dump()))
    for key, line in toml_keys(toml):
        assert key[1] in toml.split("\n")[line - 1] if len(key) == 2 else True


def test_text_with_mistakes_is_read_as_far_as_it_goes():
    assert dict(toml_keys("[optim\nlr = 1")) == {("optim",): 1, ("optim", "lr"): 2}
    assert dict(toml_keys('a = "open\nb = {c = 1')) == {("a",): 1, ("b",): 2, ("b", "c"): 2}
    assert list(toml_keys("")) == list(json_keys("")) == []


def test_a_list_that_begins_on_the_next_line_is_read():
    text = "starts = [\n  {a = 1},\n\n  # said\n  {b = 2, c = 3},\n]\nlast = 4"

    assert list(toml_keys(text)) == [
        (("starts",), 1),
        (("starts", "0", "a"), 2),
        (("starts", "1", "b"), 5),
        (("starts", "1", "c"), 5),
        (("last",), 7),
    ]

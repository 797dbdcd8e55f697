"""Groups of rows that a person can name."""

import numpy as np
import polars as pl
import pytest

from tunesmith.data import prepare
from tunesmith.data.groups import groups, of_levels, of_numbers, of_pictures
from tunesmith.records import Recipe, Task


def sizes(found):
    return [(by, name, int(rows.sum())) for by, name, rows in found]


def test_quarters_cover_every_row_once_and_missing_cells_are_a_group():
    values = np.r_[np.arange(97.0), np.full(3, np.nan)]

    found = list(of_numbers("x", values))

    assert sum(rows.astype(int) for _, _, rows in found).tolist() == [1] * 100
    assert sizes(found)[-1] == ("x", "missing", 3)
    assert [name for _, name, _ in found][:2] == ["24 or less", "24 to 48"]


def test_few_values_are_groups_of_their_own_and_a_heap_at_the_lower_end_is_called_by_its_value():
    few = sizes(of_numbers("doors", np.array([2.0, 4, 4, 5])))
    heap = sizes(of_numbers("gain", np.r_[np.zeros(80), np.arange(1.0, 21)]))

    assert few == [("doors", "2", 1), ("doors", "4", 2), ("doors", "5", 1)]
    assert heap == [("gain", "0", 80), ("gain", "more than 0", 20)]


def test_edges_have_as_many_digits_as_tell_them_apart():
    values = np.linspace(0.99601, 0.99609, 200)

    names = [name for _, name, _ in of_numbers("density", values)]

    assert len(set(names)) == 4


def test_the_most_frequent_levels_come_first():
    assert sizes(of_levels("town", ["b", "a", None, "a"])) == [
        ("town", "a", 2),
        ("town", "b", 1),
        ("town", "missing", 1),
    ]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_dark_and_pale_pictures_lie_apart(channels):
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 60, (40, channels, 8, 8))
    pale = rng.integers(190, 255, (40, channels, 8, 8))
    flat = np.full((40, channels, 8, 8), 128)

    found = {(by, name): rows for by, name, rows in of_pictures(np.concatenate([dark, pale, flat]).astype(np.uint8))}
    first = next(rows for (by, _), rows in found.items() if by == "brightness")
    level = next(rows for (by, _), rows in found.items() if by == "contrast")

    assert first[:40].sum() == first.sum()  # the darkest quarter is dark
    assert level[80:].all()  # the least contrast is that of the flat ones


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    rows = 200
    frame = {
        "age": [None if i % 10 == 0 else float(rng.integers(18, 80)) for i in range(rows)],
        "town": [("Köln", "Paris", None)[i % 3] for i in range(rows)],
        "day": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(rows)],
        "y": [("no", "yes")[int(rng.random() < 0.5)] for _ in range(rows)],
    }
    return pl.DataFrame(frame)


def test_columns_of_a_table_come_back_in_the_words_of_the_data(table):
    prepared = prepare(Task(train=table, target="y"), Recipe())

    found = list(groups(prepared.train, prepared.pipeline))
    names = {by: [name for one, name, _ in found if one == by] for by, _, _ in found}

    assert set(names["town"]) == {"Köln", "Paris", "missing"}
    assert names["age"][-1] == "missing"
    assert all(name.count("2024-") >= 1 for name in names["day"])
    assert all(rows.dtype == bool and len(rows) == len(prepared.train) for _, _, rows in found)


def test_texts_are_grouped_by_length_and_by_script():
    rng = np.random.default_rng(0)
    words = [["food", "quick", "nice", "cold", "again", "late"], list("好吃快送来难贵")]
    texts = [" ".join(rng.choice(words[i % 2], 5 + 6 * (i % 2)).tolist()) for i in range(200)]
    table = pl.DataFrame({"text": texts, "y": [str(i % 3 % 2) for i in range(200)]})
    prepared = prepare(Task(train=table, target="y", columns={"text": "text"}), Recipe())

    found = {(by, name): rows for by, name, rows in groups(prepared.train, prepared.pipeline)}

    assert {by for by, _ in found} == {"length in tokens", "script"}
    assert found["script", "Latin"].sum() + found["script", "Han"].sum() == len(prepared.train)
    assert (prepared.train.rows[found["script", "Han"]] % 2 == 1).all()
    lengths = [rows for (by, _), rows in found.items() if by == "length in tokens"]
    assert sum(rows.astype(int) for rows in lengths).tolist() == [1] * len(prepared.train)
    tokens = (prepared.train.inputs["tokens"] != 0).sum(axis=1)
    assert max(tokens[lengths[0]]) < min(tokens[lengths[-1]])

from types import SimpleNamespace

import pytest
import torch

from tunesmith.blocks.models.inputs import Columns, embedding_size, require
from tunesmith.records import ModelError

TABLE = {
    "numbers": SimpleNamespace(width=2, names=("a", "b")),
    "categories": SimpleNamespace(sizes=(3, 40), names=("c", "d")),
}


def test_a_table_becomes_its_numbers_then_the_embedding_of_each_category():
    columns = Columns(TABLE)
    numbers, codes = torch.randn(4, 2), torch.tensor([[0, 39], [1, 0], [2, 7], [0, 7]])

    found = columns({"numbers": numbers, "categories": codes}, torch.float32)

    first, second = (table.weight for table in columns.tables)
    assert columns.width == 2 + 3 + 13
    assert torch.equal(found, torch.cat([numbers, first[codes[:, 0]], second[codes[:, 1]]], 1))


def test_a_size_that_is_set_holds_for_every_category():
    assert Columns(TABLE, 5).width == 2 + 5 + 5


@pytest.mark.parametrize(("levels", "size"), [(1, 2), (2, 2), (16, 8), (1000, 77), (50_000, 600)])
def test_the_size_of_an_embedding_follows_fastai(levels, size):
    # fastai.tabular.model.emb_sz_rule at the same numbers
    assert embedding_size(levels) == size


def test_arrays_of_whole_numbers_are_taken_as_numbers():
    columns = Columns({"x": SimpleNamespace(shape=(2, 2))})

    found = columns({"x": torch.tensor([[[1, 2], [3, 4]]])}, torch.float64)

    assert found.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    assert found.dtype == torch.float64


def test_what_the_data_lack_is_said_with_what_they_have_and_a_way_out():
    with pytest.raises(ModelError) as caught:
        require("cnn", TABLE, takes=("pictures",), needs=("pictures",))

    assert str(caught.value) == (
        "cnn needs pictures, the data have numbers (width 2) and categories (2 columns); set model.name to 'mlp'"
    )


def test_an_input_beside_those_a_net_takes_is_refused():
    spec = TABLE | {"tokens": SimpleNamespace(vocabulary=9, length=3, padding=0)}

    with pytest.raises(ModelError, match=r"set model\.name to 'bag'"):
        require("mlp", spec, takes=("numbers", "categories"), needs=("numbers", "categories"))


def test_inputs_that_no_built_in_net_takes_ask_for_a_model_of_the_users_own():
    spec = TABLE | {"x": SimpleNamespace(shape=(3,)), "tokens": SimpleNamespace(vocabulary=9, length=3, padding=0)}

    with pytest.raises(ModelError, match=r"arrays of shape.*bring a model of your own"):
        require("bag", spec, takes=("tokens", "numbers", "categories"), needs=("tokens",))

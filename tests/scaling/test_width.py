"""µP: roles and factors by shape, and that narrow and wide nets then move alike."""

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import carried, groups, restart
from tunesmith.records import ModelError, RecipeError
from tunesmith.scaling.coordinates import Stepper, coordinate_check


def net(width, norm=False):
    layers = [nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)]
    return nn.Sequential(*layers[:1], *([nn.LayerNorm(width)] if norm else []), *layers[1:])


def test_roles_rates_and_starts_are_those_of_the_table():
    adam, sgd = carried(net(256), net(64), "adamw"), carried(net(256), net(64), "sgd")

    assert [adam.roles[f"{n}.weight"] for n in (0, 2, 4)] == ["input", "hidden", "output"]
    assert adam.roles["4.bias"] == "fixed"
    assert [adam.rates[f"{n}.weight"] for n in (0, 2, 4)] == [1, 1 / 4, 1 / 4]
    assert [sgd.rates[f"{n}.weight"] for n in (0, 2, 4)] == [4, 1, 1 / 4]
    assert sgd.rates["0.bias"] == 4
    assert [adam.starts[f"{n}.weight"] for n in (0, 2, 4)] == [1, 1 / 2, 1 / 4]
    assert adam.decays["2.weight"] == 4  # rate times decay stays
    assert sgd.decays["2.weight"] == 1


def test_tables_norms_and_convolutions_have_their_roles():
    class Words(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.table = nn.Embedding(50, width)
            self.places = nn.Parameter(torch.zeros(1, 16, width))
            self.wide = nn.Conv1d(width, width, 3)
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, 50)

    found = carried(Words(64), Words(16))

    assert found.roles == {
        "places": "input", "table.weight": "input", "wide.weight": "hidden", "wide.bias": "input", "norm.weight": "input",
        "norm.bias": "input", "head.weight": "output", "head.bias": "fixed",
    }  # fmt: skip


def test_groups_carry_rates_and_decays():
    model, base = net(256), net(64)
    parts = groups(model, 0.1, lr=0.01, widths=carried(model, base))

    of = {name: part for part in parts for name in part["names"]}
    assert of["0.weight"]["lr"] == 0.01
    assert of["2.weight"]["lr"] == pytest.approx(0.0025)
    assert of["2.weight"]["weight_decay"] == pytest.approx(0.4)
    assert of["2.bias"]["weight_decay"] == 0


def test_starts_are_scaled_where_the_initialiser_scales_otherwise():
    torch.manual_seed(0)
    model, base = net(512), net(32)
    before = deviation(model[2])
    changed = restart(model, base, carried(model, base))

    assert changed == ["4.weight"]  # torch's own starts go with 1 / √fan_in, which suits all but the output
    assert deviation(model[4]) == pytest.approx(deviation(base[4]) / 16, rel=0.01)
    assert deviation(model[2]) == before


def deviation(layer):
    return float(layer.weight.detach().std(correction=0))


def stepper(width, seed, carry_it, rate=0.01):
    torch.manual_seed(seed)
    model = net(width)
    if carry_it:
        base = net(32)
        found = carried(model, base, "adam")
        restart(model, base, found)
        parts = groups(model, 0.0, lr=rate, widths=found)
    else:
        parts = groups(model, 0.0, lr=rate)
    optimizer = torch.optim.Adam(parts, rate)
    torch.manual_seed(7)
    x, y = torch.randn(64, 8), torch.randint(3, (64,))

    def update():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return Stepper(model, lambda: model(x), update)


def test_the_coordinate_check_is_flat_under_it_and_not_in_the_usual_parametrisation():
    widths = (32, 128, 512)
    usual = coordinate_check(lambda width, seed: stepper(width, seed, carry_it=False), widths)
    ours = coordinate_check(lambda width, seed: stepper(width, seed, carry_it=True), widths)

    assert ours.flat
    assert not usual.flat
    assert usual.slopes["4"].low > ours.slopes["4"].high
    assert "grows with the width" in usual.line()


@pytest.mark.parametrize(
    ("model", "base", "optimizer", "error", "words"),
    [
        (lambda: net(64), lambda: net(32), "lbfgs", RecipeError, "how its rate goes with width is known for"),
        (lambda: net(64, norm=True), lambda: net(32), "adam", ModelError, "not the same parameters"),
    ],
)
def test_what_has_no_rule_is_refused(model, base, optimizer, error, words):
    with pytest.raises(error, match=words):
        carried(model(), base(), optimizer)


def test_a_table_that_is_the_head_too_is_refused():
    class Tied(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.table, self.head = nn.Embedding(20, width), nn.Linear(width, 20, bias=False)
            self.head.weight = self.table.weight

    with pytest.raises(ModelError, match=r"table\.weight is shared with head\.weight"):
        carried(Tied(32), Tied(16))

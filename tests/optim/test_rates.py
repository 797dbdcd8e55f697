"""Rates and decays by layer and by name, the table of groups, and gradual unfreezing."""

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import build, group_table, groups, last_layer, layer_depths, layer_rates, unfreeze
from tunesmith.blocks.optim.table import summary
from tunesmith.records import Recipe, RecipeError, revise
from tunesmith.training.rates import Rates


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 1)
        self.mlp = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.gamma = nn.Parameter(torch.ones(4))


class Vision(nn.Module):
    def __init__(self, blocks=12):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.patch = nn.Conv2d(3, 4, 2)
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)


class Residual(nn.Module):
    def __init__(self, shortcut):
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3)
        if shortcut:
            self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))


class Stages(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.stage1 = nn.Sequential(Residual(False), Residual(False))
        self.stage2 = nn.Sequential(Residual(True), Residual(False))
        self.fc = nn.Linear(4, 2)


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(9, 4), nn.Embedding(5, 4)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 1, 8, batch_first=True), 3, enable_nested_tensor=False
        )
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.words.weight


def beit(name, blocks):
    """The rule of BEiT's code: patches and tokens 0, block i has i + 1, everything else the last."""
    if name.startswith(("token", "patch")):
        return 0
    return int(name.split(".")[1]) + 1 if name.startswith("blocks") else blocks + 1


@pytest.mark.parametrize("blocks", [1, 12])
def test_the_rates_of_a_vision_transformer_are_those_of_beit(blocks):
    model = Vision(blocks)

    rates = layer_rates(model, 0.65)

    assert rates == {
        name: pytest.approx(0.65 ** (blocks + 1 - beit(name, blocks))) for name, _ in model.named_parameters()
    }
    assert rates["head.weight"] == rates["norm.weight"] == 1.0


def test_stages_are_opened_and_their_blocks_are_not():
    depths = layer_depths(Stages())

    firsts = {name.rsplit(".", 1)[0]: depth for name, depth in depths.items()}
    assert (firsts["stem"], firsts["norm"], firsts["fc"]) == (0, 0, 5)
    assert {firsts[f"stage2.0.{part}"] for part in ("first", "norm", "second", "shortcut.0", "shortcut.1")} == {3}
    assert [firsts[f"{stage}.first"] for stage in ("stage1.0", "stage1.1", "stage2.0", "stage2.1")] == [1, 2, 3, 4]


def test_a_body_in_a_sequence_is_opened_too_and_the_new_head_is_last():
    depths = layer_depths(nn.Sequential(Stages(), nn.ReLU(), nn.Linear(2, 3)))

    assert (depths["0.stem.weight"], depths["0.fc.weight"], depths["2.weight"]) == (0, 5, 6)


def test_embeddings_in_a_row_are_one_layer_and_a_tied_head_is_where_it_is_used_first():
    depths = layer_depths(Language())

    assert depths["words.weight"] == depths["places.weight"] == 0
    assert [depths[f"encoder.layers.{place}.linear1.weight"] for place in range(3)] == [1, 2, 3]


def test_layers_may_be_named_where_the_order_says_nothing():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(3, 2), nn.Linear(4, 3)

    assert layer_rates(Backwards(), 0.5)["head.weight"] == 0.5
    assert layer_rates(Backwards(), 0.5, ["body.*", "head.*"]) == {
        "head.weight": 1.0, "head.bias": 1.0, "body.weight": 0.5, "body.bias": 0.5,
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"no pattern matches 'head\.weight' \(2 parameters\)"):
        layer_depths(Backwards(), ["body.*"])


def test_the_last_layer_is_that_of_the_last_matrix():
    assert last_layer(Stages()) == {"fc.weight", "fc.bias"}
    assert last_layer(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))) == {"0.weight", "0.bias"}
    assert last_layer(nn.Linear(2, 3)) == {"weight", "bias"}
    weighted = nn.Sequential(nn.Linear(2, 3), nn.utils.parametrizations.weight_norm(nn.Linear(3, 1)))
    assert last_layer(weighted) == {name for name, _ in weighted.named_parameters() if name.startswith("1.")}


@pytest.mark.parametrize("decay", [0.0, 1.5, -1])
def test_a_layer_decay_outside_its_range_is_refused(decay):
    with pytest.raises(RecipeError, match=r"lies in \(0, 1\]"):
        layer_rates(Stages(), decay)


def of(parts, key):
    return {name: part[key] for part in parts for name in part["names"]}


def test_patterns_multiply_the_layers_and_the_last_match_holds():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))

    parts = groups(model, 0.1, layer_decay=0.5, rates={"*.weight": 2.0, "re:^2": 4.0}, lr=0.01)

    assert of(parts, "rate") == pytest.approx(
        {"0.weight": 0.5, "0.bias": 0.25, "1.weight": 1.0, "1.bias": 0.5, "2.weight": 4.0, "2.bias": 4.0}
    )
    assert of(parts, "lr") == {name: pytest.approx(0.01 * rate) for name, rate in of(parts, "rate").items()}
    assert parts[0]["rate"] == 1.0
    assert sum(len(part["params"]) for part in parts) == 6


def test_without_a_factor_the_groups_are_the_usual_two():
    model = Stages()

    assert [set(part) for part in groups(model, 0.1, lr=0.01)] == [{"params", "weight_decay", "names"}] * 2


def test_what_decays_is_a_choice_of_kinds_and_of_patterns():
    model = Language()

    def decaying(**choice):
        return {name for name, value in of(groups(model, 0.1, **choice), "weight_decay").items() if value}

    usual = decaying()
    assert decaying(decay_embedding=True) - usual == {"words.weight", "places.weight"}
    assert {name.rsplit(".", 2)[-2][:4] for name in decaying(decay_norm=True) - usual} == {"norm"}
    assert all("bias" in name and "norm" not in name for name in decaying(decay_bias=True) - usual)
    assert decaying(decay_all=True) == {name for name, _ in model.named_parameters()}
    shares = of(groups(model, 0.1, decays={"encoder.layers.0.*": 3.0, "re:linear1": 0.0}), "weight_decay")
    assert shares["encoder.layers.0.norm1.bias"] == pytest.approx(0.3)
    assert shares["encoder.layers.2.linear1.weight"] == shares["encoder.layers.0.linear1.weight"] == 0.0
    assert shares["encoder.layers.1.linear2.weight"] == pytest.approx(0.1)


def test_a_pattern_may_mean_a_tied_weight_by_any_of_its_names():
    assert of(groups(Language(), 0.1, rates={"head.*": 3.0}), "rate")["words.weight"] == 3.0


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("heed.*", r"'heed\.\*' matches no parameter; did you mean 'head\.\*'"),
        ("head.weigt", r"did you mean 'head\.weight'"),
        ("re:^zzz", "matches no parameter; known: "),
        ("re:(", r"'re:\(' is no regular expression"),
    ],
)
def test_a_pattern_that_means_nothing_names_what_is_near(pattern, words):
    with pytest.raises(RecipeError, match=words):
        groups(Vision(1), 0.1, rates={pattern: 2.0})


def test_frozen_parameters_may_be_meant_by_a_pattern():
    model = Vision(1)
    model.patch.requires_grad_(False)

    assert "patch.weight" not in of(groups(model, 0.1, rates={"patch.*": 0.1}), "weight_decay")


def test_the_table_shows_each_group_with_its_names_rate_and_decay():
    recipe = revise(Recipe(), {"optim.name": "sgd", "optim.rates": {"head.*": 10.0}, "optim.weight_decay": 0.5})
    model = Vision(2)

    lines = group_table(build(recipe, model, 0.01)).splitlines()
    foreign = group_table(torch.optim.SGD(model.head.parameters(), lr=0.1), model)

    assert lines[0].split() == ["group", "parameters", "of", "tensors", "numbers", "lr", "weight", "decay"]
    assert [line.split()[-2:] for line in lines[1:]] == [["0.01", "0.5"], ["0.01", "0"], ["0.1", "0.5"], ["0.1", "0"]]
    assert sum(int(line.split()[-3]) for line in lines[1:]) == sum(weight.numel() for weight in model.parameters())
    assert "head.* (2)" in foreign
    assert "?" in group_table(torch.optim.SGD(model.head.parameters(), lr=0.1))
    assert len(summary([f"part{number}.weight" for number in range(40)])) < 60


def test_unfreezing_gives_a_live_optimizer_new_groups_at_the_peak_of_the_schedule():
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    model[1].requires_grad_(False)
    recipe = revise(Recipe(), {"optim.name": "adamw", "optim.weight_decay": 0.3})
    optimizer = build(recipe, model, 0.01)
    rates = Rates(optimizer, lambda step: 0.5**step)
    rates.set(3)

    names = unfreeze(model, optimizer, ["0.*", "1.*"], rate=0.1)
    rates.set(4)

    assert names == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [group["names"] for group in optimizer.param_groups[-2:]] == [["0.weight"], ["0.bias", "1.weight", "1.bias"]]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0, 0.3, 0.0]
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01 / 16] * 2 + [0.001 / 16] * 2)
    assert all(weight.requires_grad for weight in model.parameters())
    with pytest.raises(RecipeError, match="holds all of"):
        unfreeze(model, optimizer, ["0.*"])


def test_unfreezing_works_for_schedule_free_optimizers_whose_groups_begin_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    optimizer = build(revise(Recipe(), {"optim.name": "schedulefree_sgd"}), model, 0.1)

    unfreeze(model, optimizer, ["0.*"])
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.ones(4, 2)).square().sum().backward()
        optimizer.step()
    trained = model[0].weight.detach().clone()
    optimizer.eval()

    assert not torch.equal(model[0].weight, trained)

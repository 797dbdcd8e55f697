import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from tunesmith.blocks.optim import frozen_parameters, groups, layer_table, missing_parameters
from tunesmith.records import ModelError


class LayerNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, 8, 1, 1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.gain = LayerNorm2d()
        self.layer_norm = nn.LayerNorm((4, 8))
        self.attention = nn.MultiheadAttention(8, 2, add_bias_kv=True)
        self.magnitude = parametrizations.weight_norm(nn.Linear(8, 8))
        self.head = nn.Linear(8, 10)
        self.head.weight = self.embed.weight
        self.thin = nn.Linear(8, 1)


def decay_of(parts):
    return {name: part["weight_decay"] for part in parts for name in part["names"]}


def test_only_weights_of_layers_decay_and_every_parameter_is_there_once():
    net = Net()

    parts = groups(net, 0.1)

    decay = decay_of(parts)
    assert sorted(decay) == sorted(name for name, _ in net.named_parameters())
    assert sum(len(part["params"]) for part in parts) == len(decay)
    assert sorted(name for name, value in decay.items() if value) == [
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "conv.weight",
        "magnitude.parametrizations.weight.original1",
        "thin.weight",
    ]


def test_names_and_parameters_lie_in_one_order():
    net = Net()
    named = dict(net.named_parameters())

    parts = groups(net, 0.1)

    assert all(
        named[name] is weight for part in parts for name, weight in zip(part["names"], part["params"], strict=True)
    )


def test_decay_all_means_all_and_no_decay_makes_one_group():
    net = Net()

    assert set(decay_of(groups(net, 0.1, decay_all=True)).values()) == {0.1}
    assert [part["weight_decay"] for part in groups(net, 0.0)] == [0.0]


def test_frozen_parameters_are_left_out_and_told():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)

    parts = groups(net, 0.1)

    assert sorted(decay_of(parts)) == ["1.bias", "1.weight"]
    assert frozen_parameters(net) == ["0.weight", "0.bias"]


def test_a_model_with_nothing_to_train_is_refused_in_words():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).requires_grad_(False)

    with pytest.raises(
        ModelError, match=r"nothing to train \(all 4 are frozen: 0\.weight, 0\.bias, 1\.weight … \(4 in all\)\)"
    ):
        groups(net, 0.1)
    with pytest.raises(ModelError, match="no parameters at all"):
        groups(nn.ReLU(), 0.1)


def test_a_lazy_layer_must_see_a_batch_first():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(3))

    with pytest.raises(ModelError, match=r"2\.weight.*call the model on one batch"):
        groups(net, 0.1)
    net(torch.zeros(1, 1, 4, 4))
    assert len(groups(net, 0.1)) == 2


def test_parameters_the_optimizer_does_not_hold_are_named():
    net, other = nn.Linear(3, 4), nn.Linear(3, 4)
    net.bias.requires_grad_(False)

    assert missing_parameters(net, torch.optim.SGD(other.parameters(), lr=0.1)) == ["weight"]
    assert missing_parameters(net, torch.optim.SGD(net.parameters(), lr=0.1)) == []


def test_the_layer_table_counts_every_parameter_once():
    net = Net()
    nn.init.normal_(net.conv.weight, std=0.25)
    net.thin.requires_grad_(False)

    rows = {row["name"]: row for row in layer_table(net, groups(net, 0.1))}

    assert sum(row["parameters"] for row in rows.values()) == sum(weight.numel() for weight in net.parameters())
    assert rows["conv"]["kind"] == "Conv2d"
    assert rows["conv"]["shape"] == (8, 3, 3, 3)
    assert rows["conv"]["init_std"] == pytest.approx(0.25, rel=0.2)
    assert [rows[name]["decay"] for name in ("conv", "norm", "embed", "head", "thin")] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert rows["head"]["parameters"] == 10
    assert not rows["thin"]["trainable"]

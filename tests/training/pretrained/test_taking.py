"""Weights from files and runs: what fits is taken, the rest is told, and bad sources get one sentence."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tunesmith.records import CheckpointError, ModelError, RecipeError, RunError
from tunesmith.training.pretrained.dropout import dropouts, set_dropout
from tunesmith.training.pretrained.taking import take, with_channels
from tunesmith.training.pretrained.weights import weights_of


def net(classes=3, channels=1):
    torch.manual_seed(classes + channels)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


class Wrapped(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.backbone, self.head = body[:4], nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.backbone(x))


STORES = {
    "net.pt": lambda file, held: torch.save(held, file),
    "net.pth": lambda file, held: torch.save({"epoch": 3, "state_dict": held}, file),
    "net.ckpt": lambda file, held: torch.save({"model": {f"module.{name}": one for name, one in held.items()}}, file),
    "net.safetensors": lambda file, held: save_file(held, file),
}


@pytest.mark.parametrize("name", STORES)
def test_the_same_net_is_taken_whole_whatever_the_file(name, tmp_path):
    source, model = net(), net(classes=3)
    with torch.no_grad():
        source[0].weight.add_(1.0)
        source[1].running_mean.fill_(0.5)
    STORES[name](tmp_path / name, source.state_dict())

    told = take(model, weights_of(str(tmp_path / name)), name)

    assert told.fresh == told.superfluous == ()
    assert told.numbers[0] == told.numbers[1] == sum(one.numel() for one in model.parameters())
    assert all(torch.equal(one, source.state_dict()[key]) for key, one in model.state_dict().items())


def test_what_does_not_fit_is_told_by_name_and_count_and_stays_as_it_was_drawn():
    source, model = net(classes=10), net(classes=3)
    before = model[4].weight.clone()
    weights = {**source.state_dict(), "extra.weight": torch.zeros(2)}
    del weights["1.bias"]

    told = take(model, weights, "there")

    assert told.taken == ("0.weight", "0.bias", "1.weight")
    assert told.reshaped == ("4.weight (10, 4) for (3, 4)", "4.bias (10,) for (3,)")
    assert (told.missing, told.superfluous) == (("1.bias",), ("extra.weight",))
    assert torch.equal(model[4].weight, before)
    assert torch.equal(model[0].weight, source[0].weight)
    assert told.lines("there")[0].startswith("weights from there: 3 of 6 parameters are taken")
    assert len(told.lines("there")) == 4


def test_a_body_is_found_below_a_part_and_in_a_wrapped_net():
    source = net()
    outer, inner = Wrapped(net(classes=5)), net(classes=5)

    below = take(outer, source.state_dict(), "there")
    above = take(inner, {f"net.{name}": one for name, one in source.state_dict().items()}, "there")

    assert torch.equal(outer.backbone[0].weight, source[0].weight)
    assert below.fresh == ("head.weight", "head.bias")
    assert torch.equal(inner[0].weight, source[0].weight)
    assert above.fresh == ("4.weight", "4.bias")


@pytest.mark.parametrize(("there", "here"), [(3, 1), (1, 3), (3, 5), (3, 6)])
def test_the_first_convolution_answers_a_grey_picture_as_before(there, here):
    source, model = net(channels=there), net(channels=here)
    grey = torch.rand(2, 1, 6, 6)

    told = take(model, source.state_dict(), "there")

    if there == 1 or here % there == 0 or here == 1:  # every channel comes equally often
        torch.testing.assert_close(model[0](grey.expand(-1, here, -1, -1)), source[0](grey.expand(-1, there, -1, -1)))
    assert f"saw {there} channels and sees {here} here" in told.folded
    assert told.fresh == ()


def test_folding_is_that_of_timm():
    timm = pytest.importorskip("timm")
    weight = torch.randn(4, 3, 3, 3)

    for channels in (1, 2, 4, 6):
        expected = timm.models.adapt_input_conv(channels, weight)
        torch.testing.assert_close(with_channels(weight, channels), expected)


def test_nothing_that_fits_is_an_error_with_both_names():
    with pytest.raises(
        ModelError, match=r"none of the 2 weights of there \(bias, weight\) fits a parameter of this net"
    ):
        take(net(), nn.Linear(7, 2).state_dict(), "there")


def test_a_net_of_unknown_shape_is_refused():
    with pytest.raises(ModelError, match="call the net on one batch"):
        take(nn.Sequential(nn.LazyLinear(3)), nn.Linear(7, 2).state_dict(), "there")


class Evil:
    def __reduce__(self):
        return (sys.exit, ("executed",))


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("gone.pt", None, RecipeError, "there is no such file or run folder; did you mean 'one.pt'"),
        ("net.npz", b"", RecipeError, "this ends in '.npz'"),
        ("cut.pt", b"PK\x03\x04 cut", CheckpointError, "cannot be read as weights"),
        ("cut.safetensors", b"12345", CheckpointError, "cannot be read as weights"),
        ("evil.pt", Evil(), CheckpointError, "cannot be read as weights"),
        ("list.pt", [1, 2], ModelError, "holds a list without tensors by name"),
        ("whole.pt", {"epoch": 3}, ModelError, "holds a dict without tensors by name"),
    ],
)
def test_a_bad_source_gets_one_sentence_and_nothing_in_it_is_executed(name, content, error, said, tmp_path):
    torch.save({}, tmp_path / "one.pt")
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)

    with pytest.raises(error, match=said) as raised:
        weights_of(str(tmp_path / name))

    assert "\n" not in str(raised.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError):
        weights_of(str(tmp_path))


def test_one_dial_sets_the_dropout_of_every_kind_of_layer():
    model = nn.ModuleList(
        [
            nn.Dropout(0.5),
            nn.Dropout2d(0.1),
            nn.AlphaDropout(0.3),
            nn.LSTM(2, 3, num_layers=2, dropout=0.4),
            nn.MultiheadAttention(4, 2, dropout=0.2),
            nn.Linear(2, 2),
        ]
    )

    names = set_dropout(model, 0.0)

    assert names == ["0", "1", "2", "3", "4"]
    assert [getattr(layer, one) for _, layer, held in dropouts(model) for one in held] == [0.0] * 5


def test_a_dial_that_turns_nothing_is_refused_above_zero():
    assert set_dropout(nn.Linear(2, 2), 0.0) == []
    with pytest.raises(ModelError, match="has no dropout layer"):
        set_dropout(nn.Linear(2, 2), 0.1)

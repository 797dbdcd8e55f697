"""Exports of a user's own nets: their code where it can be had, their weights where it cannot."""

import math
import warnings
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from tests.training.test_exporting import predictor
from tunesmith.data.spec import Plain
from tunesmith.records import DataError, ModelError
from tunesmith.training.exporting import export
from tunesmith.training.exporting.formats.pytorch import imported

LEAK = 0.2  # of the function below


def leaky(x):
    return F.leaky_relu(x, LEAK)


@dataclass
class Settings:
    width: int
    scale: float = 0.5


class Unit(nn.Module):
    """A layer with a helper, a constant of its class and a plain attribute."""

    power = 2

    def __init__(self, width, factor):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.factor = factor
        self.note = object()  # code never reads it

    def bent(self, x):
        return leaky(x) * self.factor / math.sqrt(self.power)

    def forward(self, x):
        return x + self.bent(self.linear(x))


class Wide(Unit):
    def forward(self, x):
        return super().forward(x).tanh()

    @property
    def width(self):
        return self.linear.in_features


class Varied(nn.Module):
    def __init__(self):
        super().__init__()
        self.settings = Settings(6)
        self.units = nn.ModuleList([Unit(6, 0.5), Wide(6, 2.0)])
        self.named = nn.Sequential(OrderedDict(first=nn.Linear(6, 6), last=nn.PReLU()))
        self.parts = nn.ModuleDict({"a b": nn.LayerNorm(6, bias=False), "c": nn.Identity()})
        self.weights = nn.ParameterList([torch.ones(6), torch.arange(6.0)])
        self.register_buffer("mask", torch.tensor([1.0, 0, 1, 1, 0, 1]), persistent=False)
        self.shift = torch.linspace(0, 1, 6)
        self.scale = nn.Parameter(torch.full((6,), 1.5))
        self.absent = None
        self.act = F.silu
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for unit in self.units:
            x = unit(x) * (unit.width / 6 if isinstance(unit, Wide) else 1)
        x = self.parts["c"](self.parts["a b"](self.named(x)))
        x = self.act(x * self.mask + self.shift) * self.scale * self.settings.scale
        if self.absent is not None:
            return x
        return self.head(x * self.weights[0] + self.weights[1])


class Chained(nn.Sequential):
    """A sequence with numbered parts."""


class Scaled(nn.Linear):
    """A layer of torch with something added."""

    def forward(self, x):
        return super().forward(x) * 2


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Chained(
            nn.Conv2d(1, 4, (3, 5), padding="same", padding_mode="reflect"),
            nn.BatchNorm2d(4, momentum=None),
            nn.AvgPool2d(2, ceil_mode=True),
            nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=1, groups=2),
            nn.AdaptiveMaxPool2d((3, None)),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            nn.GLU(1),
            nn.Flatten(1),
        )
        self.head = nn.Sequential(nn.LazyLinear(8), nn.Softplus(2.0), Scaled(8, 2))

    def forward(self, x):
        return self.head(self.body(x.unsqueeze(1)))


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 4, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
        self.gru = nn.GRU(8, 8, batch_first=True, bias=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, 0.2, "gelu", batch_first=True, norm_first=True),
            2,
            nn.LayerNorm(8),
            enable_nested_tensor=False,
        )
        self.head = nn.Linear(8, 2)
        self.head_again = nn.Linear(8, 2)
        self.head_again.weight = self.head.weight  # tied

    def forward(self, tokens):
        x, _ = self.rnn(self.table(tokens))
        x, _ = self.gru(x)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = self.encoder(x).mean(1)
        return self.head(x) + self.head_again(x)


def made_inside(bias):
    """Classes and functions that only this call knows."""

    def added(x):
        return x + bias

    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return added(self.head(x)) * bias

    return Local()


OWN = {
    "varied": (Varied, Plain((6,)), torch.randn(7, 6, generator=torch.Generator().manual_seed(1))),
    "pictures": (Pictures, Plain((9, 7)), torch.randn(7, 9, 7, generator=torch.Generator().manual_seed(1))),
    "sequences": (Sequences, Plain((11,)), torch.randint(2, (7, 11), generator=torch.Generator().manual_seed(1))),
    "closure": (lambda: made_inside(0.25), Plain((4,)), torch.randn(7, 4, generator=torch.Generator().manual_seed(1))),
    "torch alone": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.GELU("tanh"), nn.Dropout(0.3), nn.Linear(5, 2)),
        Plain((4,)),
        torch.ones(2, 4),
    ),
}


def own(name):
    torch.manual_seed(0)
    make, spec, inputs = OWN[name]
    model = make()
    model(inputs)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return predictor(model.eval(), {"x": spec}, outputs=2), inputs


@pytest.mark.parametrize("name", OWN)
def test_a_net_of_ones_own_is_written_with_its_code(name, tmp_path):
    original, inputs = own(name)
    place = export(original, "pytorch", tmp_path / "out").path

    net = imported((place / "model.py").read_text(), place / "model.py")
    net.load_state_dict(load_file(place / "model.safetensors"))

    with torch.no_grad():
        assert torch.equal(net.eval()(inputs), original.model(inputs))
    net.load_state_dict(original.model.state_dict(), strict=name != "varied")  # it has tensors beside its state dict


@pytest.mark.parametrize("name", ["varied", "sequences", "closure", "torch alone"])
def test_it_trains_on_as_the_original_does(name, tmp_path):
    """The same random numbers, the same dropout: outputs and gradients in training mode are equal too."""
    original, inputs = own(name)
    place = export(original, "pytorch", tmp_path / "out").path
    net = imported((place / "model.py").read_text(), place / "model.py")
    net.load_state_dict(load_file(place / "model.safetensors"))

    def trained(model):
        torch.manual_seed(5)
        outputs = model.train()(inputs)
        outputs.square().sum().backward()
        return outputs, dict(model.named_parameters())["head.weight" if hasattr(model, "head") else "0.weight"].grad

    for found, wanted in zip(trained(net), trained(original.model), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["varied", "pictures", "closure", "torch alone"])
@pytest.mark.parametrize("format", ["torchscript", "torch_export"])
def test_it_is_traced_with_open_rows(name, format, tmp_path):
    original, inputs = own(name)

    place = export(original, format, tmp_path / "model.pt2").path

    if format == "torch_export":
        torch.testing.assert_close(
            torch.export.load(place).module()(inputs), original.model(inputs), rtol=1e-4, atol=1e-5
        )


def test_a_constant_changed_since_is_written_as_it_is(tmp_path, monkeypatch):
    original, _ = own("varied")
    monkeypatch.setitem(leaky.__globals__, "LEAK", 0.7)

    text = (export(original, "pytorch", tmp_path / "out").path / "model.py").read_text()

    assert "LEAK = 0.7" in text


class Odd(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.act = act

    def forward(self, x):
        return self.act(self.head(x))


def hooked():
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return model


TYPED = """
class Typed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x)
"""


def typed_in():
    space = {"__name__": "typed_in", "nn": nn}
    exec(TYPED, space)
    return space["Typed"]()


def replaced():
    model = Odd(torch.relu)
    model.forward = lambda x: model.head(x)
    return model


WITHOUT_CODE = {
    "lambda": (lambda: Odd(lambda x: x * 3), "the net (Odd) cannot be written as code: a lambda"),
    "parametrised": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), "remove_parametrizations"),
    "hooks": (hooked, "the net.0 (Linear) cannot be written as code: it has forward hooks"),
    "typed in": (typed_in, "the source of Typed cannot be found"),
    "replaced": (replaced, "its forward was replaced on the object"),
}


@pytest.mark.parametrize("name", WITHOUT_CODE)
def test_without_code_the_weights_are_stored_and_the_reason_is_told(name, tmp_path):
    make, reason = WITHOUT_CODE[name]
    original = predictor(make(), {"x": Plain((3,))}, outputs=2)

    exported = export(original, "pytorch", tmp_path / "out")

    assert not (exported.path / "model.py").exists()
    told = (exported.path / "README.md").read_text()
    assert reason in told
    assert "its class is needed" in told
    assert reason in exported.checked
    stored = load_file(exported.path / "model.safetensors")
    assert all(torch.equal(stored[key], value) for key, value in original.model.state_dict().items())


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.head(x)
        if y.sum() > 0:
            y = y * 10
        return y


class Worded(Branching):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return y if f"{y.sum():.1f}"[0] == "-" else -y


def test_a_branch_on_the_inputs_is_scripted_and_not_frozen(tmp_path):
    torch.manual_seed(0)
    original = predictor(Branching(), {"x": Plain((3,))}, outputs=2)

    place = export(original, "torchscript", tmp_path / "model.pt").path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer torch calls TorchScript old
        program = torch.jit.load(place)
    for sign in (1, -1):
        inputs = sign * torch.ones(4, 3) * 5
        assert torch.allclose(program(inputs), original.model(inputs))


@pytest.mark.parametrize("format", ["torchscript", "torch_export"])
def test_what_no_tracer_can_write_is_told_in_a_sentence(format, tmp_path):
    torch.manual_seed(0)

    with pytest.raises(ModelError, match="try format 'pytorch', which keeps the code"):
        export(predictor(Worded(), {"x": Plain((3,))}), format, tmp_path / "model.pt2")

    assert list(tmp_path.iterdir()) == []


class Whole(nn.Module):
    """Whole numbers below ten thousand, and not just 0 and 1."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10_000, 4)

    def forward(self, x):
        if (x < 2).any():
            raise ValueError("indices start at 2")
        return self.table(x).mean(1)


def test_a_valid_batch_can_be_given_where_random_ones_are_none(tmp_path):
    original = predictor(Whole(), {"x": Plain((5,))})

    with pytest.raises(ModelError, match=r"Whole takes no random batch to check an export with .*example=batch"):
        export(original, "pytorch", tmp_path / "out")

    checked = export(original, "pytorch", tmp_path / "out", example=torch.randint(2, 10_000, (3, 5))).checked
    assert "3 batches of 1 to 6 rows" in checked
    with pytest.raises(DataError, match="example holds a list or tuple"):
        export(original, "pytorch", tmp_path / "out", example=[[1, 2]])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU())
        self.other = nn.ModuleList([self.block, nn.Linear(3, 3)])
        self.other[1].weight = self.block[0].weight

    def forward(self, x):
        return self.other[1](self.other[0](self.block(x)))


def test_what_is_one_in_the_model_is_one_in_the_export(tmp_path):
    original = predictor(Tied(), {"x": Plain((3,))})
    place = export(original, "pytorch", tmp_path / "out").path

    net = imported((place / "model.py").read_text(), place / "model.py")

    assert net.other[0] is net.block
    assert net.other[1].weight is net.block[0].weight
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in original.model.named_parameters()]


def test_two_classes_of_one_name_are_kept_apart(tmp_path):
    from torch.nn import Linear as Unit_  # a name close to ours

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Unit_(6, 6)

        def forward(self, x):
            return self.inner(x).exp()

    model = nn.Sequential(Unit(), Varied().units[0], nn.Linear(6, 2))
    original = predictor(model, {"x": Plain((6,))}, outputs=2)

    place = export(original, "pytorch", tmp_path / "out").path

    text = (place / "model.py").read_text()
    assert "class Unit(nn.Module)" in text
    assert "class Unit_2(nn.Module)" in text

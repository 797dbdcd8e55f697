import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.preflight.planted import digits, findings, mlp, program, regression
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records import Program
from tunesmith.records.check import Inapplicable


class Module(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Pictures(nn.Module):
    def __init__(self, *middle):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 8, 3)
        self.middle = nn.Sequential(*middle)
        self.head = nn.Linear(8 * 36, 10)

    def forward(self, x):
        h = torch.relu(self.conv(x.reshape(len(x), 1, 8, 8)))
        return self.head(self.middle(h).flatten(1))


class Series(nn.Module):
    """A recurrent net over the eight rows of a picture."""

    def __init__(self, *, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = nn.LSTM(8, 16, batch_first=batch_first), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.rnn(x.reshape(len(x), 8, 8))[0][:, -1])


class TimeFirst(Series):
    """The same, the axes turned where it takes time first."""

    def forward(self, x):
        return self.head(self.rnn(x.reshape(len(x), 8, 8).transpose(0, 1))[0][-1])


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize(
    "mixing",
    [
        lambda h: torch.softmax(h, 0),
        lambda h: h - h.mean(0),
        lambda h: h.reshape(h.shape[1], h.shape[0]).T,
        lambda h: functional.normalize(h, dim=0),
        lambda h: h.roll(1, 0),
        lambda h: h * h.detach().std(),
    ],
)
def test_rows_that_mix_are_found_and_placed(mixing, share):
    middle = Module(lambda h: (1 - share) * h + share * mixing(h))

    (finding,) = findings("batch_leak", program(mlp(64, 10, middle)))

    assert (finding.fault, finding.severity) == ("model.batch_leak", "error")
    assert finding.subject["layers"] == ["1"]
    assert finding.evidence[0].value > finding.evidence[0].threshold


def test_the_change_is_the_one_that_other_rows_make():
    """`h - h.mean(0)` before one output: each row gets a number that only the other rows move."""
    model = nn.Sequential(nn.Linear(10, 1), Module(lambda h: h - h.mean(0)))

    (finding,) = findings("batch_leak", regression(model=model))

    assert 0.01 < finding.evidence[0].value < 3


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (Series(batch_first=False), "rnn"),
        (Pictures(Module(lambda h: h.permute(1, 0, 2, 3).reshape(h.shape))), "middle.0"),
        (Pictures(nn.MultiheadAttention(36, 2), Module(lambda h: h[0])), None),
    ],
)
def test_the_wrong_axis(model, layer):
    if layer is None:
        attention = model.middle[0]
        model.middle = Module(lambda h: attention(*[h.flatten(2)] * 3)[0])
        layer = "middle"

    (finding,) = findings("batch_leak", program(model))

    assert finding.severity == "error"
    assert finding.subject["layers"] == [layer]


def test_a_leak_behind_a_last_layer_of_zeros_is_found():
    model = mlp(64, 10, Module(lambda h: h + h.mean(0)))
    nn.init.zeros_(model[-1].weight)

    assert [one.severity for one in findings("batch_leak", program(model))] == ["error"]


def test_words_that_see_other_rows():
    torch.manual_seed(0)
    words = torch.randint(0, 30, (200, 6))
    model = nn.Sequential(nn.Embedding(30, 8), Module(lambda h: h - h.mean((0, 1))), nn.Flatten(), nn.Linear(48, 3))

    (finding,) = findings("batch_leak", program(model, data=((words, words[:, 0] % 3), None)))

    assert finding.subject["layers"] == ["1"]


def test_statistics_of_the_batch_in_evaluation_are_a_warning():
    model = mlp(64, 10, nn.BatchNorm1d(32, track_running_stats=False))

    (finding,) = findings("batch_leak", program(model))

    assert (finding.severity, finding.subject["layers"]) == ("warning", ["1"])


SOUND = {
    "plain": lambda: mlp(),
    "batch norm": lambda: mlp(64, 10, nn.BatchNorm1d(32), nn.Dropout(0.5)),
    "layer norm": lambda: mlp(64, 10, nn.LayerNorm(32)),
    "pictures": lambda: Pictures(nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8)),
    "series": lambda: Series(batch_first=True),
    "time first, turned": lambda: TimeFirst(batch_first=False),
    "zero head": lambda: _zero_head(),
    "noise in evaluation": lambda: mlp(64, 10, Module(lambda h: h + 0.1 * torch.randn_like(h))),
    "half": lambda: mlp(64, 10, Module(lambda h: h.to(torch.bfloat16).float())),
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (8, 8)), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(64, 10)
    ),
    "mixes in training alone": lambda: _mixup(),
    "batch norm in a plain list": lambda: Listed(),
}


def _zero_head():
    model = mlp()
    nn.init.zeros_(model[-1].weight)
    return model


def _mixup():
    model = mlp()
    model[1] = Mixup()
    return model


class Listed(nn.Module):
    """Layers that nobody registered: a fault, and another one."""

    def __init__(self):
        super().__init__()
        self.layers, self.out = [nn.Linear(64, 16), nn.BatchNorm1d(16)], nn.Linear(16, 10)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.out(torch.relu(x))


class Mixup(nn.Module):
    def forward(self, h):
        return torch.relu(h if not self.training else 0.9 * h + 0.1 * h.flip(0))


@pytest.mark.parametrize("name", SOUND)
def test_rows_that_keep_to_themselves(name):
    assert not findings("batch_leak", program(SOUND[name]()), above="")


def test_a_loss_that_compares_rows_is_no_leak():
    def contrast(outputs, target):
        h = functional.normalize(outputs, dim=1)
        return functional.cross_entropy(h @ h.T / 0.1 - 10 * torch.eye(len(h)), target % len(h))

    assert not findings("batch_leak", program(loss=contrast))


class Pairs(nn.Module):
    """Rows against rows, as contrastive models give them."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 8), nn.Linear(64, 8)

    def forward(self, x):
        return self.one(x) @ self.two(x).T


def test_rows_against_rows_are_not_judged():
    with pytest.raises(Inapplicable, match="compare rows"):
        list(CHECKS["batch_leak"].look(bench_of_program(program(Pairs(), loss=lambda o, y: o.mean()))))


class Letters(nn.Module):
    """A language model whose loader brings time first."""

    def __init__(self):
        super().__init__()
        self.table, self.rnn, self.out = nn.Embedding(7, 8), nn.GRU(8, 8), nn.Linear(8, 7)

    def forward(self, x):
        return self.out(self.rnn(self.table(x))[0])


class Fed:
    """Batches that somebody cut, one after the other."""

    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


def test_data_with_time_on_the_first_axis():
    text = torch.randint(0, 7, (65, 5), generator=torch.Generator().manual_seed(0))
    fed = Fed([(text[at : at + 8], text[at + 1 : at + 9]) for at in range(0, 56, 8)])
    model = Letters()

    def loss(outputs, target):
        return functional.cross_entropy(outputs.flatten(0, 1), target)

    brought = Program(model, loss, torch.optim.SGD(model.parameters(), 0.1), fed, batch_size=8, epochs=1)

    with pytest.raises(Inapplicable, match="time"):
        list(CHECKS["batch_leak"].look(bench_of_program(brought)))


def test_a_step_and_a_loader_of_their_own():
    train, val = digits()
    loader = DataLoader(TensorDataset(*map(torch.as_tensor, train)), batch_size=32, shuffle=True)

    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = loss_fn(model((xb - xb.mean()) / 3), yb)
        loss.backward()
        optimizer.step()
        return loss.item()

    assert not findings("batch_leak", program(data=(loader, val), step=step))

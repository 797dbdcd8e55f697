import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.planted import findings
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records import Program
from tunesmith.records.check import Inapplicable

VOCABULARY, LENGTH = 11, 12
TEXT = torch.randint(0, VOCABULARY, (160, LENGTH + 2), generator=torch.Generator().manual_seed(0))
SERIES = torch.from_numpy(np.cumsum(np.random.default_rng(0).normal(size=(160, LENGTH + 2)), 1).astype(np.float32))[
    ..., None
]


class Letters(nn.Module):
    """Embedding, something over time, a linear layer on each step."""

    def __init__(self, kind, outputs=VOCABULARY):
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.table, self.rnn = nn.Embedding(VOCABULARY, 16), nn.GRU(16, 16, batch_first=True)
        self.both = nn.GRU(16, 8, batch_first=True, bidirectional=True)
        self.attention = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.conv = nn.Conv1d(16, 16, 3)
        self.out = nn.Linear(16, outputs)

    def forward(self, tokens):
        return self.out(self.over_time(self.table(tokens)))

    def over_time(self, h):
        if self.kind == "causal":
            return self.rnn(h)[0]
        if self.kind == "both ways":
            return self.both(h)[0]
        if self.kind in ("masked", "unmasked"):
            mask = nn.Transformer.generate_square_subsequent_mask(h.shape[1]) if self.kind == "masked" else None
            return self.attention(h, src_mask=mask, is_causal=mask is not None)
        left = 2 if self.kind == "padded left" else 1
        return self.conv(functional.pad(h.transpose(1, 2), (left, 2 - left))).transpose(1, 2)


def flat(logits, target):
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def turned(logits, target):
    return functional.cross_entropy(logits.transpose(1, 2), target)


def shifting(logits, target):
    """As some libraries have it: labels are the inputs, and the loss shifts them."""
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())


def letters(kind, loss=flat, *, shift=1, target=None, **about):
    model = Letters(kind)
    y = TEXT[:, shift : LENGTH + shift] if target is None else target
    return Program(
        model, loss, torch.optim.Adam(model.parameters()), (TEXT[:, :LENGTH], y), batch_size=16, epochs=2, **about
    )


@pytest.mark.parametrize("loss", [flat, turned])
@pytest.mark.parametrize("kind", ["both ways", "unmasked", "padded on both sides"])
def test_a_language_model_that_sees_the_next_letter(kind, loss):
    (finding,) = findings("lookahead", letters(kind, loss))

    assert (finding.fault, finding.severity, finding.message) == ("model.lookahead", "error", "model.lookahead")
    assert finding.subject == {"steps_ahead": 1}
    assert finding.evidence[1].value == 1.0


@pytest.mark.parametrize("kind", ["causal", "masked", "padded left"])
def test_a_causal_model_is_sound(kind):
    assert not findings("lookahead", letters(kind), above="")
    assert not findings("lookahead", letters(kind, shift=2), above="")


def test_padding_and_skipped_targets_hide_nothing():
    y = TEXT[:, 1 : LENGTH + 1].clone()
    y[:, -1], y[::3, -3:] = 0, -100

    assert len(findings("lookahead", letters("unmasked", target=y))) == 1
    assert not findings("lookahead", letters("masked", target=y))


def test_the_loss_may_shift_by_itself():
    assert not findings("lookahead", letters("masked", shifting, shift=0))
    assert [one.message for one in findings("lookahead", letters("unmasked", shifting, shift=0))] == ["model.lookahead"]


class Named(Letters):
    """Outputs by name."""

    def forward(self, tokens):
        return {"logits": super().forward(tokens)}


def test_named_outputs_and_a_loss_that_shifts():
    def loss(outputs, target):
        return shifting(outputs["logits"], target)

    for kind, messages in (("masked", []), ("unmasked", ["model.lookahead"])):
        brought = letters(kind, loss, shift=0)
        brought.model = Named(kind)
        brought.optimizer = torch.optim.Adam(brought.model.parameters())
        assert [one.message for one in findings("lookahead", brought)] == messages


def test_a_step_may_shift_by_itself():
    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = loss_fn(model(xb[:, :-1]), xb[:, 1:])
        loss.backward()
        optimizer.step()
        return loss.item()

    assert not findings("lookahead", letters("causal", shift=0, step=step))
    assert len(findings("lookahead", letters("both ways", shift=0, step=step))) == 1


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_targets_that_were_not_shifted(kind):
    (finding,) = findings("lookahead", letters(kind, shift=0))

    assert (finding.severity, finding.message) == ("error", "model.target_not_shifted")


def test_a_model_that_may_see_all_gives_back_its_inputs():
    assert not findings("lookahead", letters("both ways", shift=0), above="")


class Forecast(nn.Module):
    def __init__(self, *, both):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.LSTM(1, 8, batch_first=True, bidirectional=both)
        self.out = nn.Linear(16 if both else 8, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize("unit", [(1.0, 0.0), (0.2, -3.0)])
def test_a_series_in_any_unit(unit):
    y = unit[0] * SERIES[:, 1 : LENGTH + 1] + unit[1]

    def brought(both):
        model = Forecast(both=both)
        return Program(
            model, nn.MSELoss(), torch.optim.Adam(model.parameters()), (SERIES[:, :LENGTH], y), batch_size=16, epochs=2
        )

    (finding,) = findings("lookahead", brought(True))
    assert finding.severity == "error"
    assert not findings("lookahead", brought(False), above="")


@pytest.mark.parametrize(
    "target",
    [TEXT[:, :LENGTH] % 3, (TEXT[:, :LENGTH] + TEXT[:, 1 : LENGTH + 1]) % VOCABULARY, TEXT[:, :LENGTH].flip(1)],
)
def test_tags_may_see_the_whole_sentence(target):
    with pytest.raises(Inapplicable, match="not the inputs of another step"):
        list(CHECKS["lookahead"].look(bench_of_program(letters("both ways", target=target))))


def test_masked_words_may_see_the_whole_sentence():
    hidden = torch.rand(len(TEXT), LENGTH, generator=torch.Generator().manual_seed(1)) < 0.2
    x = torch.where(hidden, 0, TEXT[:, :LENGTH])
    y = torch.where(hidden, TEXT[:, :LENGTH], -100)
    model = Letters("both ways")
    brought = Program(model, flat, torch.optim.Adam(model.parameters()), (x, y), batch_size=16, epochs=2)

    with pytest.raises(Inapplicable):
        list(CHECKS["lookahead"].look(bench_of_program(brought)))


class TimeFirst(nn.Module):
    def __init__(self, *, both):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.rnn = nn.Embedding(VOCABULARY, 8), nn.GRU(8, 8, bidirectional=both)
        self.out = nn.Linear(16 if both else 8, VOCABULARY)

    def forward(self, x):
        return self.out(self.rnn(self.table(x))[0])


class Fed:
    """Batches that somebody cut, one after the other."""

    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


def test_a_loader_that_brings_time_first():
    text = torch.randint(0, VOCABULARY, (161, 6), generator=torch.Generator().manual_seed(0))
    fed = Fed([(text[at : at + 16], text[at + 1 : at + 17]) for at in range(0, 144, 16)])

    def brought(both):
        model = TimeFirst(both=both)
        return Program(model, flat, torch.optim.SGD(model.parameters(), 0.1), fed, batch_size=16, epochs=1)

    assert [one.severity for one in findings("lookahead", brought(True))] == ["error"]
    assert not findings("lookahead", brought(False), above="")

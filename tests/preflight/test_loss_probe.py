import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.seeing import Seen

LABELS = torch.arange(40) % 5
ANSWERS = (torch.arange(40) % 3 == 0).float()[:, None]
NUMBERS = torch.linspace(-2, 3, 40)[:, None]
WIDE, ONE = torch.zeros(40, 5), torch.zeros(40, 1)


def focal(outputs, target):
    log = functional.log_softmax(outputs, 1).gather(1, target[:, None])
    return (-((1 - log.exp()) ** 2) * log).mean()


def contrastive(outputs, target):
    near = functional.normalize(outputs)
    alike = near @ near.T / 0.1 - 1e9 * torch.eye(len(near))
    same = (target[:, None] == target).float()
    return -(functional.log_softmax(alike, 1) * same).mean()


KNOWN = [
    (nn.CrossEntropyLoss(), WIDE, LABELS, "cross_entropy", 1.0),
    (nn.CrossEntropyLoss(reduction="sum"), WIDE, LABELS, "cross_entropy", 40.0),
    (lambda o, y: -functional.cross_entropy(o, y), WIDE, LABELS, "cross_entropy", -1.0),
    (lambda o, y: -functional.log_softmax(o, 1)[range(len(y)), y].mean(), WIDE, LABELS, "cross_entropy", 1.0),
    (nn.CrossEntropyLoss(), WIDE, functional.one_hot(LABELS, 5).float(), "cross_entropy", 1.0),
    (nn.NLLLoss(), WIDE, LABELS, "nll", 1.0),
    (nn.BCEWithLogitsLoss(), ONE, ANSWERS, "bce_logits", 1.0),
    (nn.BCELoss(), ONE, ANSWERS, "bce", 1.0),
    (lambda o, y: nn.BCELoss()(o.clamp(1e-7, 1 - 1e-7), y), ONE, ANSWERS, "bce", 1.0),
    (nn.MSELoss(), ONE, NUMBERS, "mse", 1.0),
    (lambda o, y: ((o - y) ** 2).mean() / 2, ONE, NUMBERS, "mse", 0.5),
    (lambda o, y: (o.squeeze(1) - y).abs().mean(), ONE, NUMBERS[:, 0], "mae", 1.0),
    (focal, WIDE, LABELS, "", 1.0),
    (nn.CrossEntropyLoss(label_smoothing=0.1), WIDE, LABELS, "", 1.0),
    (contrastive, WIDE, LABELS, "", 1.0),
]


@pytest.mark.parametrize(("loss", "outputs", "target", "name", "factor"), KNOWN)
def test_a_known_loss_is_known_by_what_it_computes(loss, outputs, target, name, factor):
    known = LossProbe(loss, Seen(outputs, target)).known

    assert known.name == name
    assert known.factor == pytest.approx(factor, rel=1e-3)


NEEDS = [
    (nn.CrossEntropyLoss(), WIDE, LABELS, "logits"),
    (focal, WIDE, LABELS, "logits"),
    (nn.CrossEntropyLoss(label_smoothing=0.1), WIDE, LABELS, "logits"),
    (nn.NLLLoss(), WIDE, LABELS, "log_probabilities"),
    (lambda o, y: -o.gather(1, y[:, None]).log().mean(), WIDE, LABELS, "probabilities"),
    (lambda o, y: -o.clamp(1e-7, 1).gather(1, y[:, None]).log().sum(), WIDE, LABELS, "probabilities"),
    (nn.BCELoss(), ONE, ANSWERS, "probabilities"),
    (nn.MSELoss(), ONE, NUMBERS, "numbers"),
    (nn.PoissonNLLLoss(), ONE, NUMBERS.abs(), ""),
]


@pytest.mark.parametrize(("loss", "outputs", "target", "needs"), NEEDS)
def test_what_a_loss_takes_its_outputs_for(loss, outputs, target, needs):
    assert LossProbe(loss, Seen(outputs, target)).needs == needs


@pytest.mark.parametrize(
    ("loss", "growth"),
    [
        (nn.CrossEntropyLoss(), 0.0),
        (nn.CrossEntropyLoss(reduction="sum"), 1.0),
        (lambda o, y: functional.cross_entropy(o, y) / len(y), -1.0),
        (focal, 0.0),
    ],
)
def test_the_reduction_shows_when_rows_are_there_twice(loss, growth):
    assert LossProbe(loss, Seen(WIDE, LABELS)).growth == pytest.approx(growth, abs=1e-3)


@pytest.mark.parametrize(
    ("loss", "couples"),
    [
        (nn.CrossEntropyLoss(), False),
        (nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0)), False),
        (focal, False),
        (contrastive, True),
        (lambda o, y: -functional.log_softmax(o, 0)[range(len(y)), y].mean(), True),
    ],
)
def test_whether_rows_are_compared(loss, couples):
    assert LossProbe(loss, Seen(WIDE, LABELS)).couples is couples


def test_whether_the_target_is_used():
    assert LossProbe(nn.CrossEntropyLoss(), Seen(WIDE, LABELS)).uses_target is True
    assert LossProbe(lambda o, y: (o**2).mean(), Seen(WIDE, LABELS)).uses_target is False
    assert LossProbe(lambda o, y: (o**2).mean(), Seen(WIDE, torch.zeros(40))).uses_target is None  # nothing to vary


def test_free_outputs_come_to_the_targets():
    probe = LossProbe(nn.MSELoss(), Seen(ONE, NUMBERS))

    assert torch.allclose(probe.descend().outputs, NUMBERS, atol=0.01)
    assert probe.descend(constant=True).loss == pytest.approx(float(NUMBERS.var(unbiased=False)), rel=1e-3)
    assert LossProbe(nn.CrossEntropyLoss(), Seen(WIDE, LABELS)).descend().loss < 0.01


def test_nothing_is_said_of_a_loss_that_draws_or_raises():
    drawing = LossProbe(lambda o, y: nn.MSELoss()(o + torch.randn_like(o), y), Seen(ONE, NUMBERS))
    raising = LossProbe(lambda o, y: o.nothing, Seen(ONE, NUMBERS))

    for probe in (drawing, raising):
        assert (probe.known.name, probe.needs, probe.growth, probe.couples, probe.uses_target) == (
            "",
            "",
            None,
            None,
            None,
        )
    assert raising.descend() is None

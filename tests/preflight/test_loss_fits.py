import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import ANSWERS, CLASSES, LINES, NUMBERS, X, found, loud, net, program


def focal(o, y):
    log = o.log_softmax(1).gather(1, y[:, None])
    return (-((1 - log.exp()) ** 2) * log).mean()


def log_cosh(o, y):
    return torch.log(torch.cosh(o - y) + 1e-9).mean()


SEVERAL = functional.one_hot(CLASSES, 5).float() + functional.one_hot((CLASSES + 1) % 5, 5)
WRONG = {
    "flipped": (5, lambda o, y: -functional.cross_entropy(o, y), CLASSES, {}, "outputs.sign_flipped_known"),
    "flipped squares": (1, lambda o, y: -functional.mse_loss(o, y), NUMBERS, {}, "outputs.sign_flipped_known"),
    "flipped, own": (5, lambda o, y: -focal(o, y), CLASSES, {}, "outputs.sign_flipped"),
    "flipped, own numbers": (1, lambda o, y: -log_cosh(o, y), NUMBERS, {}, "outputs.sign_flipped"),
    "ignored": (5, lambda o, y: functional.cross_entropy(o, o.argmax(1)), CLASSES, {}, "outputs.target_ignored"),
    "ignored numbers": (1, lambda o, y: (o**2).mean(), NUMBERS, {}, "outputs.target_ignored"),
    "several": (5, nn.CrossEntropyLoss(), SEVERAL, {}, "outputs.several_classes"),
    "class numbers": (1, nn.MSELoss(), CLASSES.float()[:, None], {"num_classes": 5}, "outputs.numbers_on_classes"),
    "class numbers, scored": (
        1,
        nn.L1Loss(),
        CLASSES.float()[:, None],
        {"metric": "accuracy"},
        "outputs.numbers_on_classes",
    ),
    "absolute": (1, nn.L1Loss(), ANSWERS, {}, "outputs.absolute_on_answers"),
    "over rows": (5, lambda o, y: -o.log_softmax(0)[range(len(y)), y].mean(), CLASSES, {}, "outputs.softmax_over_rows"),
}


@pytest.mark.parametrize("case", WRONG)
def test_losses_that_lead_elsewhere(case):
    outputs, loss, target, about, message = WRONG[case]

    (finding,) = loud("loss_fits", program(net(outputs), loss, target, **about))

    assert (finding.fault, finding.message) == ("loss.mismatch", message)


def contrastive(o, y):
    near = functional.normalize(o)
    first, second = near.chunk(2)
    return functional.cross_entropy(first @ second.T / 0.1, torch.arange(len(first)))


def triplet(o, y):
    far, same = torch.cdist(o, o), (y[:, None] == y).float()
    return functional.relu((far * same).amax(1) - (far + 1e9 * same).amin(1) + 1).mean()


def dice(o, y):
    p, t = o.softmax(1), functional.one_hot(y, 5)
    return 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


RIGHT = {
    "cross entropy": (5, nn.CrossEntropyLoss(), CLASSES),
    "weighted": (5, nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0)), CLASSES),
    "smoothed": (5, nn.CrossEntropyLoss(label_smoothing=0.2), CLASSES),
    "focal": (5, focal, CLASSES),
    "dice": (5, dice, CLASSES),
    "margin": (5, nn.MultiMarginLoss(), CLASSES),
    "hinge": (1, lambda o, y: functional.relu(1 - (2 * y - 1) * o).mean(), ANSWERS),
    "ordinal": (4, lambda o, y: nn.BCEWithLogitsLoss()(o, (y[:, None] > torch.arange(4)).float()), CLASSES),
    "shares": (5, nn.CrossEntropyLoss(), (0.3 * X @ LINES).softmax(1)),
    "one-hot answers": (5, nn.BCEWithLogitsLoss(), functional.one_hot(CLASSES, 5).float()),
    "several answers": (5, nn.BCEWithLogitsLoss(), (X @ LINES > 0).float()),
    "squares": (1, nn.MSELoss(), NUMBERS),
    "absolute numbers": (1, nn.L1Loss(), NUMBERS),
    "root": (1, lambda o, y: functional.mse_loss(o, y).sqrt(), NUMBERS),
    "log cosh": (1, log_cosh, NUMBERS),
    "quantiles": (3, lambda o, y: torch.maximum(0.9 * (y - o), -0.1 * (y - o)).mean(), NUMBERS),
    "Gaussian": (2, lambda o, y: -torch.distributions.Normal(o[:, :1], o[:, 1:].exp()).log_prob(y).mean(), NUMBERS),
    "counts": (1, nn.PoissonNLLLoss(), NUMBERS.abs().round()),
    "contrastive": (5, contrastive, CLASSES),
    "triplet": (5, triplet, CLASSES),
    "concordance": (1, lambda o, y: 1 - torch.corrcoef(torch.cat([o, y], 1).T)[0, 1], NUMBERS),
}


@pytest.mark.parametrize("case", RIGHT)
def test_losses_of_many_kinds_are_left_alone(case):
    assert not found("loss_fits", program(net(RIGHT[case][0]), *RIGHT[case][1:]))


def test_a_loss_with_weights_of_its_own_is_left_alone():
    class Angular(nn.Module):
        def __init__(self):
            super().__init__()
            self.centres = nn.Parameter(torch.randn(5, 5))

        def forward(self, o, y):
            return functional.cross_entropy(16 * functional.normalize(o) @ functional.normalize(self.centres).T, y)

    assert not found("loss_fits", program(net(5), Angular()))


@pytest.mark.parametrize(
    ("outputs", "loss", "target", "takes"),
    [
        (5, nn.CrossEntropyLoss(), CLASSES.float(), "as long"),
        (5, nn.NLLLoss(), CLASSES.double()[:, None], "as long, squeezed"),
        (1, nn.BCEWithLogitsLoss(), ANSWERS[:, 0].long(), "as float, unsqueezed"),
    ],
)
def test_targets_in_a_form_that_the_loss_refuses(outputs, loss, target, takes):
    (finding,) = loud("loss_fits", program(net(outputs), loss, target))

    assert (finding.message, finding.values["takes"]) == ("outputs.target_refused", takes)


def rounded(outputs):
    return outputs.round()


def test_class_numbers_that_a_program_rounds_are_held_against_linear_classes():
    pictures, digits = load_digits(return_X_y=True)
    x, y = torch.tensor(pictures / 16).float(), torch.tensor(digits).float()[:, None]
    model = nn.Linear(64, 1)

    (finding,) = loud("loss_fits", program(model, nn.MSELoss(), y, x, num_classes=10, predict=rounded))

    assert finding.message == "outputs.numbers_on_unordered"
    assert finding.values["classed"] > 0.85 > 0.4 > finding.values["rounded"]


def test_ordered_classes_may_be_rounded():
    stars = (2 * X[:, :1] + X[:, 1:2] + 4).round().clamp(0, 8)

    assert not found("loss_fits", program(net(1), nn.MSELoss(), stars, num_classes=9, predict=rounded))

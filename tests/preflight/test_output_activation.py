import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import ANSWERS, CLASSES, NUMBERS, found, loud, net, program

FOCAL = lambda o, y: -((1 - o.softmax(1)) ** 2 * o.log_softmax(1)).gather(1, y[:, None]).mean()  # noqa: E731
OWN_NLL = lambda o, y: -(o.gather(1, y[:, None]) + 1e-8).log().mean()  # noqa: E731
OWN_BCE = lambda o, y: -(y * o.log() + (1 - y) * (1 - o).log()).mean()  # noqa: E731


class Functional(nn.Module):
    """Softmax as a function, where no module shows it."""

    def __init__(self):
        super().__init__()
        self.body = net(5)

    def forward(self, x):
        shares = self.body(x).exp()
        return shares / shares.sum(1, keepdim=True)


WRONG = {
    "softmax, cross entropy": (net(5, nn.Softmax(1)), nn.CrossEntropyLoss(), CLASSES, "outputs.softmax_twice"),
    "softmax by hand": (Functional(), nn.CrossEntropyLoss(), CLASSES, "outputs.softmax_twice"),
    "softmax, smoothed": (
        net(5, nn.Softmax(1)),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        CLASSES,
        "outputs.softmax_twice",
    ),
    "softmax, focal": (net(5, nn.Softmax(1)), FOCAL, CLASSES, "outputs.softmax_twice"),
    "sigmoid, logits": (net(1, nn.Sigmoid()), nn.BCEWithLogitsLoss(), ANSWERS, "outputs.logits_out_of_reach"),
    "relu, logits": (net(1, nn.ReLU()), nn.BCEWithLogitsLoss(), ANSWERS, "outputs.logits_out_of_reach"),
    "relu, cross entropy": (net(5, nn.ReLU()), nn.CrossEntropyLoss(), CLASSES, "outputs.logits_cut"),
    "logits, nll": (net(5), nn.NLLLoss(), CLASSES, "outputs.wants_log_probabilities"),
    "softmax, nll": (net(5, nn.Softmax(1)), nn.NLLLoss(), CLASSES, "outputs.wants_log_probabilities"),
    "logits, own nll": (net(5), OWN_NLL, CLASSES, "outputs.wants_probabilities"),
    "logits, own bce": (net(1), OWN_BCE, ANSWERS, "outputs.wants_probabilities"),
    "softmax over one": (net(1, nn.Softmax(1)), nn.BCELoss(), ANSWERS, "outputs.outputs_constant"),
    "relu, numbers": (net(1, nn.ReLU()), nn.MSELoss(), NUMBERS, "outputs.out_of_reach"),
    "softplus, numbers": (net(1, nn.Softplus()), nn.SmoothL1Loss(), NUMBERS, "outputs.out_of_reach"),
    "sigmoid, numbers": (net(1, nn.Sigmoid()), nn.MSELoss(), NUMBERS, "outputs.out_of_reach"),
    "tanh, numbers": (net(1, nn.Tanh()), nn.HuberLoss(), NUMBERS, "outputs.out_of_reach"),
}


@pytest.mark.parametrize("case", WRONG)
def test_outputs_that_the_loss_cannot_use(case):
    model, loss, target, message = WRONG[case]

    (finding,) = loud("output_activation", program(model, loss, target))

    assert (finding.fault, finding.message, finding.status) == ("output.wrong_activation", message, "confirmed")
    assert finding.severity == "error"


RIGHT = {
    "logits": (net(5), nn.CrossEntropyLoss(), CLASSES),
    "log-softmax twice is once": (net(5, nn.LogSoftmax(1)), nn.CrossEntropyLoss(), CLASSES),
    "log-softmax, nll": (net(5, nn.LogSoftmax(1)), nn.NLLLoss(), CLASSES),
    "softmax, own nll": (net(5, nn.Softmax(1)), OWN_NLL, CLASSES),
    "softmax, squared": (net(5, nn.Softmax(1)), lambda o, y: ((o - functional.one_hot(y, 5)) ** 2).mean(), CLASSES),
    "sigmoid, bce": (net(1, nn.Sigmoid()), nn.BCELoss(), ANSWERS),
    "sigmoid, brier": (net(1, nn.Sigmoid()), nn.MSELoss(), ANSWERS),
    "tanh, numbers inside": (net(1, nn.Tanh()), nn.MSELoss(), torch.tanh(NUMBERS)),
    "relu, numbers above 0": (net(1, nn.ReLU()), nn.MSELoss(), NUMBERS.abs()),
    "a wide tanh": (nn.Sequential(net(1, nn.Tanh()), nn.Linear(1, 1)), nn.MSELoss(), NUMBERS),
    "batch norm last": (net(5, nn.BatchNorm1d(5)), nn.CrossEntropyLoss(), CLASSES),
    "small logits": (net(5), lambda o, y: functional.cross_entropy(100 * o, y), CLASSES),
    "rates": (net(1, nn.Softplus()), nn.PoissonNLLLoss(log_input=False), NUMBERS.abs().round()),
    "mean and variance": (net(2), lambda o, y: functional.gaussian_nll_loss(o[:, :1], y, o[:, 1:].exp()), NUMBERS),
}


@pytest.mark.parametrize("case", RIGHT)
def test_outputs_that_fit(case):
    assert not found("output_activation", program(*RIGHT[case]))


def test_the_floor_is_that_of_theory():
    (finding,) = loud("output_activation", program(net(5, nn.Softmax(1)), nn.CrossEntropyLoss()))

    evidence = {one.name: one.value for one in finding.evidence}
    assert evidence["floor_of_a_double_softmax"] == pytest.approx(0.9048, abs=1e-3)  # log(1 + 4 / e)
    assert evidence["least_loss_in_reach"] == pytest.approx(0.9048, abs=0.01)


def test_a_softmax_in_the_step_or_the_loop_is_seen():
    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = loss_fn(model(xb).softmax(1), yb)
        loss.backward()
        optimizer.step()
        return loss.item()

    def loop(own, epochs):
        for start in range(0, len(own.train[0]), 32):
            step(
                own.model,
                own.loss_fn,
                own.optimizer,
                own.train[0][start : start + 32],
                own.train[1][start : start + 32],
            )

    for about in ({"step": step}, {"loop": loop}):
        (finding,) = loud("output_activation", program(net(5), nn.CrossEntropyLoss(), **about))
        assert finding.message == "outputs.softmax_twice"

import pytest
from torch import nn

from tests.preflight.outputs_planted import ANSWERS, CLASSES, NUMBERS, X, found, net, program


@pytest.mark.parametrize(
    ("outputs", "loss", "target", "about", "message", "severity"),
    [
        (1, nn.CrossEntropyLoss(), CLASSES, {}, "outputs.one_output", "error"),
        (50, nn.CrossEntropyLoss(), CLASSES, {}, "outputs.outputs_unused", "warning"),
        (6, nn.CrossEntropyLoss(), CLASSES, {}, "outputs.outputs_unused", "note"),
        (6, nn.CrossEntropyLoss(), CLASSES + 1, {}, "outputs.labels_from_one", "note"),
        (3, nn.CrossEntropyLoss(), CLASSES % 3, {"num_classes": 5}, "outputs.narrower_than_stated", "error"),
        (1, nn.MSELoss(), CLASSES.float()[:, None], {"num_classes": 5}, "outputs.one_number_for_classes", "error"),
        (1, nn.MSELoss(), X[:, :3], {}, "outputs.columns_differ", "error"),
        (3, nn.L1Loss(), NUMBERS, {}, "outputs.columns_differ", "error"),
    ],
)
def test_widths_that_do_not_fit(outputs, loss, target, about, message, severity):
    (finding,) = found("output_width", program(net(outputs), loss, target, **about))

    assert (finding.fault, finding.message, finding.severity) == ("output.wrong_width", message, severity)


@pytest.mark.parametrize(
    ("outputs", "loss", "target", "about"),
    [
        (5, nn.CrossEntropyLoss(), CLASSES, {"num_classes": 5}),
        (1, nn.BCEWithLogitsLoss(), ANSWERS, {"num_classes": 2}),
        (3, lambda o, y: (o[:, :1] - y).abs().mean() + o[:, 1:].pow(2).mean(), NUMBERS, {}),
        (3, nn.MSELoss(), X[:, :3], {}),
        (1, nn.MSELoss(), CLASSES.float()[:, None], {"num_classes": 5, "predict": lambda o: o.round()}),
    ],
)
def test_widths_that_fit(outputs, loss, target, about):
    assert not found("output_width", program(net(outputs), loss, target, **about))

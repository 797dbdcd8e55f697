import pytest
import torch
from torch import nn

from tests.preflight.outputs_planted import ANSWERS, CLASSES, NUMBERS, X, found, loud, net, program

STRAY, NEGATIVE, SKIPPED = CLASSES.clone(), CLASSES.clone(), CLASSES.clone()
STRAY[[7, 9]], NEGATIVE[7], SKIPPED[7] = 5, -1, -100
OWN = lambda o, y: -o.log_softmax(1)[range(len(y)), y].mean()  # noqa: E731


@pytest.mark.parametrize(
    ("outputs", "loss", "target", "message", "rows"),
    [
        (5, nn.CrossEntropyLoss(), STRAY, "outputs.label_beyond", [7, 9]),
        (5, OWN, STRAY, "outputs.label_beyond", [7, 9]),
        (5, nn.CrossEntropyLoss(), NEGATIVE, "outputs.label_negative", [7]),
        (5, OWN, NEGATIVE, "outputs.label_negative", [7]),  # Python takes it for the last class
        (4, nn.CrossEntropyLoss(), CLASSES, "outputs.too_few_outputs", (CLASSES == 4).nonzero()[:, 0].tolist()),
        (5, nn.CrossEntropyLoss(), CLASSES + 1, "outputs.label_beyond", (CLASSES == 4).nonzero()[:, 0].tolist()),
        (5, nn.MultiMarginLoss(), STRAY, "outputs.label_beyond", [7, 9]),
    ],
)
def test_labels_outside_the_outputs(outputs, loss, target, message, rows):
    (finding,) = loud("output_labels", program(net(outputs), loss, target))

    assert (finding.severity, finding.message) == ("error", message)
    assert finding.subject["rows"] == rows


def test_a_label_outside_in_the_validation_rows_only():
    (finding,) = loud("output_labels", program(net(5), nn.CrossEntropyLoss(), val=(X, STRAY)))

    assert (finding.subject["part"], finding.subject["rows"]) == ("val", [7, 9])


@pytest.mark.parametrize("low", [-1.0, 1.0])
def test_answers_outside_0_to_1(low):
    target = ANSWERS * (1 - low) + low if low < 0 else ANSWERS + low

    (finding,) = loud("output_labels", program(net(1), lambda o, y: nn.BCEWithLogitsLoss()(o, y), target))

    assert finding.message == "outputs.answer_outside"
    assert finding.values["lowest"] == low


@pytest.mark.parametrize(
    ("outputs", "loss", "target"),
    [
        (5, nn.CrossEntropyLoss(), CLASSES),
        (5, nn.CrossEntropyLoss(), SKIPPED),
        (5, nn.CrossEntropyLoss(ignore_index=-1), NEGATIVE),
        (4, lambda o, y: nn.BCEWithLogitsLoss()(o, (y[:, None] > torch.arange(4)).float()), CLASSES),  # ordinal
        (1, nn.BCEWithLogitsLoss(), ANSWERS),
        (1, nn.SoftMarginLoss(), 2 * ANSWERS - 1),
        (1, nn.MSELoss(), NUMBERS),
    ],
)
def test_targets_that_fit(outputs, loss, target):
    assert not found("output_labels", program(net(outputs), loss, target))

import pytest
import torch
from torch import nn

from tunesmith.training.batched.apart import accuracy_of


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "expected"),
    [
        (nn.CrossEntropyLoss(), [[2.0, 1.0], [0.0, 1.0]], [0, 0], 0.5),
        (nn.CrossEntropyLoss(), [[[2.0, 0.0], [1.0, 3.0]]], [[0, 1]], 1.0),  # (1, 2 classes, 2 places)
        (nn.CrossEntropyLoss(), [[[2.0, 0.0], [1.0, 3.0]]], [[0, 0]], 0.5),
        (nn.CrossEntropyLoss(), [[2.0, 1.0]], [[0.9, 0.1]], None),  # shares of classes
        (nn.BCEWithLogitsLoss(), [3.0, -1.0, 2.0, 1.0], [1.0, 0.0, 0.0, 1.0], 0.75),
        (nn.BCEWithLogitsLoss(), [[3.0], [-1.0]], [[1.0], [1.0]], 0.5),
        (nn.BCEWithLogitsLoss(), [[3.0, -1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], 0.5),  # whole rows
        (nn.MSELoss(), [1.0], [1.0], None),
    ],
)
def test_accuracy_of_outputs_of_every_shape(loss, outputs, targets, expected):
    assert accuracy_of(loss, torch.tensor(outputs), torch.tensor(targets)) == expected

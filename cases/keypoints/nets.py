"""The networks of the tutorial: one hidden layer, and three convolutions with two hidden layers."""

import torch
from torch import nn

import tunesmith as ts

OUTPUTS = 30
DROPOUT = (0.1, 0.2, 0.3, 0.5)  # after each pooling, and between the hidden layers, as in the tutorial


def one_hidden(size: int, outputs: int = OUTPUTS) -> nn.Module:
    """All pixels, 100 units, the coordinates."""
    return started(nn.Sequential(nn.Flatten(), nn.Linear(size * size, 100), nn.ReLU(), nn.Linear(100, outputs)), size)


class Convolutional(nn.Module):
    """Pictures (N, 1, S, S) to coordinates (N, K): 32 filters of 3x3, 64 and 128 of 2x2, each with a pooling; two hidden layers."""

    def __init__(
        self,
        size: int,
        outputs: int = OUTPUTS,
        hidden: int = 500,
        dropout: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 1, size
        for filters, width, share in zip((32, 64, 128), (3, 2, 2), dropout, strict=False):
            layers += [nn.Conv2d(channels, filters, width), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(share)]
            channels, side = filters, (side - width + 1) // 2
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * side * side, hidden),
            nn.ReLU(),
            nn.Dropout(dropout[3]),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Linear(hidden, outputs)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.hidden(self.features(pictures)))
        return result


def convolutional(size: int, outputs: int = OUTPUTS) -> nn.Module:
    return started(Convolutional(size, outputs), size)


def with_dropout(size: int, outputs: int = OUTPUTS) -> nn.Module:
    return started(Convolutional(size, outputs, dropout=DROPOUT), size)


def wide(size: int, outputs: int = OUTPUTS) -> nn.Module:
    """1,000 hidden units instead of 500."""
    return started(Convolutional(size, outputs, hidden=1000, dropout=DROPOUT), size)


def started(net: nn.Module, size: int) -> nn.Module:
    """Each layer by what comes after it, seen as one picture goes through."""
    return ts.initialise(net, batch=torch.zeros(1, 1, size, size))


def warm(net: nn.Module, source: nn.Module) -> nn.Module:
    """`net` with the convolutions and hidden layers of `source`; its last layer stays as it was drawn."""
    kept = {name: value for name, value in source.state_dict().items() if not name.startswith("head.")}
    net.load_state_dict(net.state_dict() | kept)
    return net

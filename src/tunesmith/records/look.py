"""What a network sees and does at its start, as plain data for a page: samples, filters, activations, dynamics."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row exactly as the network is given it. Of `picture`, `tokens` and `values` those are filled that it has."""

    row: int  # number in the source, 0 is the first row of data
    part: str
    loss: float
    label: str
    predicted: str
    size: int  # tokens of a text, pixels of a picture, numbers of a row
    found: tuple[str, ...] = ()  # faults whose findings name the row
    picture: Array | None = None  # uint8 (H, W) or (H, W, 3), scaled to what can be shown
    tokens: tuple[tuple[str, bool], ...] = ()  # a piece of text, and whether the loss is taken on it
    values: tuple[
        tuple[str, str, str], ...
    ] = ()  # a column, its cell in the source, and what the network is given of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Small pictures of one layer: its filters, or its channels for one sample."""

    layer: str
    tiles: tuple[Array, ...]  # uint8 (H, W) or (H, W, 3)
    total: int  # how many the layer has
    low: float  # the values behind black
    high: float  # and behind white


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """The predictions of a fixed batch over the first updates."""

    steps: Array  # int (T,), updates made
    loss: Array  # (T,), of the fixed batch in evaluation mode
    right: Array  # (T, N): probability of the right class, or the prediction of a number
    names: tuple[str, ...]  # of the N rows
    of_classes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All of it, and in which state the network was."""

    samples: tuple[Sample, ...]
    steps: int  # updates made on a copy before losses and predictions were taken
    rows: int  # rows among which the most suspicious were chosen
    scale: str = ""  # how the values of a picture were brought to grey or colour
    filters: tuple[Tiles, ...] = ()
    activations: tuple[Tiles, ...] = ()
    dynamics: Dynamics | None = None
    notices: list[str] = field(default_factory=list)

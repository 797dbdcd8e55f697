"""The ladder as plain data: what each rung changes in the recipe of the rung before, and its network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from cases.keypoints import nets

# The tutorial's optimizer; batches of 32 instead of 128, for four times the updates in the same minutes. assumption
FIRST: dict[str, Any] = {
    "loss.name": "masked_mse",
    "eval.metric": "loss",
    "optim.name": "sgd",
    "optim.lr": 0.01,
    "optim.momentum": 0.9,
    "optim.extra": {"nesterov": True},
    "optim.weight_decay": 0.0,
    "schedule.name": "constant",
    "train.batch_size": 32,
    "train.patience": None,
    "data.val": 0.0,
    "data.test": 0.0,
    "data.scale": "none",
    "data.scale_target": "none",
    "eval.bootstrap": 0,
}
# Straight lines over the run: the rate from 0.03 to 0.0001, the momentum from 0.9 to 0.999, as in the tutorial.
RAMPS: dict[str, Any] = {
    "optim.lr": 0.03,
    "schedule.name": "one_cycle",
    "schedule.extra": {
        "rise": 1,
        "start": 1.0,
        "end": 300.0,
        "shape": "linear",
        "base_momentum": 0.9,
        "max_momentum": 0.999,
    },
}


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. `change` is made to the recipe of the rung before; `times` is its share of the budget a rung.

    `pace` names the rung whose epochs it has: nets that cost the same are compared after as many updates.
    """

    name: str
    title: str
    net: Callable[..., nn.Module] | None = None  # f(size, outputs); none: nothing is trained
    change: Mapping[str, Any] = field(default_factory=dict)
    flips: bool = False
    times: float = 1.0
    pace: str = ""  # its own


RUNGS = (
    Rung("mean", "no picture: the mean of each point"),
    Rung("hidden", "one hidden layer", nets.one_hidden),
    Rung("convolutional", "three convolutions, two hidden layers", nets.convolutional),
    Rung("flips", "half of the faces mirrored", nets.convolutional, flips=True, pace="convolutional"),
    Rung("ramps", "rate falling, momentum rising", nets.convolutional, RAMPS, flips=True, pace="convolutional"),
    Rung("dropout", "dropout", nets.with_dropout, flips=True, pace="convolutional"),
    Rung("wide", "more units, twice as long", nets.wide, flips=True, times=2.0),
    Rung("specialists", "a net for each group of points, from the rung before", nets.wide, flips=True),
    Rung("ensemble", "an average, its members chosen on the validation persons"),
)
NAMES = tuple(rung.name for rung in RUNGS)
MEMBERS = ("convolutional", "flips", "ramps", "dropout", "wide", "specialists")  # whose predictions may be averaged
BESIDE = ("tune",)  # rows that are no rung and stand below the ladder: `tunesmith tune` at the same budget


def rung(name: str) -> Rung:
    return RUNGS[NAMES.index(name)]


def recipe_of(name: str, *, seed: int, epochs: int) -> dict[str, Any]:
    """The whole recipe of a rung: the first one, and all changes up to it.

    >>> recipe_of("flips", seed=0, epochs=5)["optim.lr"], recipe_of("dropout", seed=0, epochs=5)["optim.lr"]
    (0.01, 0.03)
    """
    recipe = dict(FIRST)
    for step in RUNGS[: NAMES.index(name) + 1]:
        recipe |= step.change
    return recipe | {"train.seed": seed, "train.epochs": epochs}

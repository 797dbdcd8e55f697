"""Looks at the players at every evaluation of a run: the row, the score by which weights are best, and what is found."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.blocks.optim.averaging import Average
from tunesmith.generative.gan.findings import news
from tunesmith.generative.gan.looks import Sight, look_of
from tunesmith.generative.gan.turns import Players
from tunesmith.generative.gan.watch import shown
from tunesmith.generative.measures.kid import kernel_distance
from tunesmith.records.state import State
from tunesmith.training.guards import Action, Guard

METRIC = "kernel_distance"
LOOKS = "looks"  # its key in `state.progress`
Show = Callable[..., None]  # arrays of samples by name


class SampleJudge:
    """Compares what the generator makes of fixed noise with held rows; the score is their kernel distance, smaller is better.

    Where an average of the weights is kept, that is looked at.
    """

    def __init__(self, sight: Sight, show: Show | None = None) -> None:
        self.sight = sight
        self.show = show

    def __call__(self, state: State) -> dict[str, Any]:
        players = state.model
        assert isinstance(players, Players)
        if isinstance(state.average, Average):
            with state.average.in_place_of(players):
                return self._row(state, players)
        return self._row(state, players)

    def _row(self, state: State, players: Players) -> dict[str, Any]:
        look = self.sight(players.generator, players.discriminator, state.step)
        state.progress.setdefault(LOOKS, []).append(look.as_dict())
        made = self.sight.made
        assert made is not None
        if self.show is not None:
            self.show(**shown(self.sight.real, made))
        distance, noise = self._distance(made)
        return {"val_loss": None, "metric": METRIC, "score": distance, "noise": noise, **look.signals()}

    def _distance(self, made: Tensor) -> tuple[float, float]:
        """The kernel distance, and its standard error from halves."""
        with torch.no_grad():
            seen = (made if self.sight.features is None else self.sight.features(made)).flatten(1)
        real = self.sight.compared
        half = min(len(real), len(seen)) // 2
        parts = [kernel_distance(real[place : place + half], seen[place : place + half]).value for place in (0, half)]
        return kernel_distance(real, seen).value, float(np.std(parts, ddof=1) / np.sqrt(2))

    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool:
        return best is None or score < best - noise


class TellsLooks(Guard):
    """Says after an evaluation what the looks so far have shown, where it is new, graver, or taken back."""

    def after_evaluation(self, state: State, row: Mapping[str, Any]) -> Action | None:
        told = state.progress.setdefault("told", {})
        looks = [look_of(one) for one in state.progress.get(LOOKS, [])]
        new = next(iter(news(looks, told)), None)
        if new is None:
            return None
        told[new.fault] = new.message
        return Action(kind="continue", because=new.because, finding=new)

"""A game of two players as something to be mended: its twins, what they come to, and which changes there are."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import torch

from tunesmith.blocks.optim.averaging import Average
from tunesmith.generative.cures.packing import pack
from tunesmith.generative.gan.findings import found_in, stands_at
from tunesmith.generative.gan.judging import LOOKS, METRIC, SampleJudge
from tunesmith.generative.gan.looks import Sight, look_of
from tunesmith.generative.gan.plan import parts, planned, settled
from tunesmith.generative.gan.rows import RealRows
from tunesmith.generative.gan.task import Gan
from tunesmith.generative.gan.turns import Players
from tunesmith.generative.looking import seeded
from tunesmith.generative.mending import twins
from tunesmith.generative.mending.offer import Offer, offered
from tunesmith.generative.mending.proof import Mark, Played, share_error, swing
from tunesmith.generative.mending.remedies import REMEDIES, Board
from tunesmith.generative.preparing import made
from tunesmith.records import Clock, Recipe, revise
from tunesmith.records.state import State
from tunesmith.training import session
from tunesmith.training.loop import Plan

SAMPLES = 2000  # of a look: 25 cells, so that a fifth of the data can be proved to be won in two seeds


@dataclass(frozen=True, slots=True)
class Match:
    """A task and its recipe."""

    task: Gan
    recipe: Recipe

    def changed(self, offer: Offer) -> "Match":
        recipe = revise(self.recipe, offer.recipe) if offer.recipe else self.recipe
        return Match(replace(self.task, **offer.fields), recipe)


class Games:
    """The twins of a game, `updates` of the generator long (a fifth of the training, and 400 at least, where nothing is said)."""

    fault = "collapse.mode"
    measure = "lost_mass"
    notices: tuple[str, ...] = ()

    def __init__(self, match: Match, updates: int | None) -> None:
        with seeded(0):
            self.every = twins.length(_plan(match).steps, updates)
        self.updates = twins.TIMES * self.every

    def settings(self, match: Match) -> dict[str, Any]:
        """What a resumed repair must have alike: rules, recipe, rows, and the weights at the start."""
        with session.seeded(match.recipe.train.seed):
            plan = _plan(match)
        rows = parts(match.task, settled(match.recipe), torch.device("cpu"))
        start = twins.digest_of((*rows, *plan.state.model.state_dict().values()))
        return {"rules": match.task.told(), "updates": self.updates, "start": start, "recipe": match.recipe.flat()}

    def passes(self, match: Match) -> float:
        """Passes over the rows that a twin makes."""
        with seeded(0):
            return twins.passes(_plan(match), self.updates)

    def twin(self, match: Match, seed: int, clock: Clock) -> dict[str, Any] | None:
        """A training of so many updates from a seed, as plain data; None where the clock ran out."""
        recipe = revise(match.recipe, {"train.seed": seed, "eval.every": self.every, "train.patience": None})
        with session.seeded(seed, deterministic=recipe.train.deterministic):
            plan = _plan(replace(match, recipe=recipe))
            assert isinstance(plan.judge, SampleJudge)
            plan.judge = Looking(plan.judge.sight)
            told = twins.trained(plan, self.updates, clock)
        looks = plan.state.progress.get(LOOKS, [])
        if not told["broke"] and len(looks) < twins.TIMES:
            return None
        return told | {"looks": looks, "passes": twins.passes(plan, plan.state.step)}

    def played(self, told: Mapping[str, Any]) -> Played:
        """What a twin came to: the mass it left out over its last looks, and its precision.

        Samples of one cell are one draw for their precision: that of a generator with one mode is the luck of one place.
        """
        looks = [look_of(one) for one in told["looks"]]
        counted = {"passes": told["passes"], "seconds": told["seconds"]}
        if told["broke"]:
            return Played(broke=told["broke"], **counted)
        events, last = stands_at(looks), looks[-twins.LAST :]
        lost, near = [one.lost for one in last], [one.precision for one in last]
        cells = last[-1].cells
        places = max(1, cells - max(one.cells_lost for one in last))
        errors = max(share_error(mean(lost), cells), swing(lost)), max(share_error(mean(near), places), swing(near))
        marks = (
            Mark(name="lost_mass", value=mean(lost), error=errors[0], higher=False, goal=True),
            Mark(name="made_precision", value=mean(near), error=errors[1], higher=True, goal=False),
        )
        stands = bool(events) and events[-1][1]
        findings = [one for one in found_in(looks) if stands or one.fault != self.fault]
        return Played(marks=marks, collapsed=stands, findings=tuple(findings), **counted)

    def offers(self, match: Match) -> tuple[list[tuple[str, Offer]], dict[str, str]]:
        """Changes by the remedy that offers them, the one worth most first; and why the others have none."""
        return offered(REMEDIES, lambda: _board(match), lambda one: _plan(match.changed(one)))


def _plan(match: Match) -> Plan:
    return planned(match.task, match.recipe, samples=SAMPLES)


def _board(match: Match) -> Board:
    with seeded(0):
        plan = _plan(match)
        judge = made(
            match.task.discriminator, "a player"
        )  # before spectral norm, which is put into what a change has made
    feed = plan.feed
    assert isinstance(feed, RealRows)
    some = feed.rows[: 4 * match.task.pack].cpu()
    return Board(match.task, plan.recipe, judge, pack(some, match.task.pack), len(feed.rows))


class Looking:
    """Looks at the generator alone: of a twin no weights are kept as the best."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def __call__(self, state: State) -> dict[str, Any]:
        players, average = state.model, state.average
        assert isinstance(players, Players)
        with average.in_place_of(players) if isinstance(average, Average) else nullcontext():
            look = self.sight(players.generator, None, state.step)
        state.progress.setdefault(LOOKS, []).append(look.as_dict())
        return {"val_loss": None, "metric": METRIC, "score": None}

    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool:
        return False

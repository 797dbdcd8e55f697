"""Twins of a game: a short stretch of the training as it was meant, by its own plan, looked at so many times."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import torch

from tunesmith.blocks.optim.averaging import Average
from tunesmith.generative.cures.packing import pack
from tunesmith.generative.gan.findings import found_in, stands_at
from tunesmith.generative.gan.judging import LOOKS, METRIC
from tunesmith.generative.gan.looks import NotFinite, Sight, look_of
from tunesmith.generative.gan.plan import made, parts, planned, settled
from tunesmith.generative.gan.rows import RealRows
from tunesmith.generative.gan.task import Gan
from tunesmith.generative.gan.turns import Players
from tunesmith.generative.looking import seeded
from tunesmith.generative.mending.proof import Mark, Played, share_error, swing
from tunesmith.generative.mending.remedies import REMEDIES, Board, Offer
from tunesmith.records import Clock, ModelError, Recipe, RecipeError, TrainingFailed, revise
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import State
from tunesmith.records.until import Until
from tunesmith.runs import MemoryWriter
from tunesmith.training import session
from tunesmith.training.loop import Interrupt, Loop, Plan

SHARE, FEWEST = 0.2, 400  # of the updates, and updates, that a twin makes at least; assumption
TIMES = 12  # that a twin is looked at; twice as many as a finding takes
LAST = 4  # looks at its end whose mean counts: a game swings
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

    def __init__(self, match: Match, updates: int | None) -> None:
        with seeded(0):
            whole = _plan(match).steps
        wanted = max(FEWEST, round(SHARE * whole)) if updates is None else updates
        self.every = max(1, min(wanted, whole) // TIMES)
        self.updates = TIMES * self.every
        if self.updates > whole:
            raise RecipeError(
                f"a twin looks {TIMES} times and the training has {whole} updates of the generator; {TIMES} or more were expected"
            )

    def settings(self, match: Match) -> dict[str, Any]:
        """What a resumed repair must have alike: rules, recipe, rows, and the weights at the start."""
        import hashlib

        seed = match.recipe.train.seed
        with session.seeded(seed):
            plan = _plan(match)
        digest = hashlib.blake2b(digest_size=16)
        rows = parts(match.task, settled(match.recipe), torch.device("cpu"))
        for one in (*rows, *plan.state.model.state_dict().values()):
            digest.update(one.detach().cpu().contiguous().numpy().tobytes())
        return {"rules": match.task.told(), "updates": self.updates, "start": digest.hexdigest()} | {
            "recipe": match.recipe.flat()
        }

    def passes(self, match: Match) -> float:
        """Passes over the rows that a twin makes."""
        with seeded(0):
            plan = _plan(match)
        return _passes(plan, self.updates)

    def twin(self, match: Match, seed: int, clock: Clock) -> dict[str, Any] | None:
        """A training of so many updates from a seed, as plain data; None where the clock ran out."""
        began = time.perf_counter()
        recipe = revise(match.recipe, {"train.seed": seed, "eval.every": self.every, "train.patience": None})
        told: dict[str, Any] = {"looks": [], "broke": ""}
        with session.seeded(seed, deterministic=recipe.train.deterministic):
            plan = _plan(replace(match, recipe=recipe))
            try:
                left = None if clock.seconds == float("inf") else clock.left()
                plan.judge = Looking(plan.judge.sight)  # type: ignore[attr-defined]  # a `SampleJudge`
                _train(plan, Until(steps=self.updates, seconds=left))
            except (TrainingFailed, NotFinite) as error:
                told["broke"] = str(error)
        told["looks"] = plan.state.progress.get(LOOKS, [])
        if not told["broke"] and len(told["looks"]) < TIMES:
            return None
        seconds = round(time.perf_counter() - began, 3)
        return told | {"passes": _passes(plan, plan.state.step), "seconds": seconds}

    def played(self, told: Mapping[str, Any]) -> Played:
        """What a twin came to: the mass it left out over its last looks, and its precision.

        Samples of one cell are one draw for their precision: that of a generator with one mode is the luck of one place.
        """
        looks = [look_of(one) for one in told["looks"]]
        counted = {"passes": told["passes"], "seconds": told["seconds"]}
        if told["broke"] or not looks:
            return Played(broke=told["broke"], **counted)
        events, last = stands_at(looks), looks[-LAST:]
        lost, near = [one.lost for one in last], [one.precision for one in last]
        cells = last[-1].cells
        places = max(1, cells - max(one.cells_lost for one in last))
        marks = (
            Mark(
                name="lost_mass",
                value=mean(lost),
                error=max(share_error(mean(lost), cells), swing(lost)),
                higher=False,
                goal=True,
            ),
            Mark(
                name="made_precision",
                value=mean(near),
                error=max(share_error(mean(near), places), swing(near)),
                higher=True,
                goal=False,
            ),
        )
        stands = bool(events) and events[-1][1]
        findings = [one for one in found_in(looks) if stands or one.fault != self.fault]
        return Played(marks=marks, collapsed=stands, findings=tuple(findings), **counted)

    def offers(self, match: Match) -> tuple[list[tuple[str, Offer]], dict[str, str]]:
        """Changes by the remedy that offers them, the one worth most first; and why the others have none."""
        found, unfit = list[tuple[str, Offer]](), dict[str, str]()
        for name in sorted(REMEDIES, key=lambda one: -REMEDIES[one].worth):
            try:
                offered = [(name, one) for one in REMEDIES[name].propose(_board(match))]
                for _, one in offered:
                    with seeded(0):
                        _plan(match.changed(one))  # a change that cannot train is no offer
                found += offered
            except (Inapplicable, ModelError, RecipeError) as reason:
                unfit[name] = str(reason)
        return found, unfit


def _plan(match: Match) -> Plan:
    return planned(match.task, match.recipe, samples=SAMPLES)


def _passes(plan: Plan, updates: int) -> float:
    feed = plan.feed
    assert isinstance(feed, RealRows)
    return updates * feed.batch_size * feed.accumulate / len(feed.rows)


def _board(match: Match) -> Board:
    with seeded(0):
        plan = _plan(match)
        judge = made(match.task.discriminator)  # before spectral norm, which is put into what a change has made
    feed = plan.feed
    assert isinstance(feed, RealRows)
    some = feed.rows[: 4 * match.task.pack].cpu()
    return Board(match.task, plan.recipe, judge, pack(some, match.task.pack), len(feed.rows))


def _train(plan: Plan, until: Until) -> None:
    """A plan trained up to some update, in memory and in silence."""
    record = MemoryWriter(plan.recipe)
    record.begin_attempt(0)
    Loop(plan, record, Silent(), Nowhere(), interrupt=Interrupt(), until=until).run()


class Looking:
    """Looks at the generator alone: of a twin no weights are kept as the best."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def __call__(self, state: State) -> dict[str, Any]:
        players, average = state.model, state.average
        assert isinstance(players, Players)
        held = average.in_place_of(players) if isinstance(average, Average) else nullcontext()
        with held:
            look = self.sight(players.generator, None, state.step)
        state.progress.setdefault(LOOKS, []).append(look.as_dict())
        return {"val_loss": None, "metric": METRIC, "score": None}

    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool:
        return False


class Silent:
    """Shows nothing."""

    def progress(self, step: int, steps: int, loss: float) -> None: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Any, step: int) -> None: ...
    def notice(self, text: str) -> None: ...


class Nowhere:
    """Keeps no snapshot."""

    def __call__(self, snapshot: Any, *, mark: int, best: bool) -> None: ...
    def at_most(self, step: int) -> None: ...
    def forget_after(self, step: int) -> None: ...

"""A training of embeddings as something to be mended: its twins, what they come to, and which changes there are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.generative.embedding.findings import RANK, Case, evenness, found_in, stands_at
from tunesmith.generative.embedding.judging import LOOKS, LOSSES, EmbeddingJudge
from tunesmith.generative.embedding.learner import Learner
from tunesmith.generative.embedding.looks import EmbeddingLook, look_of
from tunesmith.generative.embedding.plan import planned
from tunesmith.generative.embedding.probe import embed, linear_probe
from tunesmith.generative.embedding.task import Embedding
from tunesmith.generative.gan.rows import RealRows
from tunesmith.generative.looking import seeded
from tunesmith.generative.mending import twins
from tunesmith.generative.mending.embedding_remedies import EMBEDDING_REMEDIES, Desk
from tunesmith.generative.mending.offer import Offer, offered
from tunesmith.generative.mending.proof import Mark, Played, swing
from tunesmith.generative.points import tensor
from tunesmith.records import Clock, DataError, Recipe, revise
from tunesmith.training import session
from tunesmith.training.loop import Plan

Labelled = tuple[Any, Any]  # rows and their labels


@dataclass(frozen=True, slots=True)
class Sitting:
    """A task and its recipe."""

    task: Embedding
    recipe: Recipe

    def changed(self, offer: Offer) -> "Sitting":
        recipe = revise(self.recipe, offer.recipe) if offer.recipe else self.recipe
        return Sitting(replace(self.task, **offer.fields), recipe)


class Encoders:
    """The twins of a training of embeddings, `updates` long (a fifth of the training, and 400 at least, where nothing is said).

    `labelled` rows are for a linear classifier on the encoder's outputs: one half fits it, the other scores it, which no remedy may make
    worse. Raises `DataError` for labels that are not as many as their rows.
    """

    fault = "collapse.representation"
    measure = "embedding_spread_normalised"

    def __init__(self, sitting: Sitting, updates: int | None, labelled: Labelled | None) -> None:
        with seeded(0):
            self.every = twins.length(_plan(sitting).steps, updates)
        self.updates = twins.TIMES * self.every
        unproved = "without labelled rows it is not checked that a linear probe gets no worse"
        self.notices: tuple[str, ...] = (unproved,) if labelled is None else ()
        self.labelled: tuple[Tensor, np.ndarray[Any, Any]] | None = None
        if labelled is None:
            return
        rows, labels = tensor(labelled[0], "rows"), np.asarray(labelled[1])
        if len(rows) != len(labels):
            raise DataError(f"{len(rows)} labelled rows came with {len(labels)} labels; one for each was expected")
        self.labelled = rows, labels

    def settings(self, sitting: Sitting) -> dict[str, Any]:
        """What a resumed repair must have alike: rules, recipe, rows, labels, and the weights at the start."""
        with session.seeded(sitting.recipe.train.seed):
            plan = _plan(sitting)
        assert isinstance(plan.feed, RealRows)
        start = twins.digest_of((plan.feed.rows, *plan.state.model.state_dict().values()))
        probed = None
        if self.labelled is not None:
            rows, labels = self.labelled
            probed = twins.digest_of((rows, torch.as_tensor(np.unique(labels, return_inverse=True)[1])))
        told = {"rules": sitting.task.told(), "updates": self.updates, "start": start, "labelled": probed}
        return told | {"recipe": sitting.recipe.flat()}

    def passes(self, sitting: Sitting) -> float:
        """Passes over the rows that a twin makes."""
        with seeded(0):
            return twins.passes(_plan(sitting), self.updates)

    def twin(self, sitting: Sitting, seed: int, clock: Clock) -> dict[str, Any] | None:
        """A training of so many updates from a seed, as plain data; None where the clock ran out."""
        recipe = revise(sitting.recipe, {"train.seed": seed, "eval.every": self.every, "train.patience": None})
        with session.seeded(seed, deterministic=recipe.train.deterministic):
            plan = _plan(replace(sitting, recipe=recipe))
            judge = plan.judge
            assert isinstance(judge, EmbeddingJudge)
            told = twins.trained(plan, self.updates, clock)
        progress = plan.state.progress
        looks = progress.get(LOOKS, [])
        if not told["broke"] and len(looks) < twins.TIMES:
            return None
        told |= {"looks": looks, "losses": progress.get(LOSSES, []), "passes": twins.passes(plan, plan.state.step)}
        told |= {"start": judge.case.start.as_dict(), "blind": list(judge.case.blind), "kept": judge.case.spread}
        model = plan.state.model
        assert isinstance(model, Learner)
        return told | {"probe": None if told["broke"] else self._probed(model)}

    def _probed(self, learner: Learner) -> dict[str, float] | None:
        """What a linear classifier makes of the encoder's outputs."""
        if self.labelled is None:
            return None
        rows, labels = self.labelled
        z = embed(learner.encoder, rows)
        order = torch.randperm(len(z), generator=torch.Generator().manual_seed(0))
        first, second = order[: len(z) // 2], order[len(z) // 2 :]
        found = linear_probe(z[first], labels[first], z[second], labels[second])
        return {"accuracy": found.accuracy, "error": found.error}

    def played(self, told: Mapping[str, Any]) -> Played:
        """What a twin came to over its last looks: spread, evenness and rank as shares of what there is to be had, and the probe.

        The rank counts up to the directions that both views shared at the start, the spread up to that of the start or the one that the
        rule keeps; what a rule does not see is not held against it.
        """
        counted = {"passes": told["passes"], "seconds": told["seconds"]}
        if told["broke"]:
            return Played(broke=told["broke"], **counted)
        looks = [look_of(one) for one in told["looks"]]
        case = Case(start=look_of(told["start"]), blind=tuple(told["blind"]), spread=told["kept"])
        events = stands_at(looks, case, told["losses"])
        stands = bool(events) and RANK[events[-1][1]] > 0
        found = found_in(looks, case, told["losses"]) if stands else None
        marks = [
            _mark(name, [share(one, case) for one in looks[-twins.LAST :]], looks[-1].rows)
            for name, share in SHARES.items()
        ]
        if told["probe"] is not None:
            accuracy, error = told["probe"]["accuracy"], told["probe"]["error"]
            marks.append(Mark(name="probe_accuracy", value=accuracy, error=error, higher=True, goal=False))
        return Played(marks=tuple(marks), collapsed=stands, findings=() if found is None else (found,), **counted)

    def offers(self, sitting: Sitting) -> tuple[list[tuple[str, Offer]], dict[str, str]]:
        """Changes by the remedy that offers them, the one worth most first; and why the others have none."""
        return offered(EMBEDDING_REMEDIES, lambda: _desk(sitting), lambda one: _plan(sitting.changed(one)))


def _plan(sitting: Sitting) -> Plan:
    return planned(sitting.task, sitting.recipe)


def _desk(sitting: Sitting) -> Desk:
    with seeded(0):
        plan = _plan(sitting)
    assert isinstance(plan.feed, RealRows)
    return Desk(sitting.task, plan.recipe, len(plan.feed.rows))


def _spread(look: EmbeddingLook, case: Case) -> float:
    start = case.start.raw_spread
    whole = start if case.spread is None else min(start, case.spread)
    return 1.0 if "length" in case.blind or whole <= 0 else min(1.0, look.raw_spread / whole)


def _even(look: EmbeddingLook, case: Case) -> float:
    return 1.0 if "offset" in case.blind else evenness(look)


def _rank(look: EmbeddingLook, case: Case) -> float:
    return min(1.0, (look.effective_rank or 1.0) / max(1.0, case.start.shared or look.dimensions))


SHARES = {"embedding_spread_normalised": _even, "embedding_rank": _rank, "embedding_spread": _spread}


def _mark(name: str, values: list[float], rows: int) -> Mark:
    """The mean over looks; its error is how they swing, and no less than what so many rows tell of a deviation."""
    value = mean(values)
    return Mark(name=name, value=value, error=max(swing(values), value / math.sqrt(2 * rows)), higher=True, goal=True)

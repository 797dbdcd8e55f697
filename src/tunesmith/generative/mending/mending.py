"""The mending: is there a collapse, which remedy ends it, and does that hold on other seeds.

Twins train a short stretch of the run, each from the same seeds. A change that does better than the unchanged twin beyond error on the
first seed is tried on further ones, two at least in all; it is kept where it wins over all pairs together, in none of them is worse, and nothing
that must not fall falls. What is kept becomes the unchanged twin of the next round, while it is still collapsed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Protocol

from tunesmith.generative.mending.keeping import Twins
from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.outcome import Attempt, Mended
from tunesmith.generative.mending.proof import Pairs, Played
from tunesmith.records import Clock, Findings, Recipe, RecipeError

ROUNDS = 2  # changes one after the other; assumption
SEEDS, ENOUGH = 3, 2  # that a change is tried with, and at least


class Patient(Protocol):
    """A task and its recipe, and the copy with a change."""

    @property
    def task(self) -> Any: ...
    @property
    def recipe(self) -> Recipe: ...
    def changed(self, offer: Offer) -> "Patient": ...


class Subject(Protocol):
    """What is mended: how a twin of it is trained and read, and which changes there are."""

    fault: str
    measure: str
    updates: int
    notices: tuple[str, ...]

    def settings(self, patient: Any) -> dict[str, Any]: ...
    def passes(self, patient: Any) -> float: ...
    def twin(self, patient: Any, seed: int, clock: Clock) -> dict[str, Any] | None: ...
    def played(self, told: Mapping[str, Any]) -> Played: ...
    def offers(self, patient: Any) -> tuple[list[tuple[str, Offer]], dict[str, str]]: ...


class OutOfBudget(Exception):
    """Seconds or passes are spent; what was not trained stays so."""


@dataclass(slots=True)
class Budget:
    """Passes over the rows that twins may make, and seconds."""

    passes: float
    clock: Clock
    spent: float = 0.0

    def need(self, passes: float) -> None:
        """Raises `OutOfBudget` where so many are not left."""
        if self.clock.spent_up or self.spent + passes > self.passes + 1e-9:
            raise OutOfBudget


@dataclass(slots=True)
class Trying:
    """A change, the patient that has it, and its pairs."""

    name: str  # of the remedy
    offer: Offer
    patient: Patient
    pairs: Pairs = field(default_factory=Pairs)
    why: str = "mending.vain"

    @property
    def gain(self) -> float:
        """Of all goals together, on the first seed."""
        return sum(self.pairs.gains(one.name)[0] for one in self.pairs.after[0].marks if one.goal)


def mended(
    patient: Patient,
    subject: Subject,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    folder: Path | None = None,
    resume: bool = False,
    step: Callable[[str], None] = lambda name: None,
) -> Mended:
    """Carries out the mending. `folder` keeps every twin, `resume` goes on from there.

    Raises `RecipeError` for a resume without a folder, `RunError` for a folder that holds something else, and what a training raises that
    cannot begin.
    """
    if resume and folder is None:
        raise RecipeError("resume = True came without a folder; name the one that the repair was kept in")
    settings = subject.settings(patient) if folder is not None else {}
    with Twins(folder, settings, resume=resume) as twins:
        return Mending(
            patient, subject, twins, Budget(math.inf if epochs is None else epochs, Clock(seconds)), step
        ).carried_out()


class Mending:
    """One mending, from what was brought to what is returned."""

    def __init__(
        self, patient: Patient, subject: Subject, twins: Twins, budget: Budget, step: Callable[[str], None]
    ) -> None:
        self.patient, self.subject, self.twins, self.budget, self.step = patient, subject, twins, budget, step
        self.seed = patient.recipe.train.seed
        self.path: tuple[str, ...] = ()  # changes that were kept
        self.played: dict[tuple[str, int], Played] = {}  # what twins of this mending came to
        notices = list(subject.notices)
        self.told = Mended(task=patient.task, recipe=patient.recipe, measure=subject.measure, notices=notices)

    def carried_out(self) -> Mended:
        told = self.told
        try:
            if self._first_look():
                for _ in range(ROUNDS):
                    if not self._round():
                        break
        except OutOfBudget:
            told.notices.append("the budget was spent before a twin of the unchanged training had come to its end")
        told.task, told.recipe = self.patient.task, self.patient.recipe
        told.spent, told.seconds = self.budget.spent, self.budget.clock.spent()
        return told

    def _first_look(self) -> bool:
        """Whether there is a collapse to mend."""
        base = self._twin(self.patient, self.path, self.seed)
        told = self.told
        told.findings = told.left = Findings(found=list(base.findings))
        if base.broke:
            told.notices.append(f"the training broke before it could collapse: {base.broke}")
            return False
        told.before = told.after = base.mark(self.subject.measure).value
        told.seeds = 1
        if not base.collapsed:
            told.notices.append(
                f"no {self.subject.fault} stood after {self.subject.updates} updates, so nothing was tried"
            )
        return base.collapsed

    def _round(self) -> bool:
        """Tries every change that there is; whether one was kept and there is still something to mend."""
        offers, unfit = self.subject.offers(self.patient)
        done = {one.remedy for one in self.told.changes}
        self.told.unfit |= {name: why for name, why in unfit.items() if name not in done}
        tried: list[Trying] = []
        kept: Trying | None = None
        for place, (name, offer) in enumerate(offers):
            one = Trying(name, offer, self.patient.changed(offer))
            try:
                self._pair(one, self.seed)
            except OutOfBudget:
                self.told.findings.unreached += [each.change for _, each in offers[place:]]
                break
            tried.append(one)
            if one.pairs.helps and not one.pairs.after[0].collapsed and self._holds(one):
                kept = one  # the whole way: what comes later is not tried
                self.told.notices += self._spared(offers[place + 1 :])
                break
        if kept is None:
            helping = [one for one in tried if one.pairs.helps and len(one.pairs.after) == 1]
            helping.sort(key=lambda one: -one.gain)
            kept = next((one for one in helping if self._holds(one)), None)
        self.told.tried += [self._attempt(one, kept=False) for one in tried if one is not kept]
        if kept is None:
            return False
        return self._keep(kept)

    def _keep(self, kept: Trying) -> bool:
        """Goes on with the changed patient; whether it is still collapsed with any seed."""
        self.told.changes.append(self._attempt(kept, kept=True))
        self.patient = kept.patient
        self.path = (*self.path, kept.offer.change)
        told, pairs, after = self.told, kept.pairs, kept.pairs.after
        if len(told.changes) == 1:
            told.measure = max(pairs.won(), key=lambda one: mean(pairs.gains(one)))
            told.before = mean(one.mark(told.measure).value for one in pairs.before)
        told.after, told.seeds = mean(one.mark(told.measure).value for one in after), len(after)
        sick = next((one for one in after if one.collapsed), after[0])
        told.left = Findings(found=list(sick.findings))
        return sick.collapsed

    def _spared(self, offers: list[tuple[str, Offer]]) -> list[str]:
        names = ", ".join(offer.change for _, offer in offers)
        return [f"not tried, since what was kept went the whole way: {names}"] if names else []

    def _holds(self, one: Trying) -> bool:
        """Whether a change that helped on the first seed does so over further ones, as far as the budget lasts."""
        for seed in range(self.seed + 1, self.seed + SEEDS):
            try:
                self._pair(one, seed)
            except OutOfBudget:
                break
            if not one.pairs.helps:
                break
        if len(one.pairs.after) < ENOUGH:
            one.why = "mending.unproved"
            return False
        return one.pairs.helps

    def _pair(self, one: Trying, seed: int) -> None:
        """A pair of twins more. Raises `OutOfBudget` where there is not enough left for both."""
        before = self._twin(self.patient, self.path, seed)
        after = self._twin(one.patient, (*self.path, one.offer.change), seed)
        one.pairs.before.append(before)
        one.pairs.after.append(after)
        if not one.pairs.helps:
            one.why = "mending.broke" if one.pairs.broke else "mending.worse" if one.pairs.won() else "mending.vain"

    def _twin(self, patient: Patient, path: tuple[str, ...], seed: int) -> Played:
        """A twin of this mending, trained once. Raises `OutOfBudget`."""
        name = " + ".join(path)
        if (name, seed) in self.played:
            return self.played[name, seed]
        kept = self.twins.done.get((name, seed))
        if kept is None:
            self.budget.need(self.subject.passes(patient))
            self.step(path[-1] if path else "unchanged")
            told = self.subject.twin(patient, seed, self.budget.clock)
            if told is None:
                raise OutOfBudget
            kept = self.twins.say(name, seed, told)
        found = self.played[name, seed] = self.subject.played(kept)
        self.budget.spent += found.passes
        return found

    def _attempt(self, one: Trying, *, kept: bool) -> Attempt:
        offer = one.offer
        why = "mending.kept" if kept else "mending.less" if one.pairs.helps and one.why == "mending.vain" else one.why
        return Attempt(
            change=offer.change,
            remedy=one.name,
            fields=offer.fields,
            recipe=offer.recipe,
            lines=(*offer.lines, *_lines(offer)),
            pairs=one.pairs,
            updates=self.subject.updates,
            kept=kept,
            why=why,
        )


def _lines(offer: Offer) -> list[str]:
    """Fields and recipe paths of a change as Python; what has its own line is left out."""
    plain = {
        name: value
        for name, value in offer.fields.items()
        if value is None or isinstance(value, str | int | float | bool)
    }
    fields = [f"{', '.join(f'{name}={value!r}' for name, value in plain.items())}  # of the task"] if plain else []
    return [*fields, *(f"recipe[{path!r}] = {value!r}" for path, value in offer.recipe.items())]

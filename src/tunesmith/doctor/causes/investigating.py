"""Experiments in the order of what they are worth, until the cause is clear or the budget spent.

Worth is how likely a fault is, by what was found so far, over what its experiment costs. A change is a cure where it closes most of the way to
the goal, in two trainings with different orders of the rows, beyond what another order makes of the unchanged program. Of several cures the
most upstream one is told first, unless a later one gains clearly more. Where no single change cures, all likely ones are made at once and
then left out one by one: those that cannot be missed are causes together.
"""

import math
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import EXPERIMENTS, Experiment
from tunesmith.doctor.causes.change import Change, together
from tunesmith.doctor.causes.one_batch import factor
from tunesmith.doctor.causes.telling import cured, in_company, unexplained
from tunesmith.doctor.causes.upstream import stream
from tunesmith.doctor.diagnosis.ranking import vocabulary
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import Course
from tunesmith.records import Clock, Finding, Findings
from tunesmith.records.check import Inapplicable
from tunesmith.runs.history import History

CURES = 0.5  # of the way to the goal: most of it; as preflight's short_run
WHOLLY = 0.9  # of the way: what is further down need not be tried
BEATS = 0.15  # of the way, by which a later cause must beat an earlier one; assumption
IDLE = 0.2  # of the way, below which the suspicion is refuted where another change cures; assumption
SEEN = 0.7  # confidence from which on a suspicion is not dropped for a change that gains nothing; assumption
LIKELY = 0.2  # of an untried fault, above which the answer is not clear; assumption
COMPANY = 6  # changes at once, at most; assumption: leaving out each costs a training
NEEDED = 0.3  # of the way, lost by leaving a change out; assumption


@dataclass(frozen=True, slots=True)
class Tried:
    """An experiment, its change, and how far it went."""

    experiment: Experiment
    change: Change
    course: Course
    closed: float

    @property
    def fault(self) -> str:
        return self.experiment.undoes(self.change)


@dataclass(slots=True)
class Verdict:
    """What the experiments found, and the faults whose undoing changed nothing."""

    findings: Findings
    refuted: tuple[str, ...] = ()
    well: bool = False  # the program reaches what cheap models reach


def investigated(
    bench: Bench,
    clock: Clock,
    findings: Iterable[Finding] = (),
    history: History | None = None,
    *,
    only: Iterable[str] | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Verdict:
    """Carries out experiments on copies of the program. `findings` are what was found before; `only` names experiments."""
    told = Findings()
    findings = list(findings)
    wanted = set(EXPERIMENTS) if only is None else set(only)
    proof = next((one.fault for one in findings if _proves(one, bench.program.scheduler is not None)), None)
    if proof is not None and only is None:
        told.skipped |= dict.fromkeys(sorted(wanted), f"the cause is clear: {proof}")
        return Verdict(told)
    try:
        case = Case(bench, clock, findings, history)
    except Inapplicable as reason:
        told.skipped |= dict.fromkeys(sorted(wanted), str(reason))
        return Verdict(told)
    tried = _tried(case, told, sorted(wanted), step)
    told.measured["causes"] = _numbers(case, tried)
    if not case.trouble.there:
        return _without_trouble(case, tried, told)
    cures = _confirmed(case, tried)
    idle = _idle(case, tried)
    company = [] if any(one.change.sure for one in cures) else _company(case, tried, step)
    if cures and not company:
        ordered = _in_order(cures)
        for place, one in enumerate(ordered):
            after = ordered[0].fault if place else None
            told.found.append(cured(case, one.experiment, one.change, after, len(ordered), idle))
        proved = any(one.change.sure for one in cures)
        return Verdict(told, tuple(fault for fault in idle if fault not in {one.fault for one in cures} and proved))
    if company:
        told.found.extend(in_company(case, one.experiment, one.change, lost, idle) for one, lost in company)
        return Verdict(told)
    if tried and not told.unreached:
        told.found.extend(unexplained(case, len(tried), idle))
    return Verdict(told)


EXPLAINS = (
    "output",
    "loss",
    "numerics",
    "model",
    "init",
    "optim",
    "lr",
    "reg",
    "batch",
)  # families of faults that spoil a training
SPOILS = ("data.unscaled_inputs", "data.unscaled_targets", "data.nonfinite", "data.no_signal", "data.unshuffled")
SURE = 0.8  # confidence of a proof; assumption


def _proves(finding: Finding, scheduled: bool) -> bool:
    """Whether a finding is the measured cause of a spoiled training, so that nothing is left to try. A rate may be its schedule's."""
    if scheduled and finding.fault.startswith("lr."):
        return False
    cause = vocabulary().get(finding.fault, {}).get("kind") == "cause"
    spoils = (finding.fault.partition(".")[0] in EXPLAINS and cause) or finding.fault in SPOILS
    sure = finding.status == "confirmed" and finding.confidence >= SURE and finding.caused_by is None
    return spoils and sure and finding.severity != "note"


# Trying


def _tried(case: Case, told: Findings, names: Iterable[str], step: Callable[[str], None]) -> list[Tried]:
    """The changes in the order of their worth; those that the budget did not reach stand in `unreached`."""
    queue: list[tuple[float, Experiment, Change]] = []
    for name in names:
        before = case.clock.spent()
        try:
            proposed = list(EXPERIMENTS[name].propose(case))
        except Exception:  # a defect of one experiment does not end the others, as with checks
            told.failed[name] = traceback.format_exc()
            continue
        told.seconds[name] = case.clock.spent() - before
        if not proposed:
            told.skipped[name] = "nothing to undo"
        for change in proposed:
            worth = min(0.95, change.likely * factor(case, EXPERIMENTS[name].undoes(change)))
            queue.append((worth, EXPERIMENTS[name], change))
    if not case.trouble.there:  # nothing is wrong: only what was suspected aloud is looked at
        aloud = {one.fault for one in case.findings if one.status == "suspected" and one.severity != "note"}
        queue = [one for one in queue if one[1].undoes(one[2]) in aloud]
    queue.sort(key=lambda one: (-one[0] / one[2].cost, stream(one[1].undoes(one[2]))))
    tried: list[Tried] = []
    for place, (_, experiment, change) in enumerate(queue):
        done = [one for one in tried if one.fault == experiment.undoes(change)]
        if any(one.closed > WHOLLY for one in done):
            continue
        if _clear(tried, queue[place:]):
            break
        if not case.afford(2 * change.cost):  # and once more with another order
            if experiment.name not in told.unreached:
                told.unreached.append(experiment.name)
            continue
        step(experiment.name)
        before = case.clock.spent()
        try:
            found = case.train(change)
        except Exception:
            told.failed[experiment.name] = traceback.format_exc()
            found = None
        told.seconds[experiment.name] = told.seconds.get(experiment.name, 0.0) + case.clock.spent() - before
        if found is not None:
            tried.append(Tried(experiment, change, found, case.closed(found, change=change)))
    return tried


def _clear(tried: list[Tried], left: list[tuple[float, Experiment, Change]]) -> bool:
    """Whether a change cures wholly and nothing that is likely and further upstream is untried."""
    cures = [one for one in tried if one.closed > WHOLLY and one.experiment.name != "more_capacity"]
    if not cures:
        return False
    first = min(stream(one.fault) for one in cures)
    return not any(likely >= LIKELY and stream(each.undoes(change)) < first for likely, each, change in left)


def _any_rate(one: Tried) -> bool:
    """Whether a cure is Adam, which makes its own way: it mends much and names little."""
    return one.change.variation.optimizer == "adam"


def _confirmed(case: Case, tried: list[Tried]) -> list[Tried]:
    """Of each fault the first change that cures for good; a replaced net counts only where nothing else cures."""
    good = [one for one in tried if one.closed >= CURES and case.beyond_noise(one.course, change=one.change)]
    best: dict[str, Tried] = {}
    for one in sorted(good, key=lambda one: -min(one.closed, 1.0)):
        best.setdefault(one.fault, one)
    kept = []
    for one in best.values():
        again = case.train(one.change, seed=1)
        if again is None or case.closed(again, 1, one.change) < 0.8 * CURES:
            continue
        if case.beyond_noise(again, 1, one.change):
            kept.append(one)
    whole = [one for one in kept if one.experiment.name != "more_capacity"]
    named = [one for one in whole if not _any_rate(one)]
    return named or whole or kept


def _in_order(cures: list[Tried]) -> list[Tried]:
    """The most upstream first, unless a later one goes clearly further."""
    ordered = sorted(cures, key=lambda one: stream(one.fault))
    lead = ordered[0]
    for one in ordered[1:]:
        if min(one.closed, 1.0) > min(lead.closed, 1.0) + BEATS:
            lead = one
    rest = sorted((one for one in ordered if one is not lead), key=lambda one: -round(min(one.closed, 1.0), 1))
    return [lead, *rest]


def _idle(case: Case, tried: list[Tried]) -> tuple[str, ...]:
    """Faults of which every change that was tried went next to nowhere, but for those that rest on what was seen."""
    furthest: dict[str, float] = {}
    for one in tried:
        furthest[one.fault] = max(one.closed, furthest.get(one.fault, -1.0))
    return tuple(fault for fault, closed in furthest.items() if closed < IDLE and not _rests(case, fault))


def _rests(case: Case, fault: str) -> bool:
    """Whether a suspicion rests on what was seen in the run, not on a guess."""
    return any(one.fault == fault and one.severity != "note" and one.confidence >= SEEN for one in case.findings)


def _without_trouble(case: Case, tried: list[Tried], told: Findings) -> Verdict:
    """Where the program does what it should, a suspicion whose undoing gains nothing is refuted."""
    refuted = []
    for fault in dict.fromkeys(one.fault for one in tried):
        mine = [one for one in tried if one.fault == fault]
        gains = any(case.beyond_noise(one.course, change=one.change) and one.closed >= IDLE for one in mine)
        if not gains and not _rests(case, fault):
            refuted.append(fault)
    return Verdict(told, tuple(refuted), well=case.reference is not None and case.share == 1.0)


# Several faults at once


def _company(case: Case, tried: list[Tried], step: Callable[[str], None]) -> list[tuple[Tried, float]]:
    """The likely changes at once; where that cures, those that cannot be left out, and what is lost without each."""
    best: dict[str, Tried] = {}
    for one in sorted(tried, key=lambda one: (-round(one.closed, 2), _loss(one.course))):
        if one.experiment.name not in ("more_capacity", "longer_run") and not _any_rate(one):
            best.setdefault(one.experiment.name, one)
    members = sorted(best.values(), key=lambda one: (-max(one.closed, one.change.likely), stream(one.fault)))[:COMPANY]
    if len(members) < 2 or not case.afford(3 + len(members)):
        return []
    step("several at once")
    all_at_once = case.train(together(one.change for one in members))
    if all_at_once is None or case.closed(all_at_once) < CURES or not case.beyond_noise(all_at_once):
        return []
    whole = case.closed(all_at_once)
    needed = []
    for one in members:
        rest = together(other.change for other in members if other is not one)
        without = case.train(rest)
        lost = whole - (0.0 if without is None else case.closed(without))
        if lost >= NEEDED:
            needed.append((one, lost))
    return sorted(needed, key=lambda pair: stream(pair[0].fault))


def _loss(course: Course) -> float:
    """What parts changes that all close nothing: which of them moved the loss the right way."""
    return course.loss if course.finite else math.inf


def _numbers(case: Case, tried: list[Tried]) -> dict[str, object]:
    """What was measured, for whoever wants to look."""
    return {
        "trouble": case.trouble.kind,
        "measure": case.trouble.measure,
        "goal": case.trouble.goal,
        "unchanged": case.merit(case.base()),
        "steps": case.steps,
        "of": case.bench.updates,
        "tried": {one.change.name: [case.merit(one.course), round(one.closed, 3)] for one in tried},
    }

"""The repair: diagnose, plan, try each remedy on a twin, keep what helps, look again, until it learns or the budget is spent.

A change is kept where, with the same rows in the same order, the twin that has it does better beyond noise, in two orders of the rows.
Then the whole is trained on a fresh seed, where the change must hold as well, and looked at again. In the end the mended program is
returned only where it is not worse than what was brought, on a fresh seed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.doctor.causes import Case
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rate_sweep import at_rate
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import Course
from tunesmith.doctor.repair.budget import Purse
from tunesmith.doctor.repair.crashed import Crashed, runs
from tunesmith.doctor.repair.outcome import Attempt, Repair
from tunesmith.doctor.repair.patient import Patient
from tunesmith.doctor.repair.plan import Planned, at_once, planned
from tunesmith.doctor.repair.twin import BEYOND, Scale, Trial, Trials, scale_of, short_share
from tunesmith.records import Clock, Findings, Program, Recipe, Safety, Task
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state

Look = Callable[[Patient], tuple[Findings, Bench | None]]

ROUNDS = 4  # causes that are undone one after the other; assumption: real programs have 2.4 faults
WHOLLY = 0.9  # of the way to the goal, beyond which nothing further is tried; as in causes
LEAST = 0.02  # of the score, which a change must gain whatever the noise; assumption
CONFIRMED = 3  # changes that help of a round that are trained in a second order, at most; assumption
TIED = 0.05  # of the way, within which the change that was planned earlier is taken; assumption
BEATS = 0.15  # of the way, by which several changes at once, or another optimizer, must beat a single one; as in causes
LATE = 2  # changes that are trained as a whole though a short twin showed nothing; assumption
HALF_DECADE = math.sqrt(10)
SHORT = 0.5  # of the updates of the whole, at most, of twins whose choice of a rate is looked at again; assumption
COMPANY = 4  # changes at once; assumption
FRESH = 2  # the order of rows of the final verification, which no trial has seen
TIMES = 3.0  # the epochs of the program, which twins may train where nothing else is asked for


@dataclass(slots=True)
class Tried:
    """A planned change, its patient, and what came of it."""

    planned: Planned
    patient: Patient
    bench: Bench
    trial: Trial

    @property
    def change(self) -> Change:
        return self.planned.change


class Mending:
    """One repair, from what was brought to what is returned."""

    def __init__(
        self, patient: Patient, look: Look, *, epochs: float | None, seconds: float | None, step: Callable[[str], None]
    ) -> None:
        self.patient, self.look, self.step = patient, look, step
        self.epochs, self.clock = epochs, Clock(seconds)
        self.purse = Purse(math.inf, self.clock)
        self.told = Repair(program=patient.program, task=patient.task, recipe=patient.recipe)
        self.failed: dict[str, str] = {}
        self.verified: dict[Bench, float] = {}  # scores on the fresh order, by bench

    def carried_out(self) -> Repair:
        """The repair."""
        before = random_state()
        try:
            self._mend()
        finally:
            set_random_state(before)
        told = self.told
        told.program, told.task, told.recipe = self.patient.program, self.patient.task, self.patient.recipe
        told.spent, told.seconds = self.purse.spent, self.clock.spent()
        told.restart_from = restart(told, self.patient.program)
        told.findings.failed |= self.failed
        return told

    # Rounds

    def _mend(self) -> None:
        told = self.told
        told.findings, bench = self.look(self.patient)
        told.left = told.findings
        if bench is None:
            told.notices.append("no training could be made of the task, so there is nothing to try a change on")
            return
        told.notices.extend(bench.notices)
        if bench.shared:
            told.notices.append("the program cannot be copied, so no change of it was tried")
            return
        own_epochs = max(1, bench.program.epochs)
        self.purse.epochs = TIMES * own_epochs if self.epochs is None else self.epochs
        if bench.measured.get("crash"):
            found = self._revived(bench)
            if found is None:
                return
            bench = found
        first: Scored | None = None
        state = self._scored(bench, told.findings if not told.changes else told.left, None)
        for _ in range(ROUNDS):
            if state is None:
                return
            first = first or state
            told.left = state.findings
            told.before = first.score if math.isnan(told.before) else told.before
            told.after, told.measure, told.chance = state.score, state.scale.measure, state.scale.chance
            told.learns = state.scale.learns(state.course)
            if not self._wanting(state) or self.purse.left() <= 0:
                break
            further = self._round(state, first)
            if further is None:
                break
            state = further
        if state is not None and first is not None and told.changes:
            self._settle(state, first)

    def _scored(self, bench: Bench, findings: Findings, beside: "Scored | None") -> "Scored | None":
        """What is known of a patient; None where it has no score."""
        try:
            with bench.guarded():
                case = Case(bench, Clock(), findings.found)
                scale = scale_of(bench) if beside is None else beside.scale
                whole = case.base()
        except Inapplicable as reason:
            self.told.notices.append(f"no change was tried: {reason}")
            return None
        trials = Trials(scale, self.purse, short_share(bench), max(1, bench.program.epochs))
        return Scored(self.patient, bench, findings, case, scale, whole, trials)

    def _wanting(self, state: "Scored") -> bool:
        """Whether there is anything to mend: trouble, no learning, or a finding that a surgery may undo."""
        return state.troubled or bool(self._plan(state, generic=False))

    def _plan(self, state: "Scored", *, generic: bool) -> list[Planned]:
        with state.bench.guarded():
            queue = planned(state.case, state.findings.found, self.failed, generic=generic)
        done = {each.change for each in self.told.changes if each.surgery != "rate"}
        return [one for one in queue if one.change.name not in done and self._fits(one)]

    def _fits(self, one: Planned) -> bool:
        return bool(one.change.recipe) if self.patient.program is None else True

    def _round(self, state: "Scored", first: "Scored") -> "Scored | None":
        """The next patient, with one more change that holds; None where there is none."""
        queue = self._plan(state, generic=state.troubled)
        tried, done = list[Tried](), set[int]()
        kept, further = None, None
        while queue and kept is None:
            known = len(tried)
            tried += self._trials(state, queue, first)
            for one in self._best(state, tried):
                if id(one) in done or not self.purse.lasts(self._reserve(state, first)):
                    continue
                done.add(id(one))
                if not self._confirmed(state, one):
                    continue
                chosen = self._calmer(state, one)
                further = self._again(state, chosen, first)
                if further is not None:
                    kept = chosen
                    break
            if len(tried) == known:
                break
        for one in tried:
            if kept is None or one.change.name != kept.change.name:
                self.told.tried.append(self._attempt(state, one, kept=False))
        if kept is None:
            return None
        self.told.changes.append(self._attempt(state, kept, kept=True))
        return further

    # Trials

    def _trials(self, state: "Scored", queue: list[Planned], first: "Scored") -> list[Tried]:
        """Changes taken from the queue and tried, until the cause is clear or one goes the whole way."""
        trials, tried = state.trials, list[Tried]()
        reserve = self._reserve(state, first)
        if not self.purse.lasts(2 * trials.cost(state.bench) + reserve):
            self.told.findings.unreached.append("trials")
            return tried
        with state.bench.guarded():
            trials.course(state.bench)
        clear = False
        while queue:
            clear = not queue[0].lead and any(one.planned.lead and self._helps(one) for one in tried)
            if clear:
                break
            planned_one = queue.pop(0)
            found = self._one(state, planned_one, reserve)
            if found is not None:
                tried.append(found)
                queue[:] = [each for each in queue if not self._spared(found, each)]
                if self._closed(state, found) > WHOLLY and planned_one.surgery.name != "capacity":
                    break
        self._between_decades(state, tried, reserve)
        if clear:
            return tried  # what else is wrong is asked of the program without this cause
        helping = [one for one in self._best(state, tried) if one.planned.surgery.name not in ("several", "capacity")]
        if len(helping) > 1 and self._closed(state, helping[0]) < WHOLLY:
            together = at_once([one.planned for one in helping[:COMPANY]], 0.0)
            found = self._one(state, together, reserve)
            if found is not None:
                tried.append(found)
        return tried

    def _spared(self, found: Tried, other: Planned) -> bool:
        """Whether a trial is spared: where a rate many times as high still changes nothing, one between changes nothing either."""
        if found.planned.surgery.name != "rate" or other.surgery.name != "rate":
            return False
        same = abs(found.trial.gain) <= BEYOND * found.trial.noise
        return same and 1.0 < other.change.variation.rate < found.change.variation.rate

    def _between_decades(self, state: "Scored", tried: list[Tried], reserve: float) -> None:
        """Half a decade above and below the rate that helped most is tried too: decades alone may miss what a rate can win."""
        rates = [one for one in tried if one.planned.surgery.name == "rate" and self._helps(one)]
        if not rates:
            return
        best = max(rates, key=lambda one: one.trial.after[0])
        if self._closed(state, best) >= 1.0:
            return
        for factor in (HALF_DECADE, 1 / HALF_DECADE):
            rate = best.change.variation.rate * factor
            change = at_rate(state.case, float(f"{rate:.2g}"), best.change.likely)
            found = self._one(state, replace(best.planned, change=change), reserve)
            if found is not None:
                tried.append(found)
                if found.trial.after[0] > best.trial.after[0]:
                    return

    def _calmer(self, state: "Scored", one: Tried) -> Tried:
        """Half a decade below a rate that was raised, where that does better in the whole training: short twins lean to high rates."""
        cost = state.trials.cost(state.bench, 1.0 if state.whole else None)
        raised = one.planned.surgery.name == "rate" and one.change.variation.rate > HALF_DECADE
        if not raised or state.trials.share > SHORT or not self.purse.lasts(2 * cost):
            return one
        rate = float(f"{one.change.variation.rate / HALF_DECADE:.2g}")
        change = at_rate(state.case, rate, one.change.likely)
        with state.bench.guarded():
            patient = self.patient.operated(state.bench, change)
        if patient is None:
            return one
        bench = patient.bench(state.bench)
        scores = [self._fresh(each, state.trials, state.whole) for each in (one.bench, bench)]
        if scores[0] is None or scores[1] is None or scores[1] <= scores[0]:
            return one
        trial = Trial([state.score], [scores[1]], steps=state.trials.steps(bench, 1.0 if state.whole else None))
        trial.noise = state.scale.error(scores[1])
        return Tried(replace(one.planned, change=change), patient, bench, trial)

    def _reserve(self, state: "Scored", first: "Scored") -> float:
        """Epochs that are kept for the verification, one whole training, and for the second order of a change."""
        return first.bench.program.epochs + 2 * state.trials.cost(state.bench)

    def _one(self, state: "Scored", one: Planned, reserve: float) -> Tried | None:
        """A change tried on a short twin; None where there is nothing to change, it raises, or the purse does not last."""
        trials = state.trials
        if not self.purse.lasts(trials.cost(state.bench) * one.change.cost + reserve):
            if one.surgery.name not in self.told.findings.unreached:
                self.told.findings.unreached.append(one.surgery.name)
            return None
        self.step(one.surgery.name)
        try:
            with state.bench.guarded():
                patient = self.patient.operated(state.bench, one.change)
            if patient is None:
                return None
            bench = patient.bench(state.bench)
            with bench.guarded():
                after = trials.course(bench)
        except Exception as error:  # whatever a changed program raises: the change does not fit it
            self.failed.setdefault(one.surgery.name, f"{one.change.name}: {type(error).__name__}: {error}")
            return None
        found = Trial([state.short(0)], [state.scale.of(after)], steps=trials.steps(state.bench))
        found.noise = self._noise(state, found)
        return Tried(one, patient, bench, found)

    def _noise(self, state: "Scored", trial: Trial) -> float:
        """The larger of the standard error of a score and of what another order of the rows makes of the unchanged program."""
        spread = abs(state.short(0) - state.short(1)) / math.sqrt(2) if len(trial.before) > 1 else 0.0
        return max(state.scale.error(max(trial.before[0], trial.after[0])), spread)

    def _closed(self, state: "Scored", one: Tried) -> float:
        """The share of the way from the unchanged program to the goal that a change goes."""
        goal = state.goal
        start = one.trial.before[0]
        return (one.trial.after[0] - start) / max(goal - start, 1e-9)

    def _best(self, state: "Scored", tried: list[Tried]) -> list[Tried]:
        """Changes in the order in which they are to be confirmed.

        The cause that is clear first, then what goes furthest; among those that go about as far the one that was planned earlier. Then
        broken invariants whose mending shows in no score. What shows in no short twin may show in the whole: that comes last.
        """
        width = TIED * max(state.goal - state.scale.floor, 1e-9)
        helping = [one for one in tried if self._helps(one)]
        proved = [one for one in tried if one.planned.proved and one not in helping and not _worse(one)]
        furthest = max((self._reach(one, width) for one in helping), default=0.0)

        def place(one: Tried) -> tuple[bool, bool, float]:
            reach = self._reach(one, width)
            tied = reach >= furthest - width
            return (not one.planned.lead, one.planned.surgery.name == "capacity", 0.0 if tied else furthest - reach)

        helping.sort(key=place)
        late = [one for one in tried if not _worse(one) and one not in helping and one not in proved]
        late = [one for one in late if state.troubled and (one.planned.lead or not (helping or proved))]
        late.sort(key=lambda one: (not one.planned.lead, -one.trial.after[0]))
        return [*helping[:CONFIRMED], *proved, *late[:LATE]]

    def _reach(self, one: Tried, width: float) -> float:
        """How far a change goes; what exchanges more than the fault must go clearly further."""
        more = one.planned.surgery.name == "several" or not one.change.sure
        return one.trial.after[0] - (BEATS / TIED * width if more else 0.0)

    def _helps(self, one: Tried) -> bool:
        return one.trial.gain > max(BEYOND * one.trial.noise, LEAST * abs(one.trial.after[0]))

    def _confirmed(self, state: "Scored", one: Tried) -> bool:
        """Whether a change helps in a second order of the rows too; one that showed nothing, whether it is not worse."""
        helped = self._helps(one)
        with one.bench.guarded():
            again = state.trials.course(one.bench, 1)
        one.trial.before.append(state.short(1))
        one.trial.after.append(state.scale.of(again))
        one.trial.noise = self._noise(state, one.trial)
        if one.planned.proved or one.planned.lead or not helped:  # the whole training decides
            return not _worse(one)
        gains = [after - before for before, after in zip(one.trial.before, one.trial.after, strict=True)]
        return sum(gains) / len(gains) > BEYOND * one.trial.noise and min(gains) > 0

    def _again(self, state: "Scored", one: Tried, first: "Scored") -> "Scored | None":
        """Looks at the changed patient anew; None where the whole training gains nothing, on an order of the rows that no trial saw."""
        silent = one.planned.proved and not self._helps(one)  # nothing to see in the score, then or now
        fresh = state.score if silent else self._fresh(one.bench, state.trials, state.whole)
        if fresh is None:
            return None
        noise = BEYOND * max(state.scale.error(state.score), state.scale.error(fresh))
        gain = fresh - state.score
        clear = one.planned.proved or (one.planned.lead and state.troubled and self._helps(one))
        least = -noise if clear else noise
        if gain <= least:
            return None
        before, self.patient = self.patient, one.patient
        findings, bench = self.look(self.patient)
        further = None
        if bench is not None and not bench.measured.get("crash"):
            further = self._scored(bench, findings, first)
        if further is None or further.score - state.score <= least:
            self.patient = before
            return None
        further.fresh = state.fresh if silent else fresh
        return further

    def _fresh(self, bench: Bench, trials: Trials, whole: bool) -> float | None:
        """The score of a training on the fresh order of the rows; None where the purse does not last for it."""
        if bench in self.verified:
            return self.verified[bench]
        share = 1.0 if whole else None
        if not self.purse.lasts(trials.cost(bench, share)):
            if "verification" not in self.told.findings.unreached:
                self.told.findings.unreached.append("verification")
            return None
        self.step("verification")
        with bench.guarded():
            self.verified[bench] = trials.scale.of(trials.course(bench, FRESH, share))
        return self.verified[bench]

    # A program that raises

    def _revived(self, bench: Bench) -> Bench | None:
        """A bench of the program with the change that makes it run; None where there is none."""
        case = Crashed(bench, self.told.findings.found)
        queue = [one for one in planned(case, self.told.findings.found, self.failed) if one.surgery.crashed]
        for one in queue:
            self.step(one.surgery.name)
            with bench.guarded():
                patient = self.patient.operated(bench, one.change)
            if patient is None:
                continue
            other = patient.bench()
            with other.guarded():
                well = runs(other)
            found = Tried(one, patient, other, Trial())
            attempt = self._attempt(None, found, kept=well)
            attempt = replace(attempt, why="repair.runs" if well else "repair.raises_still", safety=Safety.RISKY)
            if not well:
                self.told.tried.append(attempt)
                continue
            self.patient = patient
            self.told.changes.append(attempt)
            self.told.left, looked = self.look(self.patient)
            self.told.before = math.nan
            return looked
        self.told.notices.append("the program raises, and no change was found that makes it run")
        return None

    # The end

    def _settle(self, state: "Scored", first: "Scored") -> None:
        """The final verification: where what is mended is not clearly better, both are compared on a fresh order of the rows."""
        told, scale = self.told, state.scale
        told.after, told.left = state.score, state.findings
        told.learns = scale.learns(state.course)
        if told.changes[0].why == "repair.runs":
            told.before = scale.floor
            return
        again = self._fresh(state.bench, state.trials, state.whole) if math.isnan(state.fresh) else state.fresh
        after = state.score if again is None else again
        noise = BEYOND * scale.error(scale.chance)
        if not told.learns and after <= scale.chance + noise:  # no cure, whatever it was before
            told.notices.append(
                f"the changed program scored {after:.3f} on a fresh seed, as a constant answer does ({scale.chance:.3f}): "
                "what was brought is returned"
            )
            self._undo(first)
            return
        if after - first.score > 2 * BEYOND * scale.error(first.score):
            return
        before = self._fresh(first.bench, first.trials, first.whole)
        before = first.score if before is None else before
        if before - after <= BEYOND * max(scale.error(before), scale.error(after)):
            return
        told.notices.append(
            f"on a fresh seed the mended program scored {after:.3f} and the one that was brought {before:.3f}: "
            "what was brought is returned"
        )
        self._undo(first)

    def _undo(self, first: "Scored") -> None:
        """What was brought is returned, and what was kept of the changes counts as tried."""
        told = self.told
        told.tried.extend(replace(each, kept=False, why="repair.undone") for each in told.changes)
        told.changes.clear()
        self.patient = first.patient
        told.after, told.left, told.learns = told.before, told.findings, first.scale.learns(first.course)

    def _attempt(self, state: "Scored | None", one: Tried, *, kept: bool) -> Attempt:
        change, surgery = one.change, one.planned.surgery
        of_task = self.patient.program is None
        before = None if state is None else state.bench.program
        program = one.bench.program
        lines = [] if of_task else surgery.lines(program if before is None else before, program, change.values)
        helped = self._helps(one) if one.trial.before else False
        why = "repair.kept" if kept else "repair.not_again" if helped else "repair.vain"
        if kept and one.planned.proved and not helped:
            why = "repair.invariant"
        return Attempt(
            change=change.name,
            surgery=surgery.name,
            fault=one.planned.fault,
            safety=Safety.RISKY,
            recipe=dict(change.recipe) if of_task else {},
            lines=tuple(lines),
            measure="validation_score" if state is None else state.scale.measure,
            before=tuple(one.trial.before),
            after=tuple(one.trial.after),
            noise=one.trial.noise,
            steps=one.trial.steps,
            kept=kept,
            why=why,
            anew=surgery.anew,
        )


@dataclass(slots=True)
class Scored:
    """A patient that was looked at and trained as a whole."""

    patient: Patient
    bench: Bench
    findings: Findings
    case: Case
    scale: Scale
    course: Course
    trials: Trials
    fresh: float = math.nan  # the score of the whole training on an order of the rows that no trial has seen

    @property
    def troubled(self) -> bool:
        """Whether the program falls short of what it should reach, or learns nothing."""
        return self.case.trouble.there or not self.scale.learns(self.course)

    @property
    def score(self) -> float:
        """Of the whole training."""
        return self.scale.of(self.course)

    @property
    def whole(self) -> bool:
        """Whether the training that was judged is the program's whole one."""
        return self.case.share == 1.0

    @property
    def goal(self) -> float:
        """What cheap models reach on rows they have not seen; without them the best there is."""
        reference = self.case.reference
        return 1.0 if reference is None else max(reference.score, self.scale.chance)

    def short(self, seed: int) -> float:
        """The score of a short twin of the patient as it is."""
        with self.bench.guarded():
            return self.scale.of(self.trials.course(self.bench, seed))


def _worse(one: Tried) -> bool:
    """Whether a change does worse than the program without it, beyond noise."""
    return one.trial.gain < -BEYOND * one.trial.noise


def restart(told: Repair, program: Program | None) -> Literal["beginning", "checkpoint"]:
    """Where the training of what is returned begins: at its checkpoint where it has one and no change asks for fresh weights."""
    held = program is not None and program.resume_from is not None
    anew = any(each.anew for each in told.changes)
    if held and anew and program is not None:
        told.program = replace(program, resume_from=None)
    return "checkpoint" if held and not anew else "beginning"


def mended(
    subject: Program | Task,
    recipe: Recipe | None,
    look: Look,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Repair:
    """Repairs a program, or the recipe of a task. `look` diagnoses a patient and gives the bench it was done on."""
    patient = Patient(program=subject) if isinstance(subject, Program) else Patient(task=subject, recipe=recipe)
    return Mending(patient, look, epochs=epochs, seconds=seconds, step=step).carried_out()

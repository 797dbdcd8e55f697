"""The case: a program on the bench, what is known of it, and the trainings of its copies that have been made.

Two courses with the same seed see the same rows in the same order, so what differs between them is the change alone. Each is made once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.attainable import Attainable, attainable
from tunesmith.doctor.preflight.courses import Course, Variation, course, judge_rows
from tunesmith.doctor.preflight.scoring import chance, need_score
from tunesmith.doctor.preflight.short_run import kept_course, seconds_of_update
from tunesmith.records import Clock, Finding, ModelError
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.runs.history import History

Measure = Literal["training score", "validation score", "training loss"]

LONGEST = 2000  # updates of a course; assumption: seconds for small nets, and most of their runs
FEWEST = 200  # updates of a course of a long run; assumption: as preflight's
TRAININGS = 14  # that a budget should last for: the unchanged program twice, a dozen changes; assumption
SHORT = 0.8  # of what the reference gains over chance: below, the program falls short; as preflight's short_run
STANDS = 0.1  # of the loss at the start that a run took off it, or less: it stands; assumption
HELPS = 0.5  # of the loss at the start that a change takes off it where the run stands; assumption
Z = 3.0  # standard errors
WORST = 2.0  # of the variance that is not explained: beyond, a score says only that it is bad; assumption


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, measured on the unchanged program, and what a cure must reach."""

    kind: Literal["broken", "short", "apart", "stands", "none"]
    measure: Measure
    goal: float  # of the measure, at which the trouble is gone
    floor: float  # of the measure at the worst
    noise: float  # standard error of the measure

    @property
    def there(self) -> bool:
        return self.kind != "none"


class Case:
    """Everything that experiments look at, and the door through which they train."""

    def __init__(
        self, bench: Bench, clock: Clock, findings: Iterable[Finding] = (), history: History | None = None
    ) -> None:
        self.bench, self.clock = bench, clock
        self.findings = list(findings)
        self.history = history
        need_score(bench)
        self.seconds = seconds_of_update(bench)
        self.steps = self._steps()
        self.share = self.steps / max(1, bench.updates)
        self.made: dict[tuple[str, int], Course] = {}
        self.reference = self._reference()
        self.start_loss = bench.kept("causes.start", lambda: bench.twin().judged(judge_rows(bench))[0])
        self.trouble = self._trouble()

    def _steps(self) -> int:
        """Updates of a course: the whole run where the budget lasts for a dozen of them, else a part."""
        whole = min(self.bench.updates, LONGEST)
        planned = self.bench.measured.get("short_run", {}).get("steps")
        each = self.clock.left() / TRAININGS / max(self.seconds, 1e-9)
        if planned and each < whole:
            return int(planned)
        affordable = each if math.isfinite(each) else whole
        steps = int(max(1, min(whole, max(affordable, min(FEWEST, whole)))))
        if self.bench.program.loop is not None and self.bench.program.step is None:
            steps = min(self.bench.updates, max(steps, self.bench.updates_per_epoch))  # a loop is at least an epoch
        return steps

    def _reference(self) -> Attainable | None:
        try:
            found = attainable(self.bench)
        except Inapplicable:
            return None
        return found if found.signal else None

    # Trainings

    def base(self, seed: int = 0) -> Course:
        """The program as it is."""
        return kept_course(self.bench, Variation(), self.steps, seed)

    def train(self, change: Change, seed: int = 0) -> Course | None:
        """The program with a change; None where there is nothing to change."""
        key = (change.name, seed)
        if key not in self.made:
            found = self._trained(change, seed)
            if found is None:
                return None
            self.made[key] = found
        return self.made[key]

    def _trained(self, change: Change, seed: int) -> Course | None:
        if change.mend is None and change.rewrite is None:
            return kept_course(self.bench, change.variation, self.steps, seed)
        bench = self.bench if change.rewrite is None else self._rewritten(change)
        start = None
        if change.mend is not None:
            before = random_state()
            try:
                start = bench.twin()
                if not change.mend(bench, start):
                    return None
            except ModelError:  # a model whose layers cannot be followed is not mended
                return None
            finally:
                set_random_state(before)
        return course(bench, change.variation, self.steps, seed=seed, start=start)

    def _rewritten(self, change: Change) -> Bench:
        """A bench of the program with other rows or modes, judged on the rows of this one."""
        assert change.rewrite is not None
        self.bench.originals.restore()
        other = Bench(change.rewrite(self.bench, self.bench.program), clock=self.clock, kind=self.bench.kind)
        other.kept("courses.rows", lambda: judge_rows(self.bench))
        if self.bench.val is not None:
            other.kept("courses.held", lambda: self.bench.kept("courses.held", lambda: None))
        return other

    # Judgement

    def merit(self, one: Course) -> float:
        """The measure of the trouble, higher is better; the floor where there is no number."""
        value = {
            "training score": one.score,
            "validation score": one.held,
            "training loss": -one.loss,
        }[self.trouble.measure]
        if one.broke or not math.isfinite(value):
            return self.trouble.floor
        return max(value, self.trouble.floor)

    def beside(self, change: Change | None, seed: int = 0) -> float:
        """The merit that a change must beat: of the unchanged program, or of the change's control where that does better."""
        start = self.merit(self.base(seed))
        control = None if change is None or change.control is None else self.train(change.control, seed)
        return start if control is None else max(start, self.merit(control))

    def closed(self, one: Course, seed: int = 0, change: Change | None = None) -> float:
        """The share of the way from the unchanged program (or the control) to the goal that a change goes, on the same rows in the same order."""
        start = self.beside(change, seed)
        return (self.merit(one) - start) / max(self.trouble.goal - start, 1e-9)

    def beyond_noise(self, one: Course, seed: int = 0, change: Change | None = None) -> bool:
        """Whether a change gains more than chance does."""
        return self.merit(one) - self.beside(change, seed) > 2 * self.noise()

    def noise(self) -> float:
        """The larger of the standard error of the measure and of what another order of the rows makes of the unchanged program."""
        apart = abs(self.merit(self.base(0)) - self.merit(self.base(1))) / math.sqrt(2)
        return max(self.trouble.noise, apart)

    def _trouble(self) -> Trouble:
        one = self.base()
        reference = self.reference
        if reference is not None:
            floor = reference.chance - reference.gain
            noise = math.hypot(reference.noise, self._error(one.score, len(judge_rows(self.bench).target)))
            enough = min(reference.chance + SHORT * reference.gain, reference.score - Z * reference.noise)
            partly = reference.chance + STANDS * reference.gain
            score = one.score if one.finite and math.isfinite(one.score) else -math.inf
            if score < (enough if self.share == 1.0 else partly):
                kind: Literal["broken", "short"] = "short" if one.finite else "broken"
                return Trouble(kind, "training score", reference.score, floor, noise)
            held_rows = 0 if self.bench.val is None else min(1000, len(self.bench.val))
            held_noise = math.hypot(reference.noise, self._error(one.held, max(1, held_rows)))
            if self.share == 1.0 and held_rows >= 60 and math.isfinite(one.held):
                enough = min(reference.chance + SHORT * reference.gain, reference.score - Z * held_noise)
                if one.held < enough:
                    return Trouble("apart", "validation score", reference.score, floor, held_noise)
            return Trouble("none", "training score", 1.0, floor, noise)
        top = self._top()
        stands = not one.finite or (top > 0 and top - one.loss < STANDS * top)
        stuck: Literal["broken", "stands", "none"] = "stands" if stands and self.share == 1.0 else "none"
        stuck = stuck if one.finite else "broken"
        size = abs(top) if math.isfinite(top) else 1.0
        return Trouble(stuck, "training loss", -(1 - HELPS) * size, -2 * size, 0.02 * size)

    def _top(self) -> float:
        """The loss of who knows nothing: at the start, or of the best constant answer where that is known and less."""
        constant = self.bench.measured.get("start.constant")
        if isinstance(constant, float) and math.isfinite(constant) and constant > 0:
            return min(self.start_loss, constant)
        return self.start_loss

    def _error(self, score: float, rows: int) -> float:
        """A standard error of a score on so many rows: binomial, or that of a mean of squares."""
        if not math.isfinite(score):
            return 0.0
        if self.bench.kind in ("regression", "multi_regression"):
            return min(max(0.0, 1.0 - score), WORST) * math.sqrt(2 / rows)
        inside = min(max(score, 0.0), 1.0)
        return math.sqrt(max(inside * (1 - inside), 1 / rows) / rows)

    @property
    def chance(self) -> float:
        """The score of the best constant answer."""
        return chance(self.bench, judge_rows(self.bench).target) if self.reference is None else self.reference.chance

    # What is suspected

    def suspected(self, *faults: str) -> float:
        """The confidence of the surest finding about one of these faults, notes included at half of theirs; 0 where there is none."""
        told = [
            one.confidence * (0.5 if one.severity == "note" else 1.0)
            for one in self.findings
            if one.fault in faults and one.status != "refuted"
        ]
        return max(told, default=0.0)

    def afford(self, trainings: float) -> bool:
        """Whether the budget lasts for so many more trainings of the unchanged program."""
        one = self.base()
        each = max(self.seconds * self.steps, one.seconds)
        return trainings * each <= self.clock.left()

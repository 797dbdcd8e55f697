"""Trials on short twins: a change beside the program as it is, with the same rows in the same order, and noise from repeats."""

import math
from dataclasses import dataclass, field
from typing import Literal

from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import Course, Variation, course, judge_rows
from tunesmith.doctor.preflight.scoring import NUMBERS, chance
from tunesmith.doctor.repair.budget import Purse

SHARE = 0.1  # of the updates that a twin makes; assumption: AutoTrainer and successive halving use such shares
FEWEST, MOST = 40, 400  # updates of a twin; assumption: fewer show nothing, more are dear
HELD_ROWS = 30  # validation rows below which the training score counts; assumption
FLOOR = -1.0  # R² below which a score says only that it is bad; assumption
WORST = 2.0  # of the variance that is not explained, in the standard error; as in causes
BEYOND = 2.0  # standard errors

Measure = Literal["validation_score", "training_score"]


@dataclass(slots=True)
class Scale:
    """How trainings are judged: on validation rows where there are enough, else on training rows. Higher is better."""

    kind: str
    measure: Measure
    rows: int
    chance: float  # of the best constant answer

    @property
    def floor(self) -> float:
        """What a training without a number scores."""
        return FLOOR if self.kind in NUMBERS else 0.0

    def of(self, one: Course) -> float:
        """The score of a training."""
        value = one.held if self.measure == "validation_score" else one.score
        return self.floor if one.broke or not math.isfinite(value) else max(value, self.floor)

    def error(self, value: float) -> float:
        """The standard error of a score on these rows: binomial, or that of a mean of squares."""
        if self.kind in NUMBERS:
            return min(max(0.0, 1.0 - value), WORST) * math.sqrt(2 / self.rows)
        inside = min(max(value, 0.0), 1.0)
        return math.sqrt(max(inside * (1 - inside), 1 / self.rows) / self.rows)

    def learns(self, one: Course) -> bool:
        """Whether a training is better than the best constant answer, and than itself with the inputs of other rows, beyond noise."""
        score = self.of(one)
        blind = self.chance
        if self.measure == "validation_score" and math.isfinite(one.held_blind):
            blind = max(blind, one.held_blind)
        return score > blind + BEYOND * self.error(score)


def scale_of(bench: Bench) -> Scale:
    """How trainings of a bench are judged."""
    rows = judge_rows(bench)
    if bench.val is not None and len(bench.val) >= HELD_ROWS:
        held = bench.kept("courses.held", lambda: bench.batch(1000, "held", bench.val))
        return Scale(bench.kind, "validation_score", held.size, chance(bench, held.target))
    return Scale(bench.kind, "training_score", rows.size, chance(bench, rows.target))


def short_share(bench: Bench) -> float:
    """The share of its updates that a twin of the program makes."""
    updates = bench.updates
    return min(updates, MOST, max(FEWEST, SHARE * updates)) / updates


@dataclass(slots=True)
class Trials:
    """Trainings of twins that are paid out of a purse; `share` of the updates that the program would make."""

    scale: Scale
    purse: Purse
    share: float
    unit: float  # epochs of the program as it was brought

    def steps(self, bench: Bench, share: float | None = None) -> int:
        """Updates of a trial on a bench."""
        return max(1, round((self.share if share is None else share) * bench.updates))

    def cost(self, bench: Bench, share: float | None = None) -> float:
        """Passes over the rows that a trial makes."""
        return self.steps(bench, share) / bench.updates_per_epoch

    def course(self, bench: Bench, seed: int = 0, share: float | None = None) -> Course:
        """A training of a program as it stands on its bench, made once."""
        steps = self.steps(bench, share)

        def made() -> Course:
            self.purse.take(steps / bench.updates_per_epoch)
            return course(bench, Variation(), steps, seed=seed)

        return bench.kept(f"courses.{Variation()}.{steps}.{seed}", made)


@dataclass(slots=True)
class Trial:
    """The scores of a change and of the program without it, by order of the rows."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    noise: float = math.nan
    steps: int = 0

    @property
    def gain(self) -> float:
        """The least gain over the orders."""
        return min(
            (with_it - without for without, with_it in zip(self.before, self.after, strict=True)), default=-math.inf
        )

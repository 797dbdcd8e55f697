"""One fast model judged on rows drawn at random, and on rows of groups or times it never saw. No network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, matrix
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.usefulness_power import Score, folds_of, together

FOLDS = 3  # assumption


@dataclass(frozen=True, slots=True)
class Compared:
    """The same rows and model, folds by chance and folds by units: what is told more by chance was told by the units."""

    random: Score
    apart: Score

    @property
    def gain(self) -> float:
        return self.random.power - self.apart.power

    def harms(self, least: float, times: float) -> bool:
        """Whether folds by chance look better by `least` of power and leave `times` less untold, beyond three standard errors."""
        left, right = 1 - self.apart.power, 1 - self.random.power
        return self.random.beats(self.apart) and self.gain >= least and left >= times * right


def compared(material: Material, goal: Goal, inputs: Sequence[Input], rows: Array, units: Array) -> Compared:
    """`units` (len(rows),): the group of each row, or its block of time. Units are dealt to folds of about equal size."""
    rng = material.rng(f"usefulness splits {goal.name}")
    numbers = matrix(list(inputs), material.whole, rows)
    target, classes = goal.values[rows], len(goal.classes)
    by_chance = together(numbers, target, classes, folds_of(len(rows), rng, FOLDS), material.seed)
    apart = together(numbers, target, classes, dealt(units, rng), material.seed)
    return Compared(by_chance, apart)


def dealt(units: Array, rng: np.random.Generator, folds: int = FOLDS) -> Array:
    """int64 (N,): folds that divide no unit, filled by turns with the largest that is left."""
    names, codes, counts = np.unique(units, return_inverse=True, return_counts=True)
    filled = np.zeros(folds)
    chosen = np.zeros(len(names), np.int64)
    shuffled = rng.permutation(len(names))
    for unit in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        chosen[unit] = int(filled.argmin())
        filled[chosen[unit]] += counts[unit]
    return np.asarray(chosen[codes])

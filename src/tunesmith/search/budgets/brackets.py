"""Brackets of successive halving: so many configurations, and on every rung those that go on.

Trials belong to brackets by their numbers: the first bracket has the first so many, the next one those after. So whose turn it is follows
from the history alone, and while a bracket waits for its running trials the next one may begin.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle

import numpy as np

from tunesmith.search.budgets import Next
from tunesmith.search.budgets.options import begins, best_within, goes_on, left_over
from tunesmith.search.history import History
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.space import Config

Propose = Callable[[History, np.random.Generator, int], Config]  # the last is the rung on which the trial begins


@dataclass(frozen=True)
class Bracket:
    """`sizes[i]` configurations are trained up to `rungs[i]` units. `rung`: the number of its first rung on the whole ladder."""

    sizes: tuple[int, ...]
    rungs: tuple[int, ...]
    rung: int = 0


def halving(count: int, rungs: Sequence[int], eta: Fraction, rung: int = 0) -> Bracket:
    """`count` configurations on the first rung, floor(count / eta^i) on those after, one at least.

    >>> halving(81, (1, 3, 9, 27, 81), Fraction(3)).sizes
    (81, 27, 9, 3, 1)
    """
    return Bracket(tuple(max(1, int(count / eta**i)) for i in range(len(rungs))), tuple(rungs), rung)


def work_in(trials: History, first: int, bracket: Bracket) -> tuple[int, int] | None:
    """A trial of the bracket and the units it trains up to next; None where it waits or is over.

    `first`: the number of the bracket's first trial. The number of a trial not yet begun is that of the trials so far.
    """
    members = list(range(first, first + bracket.sizes[0]))
    for level, units in enumerate(bracket.rungs):
        waits = False
        for id in members:
            if id >= len(trials):
                return len(trials), units
            state, reached = trials[id].state, len(trials.scores(id)) >= units
            if state == "running":
                waits = waits or not reached
            elif state == "paused" and not reached:
                return id, units
        if waits:
            return None
        if level + 1 < len(bracket.rungs):
            members = survivors(trials, members, units, bracket.sizes[level + 1])
    return None


def survivors(trials: History, members: Sequence[int], units: int, count: int) -> list[int]:
    """The best `count` of the members at `units`, in order of their numbers; of equal ones the earlier. Failed and stopped ones never."""
    broken = ("failed", "stopped")
    alive = [id for id in members if trials[id].state not in broken and len(trials.scores(id)) >= units]
    return sorted(sorted(alive, key=lambda id: (best_within(trials, id, units), id))[:count])


def in_brackets(brackets: Sequence[Bracket], rungs: Sequence[int], propose: Propose) -> Next:
    """The budget that goes through the brackets over and over."""

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        id, units, bracket = next(_work(trials, brackets))
        if id < len(trials):
            return goes_on(trials, id, units, f"among the best of its bracket: on to {units} units")
        try:
            return begins(
                trials, propose(trials, rng, bracket.rung), units, f"a new one in a bracket of {bracket.sizes[0]}"
            )
        except Exhausted as reason:
            return left_over(trials, rungs, reason)

    return proposed


def _work(trials: History, brackets: Sequence[Bracket]) -> Iterator[tuple[int, int, Bracket]]:
    """What there is to do, bracket by bracket; there is no end, since a bracket that has not begun begins."""
    first = 0
    for bracket in cycle(brackets):
        work = work_in(trials, first, bracket)
        if work is not None:
            yield *work, bracket
        first += bracket.sizes[0]

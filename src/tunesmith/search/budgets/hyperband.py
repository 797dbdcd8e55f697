"""hyperband: successive halving from every first rung in turn, from many short trainings to a few full ones.

Use: a first search where nobody knows how early a score tells; a robust choice with many cheap trainings.
Limits: a bracket spends a full training or more on its way; with a good model or a good prior others need fewer (`bohb`, `priorband`).
Options: `eta` = 3; `table` = "jmlr" or "blog": how many configurations a bracket has, see `table`.
Source: Li et al., Hyperband, JMLR 18 (2018), algorithm 1; the other table is that of the authors' blog and of arXiv:1603.06560v1.
"""

import math
from fractions import Fraction

import numpy as np

from tunesmith.records import DataError, did_you_mean
from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.brackets import Bracket, Propose, halving, in_brackets
from tunesmith.search.budgets.options import ETA, checked_eta, ladder, most_halvings, options_of
from tunesmith.search.history import History
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.space import Config

TABLES = ("jmlr", "blog")


@BUDGETS.add("hyperband")
def hyperband(setting: Setting) -> Next:
    """All brackets in turn, over and over. Raises `DataError` for options that cannot be."""
    sampler = setting.sampler or SAMPLERS["random"]

    def propose(trials: History, rng: np.random.Generator, rung: int) -> Config:
        return sampler(setting.space, trials, rng, prior=setting.prior)

    return banded(setting, "hyperband", options_of(setting, "hyperband", **BANDS), propose)


BANDS = {"eta": ETA, "table": "jmlr"}  # the options of all budgets made of Hyperband's brackets


def banded(setting: Setting, name: str, options: dict[str, object], propose: Propose) -> Next:
    """Hyperband's brackets with another way to propose configurations."""
    eta = checked_eta(name, options["eta"])
    return in_brackets(table(setting.max_budget, eta, options["table"]), ladder(setting.max_budget, eta), propose)


def table(max_budget: int, eta: Fraction, kind: object = "jmlr") -> list[Bracket]:
    """The brackets s = s_max, …, 0; bracket s has s + 1 rungs, the last a full training.

    "jmlr": ceil((s_max + 1) eta^s / (s + 1)) configurations in bracket s; "blog": floor((s_max + 1) / (s + 1)) eta^s.

    >>> [bracket.sizes[0] for bracket in table(81, Fraction(3))]
    [81, 34, 15, 8, 5]
    >>> [bracket.sizes[0] for bracket in table(81, Fraction(3), "blog")]
    [81, 27, 9, 6, 5]
    """
    if kind not in TABLES:
        raise DataError(f"no table of brackets called {kind!r}{did_you_mean(str(kind), TABLES)}")
    most = most_halvings(max_budget, eta)
    rungs = ladder(max_budget, eta)
    brackets = []
    for s in range(most, -1, -1):
        if kind == "jmlr":
            count = math.ceil(Fraction(most + 1, s + 1) * eta**s)
        else:
            count = math.ceil((most + 1) // (s + 1) * eta**s)
        brackets.append(halving(count, rungs[most - s :] or rungs[-1:], eta, rung=most - s))
    return brackets

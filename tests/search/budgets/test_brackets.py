from fractions import Fraction

import numpy as np

from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.budgets.brackets import halving


def opened(**options):
    return Search({"x": Real(0, 1)}, 9, budget="successive_halving", sampler="random", **options)


def tell(search, proposal, failed=""):
    units = 0 if failed else proposal.upto - proposal.start
    search.tell(proposal.trial, [{"score": proposal.config["x"]}] * units, failed=failed)


def test_survivors_are_counted_down_to_the_floor_and_one_at_least():
    assert halving(34, (3, 9, 27, 81), Fraction(3)).sizes == (34, 11, 3, 1)
    assert halving(4, (1, 3, 9), Fraction(3)).sizes == (4, 1, 1)


def test_a_bracket_is_nine_three_one_and_then_another():
    search = opened()
    uptos = []
    for _ in range(14):
        proposal = search.ask()
        uptos.append((proposal.trial, proposal.upto))
        tell(search, proposal)

    best = np.argsort([search.trials[id].change["x"] for id in range(9)])
    assert uptos[:9] == [(id, 1) for id in range(9)]
    assert uptos[9:12] == [(id, 3) for id in sorted(best[:3])]
    assert uptos[12] == (best[0], 9)
    assert uptos[13] == (9, 1)


def test_while_a_rung_waits_the_next_bracket_begins():
    search = opened()
    out = [search.ask() for _ in range(9)]
    for proposal in out[:8]:
        tell(search, proposal)

    waiting = search.ask()
    tell(search, out[8])
    onward = search.ask()

    assert (waiting.trial, waiting.upto) == (9, 1)
    assert (onward.start, onward.upto) == (1, 3)


def test_failed_trials_leave_their_places_to_others():
    search = opened()
    for number in range(9):
        tell(search, search.ask(), failed="broke" if number < 7 else "")

    onward = [search.ask() for _ in range(2)]

    assert [(one.trial, one.upto) for one in onward] == [(7, 3), (8, 3)]


def test_a_bracket_of_another_size():
    search = opened(count=4, rungs=(3,))
    for _ in range(4):
        tell(search, search.ask())

    assert search.ask().upto == 9

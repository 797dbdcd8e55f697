from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import DataError
from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.budgets.hyperband import table
from tunesmith.search.budgets.options import ladder, most_halvings

JMLR = {  # Li et al., JMLR 18 (2018), n = ceil((s_max + 1) eta^s / (s + 1)) and floor(n / eta^i), R = 81, eta = 3
    4: ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
    3: ((34, 3), (11, 9), (3, 27), (1, 81)),
    2: ((15, 9), (5, 27), (1, 81)),
    1: ((8, 27), (2, 81)),
    0: ((5, 81),),
}
BLOG = {  # table 1 of arXiv:1603.06560v1
    4: ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
    3: ((27, 3), (9, 9), (3, 27), (1, 81)),
    2: ((9, 9), (3, 27), (1, 81)),
    1: ((6, 27), (2, 81)),
    0: ((5, 81),),
}


@pytest.mark.parametrize(("kind", "published"), [("jmlr", JMLR), ("blog", BLOG)])
def test_both_published_tables_to_the_number(kind, published):
    brackets = table(81, Fraction(3), kind)

    assert [tuple(zip(one.sizes, one.rungs, strict=True)) for one in brackets] == [
        published[s] for s in (4, 3, 2, 1, 0)
    ]


@pytest.mark.parametrize("power", range(1, 12))
@pytest.mark.parametrize("eta", [2, 3, 4, 10])
def test_halvings_are_counted_in_whole_numbers(power, eta):
    assert most_halvings(eta**power, Fraction(eta)) == power
    assert most_halvings(eta**power - 1, Fraction(eta)) == power - 1


@given(st.integers(1, 2000), st.sampled_from([2, 2.5, 3, 4]))
def test_any_ladder_rises_to_a_full_training(units, eta):
    rungs = ladder(units, Fraction(eta))

    assert rungs[-1] == units
    assert rungs[0] >= 1
    assert list(rungs) == sorted(set(rungs))
    assert all(len(one.sizes) == len(one.rungs) and one.rungs[-1] == units for one in table(units, Fraction(eta)))


@pytest.mark.parametrize(("kind", "published"), [("jmlr", JMLR), ("blog", BLOG)])
def test_a_search_carries_the_table_out(kind, published):
    search = Search({"x": Real(0, 1)}, 81, budget="hyperband", sampler="random", table=kind)
    trained = {}
    first = 0

    for bracket in (published[4], published[3]):
        while True:
            proposal = search._next(search.trials, np.random.default_rng(len(trained)))
            if proposal.trial >= first + bracket[0][0]:
                break
            search.begin(proposal)
            search.tell(proposal.trial, [{"score": proposal.config["x"]}] * (proposal.upto - proposal.start))
            trained[proposal.trial] = proposal.upto
        members = range(first, first + bracket[0][0])
        for count, units in bracket:
            assert sum(trained[id] >= units for id in members) == count
        best = min(members, key=lambda id: search.trials[id].change["x"])
        assert trained[best] == 81
        first += bracket[0][0]


def test_an_unknown_table_is_named():
    with pytest.raises(DataError, match="did you mean 'jmlr'"):
        Search({"x": Real(0, 1)}, 9, budget="hyperband", table="jmrl")

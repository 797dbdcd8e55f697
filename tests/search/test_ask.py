import math

import pytest

from tunesmith.records import DataError, UnknownName
from tunesmith.search import Choice, Exhausted, Int, Real
from tunesmith.search.ask import Search

SPACE = {"x": Real(-1, 1), "n": Int(1, 4)}


def opened(**given):
    return Search(SPACE, **({"max_budget": 4, "sampler": "random", "budget": "full"} | given))


def scores(*values):
    return [{"score": value} for value in values]


def test_the_same_seed_asks_the_same():
    first, again, other = opened(seed=1), opened(seed=1), opened(seed=2)

    assert first.ask() == again.ask()
    assert first.ask().config != other.ask().config


def test_all_units_of_the_total_are_handed_out_and_no_more():
    search = opened(total=10)

    asked = [search.ask() for _ in range(3)]

    assert [one.upto - one.start for one in asked] == [4, 4, 2]
    assert search.left == 0
    with pytest.raises(Exhausted, match="10 budget units"):
        search.ask()


def test_units_that_were_not_trained_come_back():
    search = opened(total=8)
    first = search.ask()

    search.tell(first.trial, scores(1.0), failed="out of memory")

    assert search.left == 7
    assert search.trials[0].state == "failed"
    assert search.trials[0].reason == "out of memory"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        (scores(4, 3, 2, 1), "done"),
        (scores(4, 3), "paused"),
        (scores(4, math.nan, 2, 1), "failed"),
        (scores(4, math.inf), "failed"),
        ([{"score": 4}, {"score": 5, "cause": "loss.divergence"}], "stopped"),
        ([{"loss": 4}], "failed"),
    ],
)
def test_what_becomes_of_a_trial(records, state):
    search = opened()

    search.tell(search.ask().trial, records)

    assert search.trials[0].state == state


def test_records_may_be_all_of_a_trial_or_the_new_ones():
    search = opened()
    for told in (scores(4), scores(3, 2, 1)), (scores(4), scores(4, 3, 2, 1)):
        trial = search.ask().trial
        for records in told:
            if search.trials[trial].state != "running":
                search.ask()
            search.tell(trial, records)

    assert [[record["score"] for record in trial.records] for trial in search.trials] == [[4, 3, 2, 1]] * 2


def test_a_score_that_stays_the_same_is_news():
    search = opened()
    trial = search.ask().trial
    search.tell(trial, scores(1.0, 1.0))
    again = search.ask()

    search.tell(trial, scores(1.0, 1.0))

    assert (again.trial, again.start) == (trial, 2)
    assert search.trials[trial].state == "done"


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: opened().tell(0, []), "never proposed"),
        (lambda: opened(max_budget=0), "max_budget is 0"),
        (lambda: opened(max_budget=1.5), "whole number"),
        (lambda: opened(total=True), "total is True"),
        (lambda: opened(prior={"y": 1}), "the prior names 'y'"),
        (lambda: opened(eta=3), "no option 'eta'"),
    ],
)
def test_wrong_use_gets_a_sentence(act, says):
    with pytest.raises(DataError, match=says):
        act()


def test_more_records_than_asked_for_are_refused():
    search = opened()

    with pytest.raises(DataError, match="5 records"):
        search.tell(search.ask().trial, scores(5, 4, 3, 2, 1))


@pytest.mark.parametrize("given", [{"sampler": "radnom"}, {"budget": "ashaa"}])
def test_unknown_members_are_named(given):
    with pytest.raises(UnknownName, match="did you mean"):
        opened(**given)


def test_a_finite_space_ends():
    search = Search({"a": Choice([1, 2, 3])}, 1, sampler="grid", budget="full")

    asked = []
    with pytest.raises(Exhausted):
        while True:
            asked.append(search.ask().config["a"])

    assert asked == [1, 2, 3]

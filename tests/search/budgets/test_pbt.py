import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.ask import Search
from tunesmith.search.budgets.pbt import explored, perturbed

SPACE = {"lr": Real(1e-4, 1, log=True), "n": Choice(["a", "b"])}


def opened(max_budget=6, **options):
    given = {"population": 4, "every": 2} | options
    return Search(SPACE, max_budget, budget="pbt", sampler="random", **given)


def train(search, proposal, score):
    search.tell(proposal.trial, [{"score": score}] * (proposal.upto - proposal.start))


def first_round(search, scores):
    out = [search.ask() for _ in scores]
    for proposal, score in zip(out, scores, strict=True):
        train(search, proposal, score)
    return out


def test_the_worst_takes_over_from_the_best_and_then_all_go_on():
    search = opened()
    begun = first_round(search, [3.0, 1.0, 4.0, 2.0])

    taken = search.ask()
    rest = [search.ask() for _ in range(3)]

    assert [(one.start, one.upto, one.copy_from) for one in begun] == [(0, 2, None)] * 4
    assert (taken.trial, taken.copy_from, taken.start, taken.upto) == (2, 1, 2, 4)
    assert taken.config != search.trials[1].change
    assert [(one.trial, one.copy_from) for one in rest] == [(0, None), (1, None), (3, None)]
    assert dict(search.trials[2].change) == dict(taken.config)


def test_while_one_member_runs_the_next_population_begins():
    search = opened()
    out = [search.ask() for _ in range(4)]
    for proposal in out[:3]:
        train(search, proposal, 1.0)

    proposal = search.ask()

    assert (proposal.trial, proposal.start) == (4, 0)


def test_members_are_compared_by_their_latest_score():
    """Trial 0 was the best once; its weights are the worst now."""
    search = opened()
    for last in (9.0, 1.0, 2.0, 3.0):
        search.tell(search.ask().trial, [{"score": 0.0}, {"score": last}])

    taken = search.ask()

    assert (taken.trial, taken.copy_from) == (0, 1)


def test_a_failed_member_takes_over_once_and_is_then_given_up():
    search = opened()
    out = [search.ask() for _ in range(4)]
    search.tell(out[0].trial, [], failed="out of memory")
    for proposal, score in zip(out[1:], (1.0, 2.0, 3.0), strict=True):
        train(search, proposal, score)

    taken = search.ask()
    search.tell(taken.trial, [], failed="again")
    later = [search.ask() for _ in range(4)]

    assert (taken.trial, taken.copy_from, taken.start, taken.upto) == (0, 1, 0, 4)
    assert 0 not in [one.trial for one in later]


def test_nobody_is_trained_past_the_end():
    search = opened(5, every=2)
    for _ in range(12):
        train(search, search.ask(), 1.0)

    assert [len(search.trials.scores(id)) for id in range(4)] == [5] * 4
    assert search.ask().trial == 4


def test_numbers_are_multiplied_by_08_or_12_and_kept_in_range():
    rng = np.random.default_rng(0)
    lr, depth = Real(1e-4, 1, log=True), Int(1, 100)

    found = {round(lr.from_unit(perturbed(lr, 0.1, rng)), 6) for _ in range(40)}
    whole = {depth.from_unit(perturbed(depth, 50, rng)) for _ in range(40)}

    assert found == {0.08, 0.12}
    assert whole == {40, 60}
    assert all(lr.holds(lr.from_unit(perturbed(lr, 1.0, rng))) for _ in range(20))
    assert 0.0 not in {Real(0, 1).from_unit(perturbed(Real(0, 1), 0.0, rng)) for _ in range(20)}


def test_small_whole_numbers_and_ordered_choices_move_to_others_and_unordered_ones_stay():
    rng = np.random.default_rng(0)

    assert 1 not in {Int(1, 4).from_unit(perturbed(Int(1, 4), 1, rng)) for _ in range(20)}
    ordinal = Ordinal([16, 32, 64])
    assert 32 not in {ordinal.from_unit(perturbed(ordinal, 32, rng)) for _ in range(20)}
    choice = Choice(["a", "b", "c"])
    assert {choice.from_unit(perturbed(choice, "b", rng)) for _ in range(20)} == {"b"}


def test_what_may_not_change_and_what_the_constraints_refuse_stay():
    space = Space({"a": Real(0, 1), "b": Real(0, 1)}, ["a + b <= 1"])
    rng = np.random.default_rng(0)

    found = [explored(space, {"a": 0.6, "b": 0.4}, ("a",), 0.25, rng) for _ in range(50)]

    assert {one["b"] for one in found} == {0.4}
    assert all(space.holds(one) for one in found)
    assert len({one["a"] for one in found}) > 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"population": 1}, "population = 1"),
        ({"share": 0.7}, "share = 0.7"),
        ({"resample": -1}, "resample = -1"),
        ({"every": 0}, "every = 0"),
        ({"changes": ["lrr"]}, "did you mean 'lr'"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(DataError, match=says):
        opened(**options)

import math

import numpy as np
import pytest

from tunesmith.records import DataError, Trial
from tunesmith.search import Real, Space
from tunesmith.search.ask import Search
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.history import History

SPACE = Space({"x": Real(0, 1)})


def history(*curves):
    """Trials of (scores, state), or of scores alone that are paused."""
    trials = History()
    for id, curve in enumerate(curves):
        scores, state = curve if isinstance(curve, tuple) else (curve, "paused")
        records = tuple({"score": score} for score in scores)
        trials.put(Trial(id=id, change={"x": id / 100}, records=records, state=state))
    return trials


def following(trials, **options):
    """(trial, start, upto) of the next proposal at rungs 1, 3, 9."""
    proposal = BUDGETS["asha"](Setting(space=SPACE, max_budget=9, options=options))(trials, np.random.default_rng(0))
    return proposal.trial, proposal.start, proposal.upto


def test_two_trials_are_too_few_to_promote_one():
    assert following(history([1.0], [2.0])) == (2, 0, 1)


def test_the_best_of_three_goes_on_from_where_it_stopped():
    assert following(history([3.0], [1.0], [2.0])) == (1, 1, 3)


def test_who_has_gone_on_keeps_its_place_and_the_next_waits_for_six():
    promoted = [1.0, 0.9, 0.8]

    assert following(history([3.0], promoted, [2.0], [4.0], [5.0])) == (5, 0, 1)
    assert following(history([3.0], promoted, [2.0], [4.0], [5.0], [6.0])) == (2, 1, 3)


def test_a_late_better_trial_takes_the_place():
    assert following(history([3.0], [1.0, 0.9, 0.8], [2.0], [4.0], [5.0], [0.5])) == (5, 1, 3)


def test_the_highest_rung_is_looked_at_first():
    top = [[0.5, 0.5, 0.5], [0.6, 0.6, 0.2], [0.7, 0.7, 0.7]]

    assert following(history(*top, *[[1.0]] * 6)) == (1, 3, 9)


def test_a_running_trial_holds_its_place_and_is_not_proposed():
    trials = history([3.0], [1.0], [2.0])
    trials.begun(1, 3)

    assert following(trials) == (3, 0, 1)


def test_failed_and_stopped_trials_count_as_the_worst_of_the_rung_they_were_on_the_way_to():
    broken = history([2.0], ([math.nan], "failed"), ([], "failed"))

    assert following(broken) == (0, 1, 3)
    assert following(history([2.0], ([1.0], "stopped"), [3.0])) == (3, 0, 1)  # stopped, it keeps the place it earned
    on_the_way = history(([0.1, math.nan], "failed"), ([0.2, 0.2], "stopped"), [1.0, 1.0, 1.0], *[[2.0]] * 6)
    assert following(on_the_way) == (2, 3, 9)


def test_only_failures_promote_nobody():
    assert following(history(*[([math.nan], "failed")] * 9)) == (9, 0, 1)


def test_a_trial_that_was_cut_off_comes_to_its_rung_first():
    assert following(history([3.0], [1.0, 1.0], [2.0])) == (1, 2, 3)
    assert following(history([])) == (0, 0, 1)


def test_scores_are_compared_within_the_rung():
    """What a trial reached later does not count where it is compared."""
    assert following(history([5.0, 0.0, 0.0], [1.0], [2.0])) == (1, 1, 3)


def test_rungs_can_be_named():
    assert following(history([3.0, 3.0], [1.0, 1.0]), rungs=(2, 5), eta=2) == (1, 2, 5)
    assert following(history(), rungs=(2, 5)) == (0, 0, 2)


@pytest.mark.parametrize("rungs", [(3, 1), (1, 1), (1, 99), (), "129", (0, 3), (1.5, 3)])
def test_rungs_that_do_not_rise_are_refused(rungs):
    with pytest.raises(DataError, match="rungs"):
        following(history(), rungs=rungs)


def test_of_many_trials_a_third_go_on_and_few_more():
    search = Search(SPACE, 9, budget="asha", sampler="random")
    for _ in range(200):
        proposal = search.ask()
        search.tell(proposal.trial, [{"score": proposal.config["x"]}] * (proposal.upto - proposal.start))

    lengths = np.array([len(search.trials.scores(id)) for id in range(len(search.trials))])

    for units, share in ((3, 3), (9, 9)):  # and those promoted too early, some sqrt(n): section 3.1
        assert 0 <= (lengths >= units).sum() - len(lengths) // share <= len(lengths) ** 0.5
    assert lengths[search.trials.values().argmin()] == 9

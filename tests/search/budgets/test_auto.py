import math

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Exhausted, Int, Real
from tunesmith.search.ask import Search

SPACE = {
    "lr": Real(1e-5, 1e1, log=True),
    "width": Int(8, 128, log=True),
    "optimizer": Choice(["sgd", "adam"]),
    "momentum": Real(0, 0.99, when=("optimizer", "sgd")),
}
END = 9
EXPERT = {"lr": 1e-2, "width": 64, "optimizer": "adam"}


def curve(config, upto, offset=0.0):
    """Falls towards a bowl over log lr and width; sgd is a little worse."""
    bowl = (math.log10(config["lr"]) + 2 + offset) ** 2 / 8 + (math.log2(config["width"]) - 6) ** 2 / 50
    bowl += 0.1 * (config["optimizer"] == "sgd") * (1.5 - config.get("momentum", 0))
    return [{"score": 0.02 + bowl + math.exp(-epoch / 3)} for epoch in range(1, upto + 1)]


def run(search, trainer=curve, most=10_000):
    proposals = []
    for _ in range(most):
        try:
            proposal = search.ask()
        except Exhausted:
            break
        proposals.append(proposal)
        search.tell(proposal.trial, trainer(proposal.config, proposal.upto))
    return proposals


def test_it_needs_fewer_epochs_than_random_search():
    found, random = [], []
    for seed in range(3):
        search = Search(SPACE, END, total=12 * END, seed=seed)
        run(search)
        found.append(search.trials.value(search.best.id))
        plain = Search(SPACE, END, total=12 * END, seed=seed, sampler="random", budget="full")
        run(plain)
        random.append(plain.trials.value(plain.best.id))

    assert np.median(found) < np.median(random)


def test_trials_are_put_to_rest_and_gone_on_with_and_no_epoch_is_counted_twice():
    search = Search(SPACE, END, total=100, seed=1)

    proposals = run(search)

    assert sum(one.upto - one.start for one in proposals) == 100
    assert any(one.start > 0 for one in proposals)
    assert any(trial.state == "paused" for trial in search.trials)
    assert any(trial.state == "done" for trial in search.trials)


def test_a_new_object_goes_on_from_a_history_as_the_old_one_would():
    whole = Search(SPACE, END, total=100, seed=2)
    expected = run(whole)
    first = Search(SPACE, END, total=100, seed=2)
    begun = run(first, most=20)
    second = Search(SPACE, END, total=100, seed=2)
    second.book = first.book

    rest = run(second)

    assert [*begun, *rest] == expected


def test_a_good_expert_is_followed_and_a_bad_one_left():
    good = Search(SPACE, END, total=6 * END, prior=EXPERT, seed=3)
    bad = Search(SPACE, END, total=6 * END, prior={"lr": 9.0, "width": 8, "optimizer": "sgd"}, seed=3)
    none = Search(SPACE, END, total=6 * END, seed=3)
    for search in (good, bad, none):
        run(search)

    assert good.trials.value(good.best.id) <= none.trials.value(none.best.id) + 0.01
    assert bad.best.change["lr"] < 1
    assert len(bad.trials.scores(0)) < END


def test_around_a_believed_expert_some_are_drawn_before_the_model_is_asked():
    proposals = run(Search(SPACE, END, total=20 * END, prior=EXPERT, seed=3), most=12)

    near = [one.config for one in proposals if one.because == "drawn around what the expert said"]

    assert [one.because for one in proposals[3:11]] == ["drawn around what the expert said"] * 8
    assert proposals[11].because != "drawn around what the expert said"
    assert len({str(config) for config in near}) == 8
    assert np.median([abs(math.log10(config["lr"]) + 2) for config in near]) < 1  # drawn evenly it would be 1.5


def test_a_surer_expert_has_them_nearer():
    apart = []
    for confidence in (0.1, 0.95):
        prior = {name: (value, confidence) for name, value in EXPERT.items()}
        proposals = [run(Search(SPACE, END, total=20 * END, prior=prior, seed=seed), most=11) for seed in range(4)]
        near = [one.config for run_ in proposals for one in run_ if "around" in one.because]
        apart.append(np.mean([abs(math.log10(config["lr"]) + 2) for config in near]))

    assert apart[1] < 0.5 * apart[0]


def test_a_small_budget_has_fewer_of_them_and_an_expert_who_is_not_believed_none():
    small = run(Search(SPACE, END, total=2 * END, prior=EXPERT, seed=3))
    wrong = run(Search(SPACE, END, total=20 * END, prior={"lr": 9.0, "width": 8, "optimizer": "sgd"}, seed=3))
    without = run(Search(SPACE, END, total=20 * END, prior=EXPERT, seed=3, expert=False), most=12)

    assert sum("around" in one.because for one in small) == 1
    assert not any("around" in one.because for one in (*wrong, *without))


def test_what_fails_is_avoided():
    def failing(config, upto):  # the best lies two decades below
        return [{"score": math.nan}] if config["lr"] > 1e-2 else curve(config, upto, offset=2.0)

    search = Search(SPACE, END, total=12 * END, seed=4)
    run(search, failing)

    failed = [trial for trial in search.trials if trial.state == "failed"]
    half = len(search.trials) // 2
    assert failed
    assert sum(trial.id >= half for trial in failed) < len(failed) / 2
    assert all("nan" in trial.reason for trial in failed)


def test_a_cause_ends_a_trial_and_is_kept():
    def caused(config, upto):
        records = curve(config, upto)
        return [*records[:-1], records[-1] | {"cause": "loss.diverges"}] if config["lr"] > 1 else records

    search = Search(SPACE, END, total=10 * END, seed=5)
    proposals = run(search, caused)

    stopped = [trial for trial in search.trials if trial.state == "stopped"]
    assert stopped
    assert {trial.reason for trial in stopped} == {"loss.diverges"}
    for trial in stopped:
        assert [one.trial for one in proposals].count(trial.id) == 1


def test_several_at_once_are_different_and_none_is_trained_twice_at_once():
    search = Search(SPACE, END, total=30 * END, seed=6)
    running = [search.ask() for _ in range(4)]
    for _ in range(60):
        oldest = running.pop(0)
        search.tell(oldest.trial, curve(oldest.config, oldest.upto))
        running.append(search.ask())

        assert len({one.trial for one in running}) == 4
        assert len({str(one.config) for one in running}) == 4


def test_a_finite_space_is_gone_through_once():
    search = Search({"a": Int(1, 3), "b": Choice(["x", "y"])}, 3, seed=7)

    proposals = run(search, lambda config, upto: [{"score": config["a"] / e} for e in range(1, upto + 1)], most=100)

    assert len(search.trials) == 6
    assert all(trial.state == "done" for trial in search.trials)
    assert len(proposals) <= 6 * 3


@pytest.mark.parametrize("space", [{"a": 3}, {"a": Choice(["x", "y"])}])
def test_a_space_smaller_than_what_is_drawn_is_trained_to_the_end(space):
    search = Search(space, 9, seed=7)

    run(search, lambda config, upto: [{"score": 1 / epoch} for epoch in range(1, upto + 1)], most=100)

    assert {trial.state for trial in search.trials} == {"done"}


@pytest.mark.parametrize("scores", [(-1.0, -2.0), (0.0, 0.0), (0.5, 0.5), (1e308, 1e307), (1e12, 3e12)])
def test_scores_of_any_size_and_sign_are_borne(scores):
    search = Search(SPACE, 3, total=40, seed=8)

    run(search, lambda config, upto: [{"score": scores[config["optimizer"] == "sgd"]}] * upto)

    assert search.trials.spent == 40


def test_more_workers_than_what_is_drawn_may_begin_before_the_first_score():
    search = Search(SPACE, END, total=200, seed=9)

    begun = [search.ask() for _ in range(12)]

    assert len({one.trial for one in begun}) == 12


def test_one_unit_is_enough():
    search = Search(SPACE, 1, total=30, seed=8)

    proposals = run(search, lambda config, upto: curve(config, END)[-1:])

    assert len(search.trials) == len(proposals) == 30


@pytest.mark.parametrize("switch", ["expert", "guard", "curve", "promotion", "cause"])
def test_each_ingredient_can_be_left_out(switch):
    prior = {"lr": 1e-3, "width": 32, "optimizer": "adam"}
    whole = run(Search(SPACE, END, total=80, prior=prior, seed=9), _with_causes)

    without = run(Search(SPACE, END, total=80, prior=prior, seed=9, **{switch: False}), _with_causes)

    assert sum(one.upto - one.start for one in without) <= 80
    assert [(one.config, one.upto) for one in without] != [(one.config, one.upto) for one in whole]


def _with_causes(config, upto):
    records = curve(config, upto)
    return [*records[:-1], records[-1] | {"cause": "loss.diverges"}] if config["lr"] > 0.1 else records


def test_unknown_options_are_refused():
    with pytest.raises(DataError, match=r"no option 'curves'; did you mean 'curve'"):
        Search(SPACE, END, curves=False)


def test_new_trials_and_old_ones_both_have_their_share():
    shares = {}
    for balance in (True, False):
        search = Search(SPACE, 27, total=20 * 27, seed=11, balance=balance)
        run(search)
        first = sum(min(3, len(trial.records)) for trial in search.trials)
        shares[balance] = first / search.trials.spent

    assert 0.33 < shares[True] < 0.63
    assert shares[True] != shares[False]


def test_without_an_expert_the_usual_rate_is_where_the_search_begins():
    usual, plain = [], []
    for seed in range(12):
        for found, options in ((usual, {}), (plain, {"experience": False})):
            search = Search(
                {"lr": Real(1e-6, 1e2, log=True), "x": Real(0, 1)}, END, total=2 * END, seed=seed, **options
            )
            run(search, lambda config, upto: [{"score": config["x"]}] * upto, most=5)
            found += [abs(math.log10(trial.change["lr"]) + 3) for trial in search.trials]

    assert np.median(usual) < np.median(plain) / 1.5


def test_a_usual_rate_that_misleads_is_left():
    """The best rate lies three decades off."""

    def far(config, upto):
        return [
            {"score": 0.02 + (math.log10(config["lr"])) ** 2 / 8 + math.exp(-epoch / 3)} for epoch in range(1, upto + 1)
        ]

    search = Search({"lr": Real(1e-6, 1e2, log=True), "x": Real(0, 1)}, END, total=15 * END, seed=12)
    run(search, far)

    assert abs(math.log10(search.best.change["lr"])) < 0.5

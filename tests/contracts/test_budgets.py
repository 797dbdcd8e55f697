"""What every budget keeps, whatever becomes of the trials and however many run at once."""

import math

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Exhausted, Int, Ordinal, Real, Space
from tunesmith.search.ask import Search
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.history import History

SPACE = Space(
    {
        "lr": Real(1e-5, 1e-1, log=True),
        "depth": Int(1, 6),
        "width": Ordinal([16, 32, 64, 128]),
        "name": Choice(["sgd", "adam"]),
        "momentum": Real(0, 0.99, when=("name", "sgd")),
    },
    ["depth * width <= 400"],
)
PRIOR = {"lr": 1e-3, "width": (64, "high"), "depth": 2, "name": "adam"}
OWN = [name for name in BUDGETS if name != "auto"]
PLAIN = [name for name in OWN if name not in ("bohb", "priorband")]  # they take a sampler


def loss(config, unit):
    level = (math.log10(config["lr"]) + 3) ** 2 / 10 + abs(config["depth"] - 3) / 10 + (config["name"] == "sgd") / 5
    return level + 2.0 / (unit + 1)


def check(search, proposal):
    """A proposal that can be carried out."""
    known = search.trials
    assert 0 <= proposal.start < proposal.upto <= search.max_budget
    if proposal.trial == len(known):
        assert proposal.start == 0
        assert proposal.copy_from is None
        assert search.space.holds(proposal.config)
        return
    trial = known[proposal.trial]
    assert proposal.start == len(known.scores(trial.id))
    if proposal.copy_from is None:
        assert trial.state == "paused"
        assert dict(proposal.config) == dict(trial.change)
    else:
        assert trial.state != "running"
        assert search.space.holds(proposal.config)
        assert len(known.scores(proposal.copy_from)) > 0


def run(search, asks, *, workers=1, seed=0, fails=0.0, stops=0.0, cuts=0.0):
    """Asks and tells with `workers` at once, in an order drawn at random; some fail, stop for a cause or are cut off."""
    rng = np.random.default_rng(seed)
    out, made = [], []
    for _ in range(asks):
        if len(out) == workers:
            finish(search, out.pop(int(rng.integers(len(out)))), rng, fails, stops, cuts)
        made.append(search._next(search.trials, np.random.default_rng([search.seed, search.asked])))
        check(search, made[-1])
        search.begin(made[-1])
        out.append(made[-1])
    return made


def finish(search, proposal, rng, fails, stops, cuts):
    units = range(proposal.start + 1, proposal.upto + 1)
    records = [{"score": loss(proposal.config, unit)} for unit in units]
    fate = rng.uniform()
    if fate < fails / 2:
        records[-1]["score"] = math.nan
    elif fate < fails:
        search.tell(proposal.trial, records[:-1], failed="ran out of memory")
        return
    elif fate < fails + stops:
        records[-1]["cause"] = "diverging"
    elif fate < fails + stops + cuts:
        records = records[:-1]
    search.tell(proposal.trial, records)


def made(name, max_budget=9, **more):
    return Search(SPACE, max_budget, budget=name, prior=PRIOR, seed=3, **more)


@pytest.mark.parametrize("name", OWN)
def test_three_hundred_proposals_can_all_be_carried_out(name):
    search = made(name)

    run(search, 300, workers=4)

    assert search.trials.spent >= 290
    assert max(len(search.trials.scores(id)) for id in range(len(search.trials))) == 9


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("workers", [1, 3])
def test_failed_stopped_and_cut_off_trials_hold_nothing_up(name, workers):
    search = made(name)

    run(search, 100, workers=workers, fails=0.06, stops=0.04, cuts=0.1)

    assert math.isfinite(search.trials.value(search.best.id))
    assert max(len(trial.records) for trial in search.trials) >= 8


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("budget", [1, 2, 3])
def test_trainings_of_one_to_three_units(name, budget):
    search = made(name, budget)

    run(search, 40, workers=2, fails=0.1)

    assert sum(trial.state == "done" for trial in search.trials) >= 1


@pytest.mark.parametrize("name", OWN)
def test_the_same_seed_gives_the_same_search(name):
    first, again = (run(made(name), 40, workers=3, fails=0.1) for _ in range(2))

    assert first == again


@pytest.mark.parametrize("name", OWN)
def test_a_search_where_everything_fails_goes_on(name):
    search = made(name)

    run(search, 40, workers=2, fails=1.0)

    assert search.best is None or search.trials.spent >= 0
    assert all(trial.state in ("failed", "running") for trial in search.trials)


@pytest.mark.parametrize("name", OWN)
def test_a_finite_space_is_gone_through_and_then_it_ends(name):
    space = {"width": Ordinal([1, 2, 3]), "name": Choice(["a", "b"])}
    search = Search(space, 4, budget=name, prior={"width": 2}, eta=2) if "eta" in options(name) else None
    search = search or Search(space, 4, budget=name, prior={"width": 2})

    with pytest.raises(Exhausted, match="all configurations"):
        for _ in range(200):
            proposal = search.ask()
            check_units(search, proposal)
            score = proposal.config["width"] + (proposal.config["name"] == "b") / 2
            search.tell(proposal.trial, [{"score": score}] * (proposal.upto - proposal.start))

    assert len({tuple(sorted(trial.change.items())) for trial in search.trials}) == 6 or name == "pbt"
    assert all(trial.state == "done" for trial in search.trials)


def check_units(search, proposal):
    assert proposal.start < proposal.upto <= search.max_budget


def options(name):
    """Names of the options of a budget, from the sentence that refuses another."""
    try:
        BUDGETS[name](
            Setting(space=SPACE, max_budget=9, prior=Search(SPACE, 1, prior=PRIOR).setting.prior, options={"qqq": 1})
        )
    except DataError as refused:
        return str(refused)
    raise AssertionError(f"{name} takes any option")


@pytest.mark.parametrize("name", OWN)
def test_an_unknown_option_is_refused_in_a_sentence(name):
    with pytest.raises(DataError, match=f"the budget {name} has no option 'qqq'"):
        made(name, qqq=1)


@pytest.mark.parametrize("name", [name for name in OWN if name not in ("full", "median_stopping", "pbt")])
@pytest.mark.parametrize("eta", [1, 0.5, "3", True, math.nan, math.inf])
def test_an_eta_that_halves_nothing_is_refused(name, eta):
    with pytest.raises(DataError, match="eta = "):
        made(name, eta=eta)


@pytest.mark.parametrize("name", [name for name in OWN if name not in ("full", "median_stopping", "pbt")])
@pytest.mark.parametrize("eta", [2, 2.5, 4])
def test_other_etas_work(name, eta):
    run(made(name, 16, eta=eta), 50, workers=2)


@pytest.mark.parametrize("name", PLAIN)
def test_the_sampler_named_is_asked(name):
    asked = []

    def sampler(space, trials, rng, *, prior=None):
        asked.append(len(trials))
        return space.sample(rng)

    run(made(name, sampler=sampler), 20)

    assert asked


@pytest.mark.parametrize("name", OWN)
def test_the_total_is_spent_to_the_unit(name):
    search = made(name, total=50)

    with pytest.raises(Exhausted, match="50"):
        for _ in range(100):
            finish(search, search.ask(), np.random.default_rng(0), 0, 0, 0)

    assert search.trials.spent == 50


@pytest.mark.parametrize("name", OWN)
def test_it_says_why(name):
    proposals = run(made(name), 30)

    assert name == "full" or all(len(proposal.because.split()) >= 3 for proposal in proposals)


@pytest.mark.parametrize("name", OWN)
def test_its_page_says_when_and_from_where(name):
    said = __import__(f"tunesmith.search.budgets.{name}", fromlist=["x"]).__doc__

    assert said.startswith(f"{name}: ")
    assert name == "full" or all(f"\n{row}: " in said for row in ("Use", "Limits", "Source"))


@pytest.mark.parametrize("name", OWN)
def test_an_empty_history_begins_with_trial_zero(name):
    setting = made(name).setting

    proposal = BUDGETS[name](setting)(History(), np.random.default_rng(0))

    assert (proposal.trial, proposal.start) == (0, 0)

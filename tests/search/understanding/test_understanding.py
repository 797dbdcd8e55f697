"""What a search has taught: closed forms, planted structure, laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tunesmith.records import DataError, Trial, UnknownName
from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.understanding import (
    advice,
    duplicates,
    edges,
    importance,
    isolation,
    parallel,
    pareto,
    picture,
    rounds,
)
from tunesmith.search.understanding.at_edges import agreeing
from tunesmith.search.understanding.by_rounds import narrowed
from tunesmith.search.understanding.fronts import front
from tunesmith.search.understanding.importances import density
from tunesmith.search.understanding.isolating import expected_best
from tunesmith.search.understanding.modelled import expected_improvement
from tunesmith.search.understanding.repeats import groups

SPACE = Space(
    {
        "lr": Real(1e-5, 1e-1, log=True),
        "optimizer": Choice(["sgd", "adam", "rmsprop"]),
        "momentum": Real(0, 0.99, when=("optimizer", "sgd")),
        "layers": Int(1, 8),
        "batch": Ordinal([16, 32, 64, 128]),
    }
)


def trials_of(space, score, count=100, seed=0, **fields):
    rng = np.random.default_rng(seed)
    found = []
    for id in range(count):
        config = space.sample(rng)
        found.append(told(id, config, score(config), **fields))
    return found


def told(id, config, score, state="done", **record):
    records = () if score is None else ({"score": float(score), **record},)
    return Trial(id=id, change=config, records=records, state=state, spent=float(len(records)))


def by_rate(config):
    return abs(math.log10(config["lr"]) + 3)


class TestImportance:
    @pytest.mark.parametrize("planted", ["lr", "layers", "batch"])
    def test_the_planted_one_is_found(self, planted):
        domain = SPACE[planted]
        trials = trials_of(SPACE, lambda config: (domain.to_unit(config[planted]) - 0.4) ** 2, 200)

        shares = importance(SPACE, trials)

        assert next(iter(shares)) == planted
        assert shares[planted] > 0.6
        assert sum(shares.values()) == pytest.approx(1)

    def test_a_choice_is_found(self):
        trials = trials_of(SPACE, lambda config: float(config["optimizer"] != "adam"), 200)

        assert next(iter(importance(SPACE, trials))) == "optimizer"

    def test_noise_alone_gives_no_one_nearly_all(self):
        rng = np.random.default_rng(1)
        trials = trials_of(SPACE, lambda config: rng.normal(), 400)

        assert max(importance(SPACE, trials).values()) < 0.7

    def test_it_depends_on_the_order_of_scores_alone(self):
        trials = trials_of(SPACE, by_rate, 80)
        stretched = [told(trial.id, trial.change, math.exp(trial.records[0]["score"])) for trial in trials]

        assert importance(SPACE, trials) == importance(SPACE, stretched)

    def test_failed_trials_count_as_bad(self):
        trials = [
            told(trial.id, trial.change, 0.5)
            if trial.change["layers"] <= 4
            else told(trial.id, trial.change, None, "failed")
            for trial in trials_of(SPACE, by_rate, 120)
        ]

        assert next(iter(importance(SPACE, trials))) == "layers"

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
    def test_a_density_adds_up_to_one(self, units):
        for domain in (Real(0, 1), Int(1, 5), Choice(["a", "b", "c"])):
            masses = density(np.array(units), domain)
            assert masses.sum() == pytest.approx(1)
            assert (masses > 0).all()

    def test_too_few_trials(self):
        with pytest.raises(DataError, match="9 trials"):
            importance(SPACE, trials_of(SPACE, by_rate, 9))

    def test_unknown_method(self):
        with pytest.raises(UnknownName, match="ped_anova"):
            importance(SPACE, trials_of(SPACE, by_rate, 20), "pedanova")


class TestAgainstOptuna:
    """The same trials asked of Optuna's evaluators."""

    def test_ped_anova_agrees(self):
        optuna = pytest.importorskip("optuna")
        from optuna.importance import PedAnovaImportanceEvaluator

        from tunesmith.search.optuna_study import to_optuna

        space = Space({name: domain for name, domain in SPACE.items() if name != "momentum"})
        trials = trials_of(space, lambda config: by_rate(config) + 0.3 * (config["optimizer"] == "sgd"), 300)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        theirs = PedAnovaImportanceEvaluator().evaluate(to_optuna(space, trials))
        total = sum(theirs.values())

        ours = importance(space, trials)

        assert next(iter(ours)) == max(theirs, key=theirs.get) == "lr"
        for name, share in ours.items():
            assert share == pytest.approx(theirs[name] / total, abs=0.12)

    @pytest.mark.slow
    def test_fanova(self):
        pytest.importorskip("optuna")

        shares = importance(SPACE, trials_of(SPACE, by_rate, 60), "fanova")

        assert next(iter(shares)) == "lr"
        assert shares["lr"] > 0.8


class TestEdges:
    def test_a_best_value_beyond_the_end(self):
        trials = trials_of(SPACE, lambda config: -math.log10(config["lr"]), 60)

        (found,) = edges(SPACE, trials)

        assert found.subject == {"parameter": "lr", "side": "high"}
        assert "upper end" in found.because
        assert found.severity == "warning"
        assert "widened to" in found.remedies[0].text()
        assert found.text("zh") != found.because

    def test_inside_there_is_nothing_to_say(self):
        assert edges(SPACE, trials_of(SPACE, by_rate, 200)) == []

    def test_a_natural_end_is_no_fault(self):
        space = {"dropout": Real(0, 0.5), "layers": Int(1, 9)}
        trials = trials_of(Space(space), lambda config: config["dropout"] + config["layers"], 60)

        assert edges(space, trials) == []

    def test_ordinals_have_ends_too(self):
        (found,) = edges(SPACE, trials_of(SPACE, lambda config: -config["batch"], 60))

        assert found.subject == {"parameter": "batch", "side": "high"}

    @pytest.mark.parametrize(("share", "expected"), [(0.1, 3), (0.125, 3), (0.25, 5), (0.5, 6)])
    def test_few_values_must_agree_more(self, share, expected):
        """Against the binomial law: the best and so many of the four others at one edge by chance, in a hundredth of the cases."""
        assert agreeing(share) == expected
        for count in (expected - 1, expected):
            chance = share * stats.binom(4, share).sf(count - 2)
            assert (chance <= 0.01) == (count == expected)

    def test_few_trials_say_nothing(self):
        assert edges(SPACE, trials_of(SPACE, lambda config: -math.log10(config["lr"]), 9)) == []


class TestIsolation:
    def test_buckets_hold_the_best_of_their_trials(self):
        trials = trials_of(SPACE, by_rate, 150)

        buckets = isolation(SPACE, trials, "lr", 4)

        assert sum(bucket.count for bucket in buckets) == 150
        for bucket in buckets:
            mine = [t for t in trials if bucket.low <= t.change["lr"] <= bucket.high]
            assert bucket.best == min(t.records[0]["score"] for t in mine)
            assert bucket.fair >= bucket.best
        smallest = min(buckets, key=lambda bucket: bucket.count)
        assert smallest.fair == pytest.approx(smallest.best)

    def test_a_conditional_parameter_counts_where_it_is_in_force(self):
        trials = trials_of(SPACE, by_rate, 60)

        assert sum(bucket.count for bucket in isolation(SPACE, trials, "momentum")) == sum(
            "momentum" in trial.change for trial in trials
        )

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(-5, 5), min_size=2, max_size=7), st.data())
    def test_the_expected_best_is_the_mean_over_all_draws(self, scores, data):
        from itertools import combinations

        draws = data.draw(st.integers(1, len(scores)))
        exact = np.mean([min(chosen) for chosen in combinations(scores, draws)])

        assert expected_best(np.array(scores), draws) == pytest.approx(exact, abs=1e-9)

    def test_unknown_names(self):
        with pytest.raises(UnknownName, match="'lr'"):
            isolation(SPACE, [], "lrr")


class TestPareto:
    def test_the_closed_form_of_a_line(self):
        trials = [told(i, {}, float(i), seconds=float(10 - i)) for i in range(10)]

        assert pareto(trials) == list(range(10))
        assert pareto(trials, ("score", "-seconds")) == [0]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), max_size=25))
    def test_against_all_pairs(self, points):
        rows = np.array(points, dtype=float).reshape(len(points), 3)
        beaten = [any((other <= row).all() and (other < row).any() for other in rows) for row in rows]

        assert sorted(front(rows)) == [i for i, lost in enumerate(beaten) if not lost]

    def test_what_is_not_measured(self):
        with pytest.raises(DataError, match="size"):
            pareto([told(0, {}, 1.0)], ("score", "size"))
        with pytest.raises(DataError, match="two names"):
            pareto([], ("score",))


class TestParallel:
    def test_the_best_are_all_there_and_drawn_last(self):
        trials = trials_of(SPACE, by_rate, 500)

        lines = parallel(SPACE, trials, most=60)

        order = sorted(trials, key=lambda trial: trial.records[0]["score"])
        assert lines.left_out == 440
        assert lines.trials[-1] == order[0].id
        assert set(lines.trials[-30:]) == {trial.id for trial in order[:30]}
        assert lines.units.shape == (60, 5)
        assert ((lines.units >= 0) & (lines.units <= 1) | np.isnan(lines.units)).all()
        assert (np.diff(lines.scores) <= 0).all()

    def test_none(self):
        assert parallel(SPACE, []).units.shape == (0, 5)


class TestDuplicates:
    def test_repeats_and_how_far_they_lie_apart(self):
        trials = [
            told(0, {"a": 1}, 1.0),
            told(1, {"a": 2}, 5.0),
            told(2, {"a": 1}, 1.5),
            told(3, {"a": 1}, None, "failed"),
        ]

        (found,) = duplicates({"a": Int(1, 3)}, trials)

        assert found.values == {"repeats": 2, "of": 4, "groups": 1, "apart": 0.5}
        assert "0.5" in found.because

    def test_a_continuous_draw_never_repeats(self):
        assert groups({"x": Real(0, 1)}, trials_of(Space({"x": Real(0, 1)}), lambda config: 0, 50)) == []


class TestModel:
    def test_the_picture_follows_the_function(self):
        space = {"x": Real(0, 1), "y": Real(0, 1)}
        trials = trials_of(Space(space), lambda config: 0.1 + (config["x"] - 0.3) ** 2, 40)

        seen = picture(space, trials, "x", points=21)

        truth = 0.1 + (np.array(seen.values[0]) - 0.3) ** 2
        good = truth < 0.2  # what is worse the default search draws together
        np.testing.assert_allclose(seen.mean[good], truth[good], atol=0.01)
        assert (seen.mean[~good] > 0.15).all()
        assert abs(seen.values[0][int(seen.mean.argmin())] - 0.3) < 0.1
        assert (seen.low <= seen.mean).all()
        assert (seen.mean <= seen.high).all()
        assert (seen.improvement >= 0).all()
        assert len(seen.seen) == 40

    def test_two_axes_and_choices(self):
        seen = picture(SPACE, trials_of(SPACE, by_rate, 30), ("lr", "optimizer"), points=5)

        assert seen.mean.shape == (5, 3)
        assert seen.values[1] == ("sgd", "adam", "rmsprop")

    def test_expected_improvement_is_the_mean_of_what_lies_below(self):
        draws = stats.norm(0.2, 0.7).ppf((np.arange(100_000) + 0.5) / 100_000)

        found = expected_improvement(np.array([0.2]), np.array([0.7]), -0.1)

        assert found[0] == pytest.approx(np.maximum(-0.1 - draws, 0).mean(), rel=1e-3)

    def test_a_search_that_has_come_to_the_bottom_is_over(self):
        space = Space({"x": Real(0, 1)})
        around = [told(id, {"x": 0.3 + (id - 20) * 1e-4}, 0.1 + ((id - 20) * 1e-4) ** 2) for id in range(1, 41)]
        start = trials_of(space, lambda config: 0.1 + (config["x"] - 0.3) ** 2, 20)
        trials = [*start, *(told(20 + i, t.change, t.records[0]["score"]) for i, t in enumerate(around))]

        over = advice(space, trials, trainings=5)

        assert not over.worth
        assert over.because.endswith("enough")

    def test_one_that_still_falls_goes_on(self):
        trials = [told(id, {"x": 0.9 - 0.03 * id}, 0.9 - 0.03 * id) for id in range(25)]

        assert advice({"x": Real(0, 1)}, trials).worth

    def test_few_trials_are_too_few(self):
        assert advice(SPACE, trials_of(SPACE, by_rate, 5)).worth

    def test_wrong_axes(self):
        trials = trials_of(SPACE, by_rate, 10)
        with pytest.raises(UnknownName, match="'lr'"):
            picture(SPACE, trials, "lrr")
        with pytest.raises(DataError, match="one parameter or two"):
            picture(SPACE, trials, ("lr", "batch", "layers"))
        with pytest.raises(DataError, match="2 trials have a score"):
            picture(SPACE, trials[:2], "lr")


class TestRounds:
    def test_the_better_value_is_told_from_the_worse(self):
        def train(config, seed):
            noise = np.random.default_rng(seed).normal() * 0.01
            return (config["x"] - 0.5) ** 2 + (0.2 if config["kind"] == "b" else 0.0) + noise

        space = {"kind": Choice(["a", "b"]), "x": Real(0, 1)}
        found = rounds(train, space, ["kind"], total=6, sampler="random", budget="full")

        assert [arm.values["kind"] for arm in found.arms] == ["a", "b"]
        assert [len(arm.trials) for arm in found.arms] == [6, 6]
        assert found.chances[1] < 0.01
        assert "better than kind = b" in found.because
        assert found.alike == found.arms[:1]

    def test_what_seeds_alone_make_different_is_alike(self):
        def train(config, seed):
            return np.random.default_rng(seed).normal()

        found = rounds(
            train, {"kind": Choice(["a", "b"]), "x": Real(0, 1)}, ["kind"], total=3, sampler="random", budget="full"
        )

        assert len(found.alike) == 2
        assert "cannot be told" in found.because

    def test_welch_s_test_is_scipy_s(self):
        def train(config, seed):
            return np.random.default_rng(seed).normal() + (config["kind"] == "b")

        found = rounds(
            train, {"kind": Choice(["a", "b"]), "x": Real(0, 1)}, ["kind"], total=2, sampler="random", budget="full"
        )
        one, other = found.arms

        expected = stats.ttest_ind(one.scores, other.scores, equal_var=False, alternative="less").pvalue
        assert found.chances[1] == pytest.approx(expected)

    def test_children_follow_their_parent(self):
        assert list(narrowed(SPACE, {"optimizer": "adam"})) == ["lr", "optimizer", "layers", "batch"]
        assert "momentum" in narrowed(SPACE, {"optimizer": "sgd"})

    def test_values_of_a_range_are_given(self):
        seen = []

        def train(config):
            seen.append(config["lr"])
            return config["lr"]

        found = rounds(
            train, SPACE, {"lr": [1e-3, 1e-2]}, total=2, fixed={"layers": 2}, repeats=2, sampler="random", budget="full"
        )

        assert set(seen) == {1e-3, 1e-2}
        assert found.arms[0].values == {"lr": 1e-3}
        assert all(arm.config["layers"] == 2 for arm in found.arms)

    @pytest.mark.parametrize(
        ("scientific", "match"),
        [(["lr"], "no end of values"), ([], "no scientific"), ({"lr": [5.0]}, "expected a value of")],
    )
    def test_what_cannot_be_asked(self, scientific, match):
        with pytest.raises(DataError, match=match):
            rounds(by_rate, SPACE, scientific, total=2)

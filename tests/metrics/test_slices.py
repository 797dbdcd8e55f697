"""Groups on which a model is worse: planted ones are found, those of chance are not."""

import numpy as np
import pytest

from tunesmith.blocks.metrics.slices import LEAST, Group, holm, slices


def noisy(rng, rows=600, right=0.85):
    """A binary truth, and probabilities that lie on its side in a share of the rows."""
    truth = (rng.random(rows) < 0.4).astype(int)
    sure = np.where(rng.random(rows) < right, rng.uniform(0.55, 0.95, rows), rng.uniform(0.1, 0.45, rows))
    chance = np.where(truth == 1, sure, 1 - sure)
    return truth, np.stack([1 - chance, chance], axis=1)


def quarters(rng, rows, columns=12):
    place = [rng.integers(0, 4, rows) for _ in range(columns)]
    return [Group(by=f"c{i}", name=str(k), rows=column == k) for i, column in enumerate(place) for k in range(4)]


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "roc_auc"])
def test_a_planted_group_is_found_and_measured(name):
    rng = np.random.default_rng(0)
    truth, said = noisy(rng)
    bad = rng.random(len(truth)) < 0.2
    said[bad] = said[bad][:, ::-1]  # wrong as often as it was right

    found = slices(
        "binary", truth, said, [*quarters(rng, len(truth)), Group(by="planted", name="bad", rows=bad)], name=name
    )

    first = found[0]
    assert (first.by, first.name, first.worse) == ("planted", "bad", True)
    assert first.count == bad.sum()
    assert first.difference > 0
    assert first.interval[0] < first.score < first.interval[1]
    assert first.chance < 0.001
    assert [one.chance for one in found] == sorted(one.chance for one in found)


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_groups_at_random_are_called_worse_in_fewer_than_one_data_set_in_twenty(name):
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth, said = noisy(rng, 400)
        alarms += any(one.worse for one in slices("binary", truth, said, quarters(rng, 400), name=name))

    assert alarms <= 60 * 0.05


def test_the_chance_is_that_of_groups_drawn_at_random():
    rng = np.random.default_rng(3)
    truth, said = noisy(rng, 500)
    group = np.arange(500) < 100
    [one] = slices("binary", truth, said, [Group(by="row", name="first", rows=group)], name="log_loss")
    loss = -np.log(said[np.arange(500), truth])

    drawn = np.array([loss[rng.permutation(500)[:100]].mean() for _ in range(4000)])

    assert one.score == pytest.approx(loss[:100].mean())
    assert one.rest == pytest.approx(loss[100:].mean())
    assert one.chance == pytest.approx((drawn >= one.score).mean(), abs=0.03)


def test_a_group_that_is_better_is_not_worse():
    rng = np.random.default_rng(1)
    truth, said = noisy(rng, 600, right=0.6)
    good = np.arange(600) < 150
    said[good] = np.eye(2)[truth[good]] * 0.8 + 0.1

    [one] = slices("binary", truth, said, [Group(by="row", name="good", rows=good)], name="accuracy")

    assert one.difference < 0
    assert one.chance > 0.99
    assert not one.worse


def test_few_rows_and_undefined_scores_are_left_out_and_the_same_rows_count_once():
    rng = np.random.default_rng(2)
    truth, said = noisy(rng, 300)
    few, half = np.arange(300) < LEAST - 1, np.arange(300) % 2 == 0
    groups = [Group(by="a", name="few", rows=few), Group(by="b", name="all but few", rows=~few)]
    groups += [Group(by="c", name="of one class", rows=truth == 1)]
    groups += [Group(by="d", name="even", rows=half), Group(by="e", name="even too", rows=half.copy())]

    found = slices("binary", truth, said, groups, name="roc_auc")

    assert [one.by for one in found] == ["d"]


def test_a_small_group_with_few_of_a_class_is_measured_by_its_own_scatter():
    """AUC of 40 rows with 2 positives scatters far more than that of 40 rows of the whole."""
    rng = np.random.default_rng(5)
    rows = 2000
    truth = (rng.random(rows) < 0.5).astype(int)
    logit = 1.6 * (2 * truth - 1) + rng.normal(size=rows) * 1.5
    chance = 1 / (1 + np.exp(-logit))
    said = np.stack([1 - chance, chance], axis=1)
    alarms = 0
    for _ in range(100):
        kept = np.r_[
            rng.choice(np.flatnonzero(truth == 1), 2, False), rng.choice(np.flatnonzero(truth == 0), 38, False)
        ]
        group = np.isin(np.arange(rows), kept)
        [one] = slices("binary", truth, said, [Group(by="x", name="odd", rows=group)], name="roc_auc")
        alarms += one.worse

    assert alarms <= 6  # 13 of 100 with the scatter of the whole alone


def test_weights_count():
    truth, said = np.zeros(200, int), np.tile([0.9, 0.1], (200, 1))
    said[:50] = [0.1, 0.9]
    group = np.arange(200) % 2 == 0
    weight = np.where(np.arange(200) < 50, 0.0, 1.0)

    [one] = slices("binary", truth, said, [Group(by="x", name="even", rows=group)], name="accuracy", weight=weight)

    assert (one.score, one.rest, one.worse) == (1.0, 1.0, False)


def test_holm_is_step_down_and_never_above_one():
    assert holm([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []

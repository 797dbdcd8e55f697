import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.schedules import SCHEDULES, Judged, build, factor_at, join, linear_warmup, watches_of
from tunesmith.records import Recipe, RecipeError, revise

PLATEAU = SCHEDULES["plateau"]
METRICS = st.lists(st.floats(0.0, 2.0) | st.sampled_from([0.5, 1.0, math.nan, math.inf]), max_size=40)


def history(values, noise=0.0):
    return [Judged(n, value, noise) for n, value in enumerate(values, 1)]


def by_torch(values, peak, **settings):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
    found = []
    for value in values:
        scheduler.step(value)
        found.append(optimizer.param_groups[0]["lr"])
    return found


@settings(max_examples=80, deadline=None)
@given(
    values=METRICS,
    mode=st.sampled_from(["min", "max"]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 4),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    low=st.sampled_from([0.0, 0.02]),
    eps=st.sampled_from([1e-8, 0.01]),
)
def test_without_noise_it_is_torchs(values, low, eps, **common):
    theirs = by_torch(values, 0.1, min_lr=0.1 * low, eps=0.1 * eps, **common)
    entries = history(values)

    ours = [0.1 * factor_at(PLATEAU(floor=low, eps=eps, **common), one.step, entries) for one in entries]

    assert ours == pytest.approx(theirs, rel=1e-9)


def test_an_improvement_within_the_noise_is_none():
    values = [1.0, 0.99, 0.98, 0.97, 0.96]  # each a little better than the last

    quiet = PLATEAU(patience=1)(5, history(values))
    within = PLATEAU(patience=1)(5, history(values, noise=0.05))
    ignored = PLATEAU(patience=1, noise_sigmas=0.0)(5, history(values, noise=0.05))
    beyond = PLATEAU(patience=1)(5, history([1.0, 0.9, 0.8, 0.7], noise=0.05))

    assert (quiet, within, ignored, beyond) == (1.0, pytest.approx(0.01), 1.0, 1.0)


def test_slow_gains_add_up_until_they_exceed_the_noise():
    values = [1.0 - 0.02 * n for n in range(20)]  # over the noise every third time

    assert PLATEAU(patience=2)(20, history(values, noise=0.05)) == 1.0
    assert PLATEAU(patience=1)(20, history(values, noise=0.05)) < 1.0


def test_an_unknown_noise_counts_as_none():
    assert PLATEAU(patience=0)(3, history([1.0, 0.9, 0.8], noise=math.nan)) == 1.0


def test_slightly_worse_negative_values_are_no_improvement():
    worse = [-1.0, -0.97, -0.95, -0.93]  # torch's best (1 - 0.1) = -0.9 lies above them all

    theirs = by_torch(worse, 1.0, threshold=0.1, patience=1, factor=0.5)
    ours = PLATEAU(threshold=0.1, patience=1, factor=0.5)(4, history(worse))
    mirrored = PLATEAU(threshold=0.1, patience=1, factor=0.5, mode="max")(4, history([-one for one in worse]))

    assert theirs[-1] == 1.0
    assert ours == mirrored == 0.5


def test_a_real_improvement_of_negative_values_counts():
    assert PLATEAU(threshold=0.1, patience=0)(3, history([-1.0, -1.2, -1.5])) == 1.0


@pytest.mark.parametrize("watches", ["val_loss", "score"])
def test_a_score_is_better_when_it_is_higher(watches):
    rising = PLATEAU(patience=0, watches=watches)(3, history([0.5, 0.6, 0.7]))

    assert (rising == 1.0) == (watches == "score")


def test_the_order_of_the_entries_does_not_matter_and_later_ones_are_not_read():
    entries = history([1.0, 1.0, 0.5, 0.5, 0.5])
    schedule = PLATEAU(patience=0, factor=0.5)

    assert [schedule(step, entries[::-1]) for step in range(6)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]


def test_entries_of_other_names_are_not_its_own():
    entries = [Judged(1, 1.0), *(Judged(n, 1.0, name="train_error") for n in range(2, 9))]
    own = [Judged(1, 1.0), *(Judged(n, 1.0, name="val_loss") for n in range(2, 9))]

    assert PLATEAU(patience=2)(8, entries) == 1.0
    assert PLATEAU(patience=2)(8, own) < 1.0


def test_evaluations_in_the_warm_up_do_not_count():
    joined = join(linear_warmup(10), PLATEAU(patience=1, factor=0.5), 10)
    entries = [Judged(step, 1.0) for step in (2, 4, 6, 8, 10, 12, 14, 16)]

    assert watches_of(joined) == ("val_loss",)
    assert [joined(step, entries) for step in (8, 10, 12, 13, 14)] == [0.9, 1.0, 1.0, 1.0, 0.5]


def test_a_recipe_builds_it_with_a_floor():
    section = revise(
        Recipe(), {"schedule.name": "plateau", "schedule.floor": 0.3, "schedule.extra": {"patience": 0}}
    ).schedule

    schedule = build(section, 100, 10)

    assert schedule(60, [Judged(step, 1.0) for step in range(10, 60, 10)]) == 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"factor": 1.0}, "factor = 1.0"),
        ({"factor": 0}, "factor = 0"),
        ({"patience": -1}, "patience = -1"),
        ({"patience": 1.5}, "patience = 1.5"),
        ({"mode": "less"}, "mode = 'less', expected one of auto, min, max"),
        ({"threshold_mode": "ratio"}, "threshold_mode = 'ratio'"),
        ({"noise_sigmas": -1}, "noise_sigmas = -1"),
        ({"floor": 2}, "floor = 2"),
    ],
)
def test_settings_that_cannot_be_get_a_sentence(settings, words):
    with pytest.raises(RecipeError, match=words):
        PLATEAU(**settings)

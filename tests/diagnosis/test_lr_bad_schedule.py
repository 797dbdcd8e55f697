"""Courses of the rate."""

from dataclasses import replace

import numpy as np
import pytest

from tests.diagnosis.curves import falling, flat, found, history, loud, noisy, warm_restarts
from tests.diagnosis.lived import answers, gravity, lived
from tests.diagnosis.lived import flat as lived_flat

COSINE = 0.05 * (1 + np.cos(np.pi * np.arange(40) / 40))


@pytest.mark.parametrize(("until", "severity"), [(5, "error"), (15, "warning")])
def test_a_rate_that_is_gone_early(until, severity):
    rate = np.where(np.arange(40) < until, 0.1, 1e-9)

    (one,) = found("lr.bad_schedule", history(train=falling(40), lr=rate))

    assert (one.severity, one.subject["steps"]) == (severity, [float(until)])


def test_a_warm_up_that_never_ends():
    assert loud("lr.bad_schedule", history(train=falling(20), lr=np.linspace(1e-6, 1e-4, 20)))


def test_a_rate_far_below_the_planned_one():
    run = history(train=falling(20), lr=np.full(20, 1e-5), facts={"lr": 1e-2})

    assert [one.message for one in found("lr.bad_schedule", run) if one.severity != "note"] == [
        "curves.rate_below_plan"
    ]


def test_raises_that_undo_what_was_won():
    rate = np.where(np.arange(60) % 12 < 3, 1.0, 0.01)
    loss = noisy(0.5 + 1.0 * (np.arange(60) % 12 < 3), 0.02)

    assert loud("lr.bad_schedule", history(train=loss, lr=rate))


@pytest.mark.parametrize("rate", [COSINE, np.full(40, 0.1), 0.1 * 0.5 ** (np.arange(40) // 10)])
def test_usual_schedules_are_quiet(rate):
    assert not loud("lr.bad_schedule", history(train=falling(40), lr=rate))


def test_warm_restarts_that_win_are_quiet():
    loss, rate = warm_restarts()

    assert not loud("lr.bad_schedule", history(train=loss, lr=rate))


def test_where_decay_should_begin():
    loss = np.concatenate([falling(15, 2.0, 0.5, pace=8), flat(45, 0.5, 0.04)])

    (one,) = found("lr.bad_schedule", history(train=loss, lr=np.full(60, 0.1)))

    assert (one.severity, one.message) == ("note", "curves.decay_due")
    assert 5 <= one.subject["steps"][0] <= 25


def test_a_late_cut_that_brought_a_fall():
    loss = np.concatenate([falling(15, 2.0, 0.8, pace=10, noise=0.005), flat(25, 0.8, 0.005), flat(10, 0.4, 0.005)])
    rate = np.concatenate([np.full(40, 0.1), np.full(10, 0.01)])

    assert [one.message for one in found("lr.bad_schedule", history(train=loss, lr=rate))] == ["curves.cut_late"]


def attending(loss=None, *, leap=0.2, name="Adam", kind="MultiheadAttention", rate=(0.03,) * 20):
    measured = {
        "update_ratio": {f"layers.{place}": [leap, leap / 2, 1e-4, 1e-4] for place in range(6)},
        "lr": {"": rate},
    }
    run = lived(loss, answers=answers(), layers=measured, settings={"name": name})
    return replace(run, facts=run.facts | {"layers": [(f"layers.{place}.self_attn", kind) for place in range(6)]})


def test_a_cold_start_of_deep_attention():
    assert gravity("lr.bad_schedule", attending(lived_flat())) == "warning"


@pytest.mark.parametrize(
    "run",
    [
        attending(),
        attending(lived_flat(), leap=0.01),
        attending(lived_flat(), name="SGD"),
        attending(lived_flat(), kind="Linear"),
        attending(lived_flat(), rate=(*np.linspace(1e-4, 0.03, 5), *[0.03] * 15)),
    ],
    ids=["it learns", "short updates", "plain descent", "no attention", "warmed up"],
)
def test_what_is_no_cold_start_is_quiet(run):
    assert gravity("lr.bad_schedule", run) in ("", "note")

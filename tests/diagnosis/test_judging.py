"""All rules over one history."""

import numpy as np
import pytest

from tests.diagnosis.curves import (
    SEEDS,
    double_descent,
    falling,
    flat,
    history,
    late_generalisation,
    plateau_then_drop,
    power,
    warm_restarts,
    with_spike,
)
from tunesmith.doctor.diagnosis import RULES, diagnosed
from tunesmith.records.messages import templates
from tunesmith.runs.history import History, series


def silent(run):
    return diagnosed(run).measured["cannot_tell"]


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (history(train=falling()), ["cannot_no_held", "cannot_no_rate", "cannot_no_updates"]),
        (history(val=falling()), ["cannot_no_train", "cannot_no_rate", "cannot_no_updates"]),
        (history("step", updates=falling(400), val=falling(10), lr=np.full(10, 0.1)), []),
        (history(train=[0.5, 0.4]), ["cannot_short"]),
        (history(train=[]), ["cannot_nothing"]),
        (history(seconds_per_step=np.ones(5)), ["cannot_no_loss"]),
    ],
)
def test_what_such_a_log_cannot_tell(run, told):
    assert silent(run) == told


def test_it_is_said_in_words_in_both_languages():
    run = history(train=falling())

    assert "overfits" in diagnosed(run).notices[0]
    assert "过拟合" in diagnosed(run, language="zh").notices[0]


@pytest.mark.parametrize("columns", [("d_loss", "g_loss"), ("reward", "value_loss", "entropy_loss")])
def test_curves_that_follow_other_laws_are_not_judged(columns):
    course = np.exp(np.linspace(0, 5, 40))
    run = History(
        curves=tuple(series("loss", range(40), course, part="train", where=name, column=name) for name in columns),
        reader="made",
    )

    assert list(diagnosed(run)) == []
    assert len(diagnosed(run).notices) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_log_too_short_makes_no_claims(count):
    assert list(diagnosed(history(train=[9.0, 0.1, 40.0][:count], val=[1.0, 5.0, 9.0][:count]))) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "make",
    {
        "exponential": lambda seed: history(train=falling(seed=seed), val=falling(40, 2.2, 0.4, seed=seed + 100)),
        "power law": lambda seed: history(train=power(seed=seed), val=power(40, 2.4, seed=seed + 100)),
        "plateau, then a drop": lambda seed: history(
            train=plateau_then_drop(seed=seed), val=plateau_then_drop(seed=seed + 100)
        ),
        "double descent": lambda seed: history(train=falling(60, floor=0.01, seed=seed), val=double_descent(seed=seed)),
        "late generalisation": lambda seed: history(
            train=falling(80, floor=0.01, pace=20, seed=seed), val=late_generalisation(seed=seed)
        ),
        "warm restarts": lambda seed: history(train=warm_restarts(seed=seed)[0], lr=warm_restarts()[1]),
        "train worse than val": lambda seed: history(
            train=falling(40, 1.2, 0.6, seed=seed), val=falling(40, 0.8, 0.3, seed=seed + 9)
        ),
        "tiny held part": lambda seed: history(
            train=falling(seed=seed),
            val=falling(40, 2.2, 0.5, noise=0.15, seed=seed),
            accuracy=np.round(np.linspace(0.4, 0.85, 40) * 20) / 20,
        ),
        "fine-tuning that starts good": lambda seed: history(
            train=falling(30, 0.3, 0.2, seed=seed), val=flat(30, 0.25, 0.02, seed)
        ),
        "noisy updates": lambda seed: history(
            "step", updates=power(2000, noise=0.3, seed=seed), val=power(20, seed=seed)
        ),
        "one bad batch": lambda seed: history(
            "step", updates=with_spike(falling(1000, noise=0.1, seed=seed), 600, 1.0, 1)
        ),
        "step decay": lambda seed: history(
            train=np.concatenate([falling(20, 2, 0.8, seed=seed), flat(10, 0.5, 0.02), flat(10, 0.4, 0.02)]),
            lr=np.repeat([0.1, 0.01, 0.001], [20, 10, 10]),
        ),
    }.items(),
    ids=lambda one: one[0],
)
def test_sound_runs_have_nothing_above_a_note(make, seed):
    found = diagnosed(make[1](seed))

    assert not found.failed
    assert [one.text() for one in found if one.severity != "note"] == []


def test_a_rule_alone_concludes_nothing():
    found = diagnosed(history(train=np.exp(np.linspace(0, 5, 30))), only=["loss.diverging"])

    assert [one.fault for one in found] == ["loss.diverging"]


def test_losses_near_the_end_of_the_float_range_break_no_rule():
    course = np.concatenate([falling(20), 10.0 ** np.linspace(0, 308, 20)])

    found = diagnosed(history(train=course, val=course, accuracy=flat(40, 0.1)))

    assert not found.failed
    assert "loss.diverging" in [one.fault for one in found]


def test_a_series_of_one_value_everywhere_breaks_no_rule():
    found = diagnosed(history(train=np.zeros(30), val=np.zeros(30), accuracy=np.ones(30), lr=np.zeros(30)))

    assert not found.failed


def test_the_pages_of_all_rules_have_their_headings():
    import sys

    for name in RULES:
        page = sys.modules[RULES[name].look.__module__].__doc__ or ""
        assert page.startswith(f"{name}:"), name
        for heading in ("Sees", "Matters", "Remedies", "Limits", "Source"):
            assert f"\n{heading} " in page, (name, heading)


def test_what_curves_say_is_there_in_both_languages_with_the_same_values():
    import string

    english, chinese = (
        {key: text for key, text in templates(one).items() if key.startswith("curves.")} for one in ("en", "zh")
    )

    assert english.keys() == chinese.keys()
    for key, text in english.items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in (text, chinese[key])]
        assert fields[0] == fields[1], key


@pytest.mark.parametrize(("done", "silent"), [(100, True), (900, False)])
def test_a_run_that_has_just_begun_is_left_in_peace(done, silent):
    facts = {"running": True, "steps": 1000, "classes": 2}
    run = history("step", updates=flat(done, 0.693), lr=np.linspace(1e-5, 1e-3, done), facts=facts)

    assert (list(diagnosed(run)) == []) is silent


def test_what_more_epochs_may_still_mend_is_said_at_the_end():
    course = np.linspace(2.3, 2.1, 20)

    assert "lr.too_low" in [one.fault for one in diagnosed(history(train=course))]
    assert "lr.too_low" not in [
        one.fault for one in diagnosed(history(train=course, facts={"running": True, "epochs": 40}))
    ]


def test_a_loss_that_is_no_number_is_said_at_once():
    run = history("step", updates=[np.nan] * 5, facts={"running": True, "steps": 1000})

    assert "loss.nonfinite" in [one.fault for one in diagnosed(run)]

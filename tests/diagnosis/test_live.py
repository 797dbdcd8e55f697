"""How far a run came, and when that counts."""

import math

import numpy as np
import pytest

from tests.diagnosis.lived import CHANCE, answers, falling, flat, lived
from tunesmith.doctor.diagnosis.live import chance, early_of, late_of, layers, part, progress


def test_a_run_that_gets_on_is_neither_stuck_nor_poor():
    ran = progress(lived(falling(), answers=answers()))

    assert not ran.stuck
    assert not ran.poor
    assert ran.chance == CHANCE


def test_a_run_at_chance_is_both():
    ran = progress(lived(flat(), answers=answers()))

    assert ran.stuck
    assert ran.poor


def test_without_a_known_chance_the_start_is_the_measure():
    assert progress(lived(flat(3.0))).stuck
    assert not progress(lived(falling(3.0, 1.0))).stuck


def test_a_run_that_goes_on_is_judged_only_after_some_evaluations():
    running = {"answers": answers(), "running": True}

    assert not progress(lived(flat(), epochs_seen=1, **running)).stuck
    assert progress(lived(flat(), epochs_seen=3, **running)).stuck
    assert not progress(lived(falling(1.4, 0.9), epochs_seen=3, **running)).poor


def test_a_run_that_ended_in_what_is_no_number_is_stuck():
    losses = falling()
    losses[150:] = math.nan

    assert progress(lived(losses, answers=answers())).stuck


def test_short_runs_say_nothing():
    assert progress(lived(flat(steps=10))) is None


def test_late_values_are_of_the_second_half_alone():
    history = lived(layers={"dead_fraction": {"1": [0.9, 0.9, 0.1, 0.1]}})
    early_looks = lived(layers={"dead_fraction": {"1": [0.9]}})

    assert late_of(history, "dead_fraction") == {"1": pytest.approx(0.1)}
    assert late_of(early_looks, "dead_fraction") == {}
    assert early_of(early_looks, "dead_fraction") == {"1": pytest.approx(0.9)}


def test_layers_come_in_the_order_of_the_model():
    history = lived(layers={"grad_norm": {"10": [1.0], "2": [2.0], "1": [3.0]}})
    known = lived(layers={"grad_norm": {"10": [1.0], "2": [2.0], "1": [3.0]}}, activations={"1": "", "2": "", "10": ""})

    assert set(layers(history, "grad_norm")) == {"1", "2", "10"}
    assert list(layers(known, "grad_norm")) == ["1", "2", "10"]


def test_facts_that_were_no_numbers_are_left_out():
    assert part(lived(answers={"scale": None, "width": 3}), "answers") == {"width": 3}
    assert chance(lived(answers={"chance": 0.0})) is None
    assert np.isfinite(progress(lived()).noise)

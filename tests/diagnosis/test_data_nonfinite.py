"""Inputs that are no numbers."""

import numpy as np

from tests.diagnosis.curves import found, history
from tests.diagnosis.lived import lived
from tunesmith.doctor.diagnosis import RULES

INPUTS = np.where(np.arange(20) == 3, np.inf, 1.0)


def test_measured_inputs_before_a_lost_loss_are_the_likely_cause():
    (one,) = found(
        "data.nonfinite", history("step", updates=np.where(np.arange(20) < 3, 1.0, np.nan), input_max=INPUTS)
    )

    assert (one.severity, one.status, one.subject["steps"]) == ("error", "suspected", [3.0])


def test_inputs_that_the_model_replaces_are_quiet():
    assert not found("data.nonfinite", history("step", updates=np.full(20, 0.5), input_max=INPUTS))


def test_finite_inputs_are_quiet():
    assert not found("data.nonfinite", history("step", updates=np.full(20, np.nan), input_max=np.ones(20)))


def test_the_batch_itself_proves_it():
    born = {
        "module": "input",
        "direction": "input",
        "why": "bad_input",
        "fault": "data.nonfinite",
        "step": 4,
        "rows": [2],
    }

    (one,) = RULES["data.nonfinite"].look(lived(np.full(50, np.nan), nonfinite=[born | {"numbers": {"bad": 1.0}}]))

    assert (one.severity, one.status, one.subject["rows"]) == ("error", "confirmed", [2])


def test_another_birth_rules_it_out():
    born = {
        "module": "a",
        "direction": "forward",
        "why": "log_zero",
        "fault": "numerics.unsafe_op",
        "step": 4,
        "rows": [],
    }

    assert not list(RULES["data.nonfinite"].look(lived(np.full(50, np.nan), nonfinite=[born])))

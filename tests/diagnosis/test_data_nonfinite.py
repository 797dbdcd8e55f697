"""Inputs that are no numbers."""

import numpy as np

from tests.diagnosis.curves import found, history


def test_measured_inputs_prove_it():
    inputs = np.ones(20)
    inputs[3] = np.inf

    (one,) = found(
        "data.nonfinite", history("step", updates=np.where(np.arange(20) < 3, 1.0, np.nan), input_max=inputs)
    )

    assert (one.severity, one.subject["steps"]) == ("error", [3.0])


def test_finite_inputs_are_quiet():
    assert not found("data.nonfinite", history("step", updates=np.full(20, np.nan), input_max=np.ones(20)))

"""Inputs that tell nothing are told apart from inputs that tell a little."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

import tunesmith
from tunesmith.doctor.audits import AUDITS, material_of, material_of_arrays
from tunesmith.doctor.audits.reference_score import reference
from tunesmith.records import Task
from tunesmith.records.check import Inapplicable

DEMO = Path(tunesmith.__file__).parent / "demo_data"


def found(material):
    return list(AUDITS["no_signal"].look(material))


def arrays(X, y):
    return material_of_arrays({"train": (X, y)})


@pytest.mark.parametrize(
    ("load", "seed"),
    [(load_digits, 0), (load_diabetes, 1), pytest.param(load_breast_cancer, 0, marks=pytest.mark.slow)],
)
def test_rows_out_of_step(load, seed):
    X, y = load(return_X_y=True)
    X, y = X[:900], y[:900]
    material = arrays(X, np.random.default_rng(seed).permutation(y))

    findings = found(material)

    assert [(one.fault, one.severity, one.status) for one in findings] == [("data.no_signal", "warning", "suspected")]
    assert len(findings[0].evidence) >= 4


@pytest.mark.slow
def test_a_shifted_target():
    X, y = load_digits(return_X_y=True)
    X, y = X[:900], y[:900]
    order = np.random.default_rng(0).permutation(len(y))

    assert found(arrays(X[order], np.roll(y[order], 1)))


@pytest.mark.parametrize(
    "load",
    [
        load_diabetes,
        pytest.param(load_breast_cancer, marks=pytest.mark.slow),
        pytest.param(load_digits, marks=pytest.mark.slow),
    ],
)
def test_sound_data_are_quiet(load):
    assert found(arrays(*load(return_X_y=True))) == []


@pytest.mark.slow
@pytest.mark.parametrize(("file", "target"), [("adult_2000.csv.gz", "income"), ("sms_1000.csv.gz", "label")])
def test_sound_tables_are_quiet(file, target):
    assert found(material_of(Task(train=DEMO / file, target=target))) == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_weak_signal_is_a_signal(seed):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(1000, 5))
    y = (X[:, 0] + 4 * draw.normal(size=1000) > 0).astype(int)  # about 58 % are right at best

    assert found(arrays(X, y)) == []


def test_a_product_of_signs_is_no_line_and_a_signal():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(800, 4))

    assert found(arrays(X, (X[:, 0] * X[:, 1] > 0).astype(int))) == []


def test_blank_inputs_are_an_error():
    (finding,) = found(arrays(np.ones((50, 3)), np.arange(50) % 2))

    assert (finding.severity, finding.status) == ("error", "confirmed")


def test_few_rows_prove_nothing():
    with pytest.raises(Inapplicable):
        found(arrays(np.random.default_rng(0).normal(size=(150, 3)), np.arange(150) % 2))


@pytest.mark.parametrize(
    ("load", "least"),
    [
        pytest.param(load_digits, 0.98, marks=pytest.mark.slow),
        (load_wine, 0.95),
        pytest.param(load_breast_cancer, 0.99, marks=pytest.mark.slow),
        (load_diabetes, 0.4),
    ],
)
def test_the_reference_is_what_simple_models_reach(load, least):
    material = arrays(*load(return_X_y=True))

    told = reference(material)

    low, high = told["interval"]
    assert low <= told["value"] <= high
    assert told["value"] > least
    assert told["value"] > told["constant"]
    assert material.measured["reference"] is told

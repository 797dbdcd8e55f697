import numpy as np
import pytest

from tests.preflight.planted import diabetes, digits, findings, mlp, program, regression
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable


def astray(data, seed=0):
    """The rows and their labels shuffled apart."""
    rng = np.random.default_rng(seed)
    return tuple((X[rng.permutation(len(X))], y) for X, y in data)


def zeroed(data):
    return tuple((np.zeros_like(X), y) for X, y in data)


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(data=astray(digits())),
        lambda: program(data=zeroed(digits())),
        lambda: regression(data=astray(diabetes())),
        lambda: program(data=(astray(digits())[0], None)),
    ],
)
def test_inputs_that_tell_nothing(brought):
    (found,) = findings("input_blind", brought())

    assert found.fault == "data.no_signal"
    assert found.values["reference"] < found.values["chance"] + 0.1


@pytest.mark.parametrize(
    "brought",
    [lambda: program(), lambda: regression(), lambda: program(lr=1e-9), lambda: program(mlp(width=1))],
)
def test_inputs_with_a_signal_are_quiet_whatever_the_net(brought):
    assert findings("input_blind", brought(), above="") == []


def test_few_rows_say_nothing():
    X, y = digits()[0]
    bench = bench_of_program(program(data=((X[:100], y[:100]), None)))

    with pytest.raises(Inapplicable, match="too few"):
        list(CHECKS["input_blind"].look(bench))

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tunesmith.records import DataError
from tunesmith.search import Choice, Distributed, Fixed, Int, Real, Space
from tunesmith.search.spaces import space_from


def test_lists_and_distributions_are_read_as_scikit_learn_has_them():
    space = space_from(
        {
            "uniform": stats.uniform(1, 2),
            "log": stats.loguniform(1e-3, 10),
            "reciprocal": stats.reciprocal(1e-3, 10),
            "whole": stats.randint(1, 9),
            "gamma": stats.gamma(2, scale=3.0),
            "list": [1, 2, None],
            "tuples": [(64, 64), (32,)],
            "array": np.array([0.1, 0.2]),
            "range": range(3),
            "single": "relu",
        }
    )

    assert space["uniform"] == Real(1, 3)
    assert space["log"] == space["reciprocal"] == Real(1e-3, 10, log=True)
    assert space["whole"] == Int(1, 8)
    assert space["gamma"] == Distributed("gamma", (2,), (("scale", 3.0),))
    assert space["list"] == Choice([1, 2, None])
    assert space["tuples"] == Choice([(64, 64), (32,)])
    assert space["array"] == Choice([0.1, 0.2])
    assert space["range"] == Choice([0, 1, 2])
    assert space["single"] == Fixed("relu")


@pytest.mark.parametrize("frozen", [stats.norm(1, 2), stats.expon(scale=3), stats.beta(2, 5), stats.geom(0.3)])
def test_any_distribution_is_drawn_as_scipy_draws_it(frozen):
    domain = space_from({"x": frozen})["x"]

    units = np.linspace(0.01, 0.99, 25)
    assert [domain.from_unit(unit) for unit in units] == pytest.approx(frozen.ppf(units), rel=1e-9)


def test_our_own_forms_pass_and_a_written_space_comes_back():
    space = Space({"a": Int(1, 4), "b": Real(0, 1, when=("a", 2))}, ["a < 4"])

    assert space_from(space) is space
    assert space_from(dict(space)) == Space(dict(space))
    assert space_from(json.loads(json.dumps(space.to_json()))) == space
    assert space_from({"a": {"type": "int", "low": 1, "high": 4, "step": 3}}) == Space({"a": Int(1, 4, step=3)})


def test_a_distribution_without_a_name_is_refused():
    class Mine(stats.rv_continuous):
        def _pdf(self, x):
            return 2 * x

    with pytest.raises(DataError, match="'mine' cannot be read"):
        space_from({"x": Mine(a=0, b=1, name="mine")()})


@pytest.mark.parametrize("given", [3, "space.toml", [1, 2], None, [{"a": [1]}]])
def test_anything_else_gets_a_sentence(given):
    with pytest.raises(DataError, match="a space came as"):
        space_from(given)


def test_no_library_is_imported_to_read_a_dict():
    script = (
        "import sys; from tunesmith.search.spaces import space_from; space_from({'a': [1, 2]}); "
        "print([name for name in ('optuna', 'hyperopt', 'ConfigSpace', 'torch') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"

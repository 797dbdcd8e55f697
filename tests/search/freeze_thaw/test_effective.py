import math

import numpy as np
import pytest

from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.freeze_thaw.effective import effective_rate, usual_rate
from tunesmith.search.freeze_thaw.encoding import Encoding

SPACE = Space(
    {
        "optim.name": Choice(["sgd", "adamw", "rmsprop"]),
        "optim.lr": Real(1e-5, 1e1, log=True),
        "optim.momentum": Real(0, 0.99, when=("optim.name", "sgd")),
        "width": Int(8, 128, log=True),
    }
)


def decades(space, **config):
    encoding = Encoding(space)
    return encoding.effective.decades(encoding.units(config)[None])[0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"optim.name": "adamw", "optim.lr": 1e-3}, 0.0),  # rules of thumb: lr.adam
        ({"optim.name": "adamw", "optim.lr": 1e-1}, 2.0),
        ({"optim.name": "rmsprop", "optim.lr": 1e-4}, -1.0),
        ({"optim.name": "sgd", "optim.lr": 0.02, "optim.momentum": 0.9}, 0.0),  # lr.sgd
        ({"optim.name": "sgd", "optim.lr": 0.2, "optim.momentum": 0.0}, 0.0),  # lr / (1 - m) is the same
        ({"optim.name": "sgd", "optim.lr": 0.02, "optim.momentum": 0.99}, 1.0),
    ],
)
def test_rates_of_several_optimizers_lie_on_one_line(config, expected):
    assert decades(SPACE, width=8, **config) == pytest.approx(expected, abs=1e-9)


def test_without_a_choice_of_optimizers_momentum_tells_which_it_is():
    with_momentum = Space({"learning_rate": Real(1e-4, 1e-1, log=True), "momentum": Real(0.1, 0.99)})
    alone = Space({"learning_rate": Real(1e-4, 1e-1, log=True)})

    assert decades(with_momentum, learning_rate=1e-2, momentum=0.9) == pytest.approx(math.log10(0.5))
    assert decades(alone, learning_rate=1e-2) == pytest.approx(1.0)


def test_what_is_fixed_counts_and_rates_may_be_anything_a_space_can_hold():
    fixed = Space({"lr": Real(1e-3, 1.0, log=True), "optimizer": "sgd", "momentum": 0.0})
    steps = Space({"lr": Real(0.0, 1.0, step=0.1)})

    assert decades(fixed, lr=0.2) == pytest.approx(0.0)
    assert decades(steps, lr=0.1) == pytest.approx(2.0)
    assert np.isfinite(decades(steps, lr=0.0))


@pytest.mark.parametrize("space", [{"width": Int(1, 3)}, {"lr": 1e-3, "width": Int(1, 3)}, {"lr": Ordinal([0.1, 0.2])}])
def test_no_rate_no_column(space):
    encoding = Encoding(Space(space))

    assert effective_rate(encoding.space, list(encoding.names)) is None
    assert encoding.features(np.full((2, len(encoding)), 0.5)).shape == (2, len(encoding.group))


def test_the_effective_rate_is_a_column_of_its_own_unless_it_is_left_out():
    rows = np.random.default_rng(0).uniform(size=(4, 4))
    with_it, without = Encoding(SPACE), Encoding(SPACE, experience=False)
    rows = with_it.snapped(rows)

    assert with_it.features(rows)[:, :-1] == pytest.approx(without.features(rows))
    assert with_it.features(rows)[:, -1] == pytest.approx(with_it.effective.decades(rows))
    assert with_it.group.tolist() == [*without.group.tolist(), 4]


def test_an_optimizer_without_a_rule_is_taken_for_adamw():
    assert usual_rate("Lion") == usual_rate("adamw") == 1e-3
    assert usual_rate("SGD") == 0.02


def test_a_rate_for_each_optimizer_counts_where_it_is_in_force():
    space = Space(
        {
            "optimizer": Choice(["sgd", "adamw", "none"]),
            "sgd.lr": Real(1e-4, 1.0, log=True, when=("optimizer", "sgd")),
            "adamw.lr": Real(1e-5, 1e-1, log=True, when=("optimizer", "adamw")),
        }
    )
    encoding = Encoding(space)

    assert decades(space, optimizer="adamw", **{"adamw.lr": 1e-2}) == pytest.approx(1.0)
    assert decades(space, optimizer="sgd", **{"sgd.lr": 0.02}) == pytest.approx(0.0)
    assert decades(space, optimizer="none") == 0.0
    rows = encoding.snapped(np.random.default_rng(0).uniform(size=(50, 3)))
    assert np.isfinite(encoding.features(rows)).all()

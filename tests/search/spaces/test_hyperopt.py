import json
import math
import warnings

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Distributed, Fixed, Int, Real, Space
from tunesmith.search.spaces import space_from

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that it needs
    hp = pytest.importorskip("hyperopt").hp
    scope = pytest.importorskip("hyperopt.pyll").scope


def test_every_kind_of_number():
    space = space_from(
        {
            "u": hp.uniform("u", -1, 1),
            "lu": hp.loguniform("lu", math.log(1e-3), 0),
            "q": hp.quniform("q", 1, 10, 2),
            "lq": hp.qloguniform("lq", 0, 5, 4),
            "r": hp.randint("r", 5),
            "r2": hp.randint("r2", 2, 5),
            "ui": hp.uniformint("ui", 1, 9),
            "i": scope.int(hp.quniform("i", 16, 128, 16)),
            "n": hp.normal("n", 1, 2),
            "ln": hp.lognormal("ln", 0, 2),
            "qn": hp.qnormal("qn", 0, 10, 5),
            "p": hp.pchoice("p", [(0.1, "a"), (0.9, "b")]),
            "k": 3,
        }
    )

    assert space["u"] == Real(-1, 1)
    assert space["lu"].to_json() == pytest.approx({"type": "float", "low": 1e-3, "high": 1.0, "log": True})
    assert space["q"] == Real(0, 10, step=2.0)  # round(1 / 2) * 2 is 0
    assert space["lq"] == Real(4, 148, log=True, step=4.0)
    assert (space["r"], space["r2"], space["ui"]) == (Int(0, 4), Int(2, 4), Int(1, 9))
    assert space["i"] == Int(16, 128, step=16)
    assert space["n"] == Distributed("norm", (1.0, 2.0))
    assert space["ln"] == Distributed("lognorm", (2.0,), (("scale", 1.0),))
    assert space["qn"] == Distributed("norm", (0.0, 10.0), step=5.0)
    assert space["p"] == Choice(["a", "b"])
    assert space["k"] == Fixed(3)
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def nested():
    inner = hp.choice("inner", [{"kind": "k", "z": hp.randint("z", 2, 4)}, "none"])
    sgd = {"name": "sgd", "momentum": hp.uniform("momentum", 0, 1), "more": inner}
    return {"optimizer": hp.choice("optimizer", [sgd, {"name": "adam", "beta": hp.uniform("beta", 0.9, 1)}])}


def test_nested_choices_are_conditions():
    space = space_from(nested())

    assert space["optimizer"] == Choice(["sgd", "adam"])
    assert space["momentum"].when == ("optimizer", "sgd")
    assert space["beta"].when == ("optimizer", "adam")
    assert space["inner"] == Choice(["k", "none"], when=("optimizer", "sgd"))
    assert space["z"] == Int(2, 3, when=("inner", "k"))
    assert space.names_in_force({"optimizer": "adam"}) == ["optimizer", "beta"]


def test_options_without_a_name_are_numbered_and_one_expression_is_a_space():
    space = space_from(hp.choice("c", [hp.uniform("a", 0, 1), (hp.uniform("b", 0, 1), hp.uniform("d", 0, 1))]))

    assert space["c"] == Choice([0, 1])
    assert [space[name].when for name in "abd"] == [("c", 0), ("c", 1), ("c", 1)]


def test_one_parameter_in_two_options():
    shared = hp.uniform("x", 0, 1)

    space = space_from({"c": hp.choice("c", [{"n": "a", "x": shared}, {"n": "b", "x": shared}, {"n": "d"}])})

    assert space["x"] == Real(0, 1, when=("c", ("a", "b")))


@pytest.mark.parametrize("label", ["q", "ui", "qn"])
def test_hyperopt_draws_only_what_the_domain_holds(label):
    sample = pytest.importorskip("hyperopt.pyll.stochastic").sample
    node = {"q": hp.quniform("q", 1, 10, 2), "ui": hp.uniformint("ui", 1, 9), "qn": hp.qnormal("qn", 0, 10, 5)}[label]
    domain = space_from({label: node})[label]
    rng = np.random.default_rng(0)

    assert all(domain.holds(sample(node, rng=rng)) for _ in range(50))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda: {"x": hp.uniform("x", 0, 1) + 1}, "computed by 'add'"),
        (lambda: {"x": hp.uniform("x", 0, hp.uniform("y", 1, 2))}, "itself a parameter"),
        (lambda: {"c": hp.choice("c", [{"n": "a", "k": 1}, {"n": "b", "k": 2}])}, "several options"),
    ],
)
def test_what_no_space_can_hold_gets_a_sentence(given, says):
    with pytest.raises(DataError, match=says):
        space_from(given())

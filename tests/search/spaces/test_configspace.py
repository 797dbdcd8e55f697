import json

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.search import Choice, Distributed, Fixed, Int, Ordinal, Real, Space
from tunesmith.search.spaces import space_from

CS = pytest.importorskip("ConfigSpace")


def made():
    space = CS.ConfigurationSpace(seed=0)
    a = CS.Categorical("a", ["x", "y", "z"], default="z")
    b = CS.Float("b", (0.1, 1.0), log=True)
    i = CS.Integer("i:n.u", (1, 10))
    o = CS.Categorical("o", [1, 2, 3], ordered=True)
    m, m2 = CS.Float("m", (0, 1)), CS.Float("m2", (0, 1))
    n = CS.Float("n", (0, 10), distribution=CS.Normal(5, 2))
    whole = CS.Integer("whole", (0, 10), distribution=CS.Normal(5, 2))
    beta = CS.Float("beta", (0, 1), distribution=CS.Beta(2, 3))
    space.add([a, b, i, o, m, m2, n, whole, beta, CS.Constant("k", 4)])
    space.add([CS.EqualsCondition(b, a, "x"), CS.InCondition(i, a, ["x", "y"]), CS.GreaterThanCondition(m, o, 1)])
    space.add(CS.OrConjunction(CS.EqualsCondition(m2, o, 1), CS.EqualsCondition(m2, o, 3)))
    space.add(CS.ForbiddenAndConjunction(CS.ForbiddenEqualsClause(a, "x"), CS.ForbiddenInClause(o, [1, 2])))
    space.add(CS.ForbiddenEqualsClause(i, 7))
    space.add(CS.ForbiddenGreaterThanRelation(o, whole))
    return space


def test_all_kinds_conditions_and_what_is_forbidden():
    space = space_from(made())

    assert space["a"] == Choice(["x", "y", "z"])
    assert space["b"] == Real(0.1, 1, log=True, when=("a", "x"))
    assert space["i:n.u"] == Int(1, 10, when=("a", ("x", "y")))
    assert space["o"] == Ordinal([1, 2, 3])
    assert space["m"].when == ("o", (2, 3))
    assert space["m2"].when == ("o", (1, 3))
    assert space["n"] == Distributed("truncnorm", (-2.5, 2.5), (("loc", 5.0), ("scale", 2.0)))
    assert space["whole"] == Int(0, 10)
    assert space["beta"] == Distributed("beta", (2.0, 3.0), (("loc", 0.0), ("scale", 1.0)))
    assert space["k"] == Fixed(4)
    assert len(space.constraints) == 3
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_each_draws_what_the_other_holds():
    theirs = made()
    ours = space_from(theirs)

    for one in theirs.sample_configuration(50):
        config = {name: value.item() if hasattr(value, "item") else value for name, value in dict(one).items()}
        assert ours.holds(config), config
    for seed in range(50):
        config = ours.sample(np.random.default_rng(seed))
        CS.Configuration(theirs, values=config).check_valid_configuration()


def test_conditions_that_join_several_parents_are_refused():
    space = CS.ConfigurationSpace()
    a, b, c = CS.Categorical("a", [1, 2]), CS.Categorical("b", [1, 2]), CS.Float("c", (0, 1))
    space.add([a, b, c])
    space.add(CS.AndConjunction(CS.EqualsCondition(c, a, 1), CS.EqualsCondition(c, b, 1)))

    with pytest.raises(DataError, match="joins several"):
        space_from(space)

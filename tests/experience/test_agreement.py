"""Numbers of a rule that stand in rooms which may not read the rules: they agree."""

import inspect

import pytest

from tunesmith.blocks.experience import number, start
from tunesmith.blocks.layers.init import normal
from tunesmith.blocks.layers.norm.group import MOST_GROUPS
from tunesmith.blocks.models.inputs import embedding_size
from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.data.odd import IMBALANCE
from tunesmith.records import Recipe


def default(schedule: str, argument: str) -> float:
    return float(inspect.signature(SCHEDULES[schedule]).parameters[argument].default)


def test_the_defaults_of_the_recipe() -> None:
    optim = Recipe().optim

    assert optim.momentum == start("optim.momentum")
    assert optim.eps == start("optim.eps")


@pytest.mark.parametrize("levels", [2, 3, 10, 77, 1000, 50_000, 1_000_000])
def test_the_size_of_an_embedding_of_a_category(levels: int) -> None:
    most, factor, power = (number("embed.size", f"category_{name}") for name in ("most", "factor", "power"))

    assert embedding_size(levels) == min(most, max(1, round(factor * levels**power)))


def test_initial_embeddings_and_groups() -> None:
    assert number("embed.init", "std") == normal.STD
    assert number("norm.choice", "groups") == MOST_GROUPS


def test_published_constants_of_schedules() -> None:
    assert default("polynomial", "power") == number("sched.consts", "poly_power")
    assert default("one_cycle", "start") == number("sched.consts", "one_cycle_start")
    assert default("one_cycle", "end") == number("sched.consts", "one_cycle_end")
    assert default("step", "gamma") == start("decay.step_factor")


def test_the_ratio_of_classes_that_is_told() -> None:
    from tunesmith.blocks.experience import bounds

    (bound,) = bounds("classes.ratio")

    assert bound.above == IMBALANCE

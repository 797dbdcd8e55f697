"""Actors of a Ray cluster of two nodes on this machine."""

import os
import signal

import pytest

from tests.search.searching import SPACE, by_trial, halving, mutating, undisturbed
from tunesmith.search.ask import Search
from tunesmith.search.driver import drive
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.subjects import subject_of

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with one worker's room each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        made.add_node(num_cpus=1)
        yield made.address
    finally:
        made.shutdown()


def curve(config):
    unit = 0
    while True:
        unit += 1
        yield {"score": (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit}


@pytest.mark.slow
def test_the_same_trials_as_anywhere_else(cluster):
    with Search(SPACE, 9, total=60, sampler=mutating, budget=halving, seed=3, workers=2) as search:
        drive(search, subject_of(curve), EXECUTORS["ray"](address=cluster), 2)

    assert by_trial(search) == by_trial(undisturbed(2))


@pytest.mark.slow
def test_an_actor_that_dies_is_replaced(cluster, tmp_path):
    def mortal(config):
        for unit, record in enumerate(curve(config), start=1):
            mark = tmp_path / "died"
            if unit == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield record

    with Search(SPACE, 9, total=60, sampler=mutating, budget=halving, seed=3, workers=2) as search:
        drive(search, subject_of(mortal), EXECUTORS["ray"](address=cluster), 2)

    assert (tmp_path / "died").exists()
    assert by_trial(search) == by_trial(undisturbed(2))

"""A program trained on a copy under observation."""

import copy

import numpy as np
import torch

from tests.preflight.planted import program, usual_loop
from tunesmith.doctor.causes import Case, observed
from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.records import Clock


def test_the_whole_run_is_seen_and_the_program_left_alone():
    brought = program()
    before = copy.deepcopy(brought.model.state_dict())
    bench = bench_of_program(brought)

    with bench.guarded():
        history, made = observed(bench, Clock(60.0))

    loss, held = history.get("loss", part="train"), history.get("score", part="val")
    assert loss is not None
    assert held is not None
    assert len(loss) == made.steps == bench.updates
    assert len(held) == brought.epochs
    assert np.allclose(loss.values, made.losses)
    assert history.get("grad_norm") is not None
    assert history.facts["finished"]
    assert all(torch.equal(before[name], value) for name, value in brought.model.state_dict().items())


def test_the_observed_run_is_the_unchanged_program_of_the_experiments():
    bench = bench_of_program(program())

    _, made = observed(bench, Clock(60.0))

    assert Case(bench, Clock(60.0)).base() is made


def test_a_loop_of_their_own_is_seen_too():
    bench = bench_of_program(program(loop=usual_loop, epochs=2))

    history, made = observed(bench, Clock(60.0))

    loss = history.get("loss", part="train")
    assert loss is not None
    assert len(loss) == made.steps
    assert float(loss.values[-1]) < float(loss.values[0])


def test_a_small_budget_sees_a_part_and_says_so():
    bench = bench_of_program(program(epochs=4000))

    history, made = observed(bench, Clock(2.0))

    assert made.steps < bench.updates
    assert not history.facts["finished"]


def test_a_run_that_diverges_is_named_by_the_rules():
    bench = bench_of_program(program(lr=1000.0))

    history, _ = observed(bench, Clock(60.0))

    assert any(one.severity != "note" for one in diagnosed(history))

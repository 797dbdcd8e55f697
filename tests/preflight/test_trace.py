import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.preflight.planted import batches, digits, program, usual_loop, usual_step
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.courses import Variation, course
from tunesmith.doctor.preflight.cutting import cut, spread
from tunesmith.doctor.preflight.trace import BATCHES, EPOCHS, loop_trace, step_trace
from tunesmith.records.check import Inapplicable


def without_end(own, epochs):
    while True:
        try:
            for xb, yb in batches(own.train, own.batch_size):
                usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)
        except Exception:
            continue


def raising(own, epochs):
    for xb, yb in batches(own.train, own.batch_size):
        usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)
    raise RuntimeError("no more")


def test_the_events_of_an_update_in_their_order():
    trace = step_trace(bench_of_program(program(step=usual_step)))

    assert [event.kind for event in trace.events] == ["zero_grad", "forward", "backward", "update"] * BATCHES
    for event in trace.of("backward"):
        assert float(event.before.norm()) == 0.0
        assert float(event.after.norm()) > 0.0
    assert all(event.taught and event.graph and event.training for event in trace.of("forward"))
    assert all(event.moved > 0 for event in trace.of("update"))


def test_a_loop_runs_for_a_few_batches_and_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    brought = program(loop=usual_loop)
    before = [parameter.clone() for parameter in brought.model.parameters()]

    trace = loop_trace(bench_of_program(brought))

    forwards = trace.of("forward")
    assert len(trace.of("update")) == BATCHES * EPOCHS
    assert sum(not event.taught for event in forwards) == 2 * EPOCHS
    assert "epoch 1 right" in trace.printed
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert all(torch.equal(one, other) for one, other in zip(before, brought.model.parameters(), strict=True))


def test_a_loop_without_end_is_ended():
    trace = loop_trace(bench_of_program(program(loop=without_end)))

    assert not trace.whole
    assert trace.of("update")


def test_a_loop_that_raises_is_told_and_what_came_before_is_kept():
    trace = loop_trace(bench_of_program(program(loop=raising)))

    assert trace.error == "RuntimeError: no more"
    assert trace.of("update")
    with pytest.raises(Inapplicable, match="no scheduler"):
        trace.need("scheduler")


def test_data_are_cut_in_their_own_form():
    (X, y), _ = digits()
    rows = TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    places = spread(600, 64)

    arrays, loader, pairs = cut((X, y), places, 2), cut(DataLoader(rows, 32), places, 2), cut(rows, places, 2)

    assert np.array_equal(arrays[0], X[places])
    assert torch.equal(torch.cat([xb for xb, _ in loader]), torch.as_tensor(X[places]))
    assert len(pairs) == len(places) == 64


def test_two_courses_with_one_seed_are_the_same_and_another_seed_is_not():
    bench = bench_of_program(program())

    one, same, other = (course(bench, Variation(), 20, seed=seed) for seed in (0, 0, 1))

    assert one.losses == same.losses != other.losses
    assert one.score == same.score


@pytest.mark.parametrize("change", [Variation(inputs=True), Variation(rate=10.0), Variation(batch=2.0)])
def test_a_change_changes_the_course_and_not_the_program(change):
    brought = program()
    bench = bench_of_program(brought)

    plain, changed = course(bench, Variation(), 20), course(bench, change, 20)

    assert plain.losses != changed.losses
    assert brought.optimizer.param_groups[0]["lr"] == 0.1
    assert changed.steps == (10 if change.batch == 2.0 else 20)

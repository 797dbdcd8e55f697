import pytest
import torch
from torch import nn

from tests.preflight.planted import batches, digits, findings, mlp, program, usual_loop, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.doctor.preflight.forecast import memory

KEPT = []


def keeping(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    KEPT.append(loss)
    return loss.item()


def summing(own, epochs):
    for _ in range(epochs):
        total = 0.0
        for xb, yb in batches(own.train, own.batch_size):
            own.optimizer.zero_grad()
            loss = own.loss_fn(own.model(xb), yb)
            loss.backward()
            own.optimizer.step()
            total += loss


def test_bytes_of_a_linear_layer_are_those_of_its_shapes():
    bench = bench_of_program(program(nn.Linear(64, 10)))
    batch = bench.batch(32)

    parts = memory(bench.twin(), batch)

    assert parts["weights"] == parts["gradients"] == 4 * (64 * 10 + 10)
    kept = 4 * 32 * (64 + 10) + 8 * 32  # inputs, log-probabilities, targets
    assert kept <= parts["activations"] <= kept + 64


def test_the_state_of_adam_is_two_numbers_a_weight():
    bench = bench_of_program(program(optimizer=lambda model: torch.optim.Adam(model.parameters())))

    list(CHECKS["forecast"].look(bench))

    weights = bench.measured["forecast"]["weights"]
    assert 2 * weights <= bench.measured["forecast"]["optimizer"] <= 2 * weights + 64
    assert bench.measured["forecast"]["seconds"] > 0
    assert any(notice.startswith("forecast: 152 updates (8 epochs of 19)") for notice in bench.notices)


@pytest.mark.parametrize("about", [{"step": keeping}, {"loop": summing}])
def test_losses_kept_with_their_graph(about):
    KEPT.clear()

    found = findings("forecast", program(epochs=20, **about))

    assert [one.fault for one in found] == ["memory.oom"]
    assert found[0].values["most"] > 2


def test_more_than_there_is(monkeypatch):
    monkeypatch.setattr("tunesmith.doctor.preflight.forecast.free_bytes", lambda device: 1000)

    (found,) = findings("forecast", program(epochs=20))

    assert found.fault == "memory.oom"


@pytest.mark.parametrize("about", [{}, {"step": usual_step}, {"loop": usual_loop}])
def test_sound_programs_are_quiet(about):
    assert findings("forecast", program(epochs=20, **about), above="") == []


def test_few_updates_are_a_note():
    (found,) = findings("forecast", program(mlp(), data=digits(64), epochs=3), above="")

    assert (found.severity, found.values["updates"]) == ("note", 6)

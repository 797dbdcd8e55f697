"""Memory that grows, and what holds it."""

import subprocess
import sys
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.doctor.probes import memory
from tunesmith.doctor.probes.memory import MemoryWatch, growth, held_bytes, nodes

MEGABYTE = 2**20


def test_a_straight_rise_is_told_with_its_slope():
    noise = np.random.default_rng(0).normal(0, 0.2 * MEGABYTE, 64)

    found = growth(range(0, 640, 10), 1e9 + 0.3 * MEGABYTE * np.arange(0, 640, 10) + noise)

    assert found is not None
    assert found.per_step == pytest.approx(0.3 * MEGABYTE, rel=0.05)


@pytest.mark.parametrize(
    "course",
    [
        np.full(64, 1e9),
        1e9 + 200 * MEGABYTE * (1 - np.exp(-np.arange(64) / 8)),  # an allocator that warms up
        1e9 + 100 * MEGABYTE * (np.arange(64) % 16),  # a cache that is emptied
        1e9 + 100 * MEGABYTE * (np.arange(64) > 40),  # one large thing
        1e9 + 0.1 * MEGABYTE * np.arange(64),  # too little to be told
        1e9 - 10 * MEGABYTE * np.arange(64),
        1e9 + 50 * MEGABYTE * np.random.default_rng(0).standard_normal(64),
    ],
)
def test_what_is_no_growth_is_left_alone(course):
    assert growth(range(64), course) is None


def test_memory_of_this_process_can_be_read():
    held = held_bytes(torch.device("cpu"))

    if held is None:
        pytest.skip("this system does not say")
    assert 10 * MEGABYTE < held < 2**40


def test_a_graph_is_counted():
    x = torch.ones(2, requires_grad=True)

    assert nodes(x * 2 + 1) == 3  # the sum, the product, and the leaf


class Loop:
    """A loop whose memory grows by a megabyte an update, whatever it does."""

    def __init__(self, monkeypatch, rising=True):
        self.step, self.facts, self.watch = 0, {"device": "cpu"}, MemoryWatch()
        monkeypatch.setattr(memory, "held_bytes", lambda device: 1e9 + (self.step * MEGABYTE if rising else 0))
        monkeypatch.setattr(memory, "capacity", lambda device: 2e9)

    def update(self):
        self.step += 1
        list(self.watch(SimpleNamespace(step=self.step, facts=self.facts)))

    @property
    def holder(self):
        return self.facts["memory"]["holder"]


def loss_of(model):
    return model(torch.randn(4, 8)).pow(2).mean()


def test_losses_kept_with_their_graph_are_named(monkeypatch):
    loop, model, losses = Loop(monkeypatch), nn.Linear(8, 1), []

    for _ in range(60):
        losses.append(loss_of(model))
        loop.update()

    told = loop.facts["memory"]
    assert (loop.holder["kind"], loop.holder["name"], loop.holder["type"]) == ("graphs", "losses", "list")
    assert loop.holder["added"] == pytest.approx(1.0, rel=0.15)
    assert "test_losses_kept_with_their_graph_are_named" in loop.holder["where"]
    assert told["bytes_per_step"] == pytest.approx(MEGABYTE)
    assert told["steps_left"] == pytest.approx((2e9 - told["held"]) / MEGABYTE)


def test_an_attribute_of_an_object_is_named(monkeypatch):
    class Meter:
        def __init__(self):
            self.history = deque()

    loop, model, meter = Loop(monkeypatch), nn.Linear(8, 1), Meter()

    for step in range(60):
        meter.history.append({"step": step, "loss": loss_of(model)} if step < 0 else loss_of(model))
        loop.update()

    assert (loop.holder["name"], loop.holder["where"]) == ("history", "Meter.history")


def test_a_sum_of_losses_is_a_chain(monkeypatch):
    loop, model, total = Loop(monkeypatch), nn.Linear(8, 1), torch.zeros(())

    for _ in range(60):
        total = total + loss_of(model)
        loop.update()

    assert (loop.holder["kind"], loop.holder["name"], loop.holder["scalar"]) == ("chain", "total", True)
    assert loop.holder["added"] > 1


def test_a_state_that_is_carried_over_is_a_chain_too(monkeypatch):
    loop, cell, state = Loop(monkeypatch), nn.Linear(8, 8), torch.zeros(4, 8)

    for _ in range(60):
        state = torch.tanh(cell(state) + torch.randn(4, 8))
        loop.update()

    assert (loop.holder["kind"], loop.holder["name"], loop.holder["scalar"]) == ("chain", "state", False)


def test_outputs_that_are_kept_are_tensors_without_a_graph(monkeypatch):
    loop, model, outputs = Loop(monkeypatch), nn.Linear(8, 1), []

    for _ in range(60):
        with torch.no_grad():
            outputs.append((model(torch.randn(4, 8)), 1))
        loop.update()

    assert (loop.holder["kind"], loop.holder["name"], loop.holder["count"]) == (
        "tensors",
        "outputs",
        loop.facts["memory"]["step"],
    )


def test_what_has_no_name_in_python_is_told_without_a_holder(monkeypatch):
    loop, fixed = Loop(monkeypatch), [torch.zeros(3) for _ in range(100)]

    for _ in range(60):
        loop.update()

    assert len(fixed) == 100
    assert "holder" not in loop.facts["memory"]


def test_without_growth_nothing_is_said_whatever_is_kept(monkeypatch):
    loop, model, losses = Loop(monkeypatch, rising=False), nn.Linear(8, 1), []

    for _ in range(200):
        losses.append(loss_of(model))
        loop.update()

    assert "memory" not in loop.facts


def test_readings_are_few_however_long_the_run(monkeypatch):
    loop = Loop(monkeypatch, rising=False)

    for _ in range(3000):
        loop.update()

    assert len(loop.watch._steps) <= memory.SAMPLES


LEAKING = """
from types import SimpleNamespace

import torch

from tunesmith.doctor.probes.memory import MemoryWatch

watch, facts, kept = MemoryWatch(), {"device": "cpu"}, []
for step in range(1, 90):
    kept.append(torch.zeros(512 * 1024))  # 2 MB
    list(watch(SimpleNamespace(step=step, facts=facts)))
    if "memory" in facts:
        break
print(facts["memory"]["bytes_per_step"], facts["memory"]["holder"]["name"])
"""


def test_a_leak_of_real_bytes_is_found():
    if held_bytes(torch.device("cpu")) is None:
        pytest.skip("this system does not say")

    # in a process of its own: one that has run other tests takes from memory it holds already
    run = subprocess.run([sys.executable, "-c", LEAKING], capture_output=True, text=True, check=True)
    grown, name = run.stdout.split()

    assert float(grown) == pytest.approx(2 * MEGABYTE, rel=0.2)
    assert name == "kept"

import time
import types

import pytest
import torch
from torch import nn

from tunesmith.records import RecipeError
from tunesmith.training.batched import BatchedTrial, Timing, pays, timing, train_batched

X, y = torch.randn(50, 6), torch.randint(3, (50,))


def group_of(optimizer: str = "adamw"):
    between = (nn.BatchNorm1d(8), nn.Dropout(0.2))
    return train_batched(
        lambda: nn.Sequential(nn.Linear(6, 8), *between, nn.Linear(8, 3)),
        [BatchedTrial(id=k, lr=1e-3, seed=k, clip_norm=1.0, momentum=0.5) for k in range(3)],
        X,
        y,
        loss="cross_entropy",
        batch_size=8,
        epochs=3,
        optimizer=optimizer,
    )


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop"])
def test_a_timing_leaves_the_group_and_the_generator_as_they_were(optimizer):
    timed, other = group_of(optimizer), group_of(optimizer)
    for one in (timed, other):
        one.train_epoch()
    torch.manual_seed(3)
    before = torch.get_rng_state()

    found = pays(timed, steps=6)

    assert found.stacked_seconds > 0
    assert found.sequential_seconds > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert list(timed) == list(other)


def test_the_medians_are_of_the_steps(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(timing, "clock_of", lambda device: lambda: next(clock))

    found = pays(group_of())

    assert found == Timing(trials=3, stacked_seconds=1, sequential_seconds=3)
    assert found.pays


def test_the_verdict_asks_for_more_than_noise():
    slower = Timing(trials=8, stacked_seconds=2.0, sequential_seconds=1.0)
    level = Timing(trials=8, stacked_seconds=1.0, sequential_seconds=1.05)
    faster = Timing(trials=8, stacked_seconds=1.0, sequential_seconds=1.2)

    assert [one.pays for one in (slower, level, faster)] == [False, False, True]
    assert "does not pay" in str(slower)


def test_the_clock_is_that_of_the_process_where_one_thread_works(monkeypatch):
    cpu = torch.device("cpu")
    threads = iter((1, 2))
    monkeypatch.setattr(time, "get_clock_info", lambda name: types.SimpleNamespace(resolution=1e-9))
    monkeypatch.setattr(torch, "get_num_threads", lambda: next(threads))

    assert timing.clock_of(cpu) is time.process_time
    assert timing.clock_of(cpu) is time.perf_counter

    monkeypatch.setattr(time, "get_clock_info", lambda name: types.SimpleNamespace(resolution=0.0156))
    assert timing.clock_of(cpu) is time.perf_counter


def test_a_timing_needs_steps_and_trials():
    group = group_of()
    with pytest.raises(RecipeError, match="0 steps"):
        pays(group, steps=0)
    group.drop(group.ids)
    with pytest.raises(RecipeError, match="0 trials"):
        pays(group)

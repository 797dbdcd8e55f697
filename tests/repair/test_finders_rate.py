"""The rate finder: what it hands over trains, what it was given stays as it was."""

import copy
import math
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from tests.preflight.planted import digits, mlp, program, regression
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.repair.finders.curve import curve_of, noise_of, told
from tunesmith.doctor.repair.finders.rate import vertex
from tunesmith.doctor.repair.finders.schedule import at, written_down
from tunesmith.records import ModelError, Program, Recipe, Task, revise
from tunesmith.records.state import copied, random_state
from tunesmith.verbs.find_rate import find_rate


def short(**about):
    return program(**({"epochs": 2, "lr": 1e-3} | about))


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return one == other


def test_the_rate_trains_and_lies_inside_its_range():
    found = find_rate(short(), seconds=None)

    assert 0.01 < found.rate < 0.3  # SGD with momentum 0.9 on scaled digits, by the grid of benchmarks/lr_finder
    assert found.lowest <= found.rate <= found.highest
    best = next(one for one in found.tried if one.rate == found.rate)
    assert best.steps == found.of == 38
    assert best.fell > 1.0
    assert found.confidence == 0.9
    assert found.rates == (found.rate,)
    assert f"{found.rate:.3g}" in found.because
    assert "学习率" in found.text("zh")


def test_everything_is_as_it_was_to_the_bit():
    sound = short(
        model=mlp(64, 10, nn.BatchNorm1d(32), nn.Dropout(0.2)), scheduler=lambda o: LambdaLR(o, lambda s: 0.9**s)
    )
    torch.manual_seed(5)
    sound.model(torch.randn(8, 64)).sum().backward()
    parts = (sound.model, sound.optimizer, sound.scheduler)
    before = [copied(part.state_dict()) for part in parts]
    gradients = [each.grad.clone() for each in sound.model.parameters()]
    random = random_state()

    find_rate(sound, updates=300)

    assert all(same(part.state_dict(), was) for part, was in zip(parts, before, strict=True))
    assert all(torch.equal(each.grad, was) for each, was in zip(sound.model.parameters(), gradients, strict=True))
    assert same(random_state(), random)
    assert all(module.training for module in sound.model.modules())


def test_the_same_program_gives_the_same_rate():
    first, again = (find_rate(short(), updates=300) for _ in range(2))

    assert (first.rate, first.curve, first.lowest) == (again.rate, again.curve, again.lowest)


def test_groups_keep_their_ratios():
    def groups(model):
        return torch.optim.Adam(
            [{"params": model[0].parameters(), "lr": 1e-3}, {"params": model[2].parameters(), "lr": 1e-4}]
        )

    found = find_rate(short(optimizer=groups), updates=300)

    assert found.rates[0] == found.rate
    assert found.rates[1] == pytest.approx(found.rate / 10, rel=1e-3)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "NAdam", "Adagrad"])
def test_every_kind_of_optimizer_is_given_a_rate_that_trains(name):
    found = find_rate(
        short(optimizer=lambda model: getattr(torch.optim, name)(model.parameters(), lr=1e-6)), updates=500
    )

    best = next(one for one in found.tried if one.rate == found.rate)
    assert best.fell > 0.2
    assert found.rate > 1e-4


def test_a_rate_far_too_high_or_low_at_the_start_does_not_matter():
    rates = [find_rate(short(lr=lr), updates=600).rate for lr in (1e-7, 1e4)]

    assert all(0.01 < rate < 0.5 for rate in rates)


def test_one_cycle_and_warm_up_are_squeezed_into_short_trainings():
    def cycle(optimizer):
        return OneCycleLR(optimizer, max_lr=0.01, total_steps=8 * 19)

    sound = program(lr=0.01, epochs=8, scheduler=cycle, schedule_unit="step")
    bench = bench_of_program(sound)

    table = written_down(bench)

    assert len(table) == bench.updates == 152
    factors = [moment.factors[0] for moment in table]
    assert max(factors) == pytest.approx(1.0, abs=0.01)
    assert factors[0] == pytest.approx(1 / 25, rel=1e-6)
    assert [at(table, done, 152) for done in range(152)] == table
    squeezed = [at(table, done, 10).factors[0] for done in range(10)]
    assert max(squeezed) > 0.95
    assert squeezed[-1] < 0.05
    assert table[0].others[0]["momentum"] == pytest.approx(0.95)
    found = find_rate(sound, updates=500)
    assert 0.02 < found.rate < 2.0  # the peak


def test_a_schedule_by_epoch_is_written_down():
    sound = program(epochs=3, lr=1.0, scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.5))

    table = written_down(bench_of_program(sound))

    assert [table[step].factors[0] for step in (0, 18, 19, 38)] == [1.0, 1.0, 0.5, 0.25]


def test_one_batch_is_enough():
    (X, y), _ = digits()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    found = find_rate(Program(model, nn.CrossEntropyLoss(), optimizer, (X[:16], y[:16]), batch_size=16, epochs=30))

    assert found.of == 30
    assert next(one for one in found.tried if one.rate == found.rate).fell > 0.5
    assert found.confidence == pytest.approx(0.8)  # judged on training rows


def test_a_loop_of_their_own():
    def loop(program, epochs):
        X, y = map(torch.as_tensor, program.train)
        for _ in range(epochs):
            for start in range(0, len(X), 50):
                program.optimizer.zero_grad()
                program.loss_fn(program.model(X[start : start + 50]), y[start : start + 50]).backward()
                program.optimizer.step()

    found = find_rate(short(loop=loop, batch_size=50, lr=1e-3), seconds=None)

    assert found.curve is None
    assert found.rate > 3e-3


def test_a_loop_that_makes_its_own_optimizer_is_told():
    def loop(program, epochs):
        optimizer = torch.optim.SGD(program.model.parameters(), lr=0.01)
        X, y = map(torch.as_tensor, program.train)
        for _ in range(2 * epochs):
            optimizer.zero_grad()
            program.loss_fn(program.model(X), y).backward()
            optimizer.step()

    found = find_rate(short(loop=loop), updates=200)

    assert found.rate is None
    assert "has no effect" in found.because


# Never a rate that does not train


def test_where_no_rate_trains_none_is_given():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, x):
            return self.net(x).detach() + 0.0 * self.net(x).sum()

    found = find_rate(short(model=Cut()), updates=400)

    assert found.rate is None
    assert found.lowest is None
    assert found.confidence == 0.0
    assert "no rate trains" in found.because


def test_where_every_training_breaks_none_is_given():
    class Broken(nn.Module):
        def forward(self, outputs, target):
            return nn.functional.cross_entropy(outputs, target) + float("nan")

    found = find_rate(short(loss=Broken()), updates=400)

    assert found.rate is None
    assert "broke off" in found.because


def test_noise_as_targets_still_gives_a_rate_that_learns_the_training_rows():
    (X, _), (V, _) = digits()
    rng = np.random.default_rng(0)
    data = (X, rng.integers(0, 10, len(X))), (V, rng.integers(0, 10, len(V)))

    found = find_rate(short(data=data, epochs=4), updates=800)

    best = next(one for one in found.tried if one.rate == found.rate)
    assert best.fell > 0.005 * 2.3


def test_an_optimizer_without_rates_is_refused():
    class Own:
        param_groups = ()

        def step(self): ...

        def zero_grad(self): ...

    model = mlp()
    with pytest.raises(ModelError, match="without a learning rate"):
        find_rate(Program(model, nn.CrossEntropyLoss(), Own(), *digits(), batch_size=32, epochs=1))
    with pytest.raises(ModelError, match="every rate of the optimizer is 0"):
        find_rate(short(lr=0.0))


def test_a_program_that_makes_no_update_is_refused():
    with pytest.raises(ModelError, match="does not make an update"):
        find_rate(short(model=mlp(63)))


# The range test


def test_the_noise_is_that_of_the_batches():
    rng = np.random.default_rng(0)
    trend = 3.0 - 0.01 * np.arange(2000)

    assert noise_of(trend + 0.5 * rng.standard_normal(2000)) == pytest.approx(0.5, rel=0.1)
    assert noise_of([2.0] * 50) == 0.0


def test_the_mean_is_as_wide_as_the_noise_asks_for():
    rates = np.logspace(-8, 2, 121)  # a fall of 2.2 at 1e-2, and a rise at 1
    fall = 2.3 - 2.0 / (1 + (1e-2 / rates) ** 2) + 4.0 / (1 + (1.0 / rates) ** 4)
    rng = np.random.default_rng(1)

    calm = told(rates, [fall])
    noisy = [told(rates, [fall + 0.9 * rng.standard_normal(121) for _ in range(count)]) for count in (1, 4)]

    assert calm.window == 1
    assert noisy[0].window > noisy[1].window > 1
    assert calm.edge == pytest.approx(0.1, rel=2.0)
    assert all(0.02 < one.edge < 2.0 for one in noisy)
    assert calm.foot < calm.edge


def test_pure_noise_is_no_fall():
    rng = np.random.default_rng(2)

    found = [told(np.logspace(-8, 2, 121), [2.3 + 0.3 * rng.standard_normal(121)]) for _ in range(20)]

    assert sum(one.edge is not None for one in found) <= 1


def test_a_noisy_program_is_swept_again():
    noisy = regression(batch_size=2, lr=1e-3)
    calm = regression(batch_size=340, lr=1e-3)

    assert curve_of(bench_of_program(noisy), 1e-3).repeats > 1
    assert curve_of(bench_of_program(calm), 1e-3).repeats == 1


def test_losses_below_zero_are_no_hindrance():
    class Likelihood(nn.Module):
        def forward(self, outputs, target):
            return ((outputs - target) ** 2).mean() - 5.0

    found = find_rate(regression(loss=Likelihood(), lr=1e-4, epochs=3), updates=300)

    assert found.rate > 1e-4
    assert found.curve.edge is not None


def test_the_lowest_place_of_a_parabola():
    assert vertex([(0, 9.0), (4, 1.0), (8, 9.0)], 4) == 4
    assert vertex([(0, 4.0), (4, 1.0), (8, 2.0)], 4) in (5, 6)
    assert vertex([(0, math.inf), (4, 1.0), (8, 2.0)], 4) == 4


# Tasks


def test_a_task_with_its_recipe():
    (X, y), val = digits()
    recipe = revise(Recipe(), {"train.epochs": 3, "model.width": 32, "train.device": "cpu", "optim.lr": 1e-5})

    found = find_rate(Task(train=(X, y), val=val), recipe, updates=400)

    assert found.change == {"optim.lr": pytest.approx(found.rate, rel=1e-3)}
    assert found.rate > 1e-4
    assert revise(recipe, found.change).optim.lr == found.change["optim.lr"]


def test_a_copy_of_the_program_is_not_needed_where_there_can_be_none():
    sound = short()
    mine, stepped = sound.model, sound.optimizer

    def step(model, loss_fn, optimizer, xb, yb):
        stepped.zero_grad()
        loss = loss_fn(mine(xb), yb)
        loss.backward()
        stepped.step()
        return loss.item()

    sound.step = step
    before = copy.deepcopy(sound.model.state_dict())

    found = find_rate(sound, updates=300)

    assert found.rate > 1e-3
    assert same(sound.model.state_dict(), before)
    assert any("snapshot" in notice for notice in found.notices)


class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(64, 10)

    def forward(self, x):
        if self.training:
            time.sleep(0.1)
        return self.net(x)


def test_a_budget_too_small_for_a_range_test_is_kept_to():
    began = time.perf_counter()

    found = find_rate(short(model=Slow(), epochs=1000), seconds=4)

    assert time.perf_counter() - began < 8
    assert found.curve is None
    assert found.updates < 60
    assert found.confidence <= 0.4

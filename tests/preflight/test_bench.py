"""The bench: whatever is tried, what the user brought is as it was."""

import copy
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from tunesmith import Program, Recipe, Task
from tunesmith.doctor.preflight import bench_of_program, bench_of_task
from tunesmith.doctor.preflight.courses import Variation, course
from tunesmith.records.state import random_state
from tunesmith.verbs.fit import as_recipe

ADULT = "src/tunesmith/demo_data/adult_2000.csv.gz"


def digits():
    data = load_digits()
    return (data.data / 16).astype(np.float32), data.target


def program(**changed):
    torch.manual_seed(0)
    X, y = digits()
    net = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    made = Program(
        net,
        nn.CrossEntropyLoss(),
        sgd,
        (X[:1000], y[:1000]),
        (X[1000:], y[1000:]),
        batch_size=32,
        epochs=3,
        scheduler=torch.optim.lr_scheduler.StepLR(sgd, 1, 0.5),
        num_classes=10,
    )
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def held(made):
    """Everything of a program that could change, copied."""
    return copy.deepcopy(
        (
            made.model.state_dict(),
            [each.grad for each in made.model.parameters()],
            [module.training for module in made.model.modules()],
            made.optimizer.state_dict(),
            None if made.scheduler is None else made.scheduler.state_dict(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
            torch.get_rng_state(),
        )
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def own_step(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("step", [None, own_step])
def test_trying_leaves_the_original_bit_for_bit(step):
    made = program(step=step)
    made.model(torch.randn(8, 64)).sum().backward()  # gradients and running statistics of the user's own
    before = held(made)

    bench = bench_of_program(made)
    with bench.guarded():
        twin = bench.twin()
        for batch in bench.fed(5):
            twin.step(batch)
            twin.scheduler.step()

    assert not bench.shared
    assert same(before, held(made))
    assert not same(made.model.state_dict(), twin.model.state_dict())


def test_a_twin_is_the_program_and_repeats():
    made = program()
    bench = bench_of_program(made)

    runs = []
    for _ in range(2):
        twin = bench.twin()
        runs.append([twin.step(batch) for batch in bench.fed(6)])

    torch.manual_seed(made.seed)
    plain = copy.deepcopy(made.model).train()
    sgd = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    by_hand = [own_step(plain, made.loss_fn, sgd, batch.inputs, batch.target) for batch in bench.fed(6)]
    assert runs[0] == runs[1] == pytest.approx(by_hand, rel=1e-6)


def test_a_step_that_reaches_for_the_original_is_noticed_and_put_back():
    made = program()
    net = made.model

    def step(model, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        optimizer.step()
        return loss.item()

    made.step = step
    before = held(made)

    bench = bench_of_program(made)
    with bench.guarded():
        twin = bench.twin()
        first = [twin.step(batch) for batch in bench.fed(4)]
        again = [bench.twin().step(bench.fed(1)[0])]

    assert "'net'" in bench.notices[0]
    assert twin.model is net
    assert again == first[:1]
    assert same(before, held(made))


def test_reaching_by_a_way_that_cannot_be_seen_is_told_and_put_back():
    made = program()
    hidden = {"deep": {"deeper": [lambda: made.model]}}

    def loss(outputs, target):
        with torch.no_grad():
            hidden["deep"]["deeper"][0]()[0].weight.add_(1.0)
        return nn.functional.cross_entropy(outputs, target)

    made.loss_fn = loss
    before = held(made)

    bench = bench_of_program(made)
    with bench.guarded():
        bench.twin().step(bench.fed(1)[0])

    assert any("put back" in notice for notice in bench.notices)
    assert same(before, held(made))


def test_what_cannot_be_copied_is_tried_in_place():
    made = program()
    made.model.cache = torch.ones(2, requires_grad=True) * 2  # not a leaf: torch refuses to copy it
    before = held(made)

    bench = bench_of_program(made)
    with bench.guarded():
        bench.twin().step(bench.fed(1)[0])

    assert "cannot be copied" in bench.shared
    assert same(before, held(made))


def test_lbfgs_is_copied_whole():
    torch.manual_seed(0)
    X, y = digits()
    net = nn.Linear(64, 10)
    made = Program(
        net, nn.CrossEntropyLoss(), torch.optim.LBFGS(net.parameters()), (X[:200], y[:200]), batch_size=200, epochs=1
    )
    before = held(made)

    bench = bench_of_program(made)
    with bench.guarded():
        twin = bench.twin()
        losses = [twin.step(bench.fed(1)[0]) for _ in range(2)]

    assert losses[1] < losses[0]
    assert same(before, held(made))


class Pairs(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, place):
        return self.X[place], self.y[place]


class Stream(IterableDataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __iter__(self):
        return iter(zip(self.X, self.y, strict=True))


def forms():
    X, y = digits()
    X, y = torch.from_numpy(X[:100]), torch.from_numpy(y[:100])
    yield "tensors", (X, y)
    yield "arrays", (X.numpy().astype(np.float64), y.numpy())
    yield "dataset", Pairs(X, y)
    yield "loader", DataLoader(Pairs(X, y), batch_size=32, shuffle=True)
    yield "tensor loader", DataLoader(TensorDataset(X, y), batch_size=32)
    yield "stream", DataLoader(Stream(X, y), batch_size=32)


@pytest.mark.parametrize(("form", "data"), list(forms()), ids=[name for name, _ in forms()])
def test_rows_are_the_same_in_every_form(form, data):
    X, y = digits()
    bench = bench_of_program(program(train=data, val=None))
    before = random_state()

    taken = bench.train.take([0, 7, 99])
    fed = list(bench.train.fed())
    inputs, target = bench.train.arrays()

    assert np.allclose(taken.inputs, X[[0, 7, 99]])
    assert taken.target.tolist() == y[[0, 7, 99]].tolist()
    assert taken.inputs.dtype == torch.float32
    assert sum(batch.size for batch in fed) == 100
    assert bench.train.batches == len(fed) == 4
    assert np.allclose(inputs, X[:100])
    assert sorted(torch.cat([batch.target for batch in fed]).tolist()) == sorted(y[:100].tolist())
    assert target.tolist() == y[:100].tolist()
    assert torch.equal(before["torch"], random_state()["torch"])


def kinds():
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    whole = np.arange(60) % 3
    yield "multiclass", (X, whole), nn.CrossEntropyLoss(), 3
    yield "binary", (X, (whole > 1).astype(np.float32)), nn.BCEWithLogitsLoss(), 1
    yield "binary", (X, (whole > 1).astype(np.int64)), nn.CrossEntropyLoss(), 2
    yield "multilabel", (X, (X > 0).astype(np.float32)), nn.BCEWithLogitsLoss(), 4
    yield "regression", (X, X[:, 0]), nn.MSELoss(), 1
    yield "regression", (X, X[:, :1]), lambda outputs, target: (outputs - target).abs().mean(), 1
    yield "multi_regression", (X, X[:, :2]), nn.L1Loss(), 2
    yield "language", (X, np.tile(whole[:, None], (1, 5))), lambda outputs, target: outputs.sum(), 3


@pytest.mark.parametrize(("kind", "data", "loss", "width"), list(kinds()))
def test_the_kind_of_task_is_seen(kind, data, loss, width):
    net = nn.Linear(4, width)
    made = Program(net, loss, torch.optim.SGD(net.parameters(), 0.1), data, batch_size=8, epochs=1)

    assert bench_of_program(made).kind == kind


def test_a_task_on_the_bench_is_what_fit_trains():
    import tunesmith as ts

    still = as_recipe({"train.epochs": 1, "train.batch_size": 64, "optim.lr": 1e-12, "optim.weight_decay": 0.0})
    run = ts.fit(Task(train=ADULT, target="income"), still, until="1 steps")

    bench = bench_of_task(Task(train=ADULT, target="income"), still)

    weights = dict(run.model.named_parameters())
    for name, parameter in bench.program.model.named_parameters():
        assert torch.allclose(parameter, weights[name], atol=1e-9), name
    assert bench.kind == "binary"
    assert bench.updates == 22
    assert len(bench.train) == 1400
    assert bench.material.kind == "binary"


def rates_of(**schedule):
    """The rates of a training of a task on the bench, and its bench."""
    about = {f"schedule.{name}": value for name, value in schedule.items()}
    fixed = {"train.epochs": 2, "train.batch_size": 64, "optim.name": "sgd", "optim.lr": 0.1, **about}
    bench = bench_of_task(Task(train=ADULT, target="income"), as_recipe(fixed))
    rates = []

    def after(twin, told):
        rates.append(twin.optimizer.param_groups[0]["lr"])

    course(bench, Variation(), bench.updates, each=after)
    return rates, bench


@pytest.mark.parametrize("name", ["linear", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0, 10])
def test_a_task_on_the_bench_follows_the_schedule_of_its_recipe(name, warmup):
    rates, bench = rates_of(name=name, warmup=warmup)

    plan = bench.made.plan
    assert len(rates) == plan.steps == 44
    assert rates == pytest.approx([0.1 * plan.rates.factor(step) for step in range(44)])
    assert rates[-1] < 0.02
    assert bench.program.optimizer.param_groups[0]["lr"] == 0.1  # what is read off it is the recipe
    assert bench.made.plan.state.step == 0


def test_a_constant_rate_has_no_scheduler():
    rates, bench = rates_of(name="constant", warmup=0)

    assert bench.program.scheduler is None
    assert set(rates) == {0.1}


def test_a_schedule_can_be_taken_away_and_its_rates_scaled():
    _, bench = rates_of(name="linear", warmup=0)
    seen = {}
    for change in (Variation("flat", flat=True), Variation("half", rate=0.5)):
        rates = seen[change.name] = []
        course(
            bench, change, 44, each=lambda twin, told, rates=rates: rates.append(twin.optimizer.param_groups[0]["lr"])
        )

    assert set(seen["flat"]) == {0.1}
    assert seen["half"] == pytest.approx([0.05 * bench.made.plan.rates.factor(step) for step in range(44)])


def test_a_batch_is_the_same_for_the_same_name():
    bench = bench_of_program(program())

    one, other, third = (bench.batch(8, name) for name in ("a", "a", "b"))

    assert torch.equal(one.inputs, other.inputs)
    assert not torch.equal(one.inputs, third.inputs)


def test_rows_by_themselves_have_the_mean_loss_of_the_batch():
    bench = bench_of_program(program())
    twin, batch = bench.twin(), bench.batch(16)

    each = twin.losses(batch)

    assert each.shape == (16,)
    assert float(each.mean()) == pytest.approx(twin.judged(batch)[0], rel=1e-5)


def test_recipes_default_stands():
    assert bench_of_task(Task(train=ADULT, target="income"), Recipe()).program.accumulate == 1


def test_a_model_that_scales_its_inputs_is_known():
    X = np.random.default_rng(0).normal(200.0, 50.0, (80, 3)).astype(np.float32)

    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(3, 1)

        def forward(self, x):
            return self.net((x - 200.0) / 50.0)

    def material(net):
        made = Program(net, nn.MSELoss(), torch.optim.SGD(net.parameters(), 0.1), (X, X[:, :1]), batch_size=8, epochs=1)
        return bench_of_program(made).material

    assert material(Scaling()).norm_first
    assert not material(nn.Linear(3, 1)).norm_first

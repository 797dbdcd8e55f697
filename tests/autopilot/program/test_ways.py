"""Each way in which a program can be varied, on copies, and in a training."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR

from tunesmith.autopilot.program.reading import Reading, Rows
from tunesmith.autopilot.program.training import Training
from tunesmith.autopilot.program.ways import lines, space_of, standing, varied
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program
from tunesmith.search import Ordinal, Real


def program(optimizer=None, schedule=None, *, net=None, **about):
    drawn = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 6, generator=drawn)
    target = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)) if net is None else net
    make = optimizer or (lambda net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9))
    made = make(net)
    given = {"batch_size": 16, "epochs": 4, "scheduler": schedule(made) if schedule else None} | about
    loss = given.pop("loss", nn.CrossEntropyLoss())
    train = given.pop("train", (inputs[:64], target[:64]))
    return Program(net, loss, made, train, (inputs[64:], target[64:]), **given)


def bench_of(given):
    return Bench(given, kind="multiclass")


def trained(given, way, folder, epochs=None):
    bench = bench_of(given)
    reading = Reading(bench, Rows(bench.val, torch.arange(len(bench.val))))
    training = Training(bench, way, reading, folder).resumed()
    return training, list(training.epochs(0, epochs or training.program.epochs))


def two_groups(net):
    groups = [{"params": net[0].parameters(), "weight_decay": 0.0}, {"params": net[2].parameters(), "lr": 0.01}]
    return torch.optim.AdamW(groups, lr=0.1, weight_decay=0.02)


def test_the_rate_and_the_decay_keep_the_ratios_of_their_groups():
    made = varied(bench_of(program(two_groups)), {"lr": 0.2, "weight_decay": 0.06, "beta1": 0.8})

    assert [group["lr"] for group in made.optimizer.param_groups] == pytest.approx([0.2, 0.02])
    assert [group["weight_decay"] for group in made.optimizer.param_groups] == pytest.approx([0.0, 0.06])
    assert all(group["betas"] == (0.8, 0.999) for group in made.optimizer.param_groups)


def test_a_rate_of_none_is_given_one():
    still = program(lambda net: torch.optim.SGD(net.parameters(), lr=0.0))

    made = varied(bench_of(still), {"lr": 0.2})

    assert made.optimizer.param_groups[0]["lr"] == 0.2
    assert space_of(bench_of(still), {})[0]["lr"].low > 0
    assert lines({"lr": 0.2}, still)[0].startswith("lr = 0.2  # was 0")


def test_a_decay_where_there_was_none_momentum_and_the_batch():
    data = torch.utils.data.TensorDataset(*program().train)
    loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)

    made = varied(bench_of(program(train=loader)), {"weight_decay": 0.01, "momentum": 0.5, "batch_size": 8})

    assert (made.optimizer.param_groups[0]["weight_decay"], made.optimizer.param_groups[0]["momentum"]) == (0.01, 0.5)
    assert (made.batch_size, len(made.train)) == (8, 8)


def test_the_rate_is_that_at_the_peak_of_a_cycle():
    cycle = program(schedule=lambda optimizer: OneCycleLR(optimizer, max_lr=0.4, total_steps=16))

    made = varied(bench_of(cycle), {"lr": 0.8})

    assert standing(cycle)["lr"] == pytest.approx(0.4)
    assert standing(made)["lr"] == pytest.approx(0.8)
    assert "momentum" not in space_of(bench_of(cycle), {})[0]


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("as it is", [0.1, 0.01, 0.001, 0.0001]),
        ("constant", [0.1, 0.1, 0.1, 0.1]),
        ("cosine", [0.1 * (1 + np.cos(np.pi * (4 * epoch) / 16)) / 2 for epoch in range(4)]),
    ],
)
def test_a_schedule_goes_over_the_whole_training(name, rates, tmp_path):
    given = program(schedule=lambda optimizer: StepLR(optimizer, 1))
    bench = bench_of(given)
    reading = Reading(bench, Rows(bench.val, torch.arange(len(bench.val))))
    training = Training(bench, {"schedule": name}, reading, tmp_path).resumed()

    seen = []
    for epoch in range(4):
        seen.append(training.twin.optimizer.param_groups[0]["lr"])
        list(training.epochs(epoch, epoch + 1))

    assert seen == pytest.approx(rates)
    assert given.optimizer.param_groups[0]["lr"] == 0.1


def test_a_longer_training_stretches_the_schedule_of_the_program(tmp_path):
    given = program(schedule=lambda optimizer: CosineAnnealingLR(optimizer, 4))

    training, records = trained(given, {"epochs": 8}, tmp_path)

    assert len(records) == 8
    assert training.twin.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)
    assert training.ticks == 4


def test_a_longer_loop_steps_its_scheduler_at_the_pace_of_the_whole(tmp_path):
    rates = []

    def loop(program, epochs):
        for _ in range(epochs):
            rates.append(program.optimizer.param_groups[0]["lr"])
            for start in range(0, 64, 16):
                xb, yb = (part[start : start + 16] for part in program.train)
                program.optimizer.zero_grad()
                program.loss_fn(program.model(xb), yb).backward()
                program.optimizer.step()
            program.scheduler.step()

    _, records = trained(
        program(schedule=lambda optimizer: StepLR(optimizer, 2), loop=loop), {"epochs": 8}, tmp_path, epochs=8
    )

    assert len(records) == 8
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 4)


def test_a_loop_ends_between_its_epochs_where_the_budget_does(tmp_path):
    def loop(program, epochs):
        for _ in range(4 * epochs):
            program.optimizer.zero_grad()
            program.loss_fn(program.model(program.train[0]), program.train[1]).backward()
            program.optimizer.step()

    bench = bench_of(program(loop=loop))
    reading = Reading(bench, Rows(bench.val, torch.arange(len(bench.val))))
    training, asked = Training(bench, {}, reading, tmp_path), []

    records = list(training.epochs(0, 4, lambda: (asked.append(1), len(asked) == 2)[1]))

    assert [one["epoch"] for one in records] == [1, 2]


def test_a_schedule_of_ones_own_functions_is_stretched_too(tmp_path):
    given = program(schedule=lambda optimizer: LambdaLR(optimizer, lambda epoch: 0.5**epoch))

    training, _ = trained(given, {"epochs": 8}, tmp_path)

    assert training.twin.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**4)


def test_a_plateau_follows_the_validation_loss(tmp_path):
    given = program(schedule=lambda optimizer: ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=10.0))

    training, _ = trained(given, {}, tmp_path)

    assert training.twin.optimizer.param_groups[0]["lr"] < 0.1


def test_dropout_in_all_modules_or_behind_hidden_activations():
    torch.manual_seed(0)
    held = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))

    set_there = varied(bench_of(program(net=held)), {"dropout": 0.4})
    put_in = varied(bench_of(program()), {"dropout": 0.4})

    for made in (set_there, put_in):
        assert [one.p for one in made.model.modules() if isinstance(one, nn.Dropout)] == [0.4]


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.functional.cross_entropy])
def test_smoothed_labels_train_and_the_loss_that_was_brought_judges(loss, tmp_path):
    given = program(loss=loss)

    _, plain = trained(given, {}, tmp_path / "a")
    training, records = trained(given, {"label_smoothing": 0.2}, tmp_path / "b")
    with torch.no_grad():
        outputs, target = training.twin.model.eval()(given.val[0]), given.val[1]

    assert records[-1]["train_loss"] > plain[-1]["train_loss"]
    assert records[-1]["val_loss"] == pytest.approx(float(nn.functional.cross_entropy(outputs, target)))


def test_the_average_of_the_weights_is_what_is_judged_and_kept(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    given = program(net=net)

    training, _ = trained(given, {"average": 0.5, "lr": 0.5}, tmp_path)
    last = {name: value.clone() for name, value in training.twin.model.state_dict().items()}
    kept = training.checkpoints.weights("last")

    assert training.average.taken == 9  # updates 8 to 16
    assert not torch.allclose(kept["0.weight"], last["0.weight"])
    assert not torch.allclose(kept["1.running_mean"], last["1.running_mean"])


def test_stopped_between_epochs_it_comes_to_the_same_bits(tmp_path):
    drawn = torch.utils.data.TensorDataset(*program().train)

    def given():
        loader = torch.utils.data.DataLoader(drawn, 16, shuffle=True, generator=torch.Generator().manual_seed(3))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        return program(schedule=lambda optimizer: StepLR(optimizer, 2), net=net, train=loader)

    way = {"average": 0.5}
    whole, _ = trained(given(), way, tmp_path / "a")
    trained(given(), way, tmp_path / "b", epochs=3)
    again, records = trained(given(), way, tmp_path / "b")

    assert [one["epoch"] for one in records] == [1, 2, 3, 4]
    for name, value in whole.checkpoints.weights("last").items():
        assert torch.equal(again.checkpoints.weights("last")[name], value)


def test_a_loss_that_is_no_number_ends_a_training_and_is_its_cause(tmp_path):
    _, records = trained(program(), {"lr": 1e30}, tmp_path)

    assert records[-1]["cause"] == "loss.nonfinite"
    assert len(records) < 4 or np.isnan(records[-1]["value"])


def test_gradients_are_accumulated_and_clipped_as_the_program_does(tmp_path):
    training, records = trained(program(accumulate=3, clip_norm=1e-9), {}, tmp_path)

    assert training.state.step == 4 * 2  # of four batches two windows, the last with one
    assert records[0]["value"] == records[-1]["value"]


def test_the_space_has_what_the_program_has():
    space, prior = space_of(bench_of(program(two_groups)), {"schedule": "cosine"})
    closure, _ = space_of(bench_of(program(lambda net: torch.optim.LBFGS(net.parameters(), lr=0.5))), {})
    looped, _ = space_of(bench_of(program(loop=lambda program, epochs: None)), {})

    assert set(space) == {"lr", "weight_decay", "beta1", "batch_size", "schedule"}
    assert isinstance(space["lr"], Real)
    assert isinstance(space["beta1"], Ordinal)
    assert prior["schedule"] == "cosine"
    assert set(closure) == {"lr"}
    assert "schedule" not in looped


def test_a_loop_is_given_another_schedule_in_the_unit_in_which_it_steps():
    given = program(schedule=lambda optimizer: StepLR(optimizer, 1), loop=lambda program, epochs: None)

    made = varied(bench_of(given), {"schedule": "cosine"})

    assert isinstance(made.scheduler, LambdaLR)
    assert made.scheduler.lr_lambdas[0](4) == pytest.approx(0.0)  # epochs


def test_a_loader_with_an_order_of_its_own_keeps_its_batches():
    data = torch.utils.data.TensorDataset(*program().train)
    sampler = torch.utils.data.WeightedRandomSampler([1.0] * 64, 64)

    space, _ = space_of(bench_of(program(train=torch.utils.data.DataLoader(data, 16, sampler=sampler))), {})

    assert "batch_size" not in space


def test_every_way_has_its_line():
    way = {"lr": 0.2, "weight_decay": 0.01, "momentum": 0.5, "batch_size": 8, "schedule": "cosine", "dropout": 0.2}
    way |= {"label_smoothing": 0.1, "average": 0.75, "epochs": 8}

    told = lines(way, program())

    assert len(told) == len(way)
    assert told[0] == "lr = 0.2  # was 0.1"
    assert told[4].endswith("# stepped after each update")
    assert lines({"lr": 0.2}, program(two_groups)) == ["lr = 0.2  # was 0.1; every group times 2"]
    looped = program(schedule=lambda optimizer: StepLR(optimizer, 1), loop=lambda program, epochs: None)
    assert [lines({"schedule": name}, looped)[0].split(" ")[-1] for name in ("constant", "cosine")] == [
        "scheduler.step()",
        "epoch",
    ]
    assert lines(standing(program()), program()) == []

"""A program that is looked at trains as it does alone; its log is what its author would have."""

import csv
import math

import pytest
import torch
from torch import nn

from tunesmith.testing.following import follow, judged_now
from tunesmith.testing.healthy import HEALTHY
from tunesmith.testing.logged import logged
from tunesmith.testing.sabotage import SABOTAGES
from tunesmith.testing.training import seeded, trained


class Kept:
    def __init__(self):
        self.losses, self.epochs = [], []

    def updated(self, loss):
        self.losses.append(float(loss))

    def ended(self, epoch):
        self.epochs.append((epoch, len(self.losses)))


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "name",
    [
        "cancer_own_loop_double",  # its own loop
        "adult_one_logit",  # its own step, dropout
        "digits_log_softmax_steps",  # batch norm, accumulation
        "wine_lbfgs",  # a closure
        "resumed_waves",
    ],
)
def test_the_weights_are_those_of_the_program_alone(name, tmp_path):
    alone, looked_at = HEALTHY[name](0), HEALTHY[name](0)
    trained(alone)
    before = torch.get_rng_state()

    logged(looked_at, tmp_path / "log.csv")

    assert torch.equal(before, torch.get_rng_state())
    for mine, theirs in zip(alone.model.state_dict().values(), looked_at.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_program_that_is_judged_while_it_trains_is_left_as_it_was():
    alone, looked_at = HEALTHY["digits_log_softmax_steps"](0), HEALTHY["digits_log_softmax_steps"](0)
    judging = Kept()
    judging.ended = lambda epoch: judged_now(looked_at)

    for program, seen in ((alone, Kept()), (looked_at, judging)):
        program.eval_mode, program.epochs = False, 2
        with seeded(0):
            follow(program, seen)

    for mine, theirs in zip(alone.model.state_dict().values(), looked_at.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_log_has_a_row_for_each_epoch_with_the_scores_of_the_program(tmp_path):
    program = HEALTHY["iris_mlp"](0)
    program.epochs, program.test = 5, None

    rows = rows_of(logged(program, tmp_path / "log.csv"))

    assert list(rows[0]) == ["epoch", "train_loss", "val_loss", "val_accuracy", "lr"]
    assert [row["epoch"] for row in rows] == list("01234")
    again = HEALTHY["iris_mlp"](0)
    again.epochs, again.test = 5, None
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(trained(again), abs=1e-4)
    loss = nn.CrossEntropyLoss()(again.model.eval()(again.val[0]), again.val[1])
    assert float(rows[-1]["val_loss"]) == pytest.approx(loss.item(), rel=1e-4)


def test_an_error_has_no_sign_in_a_log_and_the_rate_is_the_one_of_the_epoch(tmp_path):
    program = HEALTHY["surface_l1_warm_cosine"](0)
    program.epochs = 4

    rows = rows_of(logged(program, tmp_path / "log.csv"))

    assert all(float(row["val_mae"]) == pytest.approx(float(row["val_loss"]), rel=1e-3) for row in rows)
    assert float(rows[0]["lr"]) == pytest.approx(5e-3)  # warm after 30 updates
    assert float(rows[3]["lr"]) < float(rows[0]["lr"])


def test_rows_of_batches_stand_between_those_of_epochs(tmp_path):
    program = HEALTHY["cancer_own_loop_double"](0)
    program.epochs = 2

    rows = rows_of(logged(program, tmp_path / "log.csv", every=4))

    updates = len(program.train)
    batches = [int(row["step"]) for row in rows if row["train_loss_step"]]
    assert batches == list(range(3, 2 * updates, 4))
    ends = [(int(row["epoch"]), int(row["step"])) for row in rows if row["train_loss_epoch"]]
    assert ends == [(0, updates - 1), (1, 2 * updates - 1)]


def test_an_own_loop_over_tensors_ends_its_epochs_too():
    program = HEALTHY["iris_mlp"](0)

    def loop(given, epochs):
        for _ in range(epochs):
            for rows in torch.arange(90).split(16):
                given.optimizer.zero_grad()
                given.loss_fn(given.model(given.train[0][rows]), given.train[1][rows]).backward()
                given.optimizer.step()
            with torch.no_grad():
                given.loss_fn(given.model(given.val[0]), given.val[1])

    program.loop, program.epochs = loop, 3
    kept = Kept()

    follow(program, kept)

    assert kept.epochs == [(0, 6), (1, 12), (2, 18)]
    assert isinstance(program.train, tuple)


def test_an_own_loop_that_breaks_off_its_epochs_ends_them_when_the_next_begins():
    program = HEALTHY["cancer_own_loop_double"](0)

    def loop(given, epochs):
        for _ in range(epochs):
            for count, (xb, yb) in enumerate(given.train):
                if count == 3:
                    break
                given.optimizer.zero_grad()
                given.loss_fn(given.model(xb), yb).backward()
                given.optimizer.step()

    program.loop, program.epochs = loop, 3
    kept = Kept()

    follow(program, kept)

    assert kept.epochs == [(0, 3), (1, 6), (2, 9)]


def test_what_was_hung_on_is_taken_off():
    program = HEALTHY["cancer_own_loop_double"](0)
    own = program.train, program.loss_fn
    program.epochs = 1

    follow(program, Kept())
    kept = Kept()
    program.loss_fn(program.model(program.val[0]), program.val[1]).backward()
    program.optimizer.step()

    assert (program.train, program.loss_fn) == own
    assert kept.losses == []
    assert not program.loss_fn._forward_hooks


def test_a_crash_leaves_the_rows_so_far(tmp_path):
    program = HEALTHY["iris_mlp"](0)
    whole, taken = program.loss_fn, []

    def loss_fn(outputs, target):
        taken.append(1)
        if len(taken) > 20:
            raise RuntimeError("out of memory")
        return whole(outputs, target)

    program.loss_fn = loss_fn

    rows = rows_of(logged(program, tmp_path / "log.csv"))

    assert [row["epoch"] for row in rows] == ["0", "1"]  # six batches and two of validation an epoch


def test_a_loss_that_is_no_number_stays_in_the_log(tmp_path):
    program = SABOTAGES["rate_too_high"].plant(HEALTHY["surface_fixed_mean"](0), 3, 0)
    program.optimizer = torch.optim.SGD(program.model.parameters(), lr=1e12)

    rows = rows_of(logged(program, tmp_path / "log.csv"))

    assert len(rows) == program.epochs
    assert not math.isfinite(float(rows[-1]["train_loss"]))

"""A schedule as a scheduler of torch: in the loops that other people write."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR

from tunesmith.blocks.schedules import (
    SCHEDULES,
    WARMUPS,
    Curve,
    Judged,
    Watched,
    factor_at,
    from_torch,
    join,
    linear_warmup,
    momentum_of,
    to_torch,
)
from tunesmith.records import RecipeError

PEAKS = (0.1, 0.03)
UPDATES = 60
FALLING = Curve(lambda t, m: 1 / (1 + t))
CYCLED = Curve(lambda t, m: 1 / (1 + t), momentum=Curve(lambda t, m: 0.95 - t / 1000))
PATIENT = Watched(lambda step, history: 0.5 ** sum(one.step <= step for one in history), "val_loss")


def optimizer(rates=PEAKS, kind=torch.optim.SGD, **settings):
    groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]
    return kind(groups, **({"momentum": 0.9} if kind is torch.optim.SGD else {}), **settings)


def trained(made, scheduler, updates, evaluated=()):
    """Rates and momenta of each update of a plain loop; `evaluated` are the updates after which a value is told."""
    found = []
    for t in range(updates):
        found.append([(group["lr"], group["momentum"]) for group in made.param_groups])
        for group in made.param_groups:
            group["params"][0].grad = torch.ones(2)
        made.step()
        scheduler.step()
        if t + 1 in evaluated:
            scheduler.step(1.0 + t)
    return np.array(found)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "lambda"])  # which needs a rule
def test_the_rates_of_every_member_follow_the_peaks_of_the_groups(name):
    schedule = join(linear_warmup(7), SCHEDULES[name](UPDATES - 7), 7)
    made = optimizer()
    history = [Judged(20, 20.0), Judged(40, 40.0)]

    scheduler = to_torch(schedule, made)
    first = scheduler.get_last_lr()
    found = trained(made, scheduler, UPDATES, [one.step for one in history] if hasattr(schedule, "watches") else ())

    factors = np.array([factor_at(schedule, t, history) for t in range(UPDATES)])
    np.testing.assert_allclose(found[..., 0], np.outer(factors, PEAKS), rtol=1e-14)
    assert first == found[0, :, 0].tolist()
    speed = momentum_of(schedule)
    np.testing.assert_allclose(found[:, 0, 1], [speed(t) if speed else 0.9 for t in range(UPDATES)], rtol=1e-14)
    assert isinstance(scheduler, LRScheduler)
    assert scheduler.last_epoch == UPDATES


@pytest.mark.parametrize("kind", WARMUPS)
def test_a_warm_up_sets_the_first_update_too(kind):
    made = optimizer()

    to_torch(join(WARMUPS[kind](10), SCHEDULES["cosine"](50), 10), made)

    rates = [group["lr"] for group in made.param_groups]
    np.testing.assert_allclose(rates, factor_at(WARMUPS[kind](10), 0) * np.array(PEAKS), rtol=1e-14)


@pytest.mark.parametrize("schedule", [CYCLED, PATIENT], ids=["momentum", "listens"])
@pytest.mark.parametrize("with_optimizer", [True, False])
def test_a_run_that_was_cut_goes_on_to_the_bit(schedule, with_optimizer, tmp_path):
    evaluated = (10, 25, 50) if schedule is PATIENT else ()
    made = optimizer()
    whole = trained(made, to_torch(schedule, made), UPDATES, evaluated)

    before = optimizer()
    scheduler = to_torch(schedule, before)
    trained(before, scheduler, 30, evaluated)
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": before.state_dict()}, tmp_path / "half.pt")
    held = torch.load(tmp_path / "half.pt")  # plain numbers: `weights_only` reads them
    after = optimizer()
    resumed = to_torch(schedule, after)
    resumed.load_state_dict(held["scheduler"])
    if with_optimizer:
        after.load_state_dict(held["optimizer"])

    rest = trained(after, resumed, 30, [at - 30 for at in evaluated])

    assert rest.tolist() == whole[30:].tolist()


def test_a_state_that_is_kept_does_not_move():
    made = optimizer()
    scheduler = to_torch(PATIENT, made)
    held = scheduler.state_dict()

    trained(made, scheduler, 5, [2])

    assert held["last_epoch"] == 0
    assert held["history"] == []


def test_it_can_begin_in_the_middle():
    made, late = optimizer(), optimizer()
    whole = trained(made, to_torch(FALLING, made), 20)

    rest = trained(late, to_torch(FALLING, late, step=12), 8)

    assert rest.tolist() == whole[12:].tolist()


def test_peaks_can_be_given_to_all_or_to_each():
    for given, found in ((0.5, [0.5, 0.5]), ([0.5, 0.2], [0.5, 0.2])):
        made = optimizer()
        to_torch(FALLING, made, peak=given)
        assert [group["lr"] for group in made.param_groups] == found
    with pytest.raises(RecipeError, match="the optimizer has 2 parameter groups"):
        to_torch(FALLING, optimizer(), peak=[0.1])


@pytest.mark.parametrize(
    "make",
    [
        lambda o: OneCycleLR(o, [0.3, 0.6], UPDATES),
        lambda o: CosineAnnealingLR(o, 25, eta_min=0.01),
        lambda o: SequentialLR(o, [StepLR(o, 5), CosineAnnealingLR(o, 25, 0.01)], [20]),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_there_and_back_are_torchs_own_rates(make):
    made, ours = optimizer(), optimizer()
    scheduler = make(made)
    schedule = from_torch(scheduler, group=0)
    own = trained(made, scheduler, UPDATES)

    back = trained(ours, to_torch(schedule, ours), UPDATES)

    np.testing.assert_allclose(back, own, rtol=0, atol=1e-12)


def test_a_plateau_of_torch_goes_on_as_it_was():
    made, ours = optimizer(), optimizer()
    theirs = ReduceLROnPlateau(made, patience=1)
    scheduler = to_torch(from_torch(theirs), ours)

    for value in (1.0, 2.0, 2.0, 0.5, 3.0, 3.0):
        theirs.step(value)
        scheduler.step(value)
        rates = [group["lr"] for group in made.param_groups]
        np.testing.assert_allclose([group["lr"] for group in ours.param_groups], rates, rtol=1e-14)
        np.testing.assert_allclose(scheduler.get_last_lr(), rates, rtol=1e-14)


def test_what_cannot_be_is_said():
    with pytest.raises(RecipeError, match="cycles the momentum, and Adagrad has none; pass momentum=False"):
        to_torch(CYCLED, optimizer(kind=torch.optim.Adagrad))
    with pytest.raises(RecipeError, match="listens to no metric; call step"):
        to_torch(FALLING, optimizer()).step(0.5)


def test_the_momentum_may_be_left_alone():
    made = optimizer()

    found = trained(made, to_torch(CYCLED, made, momentum=False), UPDATES)

    assert set(found[..., 1].ravel()) == {0.9}


def test_adam_moves_its_first_beta():
    made = optimizer(kind=torch.optim.AdamW, betas=(0.7, 0.99))

    to_torch(CYCLED, made, step=17)

    assert made.param_groups[1]["betas"] == (0.95 - 17 / 1000, 0.99)


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    made = torch.optim.Adam([nn.Parameter(torch.ones(2))], lr=torch.tensor(0.5, dtype=torch.float64))
    rate = made.param_groups[0]["lr"]

    scheduler = to_torch(FALLING, made)
    made.step()
    scheduler.step()

    assert made.param_groups[0]["lr"] is rate
    assert float(rate) == 0.25
    assert scheduler.get_last_lr()[0] is not rate


def test_a_group_that_is_added_later_has_the_schedule_too():
    made = optimizer()
    scheduler = to_torch(FALLING, made)
    made.step()
    scheduler.step()

    made.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.6})
    made.step()
    scheduler.step()

    np.testing.assert_allclose(scheduler.get_last_lr(), [0.1 / 3, 0.03 / 3, 0.2], rtol=1e-14)


def test_it_can_be_copied_and_sent_to_another_process():
    made = optimizer()
    scheduler = to_torch(SCHEDULES["constant"](5), made)

    twin = copy.deepcopy(scheduler)

    assert type(twin) is type(scheduler)
    assert pickle.loads(pickle.dumps(type(scheduler))) is type(scheduler)


def test_wrappers_that_skip_updates_keep_step_and_rate_together():
    """Accelerate raises `_step_count` alone while gradients accumulate, and steps only when the optimizer did."""
    made = optimizer((0.1,))
    scheduler = to_torch(FALLING, made)

    for micro in range(8):
        if micro % 4 == 3:
            made.step()
            scheduler.step()
        else:
            scheduler._step_count += 1

    assert scheduler.last_epoch == 2
    assert scheduler.get_last_lr() == [pytest.approx(0.1 / 3)]


def test_it_may_stand_inside_torchs_sequence():
    made = optimizer((0.1,))
    parts = [to_torch(linear_warmup(5), made), StepLR(made, 10)]

    found = trained(made, SequentialLR(made, parts, [5]), 20)[:, 0, 0]

    np.testing.assert_allclose(found, [0.02, 0.04, 0.06, 0.08, 0.1, *[0.1] * 10, *[0.01] * 5], rtol=1e-12)

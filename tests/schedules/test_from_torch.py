"""Schedules from torch's schedulers, against torch's schedulers themselves, stepped one by one."""

import itertools

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as torch_schedulers
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import SWALR

import tunesmith as ts
from tunesmith.blocks.schedules.history import Judged
from tunesmith.blocks.schedules.imports import from_torch
from tunesmith.records import RecipeError

PEAKS = (0.1, 0.03)
UPDATES = 100


def optimizer(rates=PEAKS, kind=torch.optim.SGD, **settings):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return kind(groups, **({"momentum": 0.9} if kind is torch.optim.SGD else {}), **settings)


CASES = {
    "lambda": lambda o: LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
    "multiplicative": lambda o: MultiplicativeLR(o, lambda t: 0.95 if t % 3 else 1.01),
    "step": lambda o: StepLR(o, 7, 0.3),
    "multi_step_twice_and_unsorted": lambda o: MultiStepLR(o, [20, 10, 10, 35], 0.5),
    "multi_step_at_once": lambda o: MultiStepLR(o, [0, 10], 0.5),
    "constant": lambda o: ConstantLR(o, 0.25, 13),
    "constant_for_no_time": lambda o: ConstantLR(o, 0.25, 0),
    "linear": lambda o: LinearLR(o, 0.1, 0.8, 17),
    "linear_for_no_time": lambda o: LinearLR(o, 0.1, 0.8, 0),
    "exponential": lambda o: ExponentialLR(o, 0.97),
    "polynomial": lambda o: PolynomialLR(o, 30, 0.9),
    "polynomial_square": lambda o: PolynomialLR(o, 30, 2.0),
    "cosine": lambda o: CosineAnnealingLR(o, 23, 0.001),
    "cosine_of_one": lambda o: CosineAnnealingLR(o, 1, 0.001),
    "cosine_of_a_fraction": lambda o: CosineAnnealingLR(o, 23.5, 0.001),
    "restarts": lambda o: CosineAnnealingWarmRestarts(o, 5, 3, 0.002),
    "restarts_of_one_length": lambda o: CosineAnnealingWarmRestarts(o, 7, 1),
    "cyclic": lambda o: CyclicLR(o, [0.001, 0.002], [0.1, 0.3], 8, 5),
    "cyclic_halved": lambda o: CyclicLR(o, 0.001, 0.1, 8, mode="triangular2"),
    "cyclic_exponential": lambda o: CyclicLR(o, 0.001, 0.1, 8, mode="exp_range", gamma=0.98),
    "cyclic_own_scale": lambda o: CyclicLR(o, 0.001, 0.1, 8, scale_fn=lambda x: 1 / x),
    "one_cycle": lambda o: OneCycleLR(o, [0.1, 0.4], UPDATES),
    "one_cycle_three_phases": lambda o: OneCycleLR(o, 0.1, UPDATES, three_phase=True, anneal_strategy="linear"),
    "one_cycle_only_up": lambda o: OneCycleLR(o, 0.1, UPDATES, pct_start=1.0),
    "swa": lambda o: SWALR(o, 0.02, 9),
    "swa_linear": lambda o: SWALR(o, [0.02, 0.04], 9, "linear"),
    "swa_at_once": lambda o: SWALR(o, 0.02, 0),
    "linear_then_cosine": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 10), CosineAnnealingLR(o, 40)], [10]),
    "three_in_turn": lambda o: SequentialLR(o, [ConstantLR(o, 0.1, 5), ExponentialLR(o, 0.9), StepLR(o, 4)], [5, 20]),
    "then_multiplicative": lambda o: SequentialLR(o, [ExponentialLR(o, 0.9), MultiplicativeLR(o, lambda t: 0.99)], [9]),
    "first_multiplicative": lambda o: SequentialLR(
        o, [MultiplicativeLR(o, lambda t: 0.99), ExponentialLR(o, 0.9)], [9]
    ),
    "then_swa": lambda o: SequentialLR(o, [ExponentialLR(o, 0.9), SWALR(o, 0.02, 9)], [12]),
    "first_swa": lambda o: SequentialLR(o, [SWALR(o, 0.02, 9), ExponentialLR(o, 0.9)], [12]),
    "then_restarts": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 10), CosineAnnealingWarmRestarts(o, 5, 2)], [10]),
    "then_one_cycle": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 10), OneCycleLR(o, 0.3, UPDATES)], [10]),
    "first_cyclic": lambda o: SequentialLR(o, [CyclicLR(o, 0.01, 0.1, 5), LambdaLR(o, lambda t: 0.9**t)], [25]),
    "three_polynomials": lambda o: SequentialLR(
        o, [PolynomialLR(o, 10), PolynomialLR(o, 30, 2.0), MultiStepLR(o, [0, 3])], [7, 30]
    ),
    "mark_at_nothing": lambda o: SequentialLR(o, [PolynomialLR(o, 10), ExponentialLR(o, 0.9)], [0]),
    "first_a_chain": lambda o: SequentialLR(
        o,
        [
            ChainedScheduler([PolynomialLR(o, 30), ExponentialLR(o, 0.9), CosineAnnealingLR(o, 20, 0.01)]),
            ExponentialLR(o, 0.9),
        ],
        [25],
    ),
    "chain": lambda o: ChainedScheduler([ConstantLR(o, 0.1, 10), ExponentialLR(o, 0.95)]),
    "chain_around_a_floor": lambda o: ChainedScheduler(
        [CosineAnnealingLR(o, 20, 0.01), ExponentialLR(o, 0.95), LinearLR(o, 0.5, 1, 8)]
    ),
    "chain_with_a_setter": lambda o: ChainedScheduler([LambdaLR(o, lambda t: 1 / (1 + t)), ExponentialLR(o, 0.95)]),
    "chain_of_a_sequence": lambda o: ChainedScheduler(
        [SequentialLR(o, [LinearLR(o, 0.1, 1.0, 10), ExponentialLR(o, 0.9)], [10]), StepLR(o, 7)]
    ),
    "chain_of_a_chain": lambda o: ChainedScheduler(
        [ChainedScheduler([PolynomialLR(o, 30), ExponentialLR(o, 0.97)]), StepLR(o, 7)]
    ),
}
pytestmark = pytest.mark.filterwarnings(  # of torch's own schedulers among each other, and of jumps
    "ignore:The epoch parameter", "ignore:Detected call of `lr_scheduler.step"
)


def stepped(made, scheduler, updates=UPDATES):
    """Rates and momenta before each update, a row a step, a column a group."""
    found = []
    for _ in range(updates):
        found.append([(group["lr"], group["momentum"]) for group in made.param_groups])
        made.step()
        if len(found) < updates:
            scheduler.step()
    return np.array(found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("read_at", [0, 1, 37, 99])
def test_the_rates_of_every_group_are_torchs_whenever_the_scheduler_is_read(case, read_at):
    made = optimizer()
    scheduler = CASES[case](made)
    before = stepped(made, scheduler, read_at + 1)

    schedules = [from_torch(scheduler, group=i) for i in range(2)]
    made.step()
    if read_at + 1 < UPDATES:
        scheduler.step()
        before = np.concatenate([before, stepped(made, scheduler, UPDATES - read_at - 1)])

    for i, schedule in enumerate(schedules):
        ours = [schedule.peak * schedule(t) for t in range(UPDATES)]
        np.testing.assert_allclose(ours, before[:, i, 0], rtol=0, atol=1e-12)
        momenta = [schedule.momentum(t) if schedule.momentum else 0.9 for t in range(UPDATES)]
        np.testing.assert_allclose(momenta, before[:, i, 1], rtol=0, atol=1e-12)
        assert schedule.stood == read_at


def test_every_class_of_torch_is_tried():
    """So that a class that a later torch brings is noticed."""
    classes = {
        name
        for name, kind in vars(torch_schedulers).items()
        if isinstance(kind, type) and issubclass(kind, torch_schedulers.LRScheduler)
    } - {"LRScheduler", "_LRScheduler", "ReduceLROnPlateau"}
    tried = {type(make(optimizer())).__name__ for make in CASES.values()}

    assert classes <= tried
    assert "SWALR" in tried


def test_a_cycle_counts_its_highest_rate_as_one():
    schedule = from_torch(OneCycleLR(optimizer((0.1,)), 0.4, 100))

    assert schedule.peak == 0.4
    assert schedule(29) == pytest.approx(1.0, abs=1e-15)
    assert schedule(0) == pytest.approx(1 / 25)


def test_a_one_cycle_stays_at_its_end_where_torch_rises_again():
    made = optimizer((0.1,))
    scheduler = OneCycleLR(made, 0.4, 20)
    schedule = from_torch(scheduler)
    for _ in range(20):
        made.step()
        scheduler.step()

    assert made.param_groups[0]["lr"] > 2 * schedule.rate(19)
    assert [schedule.rate(t) for t in (20, 21, 10**6)] == [schedule.rate(19)] * 3
    assert schedule.rate(19) == pytest.approx(0.4 / 25 / 1e4)


def test_a_restart_is_a_restart_where_torchs_jump_gives_the_lowest_rate():
    made = optimizer((0.1,))
    scheduler = CosineAnnealingWarmRestarts(made, T_0=10, T_mult=3)
    schedule = from_torch(scheduler)

    scheduler.step(1210)  # 10 (1 + 3 + 9 + 27 + 81): the fifth restart

    assert made.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    assert schedule.rate(1210) == 0.1
    assert schedule.rate(1209) < 1e-6


def test_a_fraction_of_an_epoch_has_a_rate_where_torch_has_one():
    made = optimizer((0.1,))
    scheduler = CosineAnnealingWarmRestarts(made, T_0=4, T_mult=2)
    schedule = from_torch(scheduler)

    for epoch in np.arange(0, 20, 0.3):
        scheduler.step(float(epoch))
        assert schedule.rate(float(epoch)) == pytest.approx(made.param_groups[0]["lr"], abs=1e-12)


def test_adam_cycles_its_first_beta():
    made = optimizer((0.1,), torch.optim.Adam)
    scheduler = OneCycleLR(made, 0.1, 50)
    schedule = from_torch(scheduler)

    for t in range(49):
        assert schedule.momentum(t) == pytest.approx(made.param_groups[0]["betas"][0], abs=1e-12)
        made.step()
        scheduler.step()


def test_a_rate_that_is_a_tensor_is_read():
    made = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=torch.tensor(0.5, dtype=torch.float64))

    assert from_torch(StepLR(made, 10)).rate(10) == pytest.approx(0.05)


def test_groups_that_share_their_factors_need_no_choice_and_others_do():
    assert from_torch(StepLR(optimizer(), 10)).peaks == PEAKS
    assert from_torch(CyclicLR(optimizer((0.1, 0.7)), [0.01, 0.03], [0.1, 0.3], 5)).peaks == (0.1, 0.3)
    for make in (lambda o: CosineAnnealingLR(o, 10, eta_min=0.01), CASES["lambda"], CASES["chain_around_a_floor"]):
        with pytest.raises(RecipeError, match=r"2 parameter groups have different curves.*group=0 to 1"):
            from_torch(make(optimizer()))
    with pytest.raises(RecipeError, match="group = 2"):
        from_torch(StepLR(optimizer(), 10), group=2)


def test_a_rule_of_somebody_else_is_refused_with_the_way_out():
    class Own(StepLR):
        def get_lr(self):
            return [0.1 for _ in self.base_lrs]

    class Named(StepLR):
        """A name alone changes no curve."""

    class Wrapped:
        def __init__(self, scheduler):
            self.scheduler = scheduler

    with pytest.raises(
        RecipeError, match=r"Own is not known; expected one of torch's ChainedScheduler.*function of the step"
    ):
        from_torch(Own(optimizer(), 3))
    with pytest.raises(RecipeError, match=r"it holds a StepLR: pass its attribute `scheduler`"):
        from_torch(Wrapped(StepLR(optimizer(), 3)))
    with pytest.raises(RecipeError, match=r"the curve of builtins\.int is not known"):
        from_torch(3)
    assert from_torch(Named(optimizer(), 3))(3) == pytest.approx(0.1)


def test_what_torch_itself_cannot_do_is_said():
    made = optimizer()
    chain = ChainedScheduler([ConstantLR(made, 0.1, 10)])
    nested = SequentialLR(made, [SequentialLR(made, [StepLR(made, 3), StepLR(made, 3)], [4]), StepLR(made, 3)], [9])

    with pytest.raises(RecipeError, match="ChainedScheduler at place 1 of a SequentialLR cannot be followed"):
        from_torch(SequentialLR(made, [StepLR(made, 3), chain], [4]))
    with pytest.raises(RecipeError, match="SequentialLR at place 0"):
        from_torch(nested)
    with pytest.raises(RecipeError, match="T_max = 0"):
        from_torch(CosineAnnealingLR(optimizer(), 0))


PLATEAUS = list(
    itertools.product(
        ("min", "max"),
        ("rel", "abs"),
        [{}, {"patience": 0}, {"patience": 2, "cooldown": 3}, {"patience": 1, "min_lr": [0.01, 0.02]}, {"eps": 0.02}],
    )
)


@pytest.mark.parametrize(("mode", "threshold_mode", "settings"), PLATEAUS)
@pytest.mark.parametrize("read_at", [0, 17])
def test_a_plateau_answers_every_metric_as_torch_does(mode, threshold_mode, settings, read_at):
    made = optimizer()
    settings = {"patience": 3} | settings
    scheduler = ReduceLROnPlateau(made, mode, 0.5, threshold_mode=threshold_mode, threshold=0.02, **settings)
    values = np.random.default_rng(1).normal(size=60).round(2)
    values[30] = np.nan
    for value in values[:read_at]:
        scheduler.step(value)
    peaks = [group["lr"] for group in made.param_groups]

    schedules = [from_torch(scheduler, group=i) for i in range(2)]
    history = []
    for n, value in enumerate(values[read_at:]):
        scheduler.step(value)
        history.append(Judged(10 * (n + 1), value))
        ours = [one.peak * one(10 * (n + 1), history) for one in schedules]
        np.testing.assert_allclose(ours, [group["lr"] for group in made.param_groups], rtol=1e-12)

    assert schedules[0].watches == {"min": "val_loss", "max": "score"}[mode]
    assert [one.rate(9, history) for one in schedules] == peaks  # nothing was found by then


def test_a_plateau_listens_to_what_it_is_told_to():
    made = optimizer((0.1,))
    schedule = from_torch(ReduceLROnPlateau(made, patience=0), watches="train_loss")
    rising = [Judged(t, float(t), name=name) for t in range(4) for name in ("val_loss", "train_loss")]

    assert schedule.watches == "train_loss"
    assert schedule(3, rising) == pytest.approx(0.1**3)
    with pytest.raises(RecipeError, match="StepLR goes by the step alone"):
        from_torch(StepLR(made, 3), watches="val_loss")


def test_a_training_takes_the_rates_of_a_scheduler(tmp_path):
    made = optimizer((0.1,))
    schedule = from_torch(SequentialLR(made, [LinearLR(made, 0.1, 1.0, 3), StepLR(made, 2, 0.5)], [3]))
    X, y = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32), np.arange(48) % 2

    run = ts.fit(
        ts.Task(lambda: torch.nn.Linear(3, 2), (X, y), schedule=schedule),
        {"train.steps": 6, "train.batch_size": 8, "optim.name": "sgd", "optim.lr": 0.2},
        folder=tmp_path / "run",
    )

    steps, rates = run.signals.read("lr")
    np.testing.assert_allclose(rates, [0.2 * schedule(int(t) - 1) for t in steps], rtol=1e-6)

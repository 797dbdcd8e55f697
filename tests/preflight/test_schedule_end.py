import pytest
from torch import nn, optim
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from tests.preflight.outputs_planted import CLASSES, X, found, loud, net
from tunesmith import Program, Recipe, Task
from tunesmith.doctor.preflight import CHECKS, bench_of_program, bench_of_task

UPDATES = 240  # 30 epochs of 256 rows in batches of 32


def scheduled(make, unit="epoch", **about):
    model = net(5)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    loss = nn.CrossEntropyLoss()
    return Program(
        model, loss, sgd, (X, CLASSES), batch_size=32, epochs=30, scheduler=make(sgd), schedule_unit=unit, **about
    )


WRONG = {
    "steps counted in epochs": (lambda o: StepLR(o, 10, 0.1), "step", "outputs.rate_gone_unit"),
    "exponential in epochs": (lambda o: ExponentialLR(o, 0.9), "step", "outputs.rate_gone_unit"),
    "polynomial in epochs": (lambda o: PolynomialLR(o, 30, 1.0), "step", "outputs.rate_gone_unit"),
    "cosine in epochs": (lambda o: CosineAnnealingLR(o, 30), "step", "outputs.rate_swings"),
    "marks in epochs": (lambda o: MultiStepLR(o, [12, 20]), "step", "outputs.decay_early_unit"),
    "cosine in updates": (lambda o: CosineAnnealingLR(o, UPDATES), "epoch", "outputs.length_beyond"),
    "cosine too short": (lambda o: CosineAnnealingLR(o, 10), "epoch", "outputs.rate_rises_again"),
    "one cycle in updates": (lambda o: OneCycleLR(o, 0.1, total_steps=UPDATES), "epoch", "outputs.warmup_unit"),
    "one cycle too short": (lambda o: OneCycleLR(o, 0.1, total_steps=30), "step", "outputs.schedule_raises"),
    "warm-up in updates": (lambda o: LambdaLR(o, lambda t: min(1, (t + 1) / 200)), "epoch", "outputs.warmup_unit"),
    "warm-up without end": (
        lambda o: LambdaLR(o, lambda t: min(1, (t + 1) / 1000)),
        "step",
        "outputs.warmup_never_ends",
    ),
    "marks beyond": (lambda o: MultiStepLR(o, [60, 80]), "epoch", "outputs.marks_beyond"),
    "halved each epoch": (lambda o: ExponentialLR(o, 0.5), "epoch", "outputs.rate_gone"),
    "always 0": (lambda o: LambdaLR(o, lambda t: 0.0), "epoch", "outputs.rate_zero"),
}


@pytest.mark.parametrize("case", WRONG)
def test_courses_that_are_wrong(case):
    make, unit, message = WRONG[case]

    (finding,) = loud("schedule_end", scheduled(make, unit))

    assert (finding.fault, finding.message) == ("lr.bad_schedule", message)


RIGHT = {
    "steps": (lambda o: StepLR(o, 10, 0.1), "epoch"),
    "marks": (lambda o: MultiStepLR(o, [15, 25]), "epoch"),
    "marks in updates": (lambda o: MultiStepLR(o, [120, 180]), "step"),
    "exponential": (lambda o: ExponentialLR(o, 0.9), "epoch"),
    "exponential by updates": (lambda o: ExponentialLR(o, 0.99), "step"),
    "cosine": (lambda o: CosineAnnealingLR(o, 30), "epoch"),
    "cosine by updates": (lambda o: CosineAnnealingLR(o, UPDATES), "step"),
    "one cycle": (lambda o: OneCycleLR(o, 0.1, total_steps=UPDATES), "step"),
    "one cycle by epochs": (lambda o: OneCycleLR(o, 0.1, total_steps=30), "epoch"),
    "warm-up": (lambda o: LambdaLR(o, lambda t: min(1, (t + 1) / 20)), "step"),
    "warm-up from 0": (lambda o: LambdaLR(o, lambda t: min(1, t / 20)), "step"),
    "warm-up and cosine": (
        lambda o: SequentialLR(o, [LinearLR(o, 0.01, total_iters=20), CosineAnnealingLR(o, UPDATES - 20)], [20]),
        "step",
    ),
    "restarts": (lambda o: CosineAnnealingWarmRestarts(o, 10), "epoch"),
    "cycles": (lambda o: CyclicLR(o, 0.001, 0.1, 20), "step"),
    "linear": (lambda o: LinearLR(o, 1.0, 0.0, 30), "epoch"),
    "constant": (lambda o: ConstantLR(o, 1.0, 1), "epoch"),
    "plateau": (ReduceLROnPlateau, "epoch"),
}


@pytest.mark.parametrize("case", RIGHT)
def test_courses_that_are_right(case):
    assert not found("schedule_end", scheduled(*RIGHT[case]))


def test_the_rates_are_those_of_the_scheduler_itself():
    made = scheduled(lambda o: CosineAnnealingLR(o, 30))
    bench = bench_of_program(made)

    list(CHECKS["schedule_end"].look(bench))

    assert bench.measured["schedule.rate_at_0"] == pytest.approx(0.1)
    assert bench.measured["schedule.rate_at_50"] == pytest.approx(0.05)  # half of a half cosine
    assert made.optimizer.param_groups[0]["lr"] == 0.1  # the original was not stepped


@pytest.mark.parametrize(("gamma", "seen"), [(0.1, True), (0.97, False)])
def test_the_schedule_of_a_recipe(gamma, seen):
    recipe = Recipe.model_validate(
        {"schedule": {"name": "step", "extra": {"every": 8, "gamma": gamma}}, "train": {"epochs": 20, "batch_size": 32}}
    )

    bench = bench_of_task(Task(train=(X.numpy(), CLASSES.numpy())), recipe)

    assert bool([one for one in CHECKS["schedule_end"].look(bench) if one.severity != "note"]) is seen

import pytest
from torch import nn, optim

from tests.preflight.outputs_planted import CLASSES, X, found, loud, net, program
from tunesmith import Recipe, Task
from tunesmith.doctor.preflight import CHECKS, bench_of_task

BAD, STRONG = "optim.bad_hyperparameters", "reg.too_strong"
WRONG = {
    "epsilon of Adam": (lambda p: optim.Adam(p, 1e-3, eps=1.0), {}, BAD, "outputs.epsilon"),
    "epsilon of RMSprop": (lambda p: optim.RMSprop(p, 1e-3, eps=1.0), {}, BAD, "outputs.epsilon"),
    "momentum": (lambda p: optim.SGD(p, 0.1, momentum=0.999), {}, BAD, "outputs.momentum_long"),
    "decay of SGD": (lambda p: optim.SGD(p, 0.1, weight_decay=1.0), {}, STRONG, "outputs.decay_strong"),
    "decay of AdamW": (
        lambda p: optim.AdamW(p, 1e-3, weight_decay=10.0),
        {"epochs": 40},
        STRONG,
        "outputs.decay_strong",
    ),
    "decay of Adam": (lambda p: optim.Adam(p, 1e-3, weight_decay=1.0), {"epochs": 30}, STRONG, "outputs.decay_strong"),
    "decay beyond 0": (lambda p: optim.SGD(p, 0.5, weight_decay=4.0), {}, STRONG, "outputs.decay_overshoots"),
    "clipped away": (lambda p: optim.SGD(p, 0.1), {"clip_norm": 1e-4}, BAD, "outputs.clipped_away"),
    "no rate": (lambda p: optim.SGD(p, 0.0), {}, BAD, "outputs.rate_zero"),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_harm(case):
    optimizer, about, fault, message = WRONG[case]

    (finding,) = loud("optimizer_settings", program(net(5), nn.CrossEntropyLoss(), optimizer=optimizer, **about))

    assert (finding.fault, finding.message, finding.status) == (fault, message, "confirmed")


@pytest.mark.parametrize(
    ("optimizer", "about"),
    [
        (lambda p: optim.SGD(p, 0.1), {}),
        (lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4), {"clip_norm": 1.0}),
        (lambda p: optim.Adam(p, 1e-3), {}),
        (lambda p: optim.Adam(p, 2e-3, betas=(0.5, 0.999)), {}),
        (lambda p: optim.AdamW(p, 1e-3, weight_decay=0.1), {}),
        (lambda p: optim.RMSprop(p, 1e-3), {}),
        (lambda p: optim.Adagrad(p, 1e-2), {}),
    ],
)
def test_usual_settings(optimizer, about):
    assert not found("optimizer_settings", program(net(5), nn.CrossEntropyLoss(), optimizer=optimizer, **about))


@pytest.mark.parametrize(
    ("optimizer", "about"),
    [
        (lambda p: optim.SGD(p, 0.01, momentum=0.99), {}),
        (lambda p: optim.Adam(p, 1e-3), {"clip_norm": 1e-4}),
        (lambda p: optim.Adam(p, 1e-3, betas=(0.999, 0.9)), {}),
    ],
)
def test_odd_settings_that_do_no_harm_are_notes(optimizer, about):
    (finding,) = found("optimizer_settings", program(net(5), nn.CrossEntropyLoss(), optimizer=optimizer, **about))

    assert finding.severity == "note"


def test_a_rate_that_a_schedule_lifts_from_0_is_right():
    made = program(net(5), nn.CrossEntropyLoss())
    made.scheduler = optim.lr_scheduler.LambdaLR(made.optimizer, lambda t: min(1.0, t / 10))
    made.schedule_unit = "step"

    assert not found("optimizer_settings", made)


def test_odd_values_of_a_recipe_are_notes():
    task = Task(train=(X.numpy(), CLASSES.numpy()))
    recipe = Recipe.model_validate({"optim": {"lr": 50.0}, "train": {"epochs": 5}})

    found_ = list(CHECKS["optimizer_settings"].look(bench_of_task(task, recipe)))

    assert {one.severity for one in found_ if one.fault == "recipe.unusual"} == {"note"}
    assert any(one.values["path"] == "optim.lr" for one in found_ if one.fault == "recipe.unusual")

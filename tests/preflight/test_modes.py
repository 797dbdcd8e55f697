import pytest
import torch
from torch import nn

from tests.preflight.planted import WIDTH, batches, findings, mlp, program, usual_loop, usual_step


def normed():
    return mlp(64, 10, nn.BatchNorm1d(WIDTH))


def dropped():
    return mlp(64, 10, nn.Dropout(0.3))


def epoch_of(own):
    for xb, yb in batches(own.train, own.batch_size):
        usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)


def judged(own, quiet=True):
    with torch.set_grad_enabled(not quiet):
        for xb, yb in batches(own.val, own.batch_size):
            own.loss_fn(own.model(xb), yb)


def never_train_again(own, epochs):
    own.model.train()
    for _ in range(epochs):
        epoch_of(own)
        own.model.eval()
        judged(own)


def never_eval(own, epochs):
    own.model.train()
    for _ in range(epochs):
        epoch_of(own)
        judged(own)


def eval_from_the_start(own, epochs):
    own.model.eval()
    for _ in range(epochs):
        epoch_of(own)


def asleep(model, loss_fn, optimizer, xb, yb):
    model.eval()
    return usual_step(model, loss_fn, optimizer, xb, yb)


def with_graph(own, epochs):
    for _ in range(epochs):
        own.model.train()
        epoch_of(own)
        own.model.eval()
        judged(own, quiet=False)


def left_in_eval():
    model = normed()
    return model.eval()


@pytest.mark.parametrize("model", [normed, dropped])
@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"loop": never_train_again}, "train() is not called again"),
        ({"loop": never_eval}, "judged in training mode"),
        ({"loop": eval_from_the_start}, "trains in evaluation mode"),
        ({"step": asleep}, "trains in evaluation mode"),
        ({"eval_mode": False}, "judged in training mode"),
        ({"train_mode": False}, "never train()"),
    ],
)
def test_a_wrong_mode(model, about, said):
    (found,) = findings("modes", program(model(), **about))

    assert found.fault == "model.train_eval_mode"
    assert said in found.because
    assert found.subject["layers"] == ["1"]


def test_a_model_that_came_asleep_and_is_never_woken():
    (found,) = findings("modes", program(left_in_eval(), train_mode=False))

    assert "trains in evaluation mode" in found.because


def test_gradients_recorded_in_validation_are_a_note():
    (found,) = findings("modes", program(dropped(), loop=with_graph), above="")

    assert found.severity == "note"


def frozen_norm(model, loss_fn, optimizer, xb, yb):
    model[1].eval()
    return usual_step(model, loss_fn, optimizer, xb, yb)


@pytest.mark.parametrize(
    "about",
    [
        {"loop": usual_loop},
        {"step": usual_step},
        {"step": frozen_norm},
        {},
    ],
)
@pytest.mark.parametrize("model", [normed, dropped, left_in_eval, mlp])
def test_sound_modes_are_quiet(model, about):
    assert findings("modes", program(model(), **about), above="") == []


@pytest.mark.parametrize("about", [{"eval_mode": False}, {"train_mode": False}, {"loop": never_eval}])
def test_where_no_layer_knows_two_modes_it_does_not_matter(about):
    assert findings("modes", program(mlp(64, 10, nn.LayerNorm(WIDTH)), **about)) == []

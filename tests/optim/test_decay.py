"""Decay of two kinds: told, measured, chosen."""

import copy

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import OPTIMIZERS, build, decay_kind
from tunesmith.records import Recipe, RecipeError, revise

F64 = torch.float64
LOOKED_AT = [name for name in OPTIMIZERS if name not in ("sparseadam", "lbfgs", "rprop")]  # the others have no decay


def recipe(name, kind="auto", **changes):
    settings = {"optim.name": name, "optim.decay_kind": kind, "optim.decay_all": True}
    return revise(Recipe(), settings | {f"optim.{key}": value for key, value in changes.items()})


def moved(name, decay, size, kind="auto", steps=6):
    """Where two weights of 1 end after steps with gradients of a given size that change their sign."""
    weight = nn.Parameter(torch.full((2, 2), 1.0, dtype=F64))
    model = nn.Module()
    model.weight = weight
    optimizer = build(recipe(name, kind, weight_decay=decay), model, 0.01)
    for step in range(steps):
        value = size * (-1) ** step

        def closure(value=value):
            weight.grad = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=F64) * value
            return torch.zeros((), dtype=F64)

        if name == "sam":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return weight.detach().clone()


@pytest.mark.parametrize("name", LOOKED_AT)
def test_the_kind_that_is_told_is_the_kind_that_is_done(name):
    """Decoupled decay takes the same share whatever the gradients; L2 under an adaptive rule or momentum does not."""
    if name == "schedulefree_radam":
        pytest.skip("it makes no step in so few updates")
    kind = decay_kind(build(recipe(name), nn.Linear(2, 2, bias=False), 0.01))
    gaps = [moved(name, 0.5, size) - moved(name, 0.0, size) for size in (1e-3, 10.0)]

    if name == "muon":  # its own rate goes by the shape
        assert kind == "decoupled"
    elif kind == "decoupled":
        assert torch.allclose(gaps[0], gaps[1], rtol=0.05)
        assert torch.allclose(gaps[1], torch.full_like(gaps[1], gaps[1].mean().item()), rtol=0.2)
    elif name in ("sgd", "sam", "asgd", "lookahead", "schedulefree_sgd"):
        assert kind == "l2"  # linear in the gradient, so the size says nothing; the momentum test below does
    else:
        assert kind == "l2"
        assert not torch.allclose(gaps[0], gaps[1], rtol=0.2)


def test_those_without_a_decay_and_strangers_are_called_so():
    class Own(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1, "weight_decay": 0.0})

    assert decay_kind(build(recipe("lbfgs"), nn.Linear(2, 2), 0.1)) == "none"
    assert decay_kind(torch.optim.Rprop([nn.Parameter(torch.ones(2))])) == "none"
    assert decay_kind(Own([nn.Parameter(torch.ones(2))])) == "unknown"


@pytest.mark.parametrize(
    ("name", "kind", "twin"), [("adam", "decoupled", "adamw"), ("adamw", "l2", "adam"), ("adam0", "decoupled", "adam0")]
)
def test_adam_and_adamw_turn_into_each_other(name, kind, twin):
    assert decay_kind(build(recipe(name, kind), nn.Linear(2, 2), 0.1)) == kind
    if twin != name:
        assert torch.equal(moved(name, 0.3, 1.0, kind), moved(twin, 0.3, 1.0))


def test_decoupled_sgd_is_that_of_the_paper():
    weight, m, momentum, lr, decay = 1.0, 0.0, 0.9, 0.01, 0.5
    for step in range(6):
        m = momentum * m + 1.0 * (-1) ** step
        weight = weight * (1 - lr * decay) - lr * m  # arXiv:1711.05101, algorithm 1, rate and decay as in torch

    assert moved("sgd", decay, 1.0, "decoupled")[0, 0].item() == pytest.approx(weight, rel=1e-12)
    assert moved("sgd", decay, 1.0)[0, 0].item() != pytest.approx(weight, rel=1e-4)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adagrad", "adamax", "sam", "lookahead"])
@pytest.mark.parametrize("way", ["state_dict", "deepcopy"])
def test_a_decoupled_optimizer_goes_on_from_its_state(name, way):
    def step(model, optimizer):
        def closure():
            model.weight.grad = None
            loss = (model(torch.ones(3, 2)) - 1).square().mean()
            loss.backward()
            return loss

        if name == "sam":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()

    model = nn.Linear(2, 2, bias=False)
    asked = recipe(name, "decoupled", weight_decay=0.2)
    optimizer = build(asked, model, 0.05)
    for _ in range(3):
        step(model, optimizer)
    if way == "deepcopy":
        twin, again = copy.deepcopy((model, optimizer))
    else:
        twin = copy.deepcopy(model)
        again = build(asked, twin, 0.9)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        step(model, optimizer)
        step(twin, again)

    assert torch.equal(model.weight, twin.weight)
    assert again.param_groups[0]["weight_decay"] == 0.2
    assert decay_kind(again) == "decoupled"


def test_a_wrapper_hands_a_late_group_on_and_restores_the_decay_after_a_failure():
    weight, late = (nn.Parameter(torch.ones(2)) for _ in range(2))
    model = nn.ParameterList([weight])
    optimizer = build(recipe("sgd", "decoupled", weight_decay=0.2), model, 0.1)

    def broken(*_):
        raise RuntimeError("no step")

    optimizer.add_param_group({"params": [late], "weight_decay": 0.5})
    late.grad = torch.zeros(2)
    optimizer.base.step = broken
    with pytest.raises(RuntimeError, match="no step"):
        optimizer.step()
    del optimizer.base.step
    before = late.detach().clone()
    optimizer.step()

    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.5]
    assert torch.allclose(late, before * 0.95)
    assert weight.tolist() == [1.0, 1.0]  # it has no gradient


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adafactor", "l2"),
        ("muon", "l2"),
        ("schedulefree_adamw", "l2"),
        ("schedulefree_sgd", "decoupled"),
        ("lbfgs", "l2"),
    ],
)
def test_a_kind_that_an_optimizer_has_not_is_refused(name, kind):
    with pytest.raises(RecipeError, match=r"optim\.decay_kind"):
        build(recipe(name, kind), nn.Linear(2, 2, bias=False), 0.1)

import copy
import math
import sys

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import OPTIMIZERS, build, needs_closure, unused_fields
from tunesmith.records import MissingExtra, ModelError, Recipe, RecipeError, UnknownName, revise


def recipe(**changes):
    return revise(Recipe(), {f"optim.{name}": value for name, value in changes.items()})


def net(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def test_every_optimizer_of_torch_is_there():
    kinds = {name.lower() for name, kind in vars(torch.optim).items() if isinstance(kind, type) and name != "Optimizer"}

    ours = {"adam0", "lookahead", "sam", "schedulefree_adamw", "schedulefree_radam", "schedulefree_sgd"}
    assert set(OPTIMIZERS) == kinds | ours
    with pytest.raises(UnknownName, match="did you mean 'adagrad'"):
        build(recipe(name="adagard"), net(), 0.1)


def test_the_fields_of_the_recipe_reach_the_optimizer():
    adam = build(recipe(name="adam", beta1=0.8, beta2=0.9, eps=1e-5, weight_decay=0.3), net(), 0.02).param_groups
    sgd = build(recipe(name="sgd", momentum=0.7, extra={"nesterov": True}), net(), 0.02).param_groups
    adadelta = build(recipe(name="adadelta", eps=1e-4, extra={"rho": 0.5}), net(), 0.02).param_groups

    assert (adam[0]["betas"], adam[0]["eps"], adam[0]["lr"], adam[0]["weight_decay"], adam[1]["weight_decay"]) == (
        (0.8, 0.9),
        1e-5,
        0.02,
        0.3,
        0.0,
    )
    assert (sgd[0]["momentum"], sgd[0]["nesterov"], sgd[0]["weight_decay"]) == (0.7, True, 0.0)
    assert (adadelta[0]["eps"], adadelta[0]["rho"]) == (1e-4, 0.5)


def test_where_the_recipe_says_nothing_torchs_own_defaults_stand():
    assert build(recipe(), net(), 0.1).param_groups[0]["weight_decay"] == 0.01
    assert build(recipe(name="adagrad"), net(), 0.1).param_groups[0]["eps"] == 1e-10
    assert build(recipe(name="muon"), nn.Linear(3, 3, bias=False), 0.1).param_groups[0]["momentum"] == 0.95
    assert build(recipe(name="sgd"), net(), 0.1).param_groups[0]["momentum"] == 0.9


def test_values_without_a_use_are_listed():
    assert unused_fields(recipe(name="adamw", momentum=0.5)) == ["optim.momentum"]
    assert unused_fields(recipe(name="rprop", weight_decay=0.1, eps=1e-3)) == ["optim.eps", "optim.weight_decay"]
    assert unused_fields(recipe(name="sam", beta1=0.5)) == ["optim.beta1"]
    assert unused_fields(recipe(name="sam", beta1=0.5, extra={"base": "adamw"})) == []
    assert unused_fields(recipe(name="sgd")) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "sgd", "extra": {"nesterow": True}}, "sgd takes no 'nesterow'; did you mean 'nesterov'"),
        ({"name": "sgd", "extra": {"lr": 1.0}}, "sgd takes no 'lr'"),
        ({"name": "sgd", "momentum": 0.0, "extra": {"nesterov": True}}, "sgd refused .*Nesterov momentum requires"),
        ({"name": "rprop", "implementation": "fused"}, "rprop has foreach and forloop only"),
        ({"name": "lbfgs", "implementation": "foreach"}, "lbfgs has forloop only"),
        ({"name": "sam", "extra": {"rho": 0.0}}, "rho = 0.0"),
        ({"name": "sam", "extra": {"base": "sam"}}, "needs a base"),
    ],
)
def test_settings_that_cannot_be_get_a_sentence(changes, words):
    with pytest.raises(RecipeError, match=words):
        build(recipe(**changes), net(), 0.1)


def test_muon_is_for_matrices_and_says_so():
    with pytest.raises(ModelError, match=r"muon updates matrices only, but 2 parameters .*'0\.bias' with \(8,\)"):
        build(recipe(name="muon"), net(), 0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "adagrad"])
def test_fused_kernels_are_taken_on_the_processor_and_agree_with_the_loop(name, dtype):
    weights = []
    for implementation in ("auto", "forloop"):
        model = net(dtype)
        optimizer = build(recipe(name=name, implementation=implementation, weight_decay=0.1), model, 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 4, dtype=dtype)).square().sum().backward()
            optimizer.step()
        weights.append((optimizer, model[0].weight))

    (fused, one), (loop, other) = weights
    assert fused.param_groups[0]["fused"]
    assert not loop.param_groups[0].get("fused")
    assert not loop.param_groups[0]["foreach"]
    if dtype != torch.bfloat16:  # its rounding differs by more than the updates
        assert torch.allclose(one, other, rtol=1e-12 if dtype == torch.float64 else 1e-5)


def test_without_a_fused_kernel_the_next_best_is_taken():
    model = nn.Linear(3, 3, dtype=torch.complex64)

    assert build(recipe(name="rmsprop"), net(), 0.1).param_groups[0]["foreach"]
    assert build(recipe(name="adamw"), model, 0.1).param_groups[0]["foreach"]
    assert build(recipe(name="sgd", extra={"differentiable": True}), net(), 0.1).param_groups[0]["foreach"] is False
    with pytest.raises(
        RecipeError, match=r"adamw has foreach and forloop only for parameters of torch\.complex64 on cpu"
    ):
        build(recipe(name="adamw", implementation="fused"), model, 0.1)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_sparse_gradients_take_the_loop(name):
    model = nn.Embedding(5, 3, sparse=True)
    optimizer = build(recipe(name=name, momentum=0.0), model, 0.1)

    model(torch.tensor([1, 1, 3])).sum().backward()
    before = model.weight.detach().clone()
    optimizer.step()

    assert (model.weight != before).any(1).tolist() == [False, True, False, True, False]


def test_sparse_gradients_are_refused_where_they_cannot_be_stepped():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 1))

    with pytest.raises(ModelError, match="'0' gives sparse gradients, which adamw cannot take"):
        build(recipe(name="adamw"), model, 0.1)
    with pytest.raises(ModelError, match=r"sparse gradients only, but '1\.weight'"):
        build(recipe(name="sparseadam"), model, 0.1)
    with pytest.raises(RecipeError, match="no kernel for the sparse gradients"):
        build(recipe(name="sgd", implementation="fused"), model, 0.1)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sparseadam"])
def test_each_optimizer_lowers_a_loss_and_goes_on_from_its_state(name):
    torch.manual_seed(1)
    x, y = torch.randn(32, 4), torch.randn(32, 3)
    model = nn.Linear(4, 3, bias=name != "muon")
    rate = {"lbfgs": 0.5, "adadelta": 1.0, "adafactor": 0.05}.get(name, 0.01)
    optimizer = build(recipe(name=name), model, rate)

    def closure():
        for weight in model.parameters():
            weight.grad = None
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss

    def steps(count):
        for _ in range(count):
            if needs_closure(optimizer):
                optimizer.step(closure)
            else:
                closure()
                optimizer.step()

    first = closure().item()
    steps(5)
    weights, state = {k: v.clone() for k, v in model.state_dict().items()}, copy.deepcopy(optimizer.state_dict())
    steps(3)
    expected = model.weight.detach().clone()
    model.load_state_dict(weights)
    optimizer = build(recipe(name=name), model, rate)
    optimizer.load_state_dict(state)
    steps(3)

    assert math.isfinite(closure().item())
    assert closure().item() < first
    assert torch.equal(model.weight, expected)


@pytest.mark.parametrize("name", ["schedulefree_sgd", "schedulefree_adamw", "schedulefree_radam"])
def test_without_the_package_the_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "schedulefree", None)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[optimizers\]'"):
        build(recipe(name=name), net(), 0.1)


def test_names_of_other_trainers_for_schedule_free_optimizers_are_taken():
    assert revise(Recipe(), {"optim": "schedule_free_adamw"}).optim.name == "schedulefree_adamw"

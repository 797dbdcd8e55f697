"""SAM on quadratics, where both steps have a closed form."""

import copy

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import build
from tunesmith.blocks.optim.sam import SAM
from tunesmith.records import Recipe, revise

F64 = torch.float64
H = torch.tensor([1.0, 4.0, 9.0], dtype=F64)


def quadratic(weight):
    def closure():
        weight.grad = None
        loss = (H * weight**2).sum() / 2
        loss.backward()
        return loss

    return closure


def test_one_step_is_that_of_the_paper():
    start = torch.tensor([1.0, -2.0, 0.5], dtype=F64)
    weight = start.clone().requires_grad_()
    gradient = H * start

    loss = SAM(torch.optim.SGD([weight], lr=0.1), rho=0.3).step(quadratic(weight))

    climbed = start + 0.3 * gradient / gradient.norm()
    assert torch.allclose(weight.detach(), start - 0.1 * H * climbed, rtol=1e-11, atol=0)
    assert loss.item() == pytest.approx((H * start**2).sum().item() / 2, rel=1e-15)


def test_the_norm_runs_over_all_parameters_and_groups():
    one, two = (torch.tensor([value], dtype=F64, requires_grad=True) for value in (3.0, 4.0))

    def closure():
        one.grad, two.grad = one.detach().clone(), two.detach().clone()  # loss (a^2 + b^2) / 2
        return torch.tensor(0.0)

    SAM(torch.optim.SGD([{"params": [one]}, {"params": [two]}], lr=1.0), rho=0.5).step(closure)

    assert (one.item(), two.item()) == (pytest.approx(-0.3, rel=1e-12), pytest.approx(-0.4, rel=1e-12))


def test_at_rest_it_stays_at_rest():
    weight = torch.zeros(3, dtype=F64, requires_grad=True)

    SAM(torch.optim.SGD([weight], lr=0.1), rho=0.3).step(quadratic(weight))

    assert weight.tolist() == [0.0, 0.0, 0.0]


def test_weights_are_back_where_they_were_when_the_second_pass_fails():
    weight = torch.tensor([1.0, -2.0, 0.5], dtype=F64, requires_grad=True)
    passes = iter([quadratic(weight)])

    with pytest.raises(StopIteration):
        SAM(torch.optim.SGD([weight], lr=0.1)).step(lambda: next(passes)())

    assert weight.tolist() == [1.0, -2.0, 0.5]


@pytest.mark.parametrize("base", ["sgd", "adamw", "adadelta"])
@pytest.mark.parametrize("way", ["state_dict", "deepcopy"])
def test_its_state_is_complete(base, way):
    torch.manual_seed(0)
    x, y = torch.randn(16, 4), torch.randn(16, 2)
    model = nn.Linear(4, 2)
    recipe = revise(Recipe(), {"optim.name": "sam", "optim.extra": {"base": base, "rho": 0.1}})
    optimizer = build(recipe, model, 0.05)

    def steps(model, optimizer, count):
        def closure():
            for weight in model.parameters():
                weight.grad = None
            loss = (model(x) - y).square().mean()
            loss.backward()
            return loss

        for _ in range(count):
            optimizer.step(closure)

    steps(model, optimizer, 4)
    if way == "deepcopy":
        twin, again = copy.deepcopy((model, optimizer))
    else:
        twin = copy.deepcopy(model)
        again = build(recipe, twin, 0.9)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(model, optimizer, 3)
    steps(twin, again, 3)

    assert torch.equal(model.weight, twin.weight)
    assert again.param_groups is again.base.param_groups
    assert again.param_groups[0]["sam_rho"] == 0.1
    assert set(optimizer.state) == set(model.parameters()) or base == "sgd"


def test_a_rate_set_and_a_group_added_later_reach_the_base():
    weight, late = (torch.ones(3, dtype=F64, requires_grad=True) for _ in range(2))
    optimizer = SAM(torch.optim.SGD([weight], lr=0.1), rho=0.3)

    optimizer.add_param_group({"params": [late], "lr": 0.0})
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step(quadratic(weight))

    assert optimizer.param_groups[1]["sam_rho"] == 0.3
    assert weight.tolist() == [1.0, 1.0, 1.0]


def test_an_adaptive_step_is_that_of_the_paper_and_does_not_see_a_rescaling():
    start, scale = torch.tensor([1.0, -2.0, 0.5], dtype=F64), torch.tensor([10.0, 0.1, 3.0], dtype=F64)
    seen = []

    def run(weight, factor):
        def closure():
            weight.grad = None
            loss = (H * (weight * factor) ** 2).sum() / 2
            loss.backward()
            seen.append(loss.item())
            return loss

        SAM(torch.optim.SGD([weight], lr=0.0), rho=0.5, adaptive=True).step(closure)

    run(start.clone().requires_grad_(), torch.ones(3, dtype=F64))
    run((start / scale).requires_grad_(), scale)

    gradient = H * start
    climbed = (
        start + 0.5 * start**2 * gradient / (start.abs() * gradient).norm()
    )  # arXiv:2102.11600, eq. 3 with T_w = |w|
    assert seen[1] == pytest.approx((H * climbed**2).sum().item() / 2, rel=1e-11)
    assert seen[3] == pytest.approx(seen[1], rel=1e-11)

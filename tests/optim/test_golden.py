"""Laws and steps of the room against numbers that do not come from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks import schedules
from tunesmith.blocks.optim import build
from tunesmith.blocks.optim.averaging import OwnAverage
from tunesmith.blocks.optim.batch_laws import best_rate, noise_scale
from tunesmith.blocks.optim.sam import SAM
from tunesmith.blocks.optim.scaling import scale_rate
from tunesmith.records import Recipe, revise
from tunesmith.records.state import State
from tunesmith.training.clipping import Clipping, clip_norm, global_norm, percentile
from tunesmith.training.rates import Rates

F64 = torch.float64
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))
RTOL = 1e-9


@pytest.mark.parametrize("case", GOLDEN["noise_scale"])
def test_noise_scale(case):
    found = noise_scale(case["norm_sq_small"], case["norm_sq_big"], case["b_small"], case["b_big"])

    assert (found.gradient, found.trace, found.value) == pytest.approx(case["estimated"], rel=RTOL)
    assert found.value == pytest.approx(case["B_simple"], rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["lr_scaling"])
@pytest.mark.parametrize("rule", ["linear", "sqrt"])
def test_rate_of_another_batch(case, rule):
    scaled = scale_rate(case["lr"], case["batch"], case["new_batch"], rule=rule)

    assert scaled.lr == pytest.approx(case[rule], rel=RTOL)


@pytest.mark.parametrize("case", GOLDEN["lr_at_batch_noise_model"])
def test_best_rate(case):
    assert best_rate(case["batch"], case["B_noise"], case["lr_max"]) == pytest.approx(case["lr"], rel=RTOL)


def test_adam_with_l2_and_adamw():
    case = GOLDEN["adam_vs_adamw"]
    for name, kind, key in (
        ("adam", "auto", "adam_with_L2"),
        ("adamw", "auto", "adamw"),
        ("adam", "decoupled", "adamw"),
        ("adamw", "l2", "adam_with_L2"),
    ):
        model = nn.Linear(1, 1, bias=False).double()
        with torch.no_grad():
            model.weight.fill_(case["p0"])
        recipe = revise(
            Recipe(), {"optim.name": name, "optim.decay_kind": kind, "optim.weight_decay": case["weight_decay"]}
        )
        optimizer = build(recipe, model, case["lr"])
        path = []
        for _ in case[key]:
            model.weight.grad = torch.full((1, 1), case["grad_constant"], dtype=F64)
            optimizer.step()
            path.append(model.weight.item())

        assert path == pytest.approx(case[key], rel=RTOL), (name, kind)


@pytest.mark.parametrize("implementation", ["foreach", "forloop"])
@pytest.mark.parametrize("case", GOLDEN["schedule_free_sgd"])
def test_schedule_free_sgd(case, implementation):
    """y where gradients are taken, z, and x that is evaluated; the warm-up is that of our schedule."""
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([case["w0"]]))
    changes = {"name": "schedulefree_sgd", "momentum": case["beta"], "implementation": implementation}
    recipe = revise(Recipe(), {f"optim.{name}": value for name, value in changes.items()})
    optimizer = build(recipe, model, case["lr"])
    rates = Rates(
        optimizer, schedules.build(revise(recipe, {"schedule.name": "constant"}).schedule, 100, case["warmup"])
    )
    average = OwnAverage(model, optimizer)
    hessian = torch.tensor(case["H"], dtype=F64)

    for step in range(case["steps"]):
        rates.set(step)
        assert model.weight[0].tolist() == pytest.approx(case["y"][step], rel=RTOL, abs=1e-15)
        model.weight.grad = (hessian @ model.weight[0].detach())[None]
        optimizer.step()
        assert optimizer.state[model.weight]["z"][0].tolist() == pytest.approx(case["z"][step], rel=RTOL)
        assert average.state_dict()["weights"]["weight"][0].tolist() == pytest.approx(case["x"][step], rel=RTOL)


def test_sam_on_a_quadratic():
    case = GOLDEN["quadratic"]
    hessian = torch.tensor(case["H"], dtype=F64)
    weight = torch.tensor(case["w"], dtype=F64, requires_grad=True)
    seen, gradients = [], []

    def closure():
        seen.append(weight.detach().clone())
        weight.grad = None
        loss = 0.5 * weight @ hessian @ weight
        loss.backward()
        gradients.append(weight.grad.clone())
        return loss

    loss = SAM(torch.optim.SGD([weight], lr=1.0), rho=case["sam"]["rho"]).step(closure)

    assert loss.item() == pytest.approx(case["loss"], rel=RTOL)
    assert gradients[0].tolist() == pytest.approx(case["grad"], rel=RTOL)
    assert seen[1].tolist() == pytest.approx(case["sam"]["perturbed_w"], rel=RTOL)
    assert (seen[0] - weight).tolist() == pytest.approx(case["sam"]["sam_grad"], rel=RTOL)


def test_clipping_by_the_global_norm():
    case = GOLDEN["clip_global_norm"]
    for clipped in case["cases"]:
        gradient = torch.tensor(case["grad"], dtype=F64)
        parts = [gradient[:5], gradient[5:].reshape(7, 1)]
        norm = global_norm(parts)

        clip_norm(parts, norm, clipped["max_norm"])

        assert norm.item() == pytest.approx(case["norm"], rel=RTOL)
        assert torch.cat([part.flatten() for part in parts]).tolist() == pytest.approx(
            clipped["clipped"], rel=case["rtol"]
        )


def test_threshold_of_the_90th_percentile():
    case = GOLDEN["clip_threshold_90th_percentile"]
    model = nn.Linear(1, 1)
    clipping = Clipping()
    clipping.percentile, clipping.window = 90.0, len(case["norms"])
    state = State(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

    for norm in case["norms"]:
        clipping.note(state, torch.tensor(norm, dtype=F64))

    threshold = clipping.threshold(state)
    assert threshold == percentile(case["norms"], 90)
    assert threshold == pytest.approx(case["threshold"], rel=RTOL)
    assert np.mean([norm > threshold for norm in case["norms"]]) == pytest.approx(case["fraction_clipped"], rel=RTOL)

"""Stepping without the compiler: the same numbers, and no import of it."""

import copy
import inspect
import subprocess
import sys

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import plain_step, without_compiler
from tunesmith.blocks.optim.eager import CACHE, WRAPPED

KINDS = [
    kind for kind in vars(torch.optim).values() if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
]
KINDS.remove(torch.optim.Optimizer)
KERNELS = {
    kind: [name for name in ("foreach", "fused") if name in inspect.signature(kind).parameters] for kind in KINDS
}
CASES = [(kind, kernel) for kind in KINDS for kernel in ["default", *KERNELS[kind]]]


def problem(kind):
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(4, 3, generator=generator, requires_grad=True),
        torch.randn(3, 5, generator=generator, requires_grad=True),
    ]
    x = torch.randn(8, 4, generator=generator)

    def closure():
        for weight in weights:
            weight.grad = None
        loss = (torch.tanh(x @ weights[0]) @ weights[1]).square().mean()
        loss.backward()
        if kind is torch.optim.SparseAdam:
            for weight in weights:
                weight.grad = weight.grad.to_sparse()
        return loss

    return weights, closure


@pytest.mark.parametrize(("kind", "kernel"), CASES, ids=str)
def test_the_plain_step_gives_the_numbers_of_the_official_one(kind, kernel):
    flags = {} if kernel == "default" else {kernel: True}
    results = []
    for official in (True, False):
        weights, closure = problem(kind)
        optimizer = kind(weights, **flags)
        step = optimizer.step if official else plain_step(optimizer)
        for _ in range(5):
            if kind is torch.optim.LBFGS:
                step(closure)
            else:
                closure()
                step()
        results.append((weights, optimizer.state_dict()["state"]))

    (expected, expected_state), (weights, state) = results
    assert all(torch.equal(one, other) for one, other in zip(expected, weights, strict=True))
    assert not torch.equal(weights[0], problem(kind)[0][0])
    for index, held in expected_state.items():
        for name, value in held.items():
            same = (
                torch.equal(value, state[index][name])
                if isinstance(value, torch.Tensor)
                else str(value) == str(state[index][name])
            )
            assert same, name


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    weights, closure = problem(torch.optim.SGD)

    loss = plain_step(torch.optim.SGD(weights, lr=0.1))(closure)

    assert loss.requires_grad


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_hooks_patches_and_schedulers_see_every_step(kind):
    weights, closure = problem(kind)
    optimizer = kind(weights, lr=0.1)
    step, seen = plain_step(optimizer), []
    closure()

    handle = optimizer.register_step_post_hook(lambda *_: seen.append("hook"))
    step()
    handle.remove()
    step()
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    step()

    assert seen == ["hook"]
    assert optimizer._opt_called


def test_a_strangers_step_is_called_as_it_is():
    class Counting(torch.optim.SGD):
        calls = 0

        def step(self, closure=None):
            self.calls += 1
            return super().step(closure)

    weights, closure = problem(Counting)
    optimizer = Counting(weights, lr=0.1)
    closure()

    plain_step(optimizer)()

    assert optimizer.calls == 1


def test_the_profiler_finds_the_step():
    weights, closure = problem(torch.optim.SGD)
    step = plain_step(torch.optim.SGD(weights, lr=0.1))
    closure()

    with torch.autograd.profiler.profile() as profile:
        step()

    assert any("Optimizer.step#SGD" in event.name for event in profile.function_events)


def test_the_wrapped_functions_are_left_as_they_were():
    plain = [getattr(torch.optim.Optimizer, name).__wrapped__ for name in WRAPPED]
    before = [getattr(function, CACHE, None) for function in plain]

    with pytest.raises(ZeroDivisionError), without_compiler(), without_compiler():
        raise ZeroDivisionError

    assert [getattr(function, CACHE, None) for function in plain] == before


SCRIPT = """
import sys, torch
from torch import nn
from tunesmith.blocks.optim import OPTIMIZERS, build, needs_closure, plain_step, without_compiler
from tunesmith.records import Recipe, revise

for name in {names}:
    net = nn.Linear(4, 3, bias=name != "muon") if name != "sparseadam" else nn.Embedding(4, 3, sparse=True)
    optimizer = build(revise(Recipe(), {{"optim.name": name}}), net, 0.1)
    step = optimizer.step if name == "sam" else plain_step(optimizer)
    def closure():
        for weight in net.parameters():
            weight.grad = None
        x = torch.arange(4) if name == "sparseadam" else torch.ones(2, 4)
        loss = torch.func.functional_call(net, dict(net.named_parameters()), (x,)).square().sum()
        loss.backward()
        if name != "sparseadam":
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        return loss
    for _ in range(3):
        if needs_closure(optimizer):
            step(closure)
        else:
            closure()
            step()
    with without_compiler():
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
    closure()
    if not needs_closure(optimizer):
        step()
    assert "torch._dynamo" not in sys.modules, name
print("done")
"""


@pytest.mark.parametrize("names", [["adamw", "sgd"], "list(OPTIMIZERS)"], ids=["usual", "all"])
def test_training_and_saving_import_no_compiler(names):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(names=names)], capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "done", done.stderr


def test_a_copied_net_trains_on_with_the_loaded_state():
    weights, closure = problem(torch.optim.AdamW)
    optimizer = torch.optim.AdamW(weights)
    closure()
    plain_step(optimizer)()
    net = nn.ParameterList(copy.deepcopy(weights))

    with without_compiler():
        again = torch.optim.AdamW(net.parameters())
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    closure()
    for mine, theirs in zip(net, weights, strict=True):
        mine.grad = theirs.grad.clone()
    plain_step(optimizer)()
    plain_step(again)()

    assert all(torch.equal(mine, theirs) for mine, theirs in zip(net, weights, strict=True))

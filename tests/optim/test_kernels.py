import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import build, fastest_kernel, measured_kernel
from tunesmith.blocks.optim.kernels import Timed
from tunesmith.records import Recipe, RecipeError, revise


def parts():
    return [{"params": [nn.Parameter(torch.ones(3, 2))]}]


class Slow(torch.optim.SGD):
    wait = 0

    def step(self, closure=None):
        torch.empty(self.wait).normal_()
        return super().step(closure)


def test_the_fastest_is_taken_and_refused_ones_are_left_out():
    before = torch.get_rng_state()

    def make(groups, kernel):
        if kernel == "fused":
            raise RecipeError("no such kernel")
        optimizer = Slow(groups, lr=0.1)
        optimizer.wait = 0 if kernel == "forloop" else 3_000_000
        return optimizer

    given = parts()
    timed = fastest_kernel(make, given)
    torch.set_rng_state(before)

    assert timed.kernel == "forloop"
    assert set(timed.seconds) == {"foreach", "forloop"}
    assert timed.seconds["forloop"] < timed.seconds["foreach"]
    assert given[0]["params"][0].grad is None
    assert (given[0]["params"][0] == 1).all()


def test_without_any_the_refusal_is_raised():
    def make(groups, kernel):
        raise RecipeError(f"no {kernel}")

    with pytest.raises(RecipeError, match="no forloop"):
        fastest_kernel(make, parts())


@pytest.mark.parametrize("name", ["adamw", "sgd", "rmsprop", "lbfgs", "sam", "lookahead", "schedulefree_sgd", "adam0"])
def test_a_recipe_may_ask_for_the_measurement(name):
    recipe = revise(Recipe(), {"optim.name": name, "optim.implementation": "measure"})
    net = nn.Linear(4, 3)
    before = net.weight.detach().clone()
    generator = torch.get_rng_state()

    chosen, told = measured_kernel(recipe, net, 0.1)
    optimizer = build(recipe, net, 0.1)

    assert chosen.optim.implementation in ("fused", "foreach", "forloop")
    assert told.startswith(f"optimizer kernel {chosen.optim.implementation}, measured")
    assert torch.equal(net.weight, before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert optimizer.param_groups[0]["params"][0] is net.weight


def test_sparse_gradients_have_one_kernel_and_nothing_is_measured():
    recipe = revise(Recipe(), {"optim.name": "sgd", "optim.momentum": 0.0, "optim.implementation": "measure"})
    net = nn.Embedding(4, 3, sparse=True)

    assert measured_kernel(recipe, net, 0.1)[1] == ""
    assert build(recipe, net, 0.1).param_groups[0]["foreach"] is False


def test_the_sentence_has_every_time():
    assert str(Timed("fused", {"fused": 1e-5, "forloop": 2e-4})) == (
        "optimizer kernel fused, measured on copies of the parameters (fused 10 us, forloop 200 us a step); a resumed run keeps "
        "its own"
    )

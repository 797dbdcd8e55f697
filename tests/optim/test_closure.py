import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import OPTIMIZERS, build, needs_closure
from tunesmith.records import Recipe, revise


class Wanting(torch.optim.SGD):
    def step(self, evaluate):
        return super().step(evaluate)


class Widespread(torch.optim.SGD):
    def first_step(self): ...

    def second_step(self): ...


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sparseadam"])
def test_of_the_catalogue_lbfgs_and_sam_need_one(name):
    optimizer = build(revise(Recipe(), {"optim.name": name}), nn.Linear(2, 2, bias=False), 0.1)

    assert needs_closure(optimizer) == (name in ("lbfgs", "sam"))


@pytest.mark.parametrize(("kind", "needed"), [(Wanting, True), (Widespread, True), (torch.optim.SGD, False)])
def test_a_users_class_is_asked_by_its_signature_also_under_a_scheduler(kind, needed):
    optimizer = kind(nn.Linear(2, 2).parameters(), lr=0.1)
    torch.optim.lr_scheduler.ConstantLR(optimizer)

    assert needs_closure(optimizer) == needed

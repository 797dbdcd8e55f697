"""What every loss of the catalogue keeps, for every kind of task it fits."""

import pytest
import torch

from tunesmith.blocks.losses import LOSSES, Loss, build

CASES = [(name, kind) for name in LOSSES for kind in LOSSES[name].kinds]
WIDTH = {
    "binary": (2,),
    "multiclass": (4,),
    "language": (6, 4),
    "multilabel": (4,),
    "regression": (),
    "multi_regression": (3,),
}


def batch(kind, rows, seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(rows, *WIDTH[kind], dtype=torch.float64, generator=generator)
    if kind in ("regression", "multi_regression"):
        return outputs, torch.randn(outputs.shape, dtype=torch.float64, generator=generator)
    if kind == "multilabel":
        return outputs, torch.randint(0, 2, outputs.shape, generator=generator).to(torch.float32)
    return outputs, torch.randint(0, outputs.shape[-1], outputs.shape[:-1], generator=generator)


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_batch_add_up_to_the_whole_with_their_gradient(name, kind, weighted):
    outputs, target = batch(kind, 19, seed=1)
    weight = torch.linspace(0, 2, 19, dtype=torch.float64) if weighted else None
    loss, outputs = build(name, kind=kind), outputs.requires_grad_()
    cuts = (slice(0, 1), slice(1, 12), slice(12, 19))

    whole = loss(outputs, target, weight)
    parts = [loss(outputs[cut], target[cut], None if weight is None else weight[cut]) for cut in cuts]
    value = sum(part.sum for part in parts) / sum(part.weight for part in parts)

    assert value.item() == pytest.approx(whole.value.item(), rel=1e-13)
    (expected,), (gradient,) = (torch.autograd.grad(each, outputs) for each in (whole.value, value))
    assert (gradient - expected).norm() <= 1e-13 * expected.norm()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_equal_weights_change_nothing_and_order_does_not_matter(name, kind):
    outputs, target = batch(kind, 11, seed=2)
    loss = build(name, kind=kind)

    plain, equal, flipped = (
        loss(outputs, target),
        loss(outputs, target, torch.full((11,), 0.3)),
        loss(outputs.flip(0), target.flip(0)),
    )

    assert equal.value.item() == pytest.approx(plain.value.item(), rel=1e-13)
    assert flipped.value.item() == pytest.approx(plain.value.item(), rel=1e-13)
    assert plain.value.item() >= 0


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_gradient_is_that_of_the_value(name, kind):
    outputs, target = batch(kind, 5, seed=3)
    loss = build(name, kind=kind)

    assert torch.autograd.gradcheck(lambda o: loss(o, target).value, (outputs.requires_grad_(),))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_runs_for_many_nets_at_once(name, kind):
    outputs, target = batch(kind, 5, seed=4)
    many = torch.stack([outputs, 2 * outputs, -outputs])
    loss = build(name, kind=kind)

    values = torch.func.vmap(lambda o: loss(o, target).value)(many)

    assert values.tolist() == pytest.approx([loss(each, target).value.item() for each in many], rel=1e-13)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_says_what_it_is(name, kind):
    loss = build(name, kind=kind)

    assert isinstance(loss, Loss)
    assert loss.name == name
    assert (loss.opaque, loss.couples, loss.additive) == (False, False, False)
    assert LOSSES[name].__doc__

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tunesmith.records import DataError, ModelError
from tunesmith.training.batched.losses import module_of, stacked

TRIALS, ROWS, CLASSES = 3, 7, 4


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def labels(low: int = 0) -> Tensor:
    return torch.randint(low, CLASSES, (TRIALS, ROWS), generator=torch.Generator().manual_seed(2))


WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.0], dtype=torch.float64)
CLASSIFYING = (
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(weight=WEIGHTS),
    nn.CrossEntropyLoss(label_smoothing=0.2),
    nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.3),
    nn.CrossEntropyLoss(ignore_index=1),
    nn.CrossEntropyLoss(ignore_index=1, weight=WEIGHTS, label_smoothing=0.3),
)
ELEMENTWISE = (
    nn.BCEWithLogitsLoss(),
    nn.BCEWithLogitsLoss(pos_weight=torch.tensor([0.5, 2.0, 1.0, 4.0], dtype=torch.float64)),
    nn.MSELoss(),
    nn.L1Loss(),
    nn.HuberLoss(delta=0.7),
    nn.SmoothL1Loss(beta=0.4),
    nn.SmoothL1Loss(beta=0.0),
)


def held_against_torch(loss: nn.Module, z: Tensor, y: Tensor) -> None:
    ours = stacked(loss)
    ours.check(z.shape[1:], y[0])
    leaves = z.clone().requires_grad_()
    each = torch.stack([loss(one, target) for one, target in zip(leaves, y, strict=True)])
    each.sum().backward()

    value, gradient = ours.both(z.clone(), y)
    total, mass = ours.parts(z.clone(), y)

    torch.testing.assert_close(value, each.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(total / mass, each.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, leaves.grad, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("loss", CLASSIFYING, ids=str)
def test_cross_entropy_and_its_gradient_are_those_of_torch(loss):
    held_against_torch(loss, random(TRIALS, ROWS, CLASSES), labels())


@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_losses_entry_by_entry_and_their_gradients_are_those_of_torch(loss):
    y = (random(TRIALS, ROWS, CLASSES, 1).squeeze(-1) > 0).double()

    held_against_torch(loss, random(TRIALS, ROWS, CLASSES), y)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.HuberLoss(), nn.BCEWithLogitsLoss()], ids=str)
def test_outputs_may_be_one_number_a_row(loss):
    held_against_torch(loss, random(TRIALS, ROWS), torch.rand(TRIALS, ROWS, dtype=torch.float64))


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_huge_logits_keep_finite_losses(low, high):
    z = torch.tensor([[[low * 100, high * 100]]], dtype=torch.float64)

    value, gradient = stacked(nn.CrossEntropyLoss()).both(z, torch.tensor([[0]]))

    assert value.isfinite().all()
    assert abs(float(gradient.sum())) < 1e-12  # softmax sums to 1


def test_accuracy_counts_rows():
    cross, binary = stacked(nn.CrossEntropyLoss()), stacked(nn.BCEWithLogitsLoss())
    z = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[0.0, 1.0], [0.0, 3.0]]])

    assert cross.right(z, torch.tensor([[0, 1], [0, 1]])).tolist() == [2, 1]
    assert binary.right(z[..., 0], torch.tensor([[1.0, 0.0], [1.0, 0.0]])).tolist() == [2, 1]
    assert binary.right(z, torch.ones(2, 2, 2)).tolist() == [1, 0]


def test_what_does_not_go_together_is_refused():
    cross, squares = stacked(nn.CrossEntropyLoss()), stacked(nn.MSELoss())

    with pytest.raises(DataError, match="labels run from 0 to 5, the net has 4 outputs"):
        cross.check(torch.Size((2, 4)), torch.tensor([0, 5]))
    with pytest.raises(DataError, match="whole numbers"):
        cross.check(torch.Size((2, 4)), torch.tensor([0.0, 1.0]))
    with pytest.raises(DataError, match="2 class weights for 4 outputs"):
        stacked(nn.CrossEntropyLoss(weight=torch.ones(2))).check(torch.Size((2, 4)), torch.tensor([0, 1]))
    with pytest.raises(DataError, match=r"shape \(2, 1\) for targets of shape \(2,\)"):
        squares.check(torch.Size((2, 1)), torch.zeros(2))
    with pytest.raises(DataError, match="floating point"):
        squares.check(torch.Size((2,)), torch.zeros(2, dtype=torch.long))


def test_losses_without_a_stacked_form_are_refused():
    with pytest.raises(ModelError, match="TripletMarginLoss"):
        stacked(nn.TripletMarginLoss())
    with pytest.raises(ModelError, match="reduction 'sum'"):
        stacked(nn.MSELoss(reduction="sum"))
    with pytest.raises(ModelError, match="pos_weight"):
        stacked(nn.BCEWithLogitsLoss(weight=torch.ones(2)))
    with pytest.raises(ModelError, match="did you mean 'huber'"):
        module_of("hubber")

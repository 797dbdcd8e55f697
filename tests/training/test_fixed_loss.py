import pytest
import torch
from torch import nn

from tunesmith.records import DataError
from tunesmith.training.fixed import fixed_loss


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 1)).double()


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(11, 3, generator=generator).double(), torch.randn(11, 1, generator=generator).double()


def test_value_gradient_and_product_are_those_of_the_whole_batch():
    model, (x, y) = net(), rows()
    direction = torch.randn(26, generator=torch.Generator().manual_seed(2)).double()  # 3 x 5 + 5 + 5 + 1
    model.eval()
    parameters = list(model.parameters())
    value = nn.functional.mse_loss(model(x), y)
    gradient = torch.autograd.grad(value, parameters, create_graph=True)
    flat = torch.cat([each.reshape(-1) for each in gradient])
    second = torch.cat([each.reshape(-1) for each in torch.autograd.grad(flat @ direction, parameters)])
    model.train()

    with fixed_loss(model, nn.MSELoss(), [(x[:7], y[:7]), (x[7:8], y[7:8]), (x[8:], y[8:])]) as fixed:
        found, slope = fixed.gradient()
        assert fixed.value() == pytest.approx(value.item(), rel=1e-12)
        assert found == pytest.approx(value.item(), rel=1e-12)
        assert torch.allclose(slope, flat, rtol=1e-10)
        assert torch.allclose(fixed.product(direction), second, rtol=1e-10)
        assert fixed.passes == 1 + 2 + 4


def test_a_look_elsewhere_does_not_stay():
    model, (x, y) = net(), rows()

    with fixed_loss(model, nn.MSELoss(), [(x, y)]) as fixed:
        here, there = fixed.value(), fixed.value(fixed.weights() + 1)
        assert there != here
        assert fixed.value() == here
        assert torch.equal(fixed.weights(), nn.utils.parameters_to_vector(model.parameters()))


def test_a_sum_is_a_sum_and_sample_weights_count():
    model, (x, y) = net(), rows()
    weight = torch.arange(11).double()
    model.eval()
    each = (model(x) - y).square()[:, 0]

    with fixed_loss(model, nn.MSELoss(reduction="sum"), [(x[:4], y[:4]), (x[4:], y[4:])]) as fixed:
        assert fixed.value() == pytest.approx(each.sum().item(), rel=1e-12)
    with fixed_loss(model, nn.MSELoss(), [(x[:4], y[:4], weight[:4]), (x[4:], y[4:], weight[4:])]) as fixed:
        assert fixed.value() == pytest.approx(((each * weight).sum() / weight.sum()).item(), rel=1e-12)
    with (
        pytest.raises(DataError, match="no weight"),
        fixed_loss(model, nn.MSELoss(), [(x, y, weight * 0)]) as fixed,
    ):
        fixed.value()


def test_half_precision_weights_are_looked_at_in_single():
    model, (x, y) = net().to(torch.bfloat16), rows()

    with fixed_loss(model, nn.MSELoss(), [(x.to(torch.bfloat16), y.to(torch.bfloat16))]) as fixed:
        value, gradient = fixed.gradient()

    assert gradient.dtype == torch.float32
    assert value > 0
    assert next(model.parameters()).dtype == torch.bfloat16


def test_sparse_gradients_are_taken():
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(7, 3, sparse=True), nn.Linear(3, 1))

    with fixed_loss(model, nn.MSELoss(), [(torch.tensor([[1, 2], [3, 1]]), torch.ones(2, 1))]) as fixed:
        _, gradient = fixed.gradient()

    assert gradient[:21].view(7, 3).abs().sum(1).gt(0).tolist() == [False, True, True, True, False, False, False]

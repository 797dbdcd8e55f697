import numpy as np
import pytest
import torch

from tunesmith.blocks.layers.poolings import POOLINGS, pooling, positions


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(3, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6, 3, 1])
    return x, torch.arange(6) < lengths[:, None]


def test_mean_and_max_are_those_of_the_real_positions():
    x, mask = batch()

    mean, highest = pooling("mean", 4)(x, mask), pooling("max", 4)(x, mask)

    for i, length in enumerate((6, 3, 1)):
        np.testing.assert_allclose(mean[i], x[i, :length].numpy().mean(0))
        np.testing.assert_allclose(highest[i], x[i, :length].numpy().max(0))


def test_attention_is_its_formula():
    torch.manual_seed(0)
    x, mask = batch()
    pool = pooling("attention", 4).double()
    W, b, u = (value.detach().numpy() for value in (pool.hidden.weight, pool.hidden.bias, pool.score.weight[0]))

    y = pool(x, mask).detach().numpy()

    for i, length in enumerate((6, 3, 1)):
        real = x[i, :length].numpy()
        score = np.exp(np.tanh(real @ W.T + b) @ u)
        np.testing.assert_allclose(y[i], (score / score.sum()) @ real)


@pytest.mark.parametrize("name", POOLINGS)
def test_what_lies_behind_the_mask_changes_nothing(name):
    torch.manual_seed(0)
    x, mask = batch()
    pool = pooling(name, 4).double()

    y = pool(x, mask)
    spoilt = pool(torch.where(mask.unsqueeze(-1), x, torch.nan), mask)

    torch.testing.assert_close(y, spoilt)
    torch.testing.assert_close(y[1], pool(x[1:2, :3])[0])


@pytest.mark.parametrize("name", POOLINGS)
def test_a_row_without_real_positions_gives_zeros_and_finite_gradients(name):
    x = torch.randn(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask = torch.tensor([[False] * 5, [True] * 5])
    pool = pooling(name, 4).double()

    y = pool(x, mask)
    y.sum().backward()

    assert y[0].abs().max() == 0
    assert torch.isfinite(x.grad).all()
    assert x.grad[0].abs().max() == 0


def test_first_and_last_are_those_of_the_real_positions():
    x, mask = batch()

    first, last = pooling("first", 4)(x, mask), pooling("last", 4)(x, mask)

    assert torch.equal(first, x[:, 0])
    assert torch.equal(last, x[torch.arange(3), torch.tensor([5, 2, 0])])


@pytest.mark.parametrize("name", sorted(set(POOLINGS) - {"first", "last"}))
def test_the_order_of_the_positions_does_not_matter(name):
    x, _ = batch()
    pool = pooling(name, 4).double()

    torch.testing.assert_close(pool(x), pool(x.flip(1)))


def test_a_feature_map_is_a_sequence_of_its_positions():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)

    sequence = positions(x)

    assert sequence.shape == (1, 12, 2)
    assert sequence[0, 5].tolist() == x[0, :, 1, 1].tolist()
    assert pooling("mean", 2)(sequence)[0].tolist() == [5.5, 17.5]

"""Cures against golden numbers of tests/golden/scalars.json, closed forms and torch itself."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tunesmith import generative
from tunesmith.generative import (
    CURES,
    Hinge,
    LeastSquares,
    MinibatchDiscrimination,
    Minimax,
    NonSaturating,
    Packed,
    Wasserstein,
    clip_weights,
    cycle_loss,
    gradient_penalty,
    identity_loss,
    mode_regulariser,
    noise_reconstruction,
    pack,
    paired,
    pixel_loss,
    r1,
    spectral_norm,
    unrolled,
)
from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.verbs.catalogues import words

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def linear(weights: Any) -> nn.Linear:
    rows = double(weights).reshape(1, -1)
    layer = nn.Linear(rows.shape[1], 1).double()
    layer.weight.data.copy_(rows)
    return layer


@pytest.mark.parametrize(
    ("game", "player", "name"),
    [
        (NonSaturating(), "discriminator", "d_bce"),
        (NonSaturating(), "generator", "g_nonsaturating"),
        (Minimax(), "discriminator", "d_bce"),
        (Minimax(), "generator", "g_saturating"),
        (Wasserstein(), "discriminator", "wgan_critic"),
        (Wasserstein(), "generator", "wgan_generator"),
        (Hinge(), "discriminator", "hinge_d"),
        (LeastSquares(), "discriminator", "lsgan_d"),
    ],
)
def test_a_game_gives_the_golden_number(game: Any, player: str, name: str) -> None:
    case = GOLDEN["gan_losses"]
    real, made = double(case["d_real"]), double(case["d_fake"])

    found = game.generator(made) if player == "generator" else game.discriminator(real, made)

    assert found.item() == pytest.approx(case[name], rel=1e-12)


def test_the_penalty_of_a_linear_and_of_a_quadratic_critic() -> None:
    case = GOLDEN["gradient_penalty"]
    real, made, mix, matrix = (double(case[name]) for name in ("real", "fake", "t", "A"))

    class Quadratic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return ((x @ matrix) * x).sum(dim=1) / 2

    width = len(case["linear_w"])
    straight = gradient_penalty(
        linear(case["linear_w"]), torch.randn(4, width).double(), torch.randn(4, width).double()
    )
    curved = gradient_penalty(Quadratic(), real, made, mix=mix)

    assert straight.item() == pytest.approx(case["linear"], rel=1e-12)
    assert curved.item() == pytest.approx(case["quadratic"], rel=1e-12)


def test_the_penalty_takes_one_norm_a_sample_of_pictures_too() -> None:
    critic = nn.Sequential(nn.Flatten(), linear([0.6, 0.0, 0.0, 0.8]))
    real, made = torch.zeros(5, 1, 2, 2).double(), torch.ones(5, 1, 2, 2).double()

    assert gradient_penalty(critic, real, made).item() == pytest.approx(0.0, abs=1e-12)
    assert r1(critic, real, weight=3.0).item() == pytest.approx(1.5)


def test_a_flat_critic_has_a_penalty_and_a_gradient_that_are_finite() -> None:
    critic = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    for parameter in critic.parameters():
        parameter.data.zero_()

    value = gradient_penalty(critic, torch.zeros(4, 2), torch.ones(4, 2))
    value.backward()

    assert value.item() == 10.0
    assert all(bool(one.grad.isfinite().all()) for one in critic.parameters() if one.grad is not None)


def test_the_penalty_refuses_samples_that_do_not_pair() -> None:
    with pytest.raises(DataError, match=r"shape \(4, 2\).*\(3, 2\)"):
        gradient_penalty(nn.Linear(2, 1), torch.zeros(4, 2), torch.zeros(3, 2))


def test_the_penalty_draws_from_the_generator_given() -> None:
    critic, real, made = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), torch.zeros(4, 2), torch.ones(4, 2)

    first, again = (gradient_penalty(critic, real, made, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    other = gradient_penalty(critic, real, made, generator=torch.Generator().manual_seed(4))

    assert first.item() == again.item() != other.item()


def test_spectral_norm_is_that_of_the_singular_values() -> None:
    case = GOLDEN["spectral_norm"]
    layer = nn.Linear(4, 6, bias=False).double()
    layer.weight.data.copy_(double(case["W"]))

    normed = spectral_norm(layer, power_steps=50)

    torch.testing.assert_close(normed.weight, double(case["W"]) / case["sigma"], rtol=1e-9, atol=1e-12)


def test_spectral_norm_refuses_what_it_cannot_act_on() -> None:
    with pytest.raises(ModelError, match="no linear"):
        spectral_norm(nn.ReLU())
    with pytest.raises(ModelError, match="already"):
        spectral_norm(spectral_norm(nn.Linear(2, 2)))


def test_minibatch_discrimination() -> None:
    case = GOLDEN["minibatch_discrimination"]
    features, tensor = double(case["f"]), double(case["T"])
    layer = MinibatchDiscrimination(*tensor.shape).double()
    layer.tensor.data.copy_(tensor)

    found = layer(features)

    torch.testing.assert_close(found[:, : features.shape[1]], features)
    torch.testing.assert_close(found[:, features.shape[1] :], double(case["o_excluding_self"]), rtol=1e-10, atol=0.0)


def test_packs_are_rows_side_by_side_and_channels_of_pictures() -> None:
    pictures = torch.arange(4 * 3 * 2 * 2.0).reshape(4, 3, 2, 2)

    packed = pack(pictures, 2)

    assert packed.shape == (2, 6, 2, 2)
    assert torch.equal(packed[1, 3:], pictures[3])
    assert Packed(nn.Flatten(), 4)(torch.zeros(8, 2)).shape == (2, 8)


@pytest.mark.parametrize(("together", "rows"), [(2, 3), (3, 4)])
def test_packs_that_do_not_come_out_even_are_refused(together: int, rows: int) -> None:
    with pytest.raises(DataError, match=f"multiple of {together}"):
        pack(torch.zeros(rows, 2), together)


def test_a_pack_of_no_sample_is_refused() -> None:
    with pytest.raises(RecipeError, match="whole number"):
        pack(torch.zeros(4, 2), 0)


def test_weights_are_clipped_both_ways() -> None:
    critic = linear([0.5, -0.5, 0.005])

    clip_weights(critic)

    assert critic.weight.tolist() == [[0.01, -0.01, 0.005]]
    with pytest.raises(RecipeError, match="above 0"):
        clip_weights(critic, 0.0)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), weight_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("before", [0, 3])
def test_the_steps_looked_ahead_are_those_the_optimizer_then_takes(name: str, before: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)).double()
    optimizer = OPTIMIZERS[name](net.parameters())
    x, probe = torch.randn(7, 2).double(), torch.randn(3, 2).double()

    def loss(judge: Any) -> Tensor:
        return NonSaturating().discriminator(judge(x), judge(x + 1))

    def step() -> None:
        optimizer.zero_grad()
        loss(net).backward()
        optimizer.step()

    for _ in range(before):
        step()
    start = copy.deepcopy(net.state_dict())
    ahead = unrolled(net, loss, optimizer, 4)(probe)
    untouched = all(torch.equal(start[key], value) for key, value in net.state_dict().items())
    for _ in range(4):
        step()

    assert untouched
    torch.testing.assert_close(ahead, net(probe), rtol=1e-10, atol=1e-12)


def test_the_gradient_through_unrolled_steps_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    optimizer, real = torch.optim.Adam(net.parameters(), lr=0.05), torch.randn(6, 2).double()

    def value(made: Tensor) -> Tensor:
        judge = unrolled(net, lambda at: NonSaturating().discriminator(at(real), at(made)), optimizer, 3)
        return NonSaturating().generator(judge(made))

    assert torch.autograd.gradcheck(value, torch.randn(6, 2).double().requires_grad_())


def test_dead_units_give_no_nan_through_adam() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    net[0].bias.data.fill_(-100.0)
    made = torch.zeros(4, 2, requires_grad=True)

    judge = unrolled(net, lambda at: at(made).square().mean(), torch.optim.Adam(net.parameters()), 3)
    judge(made).sum().backward()

    assert made.grad is not None
    assert bool(made.grad.isfinite().all())


def test_looking_ahead_leaves_statistics_as_they_were() -> None:
    net = spectral_norm(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)))
    before = copy.deepcopy(net.state_dict())

    unrolled(net, lambda at: at(torch.randn(8, 2)).mean(), torch.optim.SGD(net.parameters(), lr=0.1), 2)

    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_what_cannot_be_unrolled_is_named() -> None:
    net, other = nn.Linear(2, 1), nn.Linear(2, 1)

    with pytest.raises(ModelError, match="RMSprop cannot be unrolled"):
        unrolled(net, lambda at: at(torch.zeros(1, 2)).sum(), torch.optim.RMSprop(net.parameters()))
    with pytest.raises(ModelError, match="does not train 'weight'"):
        unrolled(net, lambda at: at(torch.zeros(1, 2)).sum(), torch.optim.SGD(other.parameters(), lr=0.1))
    with pytest.raises(RecipeError, match="0 or more"):
        unrolled(net, lambda at: at(torch.zeros(1, 2)).sum(), torch.optim.SGD(net.parameters(), lr=0.1), -1)


def test_encoder_terms_are_the_sums_of_the_papers() -> None:
    generator, encoder, discriminator = linear([2.0]), linear([1.0]), linear([3.0])
    for net in (generator, encoder, discriminator):
        net.bias.data.zero_()
    real = double([[1.0], [-1.0]])  # back at 2 and -2

    found = mode_regulariser(generator, encoder, discriminator, real, distance=0.5, score=2.0)

    softplus = (math.log1p(math.exp(-6)) + math.log1p(math.exp(6))) / 2
    assert found.item() == pytest.approx(0.5 * 1.0 + 2.0 * softplus)
    assert noise_reconstruction(encoder, real, 3 * real).item() == pytest.approx(4.0)
    assert paired(torch.zeros(4, 1, 2, 2), torch.zeros(4, 3)).shape == (4, 7)


def test_cycle_identity_and_pixel_terms() -> None:
    there, back = linear([2.0]), linear([1.0])
    there.bias.data.zero_()
    back.bias.data.zero_()
    x, y = double([[1.0], [3.0]]), double([[2.0], [2.0]])

    assert cycle_loss(there, back, x, y).item() == pytest.approx(10 * (2.0 + 2.0))  # 2x - x and 2y - y
    assert identity_loss(there, back, x, y).item() == pytest.approx(5 * 2.0)
    assert pixel_loss(x, y, 1.0).item() == pytest.approx(1.0)
    assert pixel_loss(x, 2 * y, 1.0, power=2).item() == pytest.approx((9 + 1) / 2)
    with pytest.raises(RecipeError, match="power = 3"):
        pixel_loss(x, y, power=3)


@pytest.mark.parametrize("name", CURES)
def test_a_page_says_when_to_use_it_and_from_where_it_is(name: str) -> None:
    said = words("cure", name)

    assert len(said.rows["Use"].split()) >= 3
    assert "arXiv" in said.rows["Source"]
    assert CURES[name].__name__ in generative.__all__

"""A plain GAN on the ring collapses, and one whose discriminator sees pairs does not: the measures say so of both."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.generative import birthday, kernel_distance, mixture, modes, pairwise_ratio, prdc, ring

SIGMA, LATENT = 0.02, 256
CENTRES = ring(8, radius=2.0)


def net(inputs: int, outputs: int) -> nn.Sequential:
    layers = [nn.Linear(inputs, 128), nn.Linear(128, 128), nn.Linear(128, outputs)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


@cache
def samples_of_gan(packed: int) -> Tensor:
    """2,000 samples after 300 updates. The discriminator judges `packed` samples at once: Lin et al., arXiv:1712.04086."""
    torch.manual_seed(0)
    generator, discriminator = net(LATENT, 2), net(2 * packed, 1)
    slow = torch.optim.Adam(discriminator.parameters(), lr=1e-4, betas=(0.5, 0.999))
    fast = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    data = torch.from_numpy(mixture(CENTRES, SIGMA, 20_000)).float()
    for _ in range(300):
        real = data[torch.randint(0, len(data), (128 * packed,))].reshape(128, -1)
        made = generator(torch.randn(128 * packed, LATENT)).reshape(128, -1)
        loss = functional.softplus(-discriminator(real)) + functional.softplus(discriminator(made.detach()))
        slow.zero_grad()
        loss.mean().backward()
        slow.step()
        loss = functional.softplus(-discriminator(generator(torch.randn(128 * packed, LATENT)).reshape(128, -1)))
        fast.zero_grad()
        loss.mean().backward()
        fast.step()
    return generator(torch.randn(2000, LATENT)).detach()


def test_the_histogram_of_all_samples_tells_collapse_long_before_quality_is_good() -> None:
    plain, packed = (modes(samples_of_gan(one), CENTRES, SIGMA) for one in (1, 2))

    assert plain.held == 1
    assert plain.divergence > 0.95 * np.log(8)
    assert packed.held == 8
    assert packed.divergence < 0.2
    assert max(plain.quality, packed.quality) < 0.05  # both: the quality says nothing yet


def test_measures_that_know_no_centres_see_it_too() -> None:
    real = mixture(CENTRES, SIGMA, 2000, seed=1)
    plain, packed = (
        {
            "apart": pairwise_ratio(real, made).ratio,
            "coverage": prdc(real, made).coverage,
            "kernel": kernel_distance(real, made).value,
            "support": birthday(made, tolerance=0.01).support,
        }
        for made in (samples_of_gan(1), samples_of_gan(2))
    )

    assert plain["apart"] < 0.6 < 0.8 < packed["apart"]
    assert plain["kernel"] > 10 * packed["kernel"]
    assert plain["coverage"] < packed["coverage"]
    assert plain["support"] < packed["support"]

"""A small variational autoencoder of points. Kingma & Welling, arXiv:1312.6114; a learnt deviation of the decoder: arXiv:2006.13202."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.generative.recursive.asking import whole
from tunesmith.generative.recursive.measuring import measures_against
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.models.mixture import held, source, told
from tunesmith.generative.recursive.subject import Array, Subject

BATCH, RATE = 128, 5e-3  # of Adam; assumption
START = -2.0  # log deviation of the decoder before training: from 0 on the latent was never used, see docs/log.md
DRAWS = 16  # of the latent for each judged row, in the bound; assumption


class Coder(nn.Module):
    """q(z | x) and p(x | z), both normal; one deviation for all outputs."""

    def __init__(self, columns: int, latent: int, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(columns, width), nn.ReLU(), nn.Linear(width, 2 * latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, columns)
        )
        self.log_sigma = nn.Parameter(torch.tensor(START))

    def bound(self, x: Tensor, noise: Tensor) -> Tensor:
        """The evidence lower bound of each row, (N,), in nats; `noise` (N, latent) is standard normal. Eq. 10 of 1312.6114."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        made = self.decoder(mean + torch.exp(log_variance / 2) * noise)
        apart = ((x - made) / self.log_sigma.exp()) ** 2
        likely = -(apart / 2 + self.log_sigma + np.log(2 * np.pi) / 2).sum(dim=1)
        divergence = (log_variance.exp() + mean**2 - 1 - log_variance).sum(dim=1) / 2
        found: Tensor = likely - divergence
        return found


@dataclass(frozen=True, slots=True)
class Decoded:
    """A trained coder; rows are standardised by mean and deviation (D,) of what it was trained on."""

    coder: Coder
    latent: int
    mean: Array
    deviation: Array

    def sample(self, n: int, seed: int) -> Array:
        """(n, D), the decoder's own noise included."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            made = self.coder.decoder(torch.randn(n, self.latent, generator=generator))
            made = made + self.coder.log_sigma.exp() * torch.randn(made.shape, generator=generator)
        found: Array = made.double().numpy() * self.deviation + self.mean
        return found

    def error(self, rows: Array, seed: int) -> float:
        """Minus the mean bound of rows, in nats."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.as_tensor((rows - self.mean) / self.deviation, dtype=torch.float32).repeat(DRAWS, 1)
        with torch.no_grad():
            bound = self.coder.bound(x, torch.randn(len(x), self.latent, generator=generator))
        return float(np.log(self.deviation).sum() - bound.double().mean())


@MODELS.add("autoencoder")
def autoencoder(latent: int = 2, width: int = 64, updates: int = 600, data: Any = None) -> Subject:
    """A variational autoencoder on eight modes on a ring, or on `data` (N, D); the same `updates` in every generation.

    Measures those of the mixture; `test_error` is minus the evidence lower bound of held-out real rows, in nats.
    """
    whole(latent=latent, width=width, updates=updates)
    real, reference = source(data)
    common = measures_against(reference)

    def fit(rows: Array, seed: int) -> Decoded:
        return trained(rows, latent, width, updates, seed)

    def measure(model: Decoded, seed: int) -> Mapping[str, float | Array]:
        return {**common(model, seed), "test_error": model.error(reference, seed), **held(model, seed, data)}

    return Subject(
        name="autoencoder",
        fit=fit,
        real=real,
        measure=measure,
        settings={"latent": latent, "width": width, "updates": updates, "data": told(data)},
    )


def trained(rows: Array, latent: int, width: int, updates: int, seed: int) -> Decoded:
    """A coder after so many updates of Adam, its rate falling to 0 as half a cosine."""
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    x = torch.as_tensor((rows - mean) / deviation, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        coder = Coder(x.shape[1], latent, width)
    optimizer = torch.optim.Adam(coder.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        some = x[torch.randint(len(x), (min(BATCH, len(x)),), generator=generator)]
        loss = -coder.bound(some, torch.randn(len(some), latent, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return Decoded(coder.eval(), latent, mean, deviation)

"""A small generator of digits, trained on some of the classes: the decoder of an autoencoder."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

LATENT = 6


class Generator(nn.Module):
    """z (N, 6) to pictures (N, 64) from 0 to 1, with a norm that couples the batch while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(LATENT, 64), nn.BatchNorm1d(64), nn.Linear(64, 64)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.outer(torch.relu(self.norm(self.inner(z)))))


def digits() -> tuple[Tensor, np.ndarray]:
    pictures, labels = load_digits(return_X_y=True)
    return torch.from_numpy(pictures / 16).float(), labels


def trained(pictures: Tensor, *, updates: int = 400, seed: int = 0) -> tuple[Generator, nn.Module]:
    """The generator, and the encoder that leads to its z, which is pulled to a standard normal."""
    torch.manual_seed(seed)
    generator = Generator()
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, LATENT), nn.BatchNorm1d(LATENT))
    optimizer = torch.optim.Adam([*generator.parameters(), *encoder.parameters()], lr=3e-3)
    for _ in range(updates):
        batch = pictures[torch.randint(0, len(pictures), (128,))]
        z = encoder(batch)
        loss = functional.mse_loss(generator(z + 0.1 * torch.randn_like(z)), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return generator, encoder.eval()

"""A generator that has seen the digits 0 to 4 alone, trained once."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.generative.digits import Generator, digits, trained

SEEN = 5  # classes


class Trained:
    """The generator with its training pictures, held-out ones, those of classes it has not seen, and what it makes."""

    def __init__(self) -> None:
        self.pictures, self.labels = digits()
        few = self.pictures[self.labels < SEEN]
        self.train, self.held = few[:700], few[700:800]
        self.unseen = self.pictures[self.labels >= SEEN]
        self.generator: Generator
        self.generator, encoder = trained(self.train)
        self.generator.eval()
        with torch.no_grad():
            z = encoder(self.train)
            self.made: Tensor = self.generator(
                z + 0.2 * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
            )
        self.generator.train()

    def parts(self) -> tuple[Tensor, Tensor, np.ndarray]:
        """Pictures of all classes, held-out ones (N, 1, 8, 8), and the labels of these."""
        order = np.random.default_rng(0).permutation(len(self.pictures))
        kept, test = (self.pictures[part].reshape(-1, 1, 8, 8) for part in (order[:1200], order[1200:]))
        return kept, test, self.labels[order[1200:]]


@pytest.fixture(scope="session")
def few() -> Trained:
    return Trained()

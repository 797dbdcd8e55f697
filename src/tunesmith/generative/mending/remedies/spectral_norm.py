"""Spectral norm with the hinge game as a remedy."""

from collections.abc import Iterator

from tunesmith.generative.cures.spectral_norm import LAYERS
from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy
from tunesmith.records.check import Inapplicable


@remedy("spectral_norm", likely=0.2, cost=1.5)  # on toy mixtures it changed nothing (benchmarks/gan_cures.md)
def spectral_norm(board: Board) -> Iterator[Offer]:
    """Every linear and convolutional layer of the discriminator by its largest singular value, and the hinge losses.

    Use: pictures; hardly dearer than no remedy.
    Source: Miyato et al., arXiv:1802.05957; `tunesmith explain cure.spectral_norm`.
    """
    layers = [one for one in board.judge.modules() if isinstance(one, LAYERS)]
    if not layers:
        raise Inapplicable("its discriminator has no linear and no convolutional layer")
    if board.gan.spectral or any(hasattr(one, "parametrizations") for one in layers):
        raise Inapplicable("its layers are parametrized already")
    yield Offer(change="spectral norm and hinge losses", fields={"spectral": True, "game": "hinge"})

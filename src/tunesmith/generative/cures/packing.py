"""Packing: the discriminator judges several samples at once, so that it sees how alike they are."""

from torch import Tensor, nn

from tunesmith.generative.cures import CURES
from tunesmith.records import DataError, RecipeError


def pack(samples: Tensor, together: int) -> Tensor:
    """(N m, D) becomes (N, m D), and (N m, C, …) becomes (N, m C, …): m samples side by side in one row, or as channels.

    Raises `RecipeError` for a number that is no count, `DataError` where it does not divide the number of samples.

    >>> import torch
    >>> pack(torch.arange(8.0).reshape(4, 2), 2).tolist()
    [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    """
    if not isinstance(together, int) or isinstance(together, bool) or together < 1:
        raise RecipeError(f"{together!r} samples were to be judged together; expected a whole number of 1 or more")
    if samples.ndim < 2 or len(samples) % together:
        raise DataError(
            f"samples came with shape {tuple(samples.shape)}; packs of {together} need (N, …) with N a multiple of {together}: "
            "choose another batch size"
        )
    return samples.reshape(len(samples) // together, together * samples.shape[1], *samples.shape[2:])


@CURES.add("packing")
class Packed(nn.Module):
    """D(x_1, …, x_m): the discriminator inside is given m independent samples of one kind at a time, and gives one score for them.

    Shapes: (N m, C, …) in, scores of N packs out; the net inside takes m C columns or channels. Two laws that a lack of modes
    keeps apart are further apart in pairs: the distance grows with m as 1 - (1 - d)^m at most. A batch gives m times fewer scores.

    Raises what `pack` raises.
    Use: the first thing to try against collapse; m = 2 helps most, m = 4 hardly more.
    Source: Lin et al., PacGAN, arXiv:1712.04086, section 3.

    >>> import torch
    >>> Packed(nn.Linear(4, 1), together=2)(torch.zeros(6, 2)).shape
    torch.Size([3, 1])
    """

    def __init__(self, discriminator: nn.Module, together: int = 2) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.together = together

    def forward(self, samples: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(pack(samples, self.together))
        return scores

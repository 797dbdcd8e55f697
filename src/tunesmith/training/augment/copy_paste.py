"""Things of one picture laid on another, with their masks. Ghiasi et al., Simple Copy-Paste, arXiv:2012.07177, section 3.

For own loops: a recipe cannot name it, since no task of Tunesmith has masks as targets. The large changes of size and the
flip that the paper makes first are not part of it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, checked, uniform
from tunesmith.training.augment.mixing import partners


class Pasted(NamedTuple):
    """Pictures (N, C, H, W); masks (N, M, H, W) of their own things, without what is now hidden; masks (N, M, H, W) of the things that
    came, empty where none did; and the picture each got them from, int64 (N,)."""

    pictures: Tensor
    masks: Tensor
    pasted: Tensor
    source: Tensor


def copy_paste(pictures: Tensor, masks: Tensor, generator: torch.Generator, strength: float = USUAL) -> Pasted:
    """x' = a xⱼ + (1 - a) xᵢ, a the union of the chosen masks of picture j; each thing is chosen with probability `strength`.

    The paper takes a random half of the things (1/2, the usual strength), and found that soft edges do not matter. Of the
    labels of the things, those of `source` go with `pasted`: `labels[source]`.

    Shape: pictures (N, C, H, W), masks bool (N, M, H, W), all false where a picture has fewer than M things.

    >>> x = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    >>> thing = torch.tensor([[True, False], [False, False]]).expand(2, 1, 2, 2)
    >>> done = copy_paste(x, thing, torch.Generator().manual_seed(1), 1.0)
    >>> done.source.tolist(), done.pictures[0, 0].tolist(), int(done.masks.sum())
    ([1, 0], [[1.0, 0.0], [0.0, 0.0]], 0)
    """
    count, things = masks.shape[:2]
    if not checked(strength):
        rows = torch.arange(count, device=pictures.device)
        return Pasted(pictures, masks, torch.zeros_like(masks), rows)
    source = partners(count, generator).to(pictures.device)
    chosen = (uniform(generator, count, things) < strength).to(masks.device)
    pasted = masks[source] & chosen[:, :, None, None]
    over = pasted.any(1, keepdim=True)
    return Pasted(torch.where(over, pictures[source], pictures), masks & ~over, pasted, source)

"""Turned, resized and slanted pictures. Cireşan et al., Deep, Big, Simple Neural Nets, arXiv:1003.0358.

Their digits are turned or sheared by up to 15 degrees and scaled by up to 15 to 20 %. Both at once would be more than they
do, so the shear goes half as far (assumption).

Legend: c the middle of the picture, M the 2 x 2 matrix of a picture, p a place in pixels (x right, y down, the middle of the
first pixel is 0, 0).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform
from tunesmith.training.augment.pixels import as_before, as_floating

DEGREES, SCALE, SHEAR = 15.0, 0.15, 7.5  # at the usual strength: Cireşan et al.; the shear in degrees too


@augmentation("affine", "pictures")
def affine(pictures: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """p' = c + M (p - c), with M = turn by ±15° · shear along x by ±7.5° · scale by 1 ± 0.15, at the usual strength.

    Read between the pixels (bilinear), the border repeated outwards. Twice as far at strength 1; each picture draws its own
    three numbers, uniform in their ranges.

    Shape: pictures (N, C, H, W) of any type.
    Use: handwriting, and things that are not always upright or as large; not where the size or the angle is the class.

    >>> dot = torch.zeros(1, 1, 5, 5); dot[..., 2, 2] = 1
    >>> round(float(affine(dot, torch.Generator().manual_seed(0))[0, 0, 2, 2]), 3)
    1.0
    """
    if not checked(strength):
        return pictures
    return warped(pictures, matrices(len(pictures), generator, strength))


def matrices(count: int, generator: torch.Generator, strength: float) -> Tensor:
    """M of each picture, float64 (N, 2, 2)."""
    far = strength / USUAL
    drawn = 2 * uniform(generator, 3, count).double() - 1
    turn, shear = (math.radians(far * most) * one for most, one in zip((DEGREES, SHEAR), drawn[:2], strict=True))
    scale = 1 + far * SCALE * drawn[2]
    cos, sin, slant = turn.cos(), turn.sin(), shear.tan()
    rows = (cos, cos * slant - sin), (sin, sin * slant + cos)
    return torch.stack([torch.stack(row, 1) for row in rows], 1) * scale[:, None, None]


def warped(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Each picture (N, C, H, W) carried along by its M (N, 2, 2): what lay at p lies at c + M (p - c).

    torch reads the place c + M⁻¹ (p' - c) for p', in units of half the picture's sides.
    """
    height, width = pictures.shape[-2:]
    values = as_floating(pictures)
    sides = torch.tensor([width, height], dtype=torch.float64, device=matrix.device)
    back = torch.linalg.inv(matrix) * sides / sides[:, None]
    theta = torch.cat([back, torch.zeros_like(back[..., :1])], 2).to(values)
    grid = functional.affine_grid(theta, list(values.shape), align_corners=False)
    read = functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return as_before(read, pictures)

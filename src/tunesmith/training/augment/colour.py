"""Brightness, contrast and saturation. Howard, arXiv:1312.5402, with factors 1 ± 0.4 as ResNet trainings take.

The usual 0.4 is that of the ImageNet recipe of fb.resnet.torch (Gross & Wilber 2016), the strong 0.8 that of SimCLR (Chen et
al., arXiv:2002.05709, appendix A).

Legend: grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), or the mean of the channels where they are not three.
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform
from tunesmith.training.augment.pixels import a_picture, as_before, as_floating, brightest

WIDEST = 0.8  # of the factors at strength 1; half of it is usual
BT601 = (0.299, 0.587, 0.114)


@augmentation("colour", "pictures")
def colour(pictures: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """x ← b x, then m + k (x - m), then grey + s (x - grey), each kept between black and white; b, k, s in 1 ± 0.8 strength.

    m is the mean grey of the picture. Grey pictures have no saturation to change. Three numbers a picture.

    Shape: pictures (N, C, H, W), bytes 0 to 255 or floating numbers 0 to 1.
    Use: photographs in changing light; not where the colour or the brightness is the class.

    >>> round(float(colour(torch.full((1, 1, 2, 2), 0.5), torch.Generator().manual_seed(0)).mean()), 3)
    0.499
    """
    if not checked(strength):
        return pictures
    values, white = as_floating(pictures), brightest(pictures)
    factors = 1 + strength * WIDEST * (2 * uniform(generator, 3, len(pictures)) - 1)
    bright, contrast, saturation = (a_picture(one, values) for one in factors)
    values = (values * bright).clamp(0, white)
    mean = _grey(values).mean((2, 3), keepdim=True)
    values = torch.lerp(mean, values, contrast).clamp(0, white)
    if values.shape[1] == len(BT601):
        values = torch.lerp(_grey(values), values, saturation).clamp(0, white)
    return as_before(values, pictures)


def _grey(values: Tensor) -> Tensor:
    """(N, 1, H, W)."""
    if values.shape[1] != len(BT601):
        return values.mean(1, keepdim=True)
    return (values * values.new_tensor(BT601)[:, None, None]).sum(1, keepdim=True)

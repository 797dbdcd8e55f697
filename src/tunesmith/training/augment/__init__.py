"""Random changes of training rows that keep what they show, for a whole batch at once.

A member is a pure function of a batch, a generator and a strength in [0, 1], on tensors of any device: pictures
(N, C, H, W), tokens (N, L), numbers (N, K). At strength 0 nothing is changed, bit for bit; 0.5 is the usual value, with its
source in the member's file; 1 is strong. A recipe names one, or several joined by "+", carried out in that order.

`auto` is `shift` where classes are told apart, `none` where a number is predicted. A picture moved by a few pixels shows
the same thing, whatever it shows; whether its mirror image does (a shirt: yes; a 3, a letter, an arrow, a left hand: no)
cannot be read from the pictures, and where it does not, the flip teaches what is false. A regression target may be a
position, which a shift would falsify; for points in pictures there are `flip_points`, `shift_points` and `affine_points`.
"""

import torch
from torch import Tensor

from tunesmith.records import RecipeError, UnknownName, did_you_mean
from tunesmith.training.augment.affine import affine
from tunesmith.training.augment.colour import colour
from tunesmith.training.augment.copy_paste import Pasted, copy_paste
from tunesmith.training.augment.cutmix import cutmix
from tunesmith.training.augment.cutout import cutout
from tunesmith.training.augment.flip import flip
from tunesmith.training.augment.flip_shift import flip_shift
from tunesmith.training.augment.keypoints import affine_points, flip_points, shift_points
from tunesmith.training.augment.member import AUGMENTATIONS, USUAL, Augmentation
from tunesmith.training.augment.mixing import Mixed
from tunesmith.training.augment.mixup import mixup
from tunesmith.training.augment.noise import noise
from tunesmith.training.augment.shift import reach, shift
from tunesmith.training.augment.token_dropout import token_dropout
from tunesmith.training.augment.token_swap import token_swap

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Mixed",
    "Pasted",
    "affine",
    "affine_points",
    "augment",
    "chosen",
    "colour",
    "copy_paste",
    "cutmix",
    "cutout",
    "flip",
    "flip_points",
    "flip_shift",
    "members",
    "mixup",
    "noise",
    "reach",
    "shift",
    "shift_points",
    "token_dropout",
    "token_swap",
]

AUGMENTATIONS.load(__path__, __name__)
CLASSES = {"multiclass", "binary", "multilabel"}  # kinds of task that tell classes apart


def augment(pictures: Tensor, name: str, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """The pictures (N, C, H, W), of any type, changed by the member called `name`, or by several joined by "+".

    A pure function of the generator. Raises `UnknownName`, and `RecipeError` for a member that is not for pictures alone.

    >>> picture = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    >>> augment(picture, "none", torch.Generator()) is picture
    True
    """
    for member in members(name):
        if member.mixes or "pictures" not in member.changes:
            more = "targets too" if member.mixes else " and ".join(member.changes)
            raise RecipeError(f"{member.name} changes {more}; call tunesmith.training.augment.{member.name} itself")
        pictures = member.function(pictures, generator, strength)
    return pictures


def members(name: str) -> tuple[Augmentation, ...]:
    """The members that a recipe names, in order. Raises `UnknownName` with the nearest name.

    >>> [one.name for one in members("flip+shift+cutout")]
    ['flip', 'shift', 'cutout']
    """
    names = [one.strip() for one in name.split("+")]
    for one in names:
        if one not in AUGMENTATIONS:
            raise UnknownName(f"no augmentation called {one!r}{did_you_mean(one, [*AUGMENTATIONS, 'auto'])}")
    return tuple(AUGMENTATIONS[one] for one in names)


def chosen(name: str, kind: str) -> str:
    """What `auto` stands for in a task of this kind, alone or in a list; any other name stands for itself.

    >>> chosen("auto", "multiclass"), chosen("auto", "multi_regression"), chosen("flip", "regression")
    ('shift', 'none', 'flip')
    >>> chosen("auto+cutout", "binary")
    'shift+cutout'
    """
    usual = "shift" if kind in CLASSES else "none"
    return "+".join(usual if one.strip() == "auto" else one.strip() for one in name.split("+"))

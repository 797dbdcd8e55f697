import pytest
import torch

from tunesmith.training.augment import colour


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(picture, factors):
    """The reference: one picture (3, H, W) of numbers from 0 to 1."""
    bright, contrast, saturation = factors
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    picture = (picture * bright).clamp(0, 1)
    mean = (picture * weights).sum(0).mean()
    picture = (mean + contrast * (picture - mean)).clamp(0, 1)
    grey = (picture * weights).sum(0, keepdim=True)
    return (grey + saturation * (picture - grey)).clamp(0, 1)


def test_the_formula_picture_by_picture():
    pictures = torch.rand(6, 3, 5, 4, generator=generator(1))
    drawn = torch.rand((3, 6), generator=generator(2))

    made = colour(pictures, generator(2))

    for picture, own, numbers in zip(pictures, made, drawn.T, strict=True):
        torch.testing.assert_close(own, by_hand(picture, 1 + 0.4 * (2 * numbers - 1)))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_keep_their_colour(channels):
    pictures = torch.full((5, channels, 3, 3), 0.4)

    made = colour(pictures, generator(), 1.0)

    assert torch.allclose(made, made[:, :1, :1, :1].expand_as(made))


def test_bytes_are_rounded_numbers():
    pictures = torch.randint(0, 256, (20, 3, 6, 6), generator=generator()).to(torch.uint8)

    bytes_, numbers = colour(pictures, generator(1)), colour(pictures / 255, generator(1))

    assert ((numbers * 255).round() - bytes_.float()).abs().max() <= 1
    assert ((numbers * 255).round() != bytes_).float().mean() < 0.001

import pytest
import torch

from tunesmith.training.augment import cutout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_hole_is_half_the_side_around_every_pixel():
    pictures = torch.ones(4000, 1, 8, 8)

    holes = 1 - cutout(pictures, generator(), fill=torch.zeros(1))[:, 0]

    rows, columns = holes.amax(2), holes.amax(1)
    assert torch.equal(holes, rows[:, :, None] * columns[:, None, :])  # rectangles
    assert sorted(set(rows.sum(1).tolist())) == [2.0, 3.0, 4.0]  # a side of 4, a part of it outside
    assert float(holes.sum((1, 2)).mean()) == pytest.approx((28 / 8) ** 2, rel=0.02)  # 2, 3, 4 five times, 3 rows


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_hole_has_the_fill_of_its_channel_or_the_mean_of_its_picture(dtype):
    pictures = torch.randint(0, 256, (30, 2, 8, 8), generator=generator(1)).to(dtype)

    filled = cutout(pictures, generator(), fill=torch.tensor([7.0, 90.0]))
    own = cutout(pictures, generator())

    hole = (filled != pictures).any(1, keepdim=True).expand_as(pictures)
    mean = pictures.float().mean((2, 3), keepdim=True)
    mean = mean.round() if dtype == torch.uint8 else mean
    assert set(filled[:, 0][hole[:, 0]].tolist()) == {7}
    assert set(filled[:, 1][hole[:, 1]].tolist()) == {90}
    assert torch.allclose(own.float()[hole], mean.expand_as(own)[hole])
    assert torch.equal(own[~hole], pictures[~hole])


def test_a_picture_too_small_for_a_hole_stays():
    pictures = torch.rand(3, 1, 2, 2)

    assert cutout(pictures, generator(), 0.2) is pictures

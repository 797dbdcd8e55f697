"""Points move with their pictures: a dot at a place is found at the place it is said to have gone to."""

import pytest
import torch

from tunesmith.records import RecipeError
from tunesmith.training.augment import affine, affine_points, flip, flip_points, shift, shift_points

SIDES = 33, 41  # height, width
CHANGES = {"flip": (flip, flip_points), "shift": (shift, shift_points), "affine": (affine, affine_points)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def dotted(points):
    """A picture for each point (N, 1, 2), with a round bright dot there."""
    height, width = SIDES
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = (x - points[:, 0, 0, None, None]) ** 2 + (y - points[:, 0, 1, None, None]) ** 2
    return torch.exp(-away / 4)[:, None]


def places(rows=60):
    """Points in the middle of a picture, so that no change brings their dots over the border."""
    height, width = SIDES
    drawn = torch.rand(rows, 1, 2, generator=generator(4), dtype=torch.float64) - 0.5
    return drawn * torch.tensor([width / 3, height / 3]) + torch.tensor([(width - 1) / 2, (height - 1) / 2])


def found(pictures):
    """The middle of the light, (N, 1, 2)."""
    height, width = pictures.shape[-2:]
    light = pictures[:, 0] / pictures[:, 0].sum((1, 2), keepdim=True)
    x, y = light.sum(1) @ torch.arange(width).to(light), light.sum(2) @ torch.arange(height).to(light)
    return torch.stack([x, y], 1)[:, None]


@pytest.mark.parametrize("strength", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", CHANGES)
def test_the_dot_lies_under_the_moved_point(name, strength):
    points = places()
    pictures = dotted(points)

    moved, said = CHANGES[name][1](pictures, points, generator(), strength)

    assert (found(moved) - said).abs().max() < (0.05 if name == "affine" else 1e-4)
    assert (said - points).abs().max() > 0.5


@pytest.mark.parametrize("name", CHANGES)
def test_the_pictures_are_those_of_the_member(name):
    alone, together = CHANGES[name]
    pictures = torch.randint(0, 256, (30, 3, 16, 12), generator=generator(2)).to(torch.uint8)
    first, second = generator(), generator()

    moved, _ = together(pictures, torch.zeros(30, 2, 2), first)

    assert torch.equal(moved, alone(pictures, second))
    assert torch.equal(first.get_state(), second.get_state())


@pytest.mark.parametrize("name", CHANGES)
def test_missing_points_stay_missing_and_the_others_do_not_notice(name):
    points = places(20).expand(20, 3, 2).clone()
    gaps = points.clone()
    gaps[3, 1], gaps[5, 2, 0] = torch.nan, torch.nan
    pictures = torch.rand(20, 1, *SIDES, generator=generator())

    moved, full = (CHANGES[name][1](pictures, one, generator(), 1.0)[1] for one in (gaps, points))

    assert moved[3, 1].isnan().all()
    assert moved[5, 2, 0].isnan()
    whole = [row for row in range(20) if row not in (3, 5)]
    assert torch.equal(moved[whole], full[whole])
    assert torch.equal(moved[3, [0, 2]], full[3, [0, 2]])


@pytest.mark.parametrize("name", CHANGES)
def test_at_strength_0_nothing_moves(name):
    points, pictures = places(5), torch.rand(5, 1, *SIDES)

    same, still = CHANGES[name][1](pictures, points, generator(), 0.0)

    assert same is pictures
    assert still is points


def test_left_and_right_change_places_where_the_picture_is_mirrored():
    points = torch.arange(24, dtype=torch.float32).reshape(4, 3, 2)
    pictures = torch.rand(4, 1, 20, 20)

    mirrored, moved = flip_points(pictures, points, generator(1), swap=[(0, 2)])

    turned = (mirrored != pictures).flatten(1).any(1)
    assert turned.any()
    assert not turned.all()
    assert torch.equal(moved[~turned], points[~turned])
    assert torch.equal(moved[turned][..., 0], 19 - points[turned][:, [2, 1, 0], 0])
    assert torch.equal(moved[turned][..., 1], points[turned][:, [2, 1, 0], 1])


def test_flipping_twice_brings_points_back():
    points, pictures = places(9).expand(9, 4, 2), torch.rand(9, 1, *SIDES)

    once = flip_points(pictures, points, generator(), swap=[(0, 1), (2, 3)])
    back, still = flip_points(*once, generator(), swap=[(0, 1), (2, 3)])

    assert torch.equal(back, pictures)
    torch.testing.assert_close(still, points)


@pytest.mark.parametrize("swap", [[(0, 3)], [(0, 1), (1, 2)], [(1, 1)], [(-1, 0)]])
def test_a_pair_that_is_none_is_refused(swap):
    with pytest.raises(RecipeError, match="pairs of different points from 0 to 2 were expected"):
        flip_points(torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 2), generator(), swap=swap)

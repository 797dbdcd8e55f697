import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from tunesmith.training.augment.affine import affine, matrices, warped


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_no_turn_is_no_change():
    pictures = torch.rand(3, 2, 9, 7, generator=generator(), dtype=torch.float64)

    same = warped(pictures, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))

    torch.testing.assert_close(same, pictures, rtol=0, atol=1e-12)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_that_of_torch(turns):
    pictures = torch.rand(2, 1, 8, 8, generator=generator(), dtype=torch.float64)
    angle = turns * math.pi / 2  # clockwise, since y is down
    matrix = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()

    turned = warped(pictures, matrix.expand(2, 2, 2))

    torch.testing.assert_close(turned, pictures.rot90(-turns, (2, 3)), rtol=0, atol=1e-6)


def test_any_matrix_gives_what_scipy_gives():
    pictures = torch.rand(4, 1, 15, 11, generator=generator(), dtype=torch.float64)
    matrix = matrices(4, generator(3), 1.0)

    made = warped(pictures, matrix)

    middle = np.array([7.0, 5.0])  # row, column
    for picture, one, own in zip(pictures[:, 0].numpy(), matrix.numpy(), made[:, 0].numpy(), strict=True):
        back = np.linalg.inv(one)[::-1, ::-1]  # by row and column
        wanted = ndimage.affine_transform(picture, back, middle - back @ middle, order=1, mode="nearest")
        np.testing.assert_allclose(own, wanted, atol=1e-9)


def test_the_ranges_are_those_of_the_paper():
    matrix = matrices(20_000, generator(), 0.5)

    turn = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    scale = torch.linalg.det(matrix).sqrt()

    assert turn.abs().max() == pytest.approx(15, abs=0.05)
    assert (scale.min(), scale.max()) == (pytest.approx(0.85, abs=0.001), pytest.approx(1.15, abs=0.001))


def test_bytes_are_rounded_floats():
    pictures = torch.randint(0, 256, (20, 3, 10, 10), generator=generator()).to(torch.uint8)

    bytes_, floats = (affine(one, generator(1)) for one in (pictures, pictures.float()))

    assert torch.equal(bytes_, floats.round().to(torch.uint8))

"""What a measure takes: arrays, tensors, lists; and what it says of what it cannot take."""

import numpy as np
import pytest
import torch

from tunesmith.generative import pairwise_distance
from tunesmith.generative.points import both, points, tensor
from tunesmith.records import DataError


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([[1, 2], [3, 4]], torch.float64),
        (np.ones((2, 2), np.uint8), torch.float64),
        (np.ones((2, 2), bool), torch.float64),
        (np.ones((2, 2), np.float32), torch.float32),
        (np.ones((2, 2), ">f8"), torch.float64),
        (np.ones((2, 2))[::-1], torch.float64),
        (np.broadcast_to(1.0, (2, 2)), torch.float64),
        (np.ones((2, 2), np.longdouble), torch.float64),
        (torch.ones(2, 2, dtype=torch.half), torch.float32),
        (torch.ones(2, 2, dtype=torch.bfloat16), torch.float32),
        (torch.ones(2, 2, dtype=torch.int8), torch.float64),
        (torch.ones(2, 2, requires_grad=True), torch.float32),
    ],
)
def test_numbers_of_all_kinds_are_rows(given: object, kind: torch.dtype) -> None:
    found = points(given, "samples")

    assert found.dtype == kind
    assert not found.requires_grad
    assert found.shape == (2, 2)


def test_pictures_are_laid_out_flat_and_the_wider_precision_holds() -> None:
    first, second = both(torch.ones(3, 1, 4, 4), np.ones((2, 16)))

    assert first.shape == (3, 16)
    assert first.dtype == second.dtype == torch.float64


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1.0, 2.0], r"shape \(2,\).*reshape\(-1, 1\)"),
        (np.empty((3, 0)), r"shape \(3, 0\)"),
        ([[1.0]], "1 rows; this measure takes 2 or more"),
        ([[1.0], [np.nan], [np.inf]], "2 of 3 rows with NaN"),
        ([["a"], ["b"]], "expected an array of numbers"),
        ([[1.0], [1.0, 2.0]], "several lengths"),
        (np.ones((2, 2), complex), "expected an array of numbers"),
        (torch.ones(2, 2, dtype=torch.complex64), "complex"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_said(given: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        pairwise_distance(given)


def test_other_widths_and_devices_are_said() -> None:
    with pytest.raises(DataError, match="3 numbers a row and what it is compared with 2"):
        both(np.ones((4, 2)), np.ones((4, 3)))
    with pytest.raises(DataError, match="real is on cpu and generated on meta"):
        both(torch.ones(2, 2), Meta())


class Meta(torch.Tensor):
    """A tensor that says it is elsewhere."""

    @staticmethod
    def __new__(cls) -> "Meta":
        return torch.ones(2, 2).as_subclass(cls)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("meta")


def test_an_array_is_not_copied_where_it_need_not_be() -> None:
    given = np.zeros((2, 3))

    tensor(given, "x")[0, 0] = 7

    assert given[0, 0] == 7

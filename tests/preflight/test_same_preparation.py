import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from tests.preflight.planted import diabetes, digits, findings, program, regression


def changed(data, change):
    train, (X, y) = data
    return train, (change(X).astype(np.float32), y)


class Pictures(Dataset):
    """Digits as pictures, turned at random where asked."""

    def __init__(self, part, turn, scale=lambda value: value):
        self.X, self.y = digits()[part]
        self.turn, self.scale = turn, scale

    def __len__(self):
        return len(self.y)

    def __getitem__(self, place):
        picture = self.scale(torch.as_tensor(self.X[place]).reshape(1, 8, 8))
        if self.turn:
            picture = torch.roll(picture, int(torch.randint(-1, 2, ())), -1)
        return picture, int(self.y[place])


def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize(
    "change",
    [lambda X: X * 255, lambda X: X / 255, lambda X: X + 3, lambda X: X * 3, lambda X: (X - X.mean()) / X.std() / 4],
)
def test_validation_rows_prepared_otherwise(change):
    found, *_ = findings("same_preparation", program(data=changed(digits(), change)))

    assert found.fault == "data.train_val_mismatch"
    assert found.values["count"] > 20


def test_one_column_in_another_unit():
    def kilos(X):
        made = X.copy()
        made[:, 2] *= 1000
        return made

    found, *_ = findings("same_preparation", regression(data=changed(diabetes(), kilos)))

    assert found.subject["columns"] == ["2"]


def test_targets_scaled_in_one_part_only():
    train, (X, y) = diabetes()
    found, *_ = findings("same_preparation", regression(data=(train, (X, (y * 77 + 152).astype(np.float32)))))

    assert "targets" in found.because


def test_whole_numbers_where_the_net_learnt_on_real_ones():
    train, (X, y) = digits()
    (found,) = findings("same_preparation", program(data=(train, (X.astype(np.int64), y))))

    assert "int64" in found.because


def test_random_changes_left_on_in_validation():
    data = (Pictures(0, True), Pictures(1, True))
    (found,) = findings("same_preparation", program(flat(), data=data))

    assert "two readings" in found.because


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: regression(),
        lambda: program(flat(), data=(Pictures(0, True), Pictures(1, False))),
        lambda: program(data=(digits()[0], tuple(part[:25] for part in digits()[1]))),
    ],
)
def test_parts_that_are_alike_are_quiet(brought):
    assert findings("same_preparation", brought(), above="") == []


def other_codes(data):
    train, (X, y) = data
    return train, (X, (y + 3) % 10)


def mirrored(data):
    train, (X, y) = data
    return train, (X.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(len(X), 64).copy(), y)


@pytest.mark.parametrize("change", [other_codes, mirrored])
def test_labels_or_pixels_that_mean_something_else(change):
    (found,) = [
        one for one in findings("same_preparation", program(data=change(digits()))) if one.status == "suspected"
    ]

    assert found.values["own"] > 0.9
    assert found.values["other"] < 0.5


def test_pictures_scaled_in_one_part_only():
    data = (Pictures(0, True), Pictures(1, False, lambda value: value * 255))
    found, *_ = findings("same_preparation", program(flat(), data=data))

    assert found.evidence[2].value == pytest.approx(255, rel=0.1)

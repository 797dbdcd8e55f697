import pytest
import torch

from tunesmith.training.augment import noise


def test_each_column_gets_its_share_and_the_others_nothing():
    numbers = torch.zeros(20_000, 3, dtype=torch.float64)
    deviation = torch.tensor([0.0, 1.0, 50.0])

    added = noise(numbers, torch.Generator().manual_seed(0), 1.0, deviation=deviation)

    assert added.std(0).tolist() == [0.0, pytest.approx(0.2, rel=0.02), pytest.approx(10.0, rel=0.02)]
    assert added.mean(0).abs()[1] < 0.01
    assert added[:, 0].eq(0).all()

"""What a live training is fed."""

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, numbers, train


def fed(x, y, loss_fn=None, model=None):
    loss_fn = loss_fn or (nn.MSELoss() if y.is_floating_point() else nn.CrossEntropyLoss())
    model = model or net(inputs=x.shape[1], outputs=3 if not y.is_floating_point() else 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # what is fed is looked at, not what is learnt
    return train(model, loss_fn, (x, y), optimizer=optimizer).facts()["inputs"]


def test_columns_are_measured_as_numpy_does():
    x, y = classes()
    x = x * torch.tensor([1.0, 10.0, 100.0, 0.0]) + torch.tensor([0.0, 0.0, 1e5, 7.0])

    found = fed(x, y)

    assert found["constant"] == 1
    assert found["columns"] == 4
    assert found["std_high"] == pytest.approx(float(x[:, 2].std(correction=0)), rel=1e-3)
    assert found["spread_ratio"] == pytest.approx(
        float((x.amax(0) - x.amin(0))[[0, 2]].max() / (x.amax(0) - x.amin(0))[0]), rel=1e-3
    )
    assert found["low"] == float(x.min())
    assert found["high"] == float(x.max())


def test_wild_rows_stand_out():
    x, y = classes()
    calm = fed(x, y)
    x = x.clone()
    x[::50] *= 1000

    wild = fed(x, y)

    assert calm["row_outlier"] < 20
    assert calm["row_wild"] == 0.0
    assert wild["row_outlier"] > 100
    assert wild["row_wild"] == pytest.approx(7 / 320, abs=0.005)


def test_blank_rows_and_how_many_differ():
    x, y = classes()
    x = x.clone()
    x[:64] = 0.5

    found = fed(x, y)

    assert found["blank"] == pytest.approx(0.2)
    assert found["distinct"] == 320 - 63


@pytest.mark.parametrize("data", [classes(640), numbers(640)], ids=["classes", "numbers"])
def test_columns_that_go_with_the_targets_are_told_from_chance(data):
    x, y = data
    shuffled = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]

    linked, by_chance = fed(x, y), fed(x, shuffled)

    assert linked["linked"] > linked["linked_chance"] > by_chance["linked"]
    assert linked["linked_share"] > by_chance["linked_share"] == 0.0


def test_chance_holds_over_many_columns_and_draws():
    over = 0
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        found = fed(torch.randn(320, 50, generator=draw), torch.randint(0, 3, (320,), generator=draw))
        over += found["linked"] > found["linked_chance"]

    assert over <= 1


def test_indices_are_told_as_such():
    x, y = torch.randint(0, 9, (320, 4)), torch.randint(0, 3, (320,))
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(16, 3))

    assert fed(x, y, model=model)["kind"] == "indices"


@pytest.mark.parametrize("data", [classes(640), numbers(640)], ids=["classes", "numbers"])
def test_a_column_that_holds_the_answer_has_all_in_common_with_it(data):
    x, y = data
    shown = torch.cat([x, (y[:, None] if y.dim() == 1 else y).float()], 1)

    plain, found = fed(x, y), fed(shown, y)

    assert plain["told_first"] < 0.9
    assert found["told_first"] == pytest.approx(1.0, abs=0.05)
    assert found["told_column"] == 4


def test_long_tails_stand_out_and_rare_marks_do_not():
    x, y = classes(640)
    marks = (x > 1.5).float()

    assert fed(x, y)["tail"] < 10
    assert fed(torch.exp(3 * x), y)["tail"] > 100
    assert "tail" not in fed(marks, y)

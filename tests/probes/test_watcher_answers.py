"""What a live loss is given, and which of the usual losses its value is."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.probes.looped import classes, net, numbers, plain, train


def told(model, loss_fn, data, **how):
    return train(model, loss_fn, data, **how).facts()["answers"]


@pytest.mark.parametrize("known", [True, False], ids=["loss given", "off the graph"])
def test_cross_entropy_and_its_chance_are_recognised(known):
    data = classes()

    found = told(net(), lambda o, y: functional.cross_entropy(o, y), data, known=known)

    shares = data[1].bincount() / len(data[1])
    assert (found["form"], found["pairing"], found["per_rows"]) == ("cross_entropy", "rows", False)
    assert found["scale"] == pytest.approx(1.0)
    assert found["chance"] == pytest.approx(float(-(shares * shares.log()).sum()), rel=0.05)
    assert (found["kind"], found["width"], found["labels"]) == ("classes", 3, 3)
    assert sum(found["answered"].values()) == pytest.approx(1.0)


def test_a_sum_is_told_from_a_mean():
    summed = told(net(), nn.CrossEntropyLoss(reduction="sum"), classes(), optimizer=None, batch=32)

    assert summed["per_rows"]
    assert summed["halves_low"] > 1.99
    assert summed["halves_high"] < 2.01


def test_a_loss_divided_once_more():
    found = told(net(), lambda o, y: functional.cross_entropy(o, y) / 8, classes())

    assert found["scale"] == pytest.approx(1 / 8)
    assert found["loss"] == "<lambda>"


def test_numbers_that_meet_all_with_all():
    x, y = numbers()
    wrong = told(net(outputs=1), lambda o, t: ((o - t) ** 2).mean(), (x, y[:, 0]), handed=True)
    right = told(net(outputs=1), nn.MSELoss(), (x, y))

    assert (wrong["form"], wrong["pairing"]) == ("mse", "all with all")
    assert right["pairing"] == "rows"
    assert "blind" not in right


def test_a_loss_that_does_not_look_at_its_target_is_deaf():
    found = told(net(), lambda o, y: functional.cross_entropy(o, torch.zeros_like(y)), classes(), handed=True)

    assert found["blind"]
    assert found["deaf"]


@pytest.mark.parametrize(
    ("end", "gap"),
    [
        (nn.Softmax(dim=1), "row_sum_gap"),
        (nn.LogSoftmax(dim=1), "normaliser_gap"),
        (nn.Softmax(dim=0), "column_sum_gap"),
    ],
)
def test_sums_that_give_the_last_activation_away(end, gap):
    found = told(nn.Sequential(net(), end), nn.CrossEntropyLoss(), classes())

    gaps = {name: found[name] for name in ("row_sum_gap", "normaliser_gap", "column_sum_gap")}
    assert min(gaps, key=gaps.get) == gap
    assert gaps[gap] < 1e-4


def test_targets_beyond_the_end_of_a_relu():
    found = told(nn.Sequential(net(outputs=1), nn.ReLU()), nn.MSELoss(), numbers())

    assert found["beyond"] > 0.3
    assert found["crowd"] > 0.03
    assert found["end"] == pytest.approx(0.0, abs=1e-6)


def test_flags_and_their_answers():
    x, y = numbers()
    found = told(net(outputs=1), nn.BCEWithLogitsLoss(), (x, (y > 0).float()), epochs=6)

    assert (found["kind"], found["form"]) == ("flags", "bce_with_logits")
    assert set(found["answered"]) <= {"0", "1"}
    assert found["chance"] == pytest.approx(math.log(2), rel=0.05)


def test_the_random_generators_and_a_loss_of_its_own_stay_as_they_were():
    def noisy(outputs, target):
        return functional.cross_entropy(outputs + 0.1 * torch.randn_like(outputs), target)

    finals = []
    for watched in (True, False):
        model = net()
        torch.manual_seed(5)
        if watched:
            train(model, noisy, classes())
        else:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            x, y = classes()
            for _ in range(3):
                for start in range(0, len(x), 32):
                    plain(model, optimizer, noisy, x[start : start + 32], y[start : start + 32])
        finals.append(model[0].weight.detach().clone())

    assert torch.equal(*finals)


@pytest.mark.parametrize("data", [classes, numbers])
def test_a_loss_that_brings_its_own_targets_along_is_deaf_though_they_never_change(data):
    inner = functional.cross_entropy if data is classes else functional.mse_loss
    given = data()
    still = given[0], torch.zeros_like(given[1])
    loss = {
        "own": lambda outputs, y: inner(outputs, torch.zeros_like(y)),
        "partly": lambda outputs, y: inner(outputs, torch.zeros_like(y)) + 0.1 * inner(outputs, y),
        "theirs": inner,
    }

    found = {
        name: told(net(outputs=3 if data is classes else 1), loss[name], still if name == "theirs" else given)
        for name in loss
    }

    assert all(each["from_graph"] and each["target_low"] == each["target_high"] for each in found.values())
    assert found["own"]["deaf"]
    assert found["partly"]["root_spread"] > 0.01
    assert not found["theirs"].get("deaf")
    assert found["theirs"]["root_spread"] < 1e-4

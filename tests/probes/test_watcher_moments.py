"""The memory of optimizers: made anew, cleared, loaded, taken back; and optimizers that may follow one another."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim import optimizer as torch_optimizer

from tests.probes.looped import classes, net, plain
from tunesmith.integrations.watch import Watch

LOSS = nn.CrossEntropyLoss()


def watched(model, first, turns, *, before=False, first_step=0, updates=10):
    """Trains; `turns` holds, by epoch, what gives the optimizer of that epoch from the one before."""
    on, optimizer = Watch(model, first, loss_fn=LOSS, first_step=first_step), first
    x, y = classes(32 * updates)
    with on:
        for turn in turns:
            optimizer = turn(optimizer)
            for start in range(0, len(x), 32):
                if before:
                    optimizer.zero_grad()
                    loss = LOSS(model(x[start : start + 32]), y[start : start + 32])
                    loss.backward()
                    on.step(loss)
                    optimizer.step()
                else:
                    on.step(plain(model, optimizer, LOSS, x[start : start + 32], y[start : start + 32]))
            on.epoch(val_loss=1.0)
    return on.history


def same(optimizer):
    return optimizer


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("kind", [Adam, lambda given, lr: SGD(given, lr, momentum=0.9)])
def test_an_optimizer_made_for_every_epoch_is_followed_and_counted(kind, before):
    model = net()

    found = watched(
        model, kind(model.parameters(), lr=1e-3), [lambda _: kind(model.parameters(), lr=1e-3)] * 5, before=before
    )

    assert found.facts["successors"]["made"] >= 3
    assert found.facts["successors"]["remembers"]
    assert found.facts["steps_taken"] >= 45
    assert len(found.get("loss", "train")) >= 44


def test_the_first_may_train_for_an_epoch_before_another_takes_its_place():
    model = net()
    first = Adam(model.parameters())

    found = watched(model, first, [same] + [lambda _: Adam(model.parameters())] * 4)

    assert found.facts["successors"]["first"] == 10
    assert found.facts["successors"]["made"] + found.facts["successors"]["others"] == 4


def test_one_optimizer_has_no_successors_and_hooks_of_all_are_gone():
    model = net()
    held = dict(torch_optimizer._global_optimizer_pre_hooks)

    found = watched(model, Adam(model.parameters()), [same] * 3, before=True)

    assert "successors" not in found.facts
    assert dict(torch_optimizer._global_optimizer_pre_hooks) == held


def test_an_optimizer_of_another_model_is_none_of_ours():
    model, other = net(), net()
    beside = Adam(other.parameters())

    def also(optimizer):
        for _ in range(3):
            plain(other, beside, LOSS, *classes(32))
        with torch.no_grad():
            for each in model.parameters():
                each.mul_(0.999)
        return optimizer

    assert "successors" not in watched(model, Adam(model.parameters()), [also] * 3).facts


def test_moments_that_are_cleared_are_younger_than_the_run():
    def cleared(optimizer):
        optimizer.state.clear()
        return optimizer

    def taken_back(optimizer):
        optimizer.load_state_dict(kept or optimizer.state_dict())
        kept.update(copy.deepcopy(optimizer.state_dict()))
        return optimizer

    kept = {}
    models = [net() for _ in range(3)]
    told = [
        watched(model, Adam(model.parameters()), [same, same, turn, turn], updates=20).facts["moments"]
        for model, turn in zip(models, (cleared, taken_back, same), strict=True)
    ]

    assert told[0]["lost"] == 60  # the second time
    assert "lost" not in told[1]
    assert "lost" not in told[2]


def test_what_was_there_at_the_first_update():
    model, done = net(), net()
    trained = Adam(done.parameters())
    plain(done, trained, LOSS, *classes(32))

    def loaded(optimizer):
        model.load_state_dict(done.state_dict())
        return optimizer

    def whole(optimizer):
        optimizer.load_state_dict(trained.state_dict())
        return loaded(optimizer)

    told = [watched(model, Adam(model.parameters()), [turn]).facts["moments"] for turn in (same, loaded, whole)]
    forgetful = watched(model, SGD(model.parameters(), 0.1), [same], first_step=7).facts["moments"]

    assert [(one["empty"], one["loaded"], one["remembers"]) for one in told] == [
        (True, False, True),
        (True, True, True),
        (False, True, True),
    ]
    assert (forgetful["resumed"], forgetful["remembers"]) == (7, False)


def test_in_one_line_too_an_optimizer_that_nobody_named_is_followed():
    model, (x, y) = net(), classes(32)
    with Watch(model, Adam(model.parameters())) as on:
        for _ in range(4):
            optimizer = Adam(model.parameters(), lr=1e-3)  # in place of the one that was watched
            for _ in range(12):
                optimizer.zero_grad()
                LOSS(model(x), y).backward()
                optimizer.step()

    assert on.history.facts["successors"]["made"] >= 3
    assert on.history.facts["steps_taken"] >= 45

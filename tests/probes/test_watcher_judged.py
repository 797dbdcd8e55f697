"""What a live training is judged by."""

import pytest
import torch
from torch import nn

from tests.probes.looped import classes, net, train
from tunesmith.doctor.probes.watcher_columns import marks


def judged(x, y, held, *, epochs=3, batch=32, loss_fn=None, lr=0.05):
    loss_fn = loss_fn or nn.CrossEntropyLoss()
    model = net(inputs=x.shape[1])

    def judge(model):
        with torch.no_grad():
            loss_fn(model(held[0]), held[1])

    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return train(model, loss_fn, (x, y), optimizer=optimizer, epochs=epochs, batch=batch, judge=judge).facts()["judged"]


X, Y = classes(640)
TRAIN, HELD = (X[:480], Y[:480]), (X[480:], Y[480:])


def test_other_rows_of_the_same_kind():
    found = judged(*TRAIN, HELD)

    assert found["known"] == 0.0
    assert found["known_none"] == 1.0
    assert found["rows"] == found["distinct"] == 160
    assert found["offset"] < 0.3
    assert found["spread"] < 0.1
    assert found["linked"] > found["linked_chance"]
    assert found["exchanged"] == []


def test_rows_of_the_training_are_known_again():
    among = torch.cat([X[480:560], X[:80]]), torch.cat([Y[480:560], Y[:80]])

    assert judged(*TRAIN, among)["known"] == 0.5


def test_they_are_known_where_epochs_are_long():
    x, y = classes(2000)

    assert (
        judged(x, y, (x[:100], y[:100]), batch=8)["known"] > 0.1
    )  # of the second evaluation: the first came unexpected


def test_rows_of_another_unit_lie_elsewhere():
    found = judged(*TRAIN, (HELD[0] * 100, HELD[1]))

    assert found["spread"] == pytest.approx(2.0, abs=0.1)


def test_labels_of_another_code_are_exchanged():
    found = judged(*TRAIN, (HELD[0], torch.tensor([1, 0, 2])[HELD[1]]), epochs=20, lr=0.5)

    assert found["exchanged"] == [[0, 1], [1, 0]]


def test_passes_without_gradient_inside_an_update_are_no_evaluation():
    def update(model, optimizer, loss_fn, x, y):
        with torch.no_grad():
            model(x)
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def judge(model):
        with torch.no_grad():
            model(HELD[0])

    found = train(net(), nn.CrossEntropyLoss(), TRAIN, update=update, judge=judge).facts()["judged"]

    assert found["known"] == 0.0


def test_nothing_is_attached_between_evaluations():
    model = net()
    hooks = []

    def update(model, optimizer, loss_fn, x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        hooks.append(sum(getattr(one, "_method", "") == "_called" for one in model._forward_pre_hooks.values()))
        return loss.detach()

    train(model, nn.CrossEntropyLoss(), classes(4000), update=update, epochs=4, batch=8, judge=lambda model: None)

    assert hooks[299] == hooks[301] == hooks[1101] == 0


def test_a_row_has_the_same_mark_in_every_batch():
    x = torch.randn(300, 77)

    assert marks(x) == [mark for start in range(0, 300, 7) for mark in marks(x[start : start + 7])]
    assert len(set(marks(x))) == 300

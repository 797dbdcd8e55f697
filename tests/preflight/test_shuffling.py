import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.preflight.planted import batches, diabetes, digits, findings, program, regression, usual_loop, usual_step
from tunesmith.doctor.preflight.shuffling import lost_within


def by_label(data):
    (X, y), val = data
    order = np.argsort(y.reshape(-1), kind="stable")
    return (X[order], y[order]), val


def in_order(own, epochs):
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size, torch.arange(len(own.train[0]))):
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)


def loader(data, **about):
    (X, y), val = data
    return DataLoader(TensorDataset(torch.as_tensor(X), torch.as_tensor(y)), batch_size=32, **about), val


def half_sorted():
    (X, y), val = by_label(digits())
    mixed = np.random.default_rng(0).permutation(len(y) // 4)
    return (np.concatenate([X[mixed], X[len(mixed) :]]), np.concatenate([y[mixed], y[len(mixed) :]])), val


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(data=by_label(digits()), shuffle=False),
        lambda: program(data=half_sorted(), shuffle=False),
        lambda: program(data=loader(by_label(digits()))),
        lambda: program(data=by_label(digits()), loop=in_order),
        lambda: regression(data=by_label(diabetes()), shuffle=False),
    ],
)
def test_rows_in_the_order_of_their_labels(brought):
    (found,) = findings("shuffling", brought())

    assert found.fault == "data.unshuffled"
    assert found.evidence[0].value < 0.7
    assert found.evidence[1].value > found.evidence[1].threshold


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(shuffle=False),
        lambda: program(data=by_label(digits())),
        lambda: program(data=by_label(digits()), loop=usual_loop),
        lambda: program(loop=in_order),
        lambda: program(data=loader(by_label(digits()), shuffle=True)),
        lambda: program(data=loader(digits())),
        lambda: regression(shuffle=False),
        lambda: regression(data=by_label(diabetes())),
    ],
)
def test_orders_that_tell_nothing_are_quiet(brought):
    assert findings("shuffling", brought(), above="") == []


def test_the_spread_within_batches_is_that_of_the_batches_themselves():
    values = np.arange(12.0)
    lost, _, p = lost_within(values, [4, 4, 4], None, np.random.default_rng(0))

    drawn = [np.random.default_rng(seed).permutation(values).reshape(3, 4).var(1).mean() for seed in range(500)]
    assert lost == pytest.approx(1 - values.reshape(3, 4).var(1).mean() / np.mean(drawn), abs=0.02)
    assert p == 0.0

import numpy as np
import pytest
import torch
from torch import nn

from tests.preflight.planted import WIDTH, diabetes, digits, findings, mlp, program, regression, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.doctor.preflight.overfit_batch import best_drill, small_batch
from tunesmith.records import Inapplicable


def upside_down(outputs, target):
    return -nn.functional.cross_entropy(outputs, target)


def ending_in(last):
    return nn.Sequential(*mlp(10, 1), last)


def raw_diabetes():
    (X, y), (X_val, y_val) = diabetes()
    return (X, (y * 77 + 152).astype(np.float32)), (X_val, (y_val * 77 + 152).astype(np.float32))


def test_a_loss_of_the_wrong_sign():
    (found,) = findings("overfit_batch", program(loss=upside_down))

    assert found.fault == "loss.mismatch"
    assert found.values["last"] < found.values["first"]


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Tanh()])
def test_targets_beyond_what_the_last_activation_gives(last):
    (found,) = findings("overfit_batch", regression(model=ending_in(last), data=raw_diabetes()))

    assert found.fault == "output.wrong_activation"
    assert found.values["outside"] == 1.0


def test_a_net_that_does_not_see_its_inputs():
    first = nn.Threshold(1e9, 0.0)
    model = nn.Sequential(nn.Linear(64, WIDTH), first, nn.Linear(WIDTH, 10), first, nn.Linear(10, 10))
    (found,) = findings("overfit_batch", program(model))

    assert found.fault == "fit.underfit"


def test_a_net_that_squeezes_everything_through_one_number():
    (found,) = findings("overfit_batch", program(mlp(width=1)))

    assert (found.fault, found.subject["layers"]) == ("model.too_small", ["0"])


def test_targets_that_broadcast_against_the_outputs():
    (X, y), (X_val, y_val) = diabetes()
    flat = ((X, y[:, 0]), (X_val, y_val[:, 0]))

    with pytest.warns(UserWarning, match="target size"):
        found = findings("overfit_batch", regression(data=flat))

    assert [one.fault for one in found] == ["fit.underfit"]


def test_a_rate_that_throws_the_weights_away():
    (found,) = findings("overfit_batch", program(lr=1000.0))

    assert found.fault == "lr.too_high"


def test_a_rate_that_moves_nothing():
    (found,) = findings("overfit_batch", program(lr=1e-8))

    assert found.fault == "lr.too_low"


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: regression(),
        lambda: program(step=usual_step),
        lambda: program(mlp(64, 10, nn.BatchNorm1d(WIDTH), nn.Dropout(0.5))),
        lambda: program(nn.Linear(64, 10)),
        lambda: program(mlp(width=8)),
        lambda: regression(model=nn.Linear(10, 1)),
        lambda: program(lr=1e-3, epochs=200),
        lambda: program(optimizer=lambda model: torch.optim.AdamW(model.parameters(), weight_decay=0.5)),
    ],
)
def test_what_can_be_learnt_by_heart_is_quiet(brought):
    assert findings("overfit_batch", brought(), above="") == []


def test_equal_inputs_count_once():
    (X, _), val = digits()
    double = (np.repeat(X[:40], 8, 0), np.random.default_rng(0).integers(0, 10, 320))

    bench = bench_of_program(program(data=(double, val)))
    batch = small_batch(bench)

    assert len(np.unique(batch.inputs.numpy(), axis=0)) == batch.size
    assert best_drill(bench, batch).learnt


def test_the_program_is_as_it_was():
    brought = program()
    before = [parameter.clone() for parameter in brought.model.parameters()]

    list(CHECKS["overfit_batch"].look(bench_of_program(brought)))

    assert all(torch.equal(one, other) for one, other in zip(before, brought.model.parameters(), strict=True))


def test_a_batch_without_a_finite_loss_is_left_to_others():
    (X, y), val = digits()
    broken = X.copy()
    broken[::3] = np.nan

    with pytest.raises(Inapplicable, match="not finite"):
        findings("overfit_batch", program(data=((broken, y), val)))

"""Steps that are too long."""

import numpy as np
import pytest

from tests.diagnosis.curves import SEEDS, falling, flat, found, history, plateau_then_drop


def layers(value, count=20):
    return {"update_ratio": np.full(count, value)}


@pytest.mark.parametrize("seed", SEEDS)
def test_long_updates_under_a_loss_that_stands(seed):
    run = history("step", updates=flat(200, 2.2, 0.05, seed=seed), update_ratio=np.full(50, 0.4))

    (one,) = found("lr.too_high", run)

    assert one.next_probe == "rate_sweep"


def test_a_first_update_longer_than_the_weights():
    blown = history("step", updates=flat(200, 2.2, 0.05), update_ratio=[40.0, 0.5, 0.5], weight_norm=[1.0, 40.0, 60.0])

    (one,) = found("lr.too_high", blown)

    assert one.message == "curves.first_update_long"


def test_full_batch_methods_take_long_steps():
    facts = {"optimizer": "LBFGS"}

    assert not found(
        "lr.too_high", history("step", updates=flat(20, 0.8, 0.05), update_ratio=[2.0, 1.5, 1.0], facts=facts)
    )


def test_long_updates_under_a_loss_that_falls_are_quiet():
    assert not found("lr.too_high", history("step", updates=falling(200, floor=0.01), update_ratio=np.full(50, 0.4)))


def test_usual_updates_are_quiet():
    assert not found("lr.too_high", history("step", updates=flat(200, 2.2, 0.05), update_ratio=np.full(50, 1e-3)))


def test_beyond_the_edge_of_stability_for_sgd_alone():
    def run(optimizer, curvature):
        facts = {"optimizer": optimizer}
        top = np.full(20, curvature)
        return history("step", updates=flat(200, 2.2, 0.05), lr=np.full(20, 0.1), hessian_top=top, facts=facts)

    assert found("lr.too_high", run("sgd", 90.0))
    assert not found("lr.too_high", run("sgd", 20.0))  # at the edge, where sound runs are
    assert not found("lr.too_high", run("adam", 90.0))


def test_a_leap_at_the_start_and_a_high_level_ever_since():
    course = np.concatenate([[2.3, 8.0, 20.0, 6.0, 2.6], flat(60, 2.4, 0.02)])

    assert found("lr.too_high", history("step", updates=course))


def test_a_leap_at_the_start_that_is_forgotten_is_quiet():
    course = np.concatenate([[2.3, 8.0, 20.0, 6.0, 2.6], falling(60)])

    assert not found("lr.too_high", history("step", updates=course))


def test_a_rate_raised_late_names_where_to_go_back_to():
    loss = np.concatenate([falling(20, 2.0, 0.5), flat(20, 0.9, 0.02)])
    rate = np.concatenate([np.full(20, 0.01), np.full(20, 0.1)])

    (one,) = found("lr.too_high", history(train=loss, lr=rate))

    assert one.subject["steps"] == [20.0]
    assert "epoch 20" in one.remedies[0].text()


def test_a_warm_up_is_no_raise():
    rate = np.concatenate([np.linspace(0.001, 0.1, 10), np.full(30, 0.1)])

    assert not found("lr.too_high", history(train=falling(40), lr=rate))


def test_a_plateau_that_drops_is_quiet():
    assert not found("lr.too_high", history(train=plateau_then_drop(), lr=np.full(60, 0.1)))

"""Terms of a loss."""

import numpy as np

from tests.diagnosis.curves import falling, found, history, loud


def test_a_term_that_rises_while_the_sum_falls():
    rising, rest = np.linspace(0.05, 0.2, 40), falling(40, 2.0, 0.3)

    (one,) = found("loss.unbalanced_tasks", history(train=rising + rest, terms={"omega": rising, "rest": rest}))

    assert one.values["term"] == "omega"


def test_terms_that_fall_together_are_quiet():
    first, second = falling(40, 1.0, 0.2, seed=1), falling(40, 2.0, 0.3, seed=2)

    assert not found("loss.unbalanced_tasks", history(train=first + second, terms={"a": first, "b": second}))


def test_a_term_that_is_meant_to_rise_is_quiet():
    rising, rest = np.linspace(0.05, 0.4, 40), falling(40, 2.0, 0.3)

    assert not found("loss.unbalanced_tasks", history(train=rising + rest, terms={"kl": rising, "rest": rest}))


def test_a_small_term_that_nobody_hears_is_a_note():
    small, large = np.full(40, 0.01), falling(40, 20.0, 1.0)
    run = history(train=small + large, terms={"box": small, "class": large})

    assert found("loss.unbalanced_tasks", run)
    assert not loud("loss.unbalanced_tasks", run)


def test_one_loss_alone_is_quiet():
    assert not found("loss.unbalanced_tasks", history(train=falling(40)))

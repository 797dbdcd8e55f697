"""Faults of the last layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.targets import numbers, one_column_yes_no
from tunesmith.testing.sabotage.tools import (
    Around,
    after,
    at,
    every,
    has_cross_entropy,
    has_last_linear,
    has_plain_optimizer,
    last_linear,
    new_linear,
)


def has_bce_logits(program: Program) -> bool:
    return isinstance(program.loss_fn, nn.BCEWithLogitsLoss) and has_last_linear(program)


def ends(program: Program, *modules: nn.Module) -> Program:
    """Modules behind the last linear layer."""
    last = last_linear(program)
    assert last is not None
    return after(program, last, *modules)


def ends_free(program: Program) -> bool:
    """Number outputs that come straight from the last linear layer, to be fitted to standardised targets."""
    return (
        numbers(program)
        and has_last_linear(program)
        and program.predict is None
        and isinstance(program.loss_fn, nn.Module)
    )


@sabotage(
    "softmax_twice",
    "output.wrong_activation",
    mechanism="output",
    fits=every(has_cross_entropy, has_last_linear, is_supervised),
)
def softmax_twice(program: Program, strength: int) -> Program:
    """Probabilities into a loss that makes its own: in the forward, as a layer, twice over."""
    if strength == 1:
        program.model = Around(program.model, last=lambda out: functional.softmax(out, dim=1))
        return program
    layers = [nn.Softmax(dim=1) for _ in range(strength - 1)]
    return ends(program, *layers)


@sabotage("sigmoid_twice", "output.wrong_activation", mechanism="output", fits=every(has_bce_logits, is_supervised))
def sigmoid_twice(program: Program, strength: int) -> Program:
    """Probabilities into a loss that makes its own: in the forward, as a layer, twice over."""
    if strength == 1:
        program.model = Around(program.model, last=torch.sigmoid)
        return program
    return ends(program, *(nn.Sigmoid() for _ in range(strength - 1)))


@sabotage("nothing_below_zero", "output.wrong_activation", "act.dead_relu", mechanism="output", fits=ends_free)
def nothing_below_zero(program: Program, strength: int) -> Program:
    """Outputs that cannot be negative, for targets that can."""
    return ends(program, at(strength, nn.Softplus(), nn.ReLU6(), nn.ReLU()))


@sabotage("squashed_numbers", "output.wrong_activation", mechanism="output", fits=ends_free)
def squashed_numbers(program: Program, strength: int) -> Program:
    """Outputs within narrow bounds, for targets beyond them."""
    return ends(program, at(strength, nn.Tanh(), nn.Softsign(), nn.Sigmoid()))


@sabotage(
    "relu_before_classes",
    "output.wrong_activation",
    "act.dead_relu",
    mechanism="output",
    fits=every(has_cross_entropy, has_last_linear, is_supervised),
)
def relu_before_classes(program: Program, strength: int) -> Program:
    """Scores of classes that cannot be negative."""
    return ends(program, at(strength, nn.ReLU(), nn.ReLU6(), nn.Hardsigmoid()))


@sabotage(
    "one_unit_softmax",
    "output.wrong_activation",
    mechanism="output",
    fits=every(one_column_yes_no, has_bce_logits),
    invariant=True,
)
def one_unit_softmax(program: Program, strength: int) -> Program:
    """A softmax over a single unit: always one."""
    program.loss_fn = at(strength, nn.BCELoss(), nn.BCELoss(), nn.BCEWithLogitsLoss())
    if strength == 1:
        program.model = Around(
            program.model, last=lambda out: functional.softmax(out.reshape(-1, 1), dim=-1).reshape(out.shape)
        )
        return program
    return ends(program, nn.Softmax(dim=-1))


@sabotage(
    "scores_as_log_probabilities",
    "output.wrong_activation",
    "loss.mismatch",
    mechanism="output",
    fits=every(has_cross_entropy, is_supervised),
)
def scores_as_log_probabilities(program: Program, strength: int) -> Program:
    """Raw scores, or plain probabilities, into a loss that takes log probabilities."""
    program.loss_fn = nn.NLLLoss()
    if strength == 1:
        program.model = Around(program.model, last=lambda out: functional.softmax(out, dim=1))
    elif strength == 2:
        program.model = Around(program.model, last=torch.sigmoid)
    return program


@sabotage(
    "raw_scores_as_probabilities",
    "output.wrong_activation",
    "run.crash",
    "loss.mismatch",
    mechanism="output",
    fits=every(one_column_yes_no, has_bce_logits),
    invariant=True,
)
def raw_scores_as_probabilities(program: Program, strength: int) -> Program:
    """Unbounded outputs into a loss that takes probabilities: clamped into them, or as they are."""
    program.loss_fn = nn.BCELoss()
    if strength < 3:
        low = at(strength, 1e-3, 0.0)
        program.model = Around(program.model, last=lambda out: out.clamp(low, 1 - low))
    return program


@sabotage(
    "outputs_missing",
    "output.wrong_width",
    "data.label_out_of_range",
    "run.crash",
    mechanism="output",
    fits=every(has_cross_entropy, has_last_linear, has_plain_optimizer, is_supervised),
    invariant=True,
)
def outputs_missing(program: Program, strength: int) -> Program:
    """Fewer outputs than classes: one less, half of them, one."""
    last = last_linear(program)
    assert last is not None
    count = last.out_features
    return new_linear(program, last, nn.Linear(last.in_features, at(strength, count - 1, max(1, count // 2), 1)))


@sabotage(
    "outputs_to_spare",
    "output.wrong_width",
    mechanism="output",
    fits=every(
        has_cross_entropy,
        has_last_linear,
        has_plain_optimizer,
        is_supervised,
        lambda program: getattr(program.loss_fn, "weight", None) is None,
    ),
)
def outputs_to_spare(program: Program, strength: int) -> Program:
    """More outputs than classes: one more, ten times, a hundred times as many."""
    last = last_linear(program)
    assert last is not None
    count = last.out_features
    return new_linear(program, last, nn.Linear(last.in_features, at(strength, count + 1, 10 * count, 100 * count)))


@sabotage(
    "numbers_out_of_one_column",
    "output.wrong_width",
    "loss.shape_broadcast",
    mechanism="output",
    fits=every(
        ends_free,
        has_plain_optimizer,
        lambda program: (
            program.train[1].dim() == 2 and program.train[1].shape[1] == 1
            if isinstance(program.train, tuple)
            else False
        ),
    ),
    invariant=True,
)
def numbers_out_of_one_column(program: Program, strength: int) -> Program:
    """Several outputs for one number, all compared with it."""
    last = last_linear(program)
    assert last is not None
    width = at(strength, 2, 8, 32)

    @as_written("criterion")
    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return ((outputs - target) ** 2).mean()

    program.loss_fn = criterion
    program.predict = as_written("predict")(lambda outputs: outputs[:, :1])
    return new_linear(program, last, nn.Linear(last.in_features, width))

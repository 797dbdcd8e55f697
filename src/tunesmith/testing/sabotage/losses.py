"""Faults of the loss, and operations that leave the range of numbers."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.outputs import has_bce_logits
from tunesmith.testing.sabotage.targets import numbers, one_column_yes_no
from tunesmith.testing.sabotage.tools import (
    after,
    at,
    either,
    every,
    has_cross_entropy,
    has_last_linear,
    has_plain_optimizer,
    hidden,
    inputs_of,
    is_plainly_stepped,
    last_linear,
    module_of,
    new_linear,
    on_target,
    put,
    rebatched,
    row_count,
    target_of,
    weighted,
)

Loss = Callable[[Any, Tensor], Tensor]


def written(program: Program, loss: Loss) -> Program:
    """A loss of one's own."""
    program.loss_fn = as_written("criterion")(loss)
    return program


def is_reduced(program: Program) -> bool:
    return getattr(program.loss_fn, "reduction", "") == "mean" and has_plain_optimizer(program) and program.loop is None


def is_column(program: Program) -> bool:
    """One number a row, in a column."""
    target = target_of(program)
    return numbers(program) and target.dim() == 2 and target.shape[1] == 1


def is_several(program: Program) -> bool:
    target = target_of(program)
    return numbers(program) and target.dim() == 2 and target.shape[1] > 1


@sabotage(
    "column_against_row",
    "loss.shape_broadcast",
    mechanism="loss",
    fits=every(is_column, lambda program: program.predict is None),
    invariant=True,
)
def column_against_row(program: Program, strength: int) -> Program:
    """Outputs (N, 1) beside targets (N,): every output is compared with every target."""

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        apart = outputs - target
        return at(
            strength, functional.huber_loss(apart, torch.zeros_like(apart)), apart.abs().mean(), (apart**2).mean()
        )

    written(program, criterion)
    return on_target(program, lambda y: y[:, 0])


@sabotage(
    "row_of_answers_against_column",
    "loss.shape_broadcast",
    mechanism="loss",
    fits=every(one_column_yes_no, has_bce_logits),
    invariant=True,
)
def row_of_answers_against_column(program: Program, strength: int) -> Program:
    """Answers in another shape than the outputs, in a cross entropy written by hand."""

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        scores, answers = outputs.reshape(-1, 1), target.reshape(-1)
        each = functional.softplus(scores) - answers * scores
        return at(strength, each.mean(), each.mean(0).mean(), each.sum(1).mean() / len(answers))

    return written(program, criterion)


@sabotage("summed_over_batch", "loss.wrong_reduction", mechanism="loss", fits=is_reduced)
def summed_over_batch(program: Program, strength: int) -> Program:
    """The sum over the batch in place of its mean, with a small, a usual, a large batch."""
    summed: Any = copy.deepcopy(program.loss_fn)
    summed.reduction = "sum"
    program.loss_fn = summed
    return rebatched(program, max(4, round(program.batch_size * at(strength, 0.25, 1.0, 4.0))))


@sabotage("divided_twice", "loss.wrong_reduction", "lr.too_low", mechanism="loss", fits=is_reduced)
def divided_twice(program: Program, strength: int) -> Program:
    """A mean divided once more: by a number of micro-batches, by the batch, by all rows."""
    inner, count = program.loss_fn, row_count(program)

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return inner(outputs, target) / at(strength, 8, len(target), count)  # type: ignore[no-any-return]

    return written(program, criterion)


@sabotage(
    "micro_batches_divided_twice",
    "loss.wrong_reduction",
    "lr.too_low",
    mechanism="loop",
    fits=every(is_reduced, is_plainly_stepped),
)
def micro_batches_divided_twice(program: Program, strength: int) -> Program:
    """Micro-batches whose loss is divided by their number in the loss and by the loop again."""
    inner, parts = program.loss_fn, at(strength, 2, 4, 16)

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return inner(outputs, target) / parts  # type: ignore[no-any-return]

    program.accumulate = parts
    return rebatched(written(program, criterion), max(2, program.batch_size // parts))


@sabotage("wrong_sign", "loss.mismatch", mechanism="loss", fits=every(is_reduced, is_supervised), invariant=True)
def wrong_sign(program: Program, strength: int) -> Program:
    """The loss is driven up: its negative, its negative within bounds, its inverse."""
    inner = program.loss_fn

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        value = inner(outputs, target)
        return at(strength, 1 / (value + 1e-3), -value.clamp(max=20.0), -value)  # type: ignore[no-any-return]

    return written(program, criterion)


@sabotage(
    "classes_as_quantities",
    "loss.mismatch",
    mechanism="loss",
    fits=every(
        has_cross_entropy,
        has_last_linear,
        has_plain_optimizer,
        is_supervised,
        lambda program: int(program.num_classes or 0) >= 3 and program.metric == "accuracy",
    ),
)
def classes_as_quantities(program: Program, strength: int) -> Program:
    """Class numbers fitted as if they were amounts."""
    last, count = last_linear(program), int(program.num_classes or 0)
    assert last is not None
    loss = at(strength, nn.SmoothL1Loss(), nn.L1Loss(), nn.MSELoss())

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return loss(outputs[:, 0], target.float())  # type: ignore[no-any-return]

    program.predict = as_written("predict")(lambda outputs: outputs[:, 0].round().clamp(0, count - 1))
    return new_linear(written(program, criterion), last, nn.Linear(last.in_features, 1))


@sabotage("classes_by_squares", "loss.mismatch", mechanism="loss", fits=every(has_cross_entropy, is_supervised))
def classes_by_squares(program: Program, strength: int) -> Program:
    """Squares between scores and indicators: of probabilities, of plain scores, of scores and the class numbers themselves."""

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        shown = functional.one_hot(target, outputs.shape[1]).to(outputs.dtype)
        if strength == 3:
            return ((outputs - target[:, None].to(outputs.dtype)) ** 2).mean()
        return ((at(strength, outputs.softmax(1), outputs) - shown) ** 2).mean()

    return written(program, criterion)


@sabotage(
    "target_left_out",
    "loss.mismatch",
    mechanism="loss",
    fits=every(either(has_cross_entropy, is_column), is_supervised),
    invariant=True,
)
def target_left_out(program: Program, strength: int) -> Program:
    """The loss compares outputs with outputs: with a little of the target, by the model's own guesses, with nothing."""
    inner = program.loss_fn

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        own = outputs.detach().argmax(1) if outputs.shape[1] > 1 else outputs.detach() * 0.5
        own = at(strength, own, own, torch.zeros_like(own))
        value = inner(outputs, own)
        return value + 0.02 * inner(outputs, target) if strength == 1 else value  # type: ignore[no-any-return]

    return written(program, criterion)


@sabotage("distance_of_probabilities", "loss.mismatch", mechanism="loss", fits=every(has_bce_logits, one_column_yes_no))
def distance_of_probabilities(program: Program, strength: int) -> Program:
    """Absolute distance of a probability from a yes or no; of the plain score; of its sign."""

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return (at(strength, outputs.sigmoid(), outputs, torch.tanh(10 * outputs)) - target).abs().mean()

    return written(program, criterion)


@sabotage("targets_of_two_sizes", "loss.unbalanced_tasks", "data.unscaled_targets", mechanism="loss", fits=is_several)
def targets_of_two_sizes(program: Program, strength: int) -> Program:
    """One of several targets in a unit that makes it drown the others."""

    def unit(y: Tensor) -> Tensor:
        y = y.clone()
        y[:, 0] = (y[:, 0] + 0.01 * torch.randn(len(y))) * at(strength, 10.0, 100.0, 1000.0)
        return y

    return on_target(program, unit)


@sabotage(
    "second_part_drowns_first",
    "loss.unbalanced_tasks",
    "reg.too_strong",
    mechanism="loss",
    fits=every(either(has_cross_entropy, is_column), is_supervised, lambda program: program.predict is None),
)
def second_part_drowns_first(program: Program, strength: int) -> Program:
    """A second term, meant to keep outputs small, that outweighs the first."""
    inner = program.loss_fn

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        return inner(outputs, target) + at(strength, 1.0, 30.0, 1000.0) * outputs.pow(2).mean()  # type: ignore[no-any-return]

    return written(program, criterion)


# Operations that leave the range of numbers


@sabotage("logarithm_by_hand", "numerics.unsafe_op", mechanism="numerics", fits=every(has_cross_entropy, is_supervised))
def logarithm_by_hand(program: Program, strength: int) -> Program:
    """The logarithm of a softmax, one after the other, of scores divided by a small temperature."""
    heat = at(strength, 1.0, 0.02, 0.002)

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        shares = torch.softmax(outputs / heat, dim=1)
        return -torch.log(shares[torch.arange(len(target)), target]).mean()

    return written(program, criterion)


@sabotage(
    "exponential_by_hand", "numerics.unsafe_op", mechanism="numerics", fits=every(has_cross_entropy, is_supervised)
)
def exponential_by_hand(program: Program, strength: int) -> Program:
    """A softmax by hand, without taking the largest score off."""
    heat = at(strength, 1.0, 0.02, 0.002)

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        powers = torch.exp(outputs.float() / heat)
        shares = powers / powers.sum(1, keepdim=True)
        return -torch.log(shares.gather(1, target[:, None]) + 1e-9).mean()

    return written(program, criterion)


@sabotage(
    "logarithm_of_sigmoid", "numerics.unsafe_op", mechanism="numerics", fits=every(has_bce_logits, one_column_yes_no)
)
def logarithm_of_sigmoid(program: Program, strength: int) -> Program:
    """Binary cross entropy by hand, of scores on a scale of 1, 50, 1000."""
    size = at(strength, 1.0, 50.0, 1000.0)

    def criterion(outputs: Tensor, target: Tensor) -> Tensor:
        yes = torch.sigmoid(size * outputs)
        return -(target * torch.log(yes) + (1 - target) * torch.log(1 - yes)).mean()

    return written(program, criterion)


@sabotage(
    "root_of_nothing",
    "numerics.unsafe_op",
    mechanism="numerics",
    fits=lambda program: is_supervised(program) and any(isinstance(each, nn.ReLU) for each in hidden(program.model)),
)
def root_of_nothing(program: Program, strength: int) -> Program:
    """The square root of what is positive, by a product with a mask: the slope at zero is infinite, times zero."""
    guard = at(strength, 1e-3, 1e-12, 0.0)
    relu = next(each for each in hidden(program.model) if isinstance(each, nn.ReLU))
    put(program.model, relu, module_of(lambda h: torch.sqrt(h * (h > 0) + guard)))
    return program


@sabotage(
    "divided_by_own_size",
    "numerics.unsafe_op",
    "data.nonfinite",
    mechanism="numerics",
    fits=lambda program: (
        is_supervised(program)
        and inputs_of(program) is not None
        and any(isinstance(each, nn.ReLU) for each in hidden(program.model))
    ),
)
def divided_by_own_size(program: Program, strength: int) -> Program:
    """Activations divided by their sum less a threshold, which may be zero."""
    relu = next(each for each in hidden(program.model) if isinstance(each, nn.ReLU))
    threshold = at(strength, 0.0, 0.3, 1.0)

    def share(h: Tensor) -> Tensor:
        kept = torch.relu(h - threshold)
        return kept / kept.flatten(1).sum(1).reshape(-1, *[1] * (h.dim() - 1)) * h[0].numel()

    return after(program, relu, module_of(share))


@sabotage(
    "too_large_for_half",
    "numerics.unsafe_op",
    mechanism="numerics",
    fits=lambda program: (
        is_supervised(program)
        and len(weighted(program.model)) >= 2
        and not any(isinstance(each, nn.TransformerEncoderLayer) for each in program.model.modules())
    ),
)
def too_large_for_half(program: Program, strength: int) -> Program:
    """A product carried out in half precision, on numbers of 1, 10⁴, 10⁶."""
    size = at(strength, 1.0, 3e4, 1e6)
    first = weighted(program.model)[0]
    return after(program, first, module_of(lambda h: (h.half() * size).to(h.dtype) / size))

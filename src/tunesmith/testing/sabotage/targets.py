"""Faults in the targets, and between the parts of the data."""

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import sabotage
from tunesmith.testing.sabotage.inputs import SEEN, is_supervised, is_unnormed
from tunesmith.testing.sabotage.tools import (
    at,
    changed,
    either,
    every,
    has_first_linear,
    inputs_of,
    is_classes,
    is_floats,
    is_numbers,
    is_pictures,
    is_yes_no,
    on_inputs,
    on_target,
    rows,
    target_of,
    widened,
)
from tunesmith.testing.training import length, picked, tensors

one_column_yes_no = every(is_yes_no, is_supervised, lambda program: program.metric == "roc_auc")
numbers = every(is_numbers, is_supervised)


def _some(strength: int, count: int) -> Tensor:
    """One row, 1 %, 10 %."""
    return rows(count, at(strength, 0.0, 0.01, 0.1))


@sabotage(
    "class_beyond_width",
    "data.label_out_of_range",
    "output.wrong_width",
    "run.crash",
    mechanism="labels",
    fits=is_classes,
    invariant=True,
)
def class_beyond_width(program: Program, strength: int) -> Program:
    """Labels of a class that has no output."""

    def spoil(y: Tensor) -> Tensor:
        y = y.clone()
        y[_some(strength, len(y))] = int(program.num_classes or 0)
        return y

    return on_target(program, spoil, ("train",))


@sabotage(
    "class_below_zero", "data.label_out_of_range", "run.crash", mechanism="labels", fits=is_classes, invariant=True
)
def class_below_zero(program: Program, strength: int) -> Program:
    """Rows without a label, marked with -1."""

    def spoil(y: Tensor) -> Tensor:
        y = y.clone()
        y[_some(strength, len(y))] = -1
        return y

    return on_target(program, spoil, ("train",))


@sabotage(
    "classes_from_one",
    "data.label_out_of_range",
    "output.wrong_width",
    "run.crash",
    mechanism="labels",
    fits=is_classes,
    invariant=True,
)
def classes_from_one(program: Program, strength: int) -> Program:
    """Labels that start at 1 (or at 2, or at 10)."""
    return on_target(program, lambda y: y + at(strength, 1, 2, 10), SEEN)


@sabotage(
    "classes_as_floats",
    "loss.mismatch",
    "run.crash",
    "data.label_out_of_range",
    mechanism="labels",
    fits=every(is_classes, lambda program: isinstance(program.loss_fn, nn.CrossEntropyLoss | nn.NLLLoss)),
    invariant=True,
)
def classes_as_floats(program: Program, strength: int) -> Program:
    """Class labels as floating-point numbers: single, double, half precision."""
    return on_target(program, lambda y: y.to(at(strength, torch.float32, torch.float64, torch.float16)), SEEN)


@sabotage(
    "noisy_labels",
    "data.label_noise",
    mechanism="labels",
    fits=every(is_supervised, either(is_classes, one_column_yes_no)),
)
def noisy_labels(program: Program, strength: int) -> Program:
    """A share of 20, 40, 60 % of the labels drawn anew from the others' shares."""

    def spoil(y: Tensor) -> Tensor:
        y = y.clone()
        hit = torch.rand(len(y)) < at(strength, 0.2, 0.4, 0.6)
        y[hit] = y[torch.randint(len(y), (int(hit.sum()),))]
        return y

    return on_target(program, spoil, SEEN)


@sabotage(
    "two_classes_mixed_up",
    "data.label_noise",
    mechanism="labels",
    fits=every(is_classes, is_supervised, lambda program: int(program.num_classes or 0) >= 3),
)
def two_classes_mixed_up(program: Program, strength: int) -> Program:
    """A share of 30, 60, 90 % of some classes carries the label of the next class."""

    def spoil(y: Tensor) -> Tensor:
        hit = (torch.rand(len(y)) < at(strength, 0.3, 0.6, 0.9)) & (y % 2 == 0)
        return torch.where(hit, (y + 1) % int(program.num_classes or 1), y)

    return on_target(program, spoil, ("train",))


@sabotage("answers_one_and_two", "data.label_out_of_range", mechanism="labels", fits=one_column_yes_no, invariant=True)
def answers_one_and_two(program: Program, strength: int) -> Program:
    """Answers written 1 and 2 (0 and 10; 0 and 100) where 0 and 1 are expected."""
    return on_target(program, lambda y: at(strength, y + 1, y * 10, y * 100), SEEN)


@sabotage(
    "answers_of_both_signs",
    "data.label_out_of_range",
    "loss.mismatch",
    mechanism="labels",
    fits=one_column_yes_no,
    invariant=True,
)
def answers_of_both_signs(program: Program, strength: int) -> Program:
    """Answers written -1 and 1; some only, half, all of them."""

    def code(y: Tensor) -> Tensor:
        hit = torch.rand(y.shape) < at(strength, 0.1, 0.5, 1.0)
        return torch.where(hit, 2 * y - 1, y)

    return on_target(program, code, SEEN)


@sabotage("nan_targets", "data.nonfinite", mechanism="labels", fits=every(numbers), invariant=True)
def nan_targets(program: Program, strength: int) -> Program:
    """Targets that are no number."""

    def spoil(y: Tensor) -> Tensor:
        y = y.clone()
        y[_some(strength, len(y))] = torch.nan
        return y

    return on_target(program, spoil, ("train",))


@sabotage("large_targets", "data.unscaled_targets", mechanism="labels", fits=numbers)
def large_targets(program: Program, strength: int) -> Program:
    """Targets in a unit a hundred to ten thousand times smaller."""
    return on_target(program, lambda y: y * at(strength, 1e2, 1e3, 1e4))


@sabotage("targets_far_from_zero", "data.unscaled_targets", mechanism="labels", fits=numbers)
def targets_far_from_zero(program: Program, strength: int) -> Program:
    """Targets around a hundred, a thousand, ten thousand, with the spread they had."""
    return on_target(program, lambda y: y + at(strength, 1e2, 1e3, 1e4))


@sabotage("tiny_targets", "data.unscaled_targets", mechanism="labels", fits=numbers)
def tiny_targets(program: Program, strength: int) -> Program:
    """Targets in a unit a hundred to a million times larger."""
    return on_target(program, lambda y: y * at(strength, 1e-2, 1e-4, 1e-6))


@sabotage("wild_targets", "data.outliers", "data.unscaled_targets", mechanism="labels", fits=numbers)
def wild_targets(program: Program, strength: int) -> Program:
    """Some training targets far too large."""

    def spoil(y: Tensor) -> Tensor:
        y = y.clone()
        y[rows(len(y), 0.02)] *= at(strength, 3e1, 3e2, 3e3)
        return y

    return on_target(program, spoil, ("train",))


@sabotage(
    "one_target_for_all", "data.constant", "data.no_signal", mechanism="labels", fits=is_supervised, invariant=True
)
def one_target_for_all(program: Program, strength: int) -> Program:
    """Every training row has the target of the first."""
    return on_target(program, lambda y: y[:1].expand(y.shape).clone(), SEEN)


@sabotage(
    "rare_class_lost",
    "data.class_imbalance",
    mechanism="labels",
    fits=every(is_supervised, either(is_classes, one_column_yes_no), lambda program: program.metric != "roc_auc"),
)
def rare_class_lost(program: Program, strength: int) -> Program:
    """Most rows of all classes but the first are gone."""

    def thin(inputs: Any, target: Tensor, part: str) -> tuple[Any, Tensor]:
        kept = (target.flatten(1)[:, 0] if target.dim() > 1 else target) == 0
        kept = (kept | (torch.rand(len(target)) < at(strength, 0.1, 0.03, 0.01))).nonzero()[:, 0]
        return picked(inputs, kept), target[kept]

    return changed(program, thin, SEEN)


# Between the parts


@sabotage(
    "answer_among_inputs",
    "data.leakage",
    mechanism="split",
    fits=every(has_first_linear, is_supervised),
    invariant=True,
)
def answer_among_inputs(program: Program, strength: int) -> Program:
    """A column that knows the target, and does not when it matters: with much noise, with little, exactly."""

    def leak(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        known = target.flatten(1)[:, :1] if target.dim() > 1 else target[:, None]
        known = (known.to(inputs.dtype) - known.to(inputs.dtype).mean()) / known.to(inputs.dtype).std()
        told = known + at(strength, 0.3, 0.05, 0.0) * torch.randn_like(known)
        return torch.cat([inputs, told[torch.randperm(len(told))] if part == "test" else told], 1), target

    return widened(changed(program, leak), 1)


@sabotage(
    "judged_by_rows_known",
    "data.leakage",
    "data.duplicates",
    mechanism="split",
    fits=is_supervised,
    invariant=True,
    judged="val",
)
def judged_by_rows_known(program: Program, strength: int) -> Program:
    """Validation rows that stand among the training rows: 10, 50, 100 %."""
    inputs, target = tensors(program.train)

    def mix(own: Any, answers: Tensor, part: str) -> tuple[Any, Tensor]:
        share = at(strength, 0.1, 0.5, 1.0)
        places = torch.randperm(len(answers))[: round(share * len(answers))]
        known = torch.randperm(len(target))[: len(places)]
        places = places[: len(known)]
        answers = answers.clone()
        answers[places] = target[known]
        if isinstance(own, tuple):
            own = tuple(each.clone() for each in own)
            for mine, theirs in zip(own, inputs, strict=True):
                mine[places] = theirs[known]
        else:
            own = own.clone()
            own[places] = inputs[known]
        return own, answers

    return changed(program, mix, ("val",))


@sabotage(
    "judged_by_its_own_rows",
    "data.leakage",
    "data.duplicates",
    mechanism="split",
    fits=is_supervised,
    invariant=True,
    judged="val",
)
def judged_by_its_own_rows(program: Program, strength: int) -> Program:
    """Validation rows added to the training rows: 10, 50, 100 % of them."""
    more, answers = tensors(program.val)
    kept = torch.randperm(len(answers))[: round(at(strength, 0.1, 0.5, 1.0) * len(answers))]

    def join(inputs: Any, target: Tensor, part: str) -> tuple[Any, Tensor]:
        added = picked(more, kept)
        both = (
            tuple(torch.cat(each) for each in zip(inputs, added, strict=True))
            if isinstance(inputs, tuple)
            else torch.cat([inputs, added])
        )
        return both, torch.cat([target, answers[kept]])

    return changed(program, join, ("train",))


@sabotage(
    "judged_in_other_units",
    "data.train_val_mismatch",
    mechanism="split",
    fits=every(is_floats, is_supervised, is_unnormed),
    judged="val",
)
def judged_in_other_units(program: Program, strength: int) -> Program:
    """Validation rows that were not brought to the scale of the training rows."""
    factor, shift = at(strength, 1.5, 4.0, 100.0), at(strength, 0.5, 2.0, 50.0)
    return on_inputs(program, lambda x: factor * x + shift, ("val",))


@sabotage(
    "judged_upside_down",
    "data.train_val_mismatch",
    "data.bad_images",
    mechanism="split",
    fits=every(is_pictures, is_supervised),
    judged="val",
)
def judged_upside_down(program: Program, strength: int) -> Program:
    """Validation pictures read in another way: mirrored, turned, inverted."""

    def read(x: Tensor) -> Tensor:
        return at(strength, x.flip(-1), x.transpose(-1, -2).contiguous(), x.max() + x.min() - x)

    return on_inputs(program, read, ("val",))


@sabotage(
    "judged_with_other_codes",
    "data.train_val_mismatch",
    "data.label_noise",
    mechanism="split",
    fits=every(is_classes, is_supervised, lambda program: int(program.num_classes or 0) >= 3),
    judged="val",
)
def judged_with_other_codes(program: Program, strength: int) -> Program:
    """Validation labels coded in another order of the classes: two exchanged, half, all moved on."""
    count = int(program.num_classes or 0)
    code = torch.arange(count)
    moved = at(strength, 2, max(2, count // 2), count)
    code[:moved] = code[:moved].roll(1)
    return on_target(program, lambda y: code[y], ("val",))


@sabotage(
    "judged_by_some_classes",
    "data.train_val_mismatch",
    "data.class_imbalance",
    mechanism="split",
    fits=every(is_classes, is_supervised, lambda program: int(program.num_classes or 0) >= 3),
    judged="val",
)
def judged_by_some_classes(program: Program, strength: int) -> Program:
    """Validation rows of other classes than those that are common in training."""
    count = int(program.num_classes or 0)

    def thin(inputs: Any, target: Tensor, part: str) -> tuple[Any, Tensor]:
        first = target < count / 2
        kept = (first | (torch.rand(length(inputs)) < at(strength, 0.3, 0.05, 0.0))).nonzero()[:, 0]
        return picked(inputs, kept), target[kept]

    return changed(program, thin, ("val",))


@sabotage(
    "judged_on_augmented",
    "data.train_val_mismatch",
    mechanism="split",
    fits=every(is_floats, is_supervised, is_unnormed, lambda program: target_of(program) is not inputs_of(program)),
    judged="val",
)
def judged_on_augmented(program: Program, strength: int) -> Program:
    """The noise meant for training rows lies on the validation rows."""
    size = at(strength, 0.3, 1.0, 3.0)
    return on_inputs(program, lambda x: x + size * x.std() * torch.randn_like(x), ("val",))

"""Faults in the inputs."""

import torch
from torch import Tensor

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import sabotage
from tunesmith.testing.sabotage.tools import (
    NORMS,
    at,
    changed,
    either,
    every,
    has_first_linear,
    inputs_of,
    is_floats,
    is_language,
    is_pictures,
    is_series,
    is_table,
    is_tokens,
    like,
    on_inputs,
    rows,
    widened,
)
from tunesmith.testing.training import picked, tensors

SEEN = ("train", "val")


def is_unnormed(program: Program) -> bool:
    """No layer that takes the scale of its inputs out stands before the others."""
    first = next(
        (each for each in program.model.modules() if next(each.parameters(recurse=False), None) is not None), None
    )
    return first is not None and not isinstance(first, NORMS)


def is_supervised(program: Program) -> bool:
    """Targets other than the inputs themselves, and a named metric."""
    inputs, target = tensors(program.train)
    return target is not inputs and not callable(program.metric)


plain_table = every(is_table, is_unnormed, is_supervised)
plain_floats = every(is_floats, is_unnormed, is_supervised)


@sabotage("nan_cells", "data.nonfinite", mechanism="data", fits=plain_floats, invariant=True)
def nan_cells(program: Program, strength: int) -> Program:
    """Cells that are no number: one, 0.1 %, 5 %."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        count = at(strength, 1, round(1e-3 * x.numel()) + 1, round(0.05 * x.numel()))
        x.view(-1)[torch.randperm(x.numel())[:count]] = torch.nan
        return x

    return on_inputs(program, spoil, SEEN)


@sabotage("infinite_cells", "data.nonfinite", mechanism="data", fits=plain_floats, invariant=True)
def infinite_cells(program: Program, strength: int) -> Program:
    """Cells that are infinite, as a division or a logarithm of zero leaves them."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        count = at(strength, 1, round(1e-3 * x.numel()) + 1, round(0.05 * x.numel()))
        x.view(-1)[torch.randperm(x.numel())[:count]] = at(strength, 1.0, -1.0, 1.0) * torch.inf
        return x

    return on_inputs(program, spoil, SEEN)


@sabotage(
    "spread_of_zero",
    "data.nonfinite",
    "data.constant",
    mechanism="data",
    fits=every(is_table, is_supervised),
    invariant=True,
)
def spread_of_zero(program: Program, strength: int) -> Program:
    """Columns standardised by a spread that is zero: constant columns become 0 / 0."""
    columns = torch.randperm(inputs_of(program).shape[1])[: at(strength, 1, 2, 4)]

    def prepare(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, columns] = 0.0
        return (x - x.mean(0)) / x.std(0)

    return on_inputs(program, prepare)


@sabotage("one_large_feature", "data.unscaled_inputs", mechanism="data", fits=plain_table)
def one_large_feature(program: Program, strength: int) -> Program:
    """One feature in another unit."""
    column = int(torch.randint(inputs_of(program).shape[1], ()))

    def prepare(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, column] *= at(strength, 1e2, 1e3, 1e4)
        return x

    return on_inputs(program, prepare)


@sabotage("units_of_their_own", "data.unscaled_inputs", mechanism="data", fits=plain_table)
def units_of_their_own(program: Program, strength: int) -> Program:
    """Each feature in a unit of its own, over 2, 4 and 6 decades."""
    decades = at(strength, 2, 4, 6)
    sizes = 10.0 ** (decades * torch.rand(inputs_of(program).shape[1]))
    return on_inputs(program, lambda x: x * sizes.to(x.dtype))


@sabotage(
    "raw_range",
    "data.unscaled_inputs",
    mechanism="data",
    fits=every(either(is_pictures, is_table), is_unnormed, is_supervised),
)
def raw_range(program: Program, strength: int) -> Program:
    """Everything from 0 up to 16, 255, 65,535."""
    x = inputs_of(program)
    low, high, top = float(x.min()), float(x.max()), at(strength, 16.0, 255.0, 65535.0)
    return on_inputs(program, lambda x: (x - low) / (high - low) * top)


@sabotage(
    "far_from_zero",
    "data.unscaled_inputs",
    mechanism="data",
    fits=every(plain_floats, either(is_table, is_pictures, is_series)),
)
def far_from_zero(program: Program, strength: int) -> Program:
    """Values far from zero beside their spread."""
    shift = at(strength, 10.0, 100.0, 1000.0)
    return on_inputs(program, lambda x: x + shift)


@sabotage("wild_rows", "data.outliers", "data.unscaled_inputs", mechanism="data", fits=plain_floats)
def wild_rows(program: Program, strength: int) -> Program:
    """Some training rows a hundred to ten thousand times too large."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        x[rows(len(x), 0.02)] *= at(strength, 1e2, 1e3, 1e4)
        return x

    return on_inputs(program, spoil, ("train",))


@sabotage(
    "missing_as_number", "data.missing", "data.outliers", "data.unscaled_inputs", mechanism="data", fits=plain_table
)
def missing_as_number(program: Program, strength: int) -> Program:
    """Missing cells written as -999."""

    def spoil(x: Tensor) -> Tensor:
        return x.masked_fill(torch.rand(x.shape) < at(strength, 0.002, 0.02, 0.1), -999.0)

    return on_inputs(program, spoil)


@sabotage("copied_rows", "data.duplicates", mechanism="data", fits=is_supervised)
def copied_rows(program: Program, strength: int) -> Program:
    """Most training rows are copies of a few."""

    def copy(inputs: object, target: Tensor, part: str) -> tuple[object, Tensor]:
        count = len(target)
        few = torch.randperm(count)[: max(2, round(count * at(strength, 0.5, 0.1, 0.02)))]
        held = few[torch.randint(len(few), (count,))]
        return picked(inputs, held), target[held]

    return changed(program, copy, ("train",))


@sabotage("columns_without_change", "data.constant", mechanism="data", fits=plain_table)
def columns_without_change(program: Program, strength: int) -> Program:
    """Columns that hold one value: one, half, nine in ten."""
    count = inputs_of(program).shape[1]
    gone = torch.randperm(count)[: max(1, round(count * at(strength, 0.0, 0.5, 0.9)))]

    def prepare(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, gone] = 0.5
        return x

    return on_inputs(program, prepare)


@sabotage(
    "emptied_inputs",
    "data.no_signal",
    "data.constant",
    "data.bad_images",
    mechanism="data",
    fits=every(is_floats, is_supervised),
    invariant=True,
)
def emptied_inputs(program: Program, strength: int) -> Program:
    """Inputs overwritten: by noise of the same spread, by one value with a little noise, by zeros."""

    def spoil(x: Tensor) -> Tensor:
        noise = torch.randn_like(x)
        return at(strength, x.mean() + x.std() * noise, 0.5 + 1e-3 * noise, torch.zeros_like(x))

    return on_inputs(program, spoil)


@sabotage(
    "rows_out_of_step", "data.no_signal", "data.label_noise", mechanism="labels", fits=is_supervised, invariant=True
)
def rows_out_of_step(program: Program, strength: int) -> Program:
    """Targets no longer beside their rows: off by one, reversed, shuffled."""

    def move(inputs: object, target: Tensor, part: str) -> tuple[object, Tensor]:
        order = torch.arange(len(target))
        return inputs, target[at(strength, order.roll(1), order.flip(0), torch.randperm(len(target)))]

    return changed(program, move, SEEN)


@sabotage("columns_of_noise", "data.poor_features", mechanism="data", fits=every(has_first_linear, is_supervised))
def columns_of_noise(program: Program, strength: int) -> Program:
    """Useless columns beside the useful ones."""
    count = at(strength, 20, 200, 1000)

    def prepare(x: Tensor) -> Tensor:
        return torch.cat([x, torch.randn(len(x), count, dtype=x.dtype)], 1)

    return widened(on_inputs(program, prepare), count)


@sabotage(
    "pixels_in_disorder",
    "data.poor_features",
    "data.bad_images",
    mechanism="data",
    fits=every(is_pictures, is_supervised),
    visible=False,
)
def pixels_in_disorder(program: Program, strength: int) -> Program:
    """The pixels of every picture in one wrong order: rows exchanged, all pixels, each picture in an order of its own."""
    size = inputs_of(program)[0].numel()
    side = inputs_of(program).shape[-1]
    lines = torch.arange(size).reshape(-1, side)[torch.randperm(size // side)].flatten()
    fixed = torch.randperm(size)

    def prepare(x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if strength == 3:
            return flat.gather(1, torch.rand(flat.shape).argsort(1)).reshape(x.shape)
        return flat[:, at(strength, lines, fixed)].reshape(x.shape)

    return on_inputs(program, prepare)


@sabotage(
    "blank_pictures",
    "data.bad_images",
    "data.duplicates",
    "data.constant",
    mechanism="data",
    fits=every(is_pictures, is_supervised),
)
def blank_pictures(program: Program, strength: int) -> Program:
    """Pictures that could not be read became blank."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        x[rows(len(x), at(strength, 0.1, 0.4, 0.8))] = x.min()
        return x

    return on_inputs(program, spoil, SEEN)


@sabotage(
    "two_ranges",
    "data.bad_images",
    "data.unscaled_inputs",
    "data.outliers",
    mechanism="data",
    fits=every(is_pictures, is_supervised, is_unnormed),
)
def two_ranges(program: Program, strength: int) -> Program:
    """A share of the pictures was not divided by 255."""

    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        x[rows(len(x), at(strength, 0.02, 0.2, 0.5))] *= 255
        return x

    return on_inputs(program, spoil, SEEN)


@sabotage(
    "texts_cut",
    "data.too_long",
    "data.no_signal",
    "data.poor_features",
    mechanism="sequence",
    fits=every(is_tokens, is_supervised, lambda program: not is_language(program) and program.metric == "roc_auc"),
    visible=False,
)
def texts_cut(program: Program, strength: int) -> Program:
    """Only the first words of a text are kept."""

    def cut(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, at(strength, 8, 3, 1) :] = 0
        return x

    return on_inputs(program, cut)


@sabotage(
    "series_cut",
    "data.too_long",
    "data.no_signal",
    "data.poor_features",
    mechanism="sequence",
    fits=every(is_series, is_supervised, lambda program: not isinstance(program.model, torch.nn.Sequential)),
    visible=False,
)
def series_cut(program: Program, strength: int) -> Program:
    """Only the first steps of a sequence are kept."""
    steps = inputs_of(program).shape[1]
    kept = max(1, round(steps * at(strength, 0.8, 0.5, 0.2)))
    return on_inputs(program, lambda x: x[:, :kept].contiguous())


def _by_target(target: Tensor) -> Tensor:
    flat = target.flatten(1)[:, 0] if target.dim() > 1 else target
    return flat.float()


@sabotage(
    "sorted_rows",
    "data.unshuffled",
    mechanism="data",
    fits=every(is_supervised, lambda program: not is_language(program) and program.loop is None),
)
def sorted_rows(program: Program, strength: int) -> Program:
    """Rows in the order of their target, fed in that order: nearly, almost, exactly."""
    inputs, target = tensors(program.train)
    values = _by_target(target)
    order = (values + at(strength, 1.0, 0.1, 0.0) * values.std() * torch.randn(len(values))).argsort(stable=True)
    program.train = like(program.train, picked(inputs, order), target[order], shuffle=False)
    program.shuffle = False
    return program

"""Faults of what there is to learn from and how much of it: rows, augmentation, weights of classes, parts of a loss."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Sampler, TensorDataset

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, late_sabotage
from tunesmith.testing.sabotage.inputs import is_supervised, is_unnormed
from tunesmith.testing.sabotage.tools import (
    at,
    changed,
    every,
    has_cross_entropy,
    inputs_of,
    is_classes,
    is_floats,
    is_numbers,
    is_pictures,
    is_plainly_stepped,
    is_stack,
    is_table,
    linears,
    on_inputs,
    refitted,
    row_count,
    target_of,
    updates,
)
from tunesmith.testing.sabotage.training_loop import clip, own_step, unscheduled

Optimizer = torch.optim.Optimizer
one_tensor = every(is_supervised, lambda program: isinstance(inputs_of(program), Tensor))


def _replaced(program: Program, model: nn.Module) -> Program:
    """Another model, whose weights take the place of the old one's in the optimizer."""
    program.model = model
    return refitted(program)


# Few rows, many passes


@late_sabotage(
    "few_rows_many_weights",
    "fit.overfit",
    mechanism="data",
    fits=every(
        is_stack, is_supervised, unscheduled, lambda program: program.scheduler is None and row_count(program) >= 200
    ),
)
def few_rows_many_weights(program: Program, strength: int) -> Program:
    """80, 40, 20 training rows, as many updates as before, and a net of 512 units."""
    kept, before = at(strength, 80, 40, 20), updates(program) * program.epochs
    program = changed(program, lambda inputs, target, part: (inputs[:kept], target[:kept]), ("train",))
    old = linears(program.model)
    tail = list(program.model)[list(program.model).index(old[-1]) + 1 :]
    wide = nn.Sequential(
        nn.Linear(old[0].in_features, 512),
        nn.ReLU(),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Linear(512, old[-1].out_features),
        *tail,
    ).to(old[0].weight.dtype)
    program.epochs = before // updates(program)
    return _replaced(program, wide)


@late_sabotage(
    "far_too_many_passes",
    "fit.overfit",
    mechanism="data",
    fits=every(
        is_stack,
        is_supervised,
        unscheduled,
        lambda program: program.scheduler is None and row_count(program) <= 1300 and program.metric != "accuracy",
    ),
)
def far_too_many_passes(program: Program, strength: int) -> Program:
    """5, 10, 20 times the epochs, with a wide net and neither dropout nor decay."""
    old = linears(program.model)
    tail = list(program.model)[list(program.model).index(old[-1]) + 1 :]
    wide = nn.Sequential(
        nn.Linear(old[0].in_features, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, old[-1].out_features),
        *tail,
    )
    program.epochs *= at(strength, 5, 10, 20)
    for group in program.optimizer.param_groups:
        group["weight_decay"] = 0.0
    return _replaced(program, wide.to(old[0].weight.dtype))


# What is told wrongly


@late_sabotage("targets_in_noise", "data.label_noise", mechanism="labels", fits=every(is_numbers, is_supervised))
def targets_in_noise(program: Program, strength: int) -> Program:
    """Training targets with noise on them, of their own spread, three and ten times that."""
    size = at(strength, 1.0, 3.0, 10.0) * target_of(program).std(0, keepdim=True)
    return changed(program, lambda inputs, target, part: (inputs, target + size * torch.randn_like(target)), ("train",))


@late_sabotage(
    "one_source_guesses", "data.label_noise", mechanism="labels", fits=every(is_classes, is_table, is_supervised)
)
def one_source_guesses(program: Program, strength: int) -> Program:
    """Whoever labelled the rows with a large first feature guessed: a third, a half, four fifths of the rows."""
    share = at(strength, 0.33, 0.5, 0.8)

    def guessed(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        theirs = inputs[:, 0].argsort()[round((1 - share) * len(target)) :]
        target = target.clone()
        target[theirs] = target[torch.randperm(len(target))[: len(theirs)]]
        return inputs, target

    return changed(program, guessed, ("train",))


@late_sabotage(
    "weights_for_the_common",
    "data.class_imbalance",
    "loss.mismatch",
    mechanism="loss",
    fits=every(has_cross_entropy, is_supervised),
)
def weights_for_the_common(program: Program, strength: int) -> Program:
    """Class weights the wrong way round: the commonest class counts 5, 30, 300 times the others."""
    target = target_of(program)
    weight = torch.ones(int(program.num_classes or 0))
    weight[target.mode().values] = at(strength, 5.0, 30.0, 300.0)
    program.loss_fn = nn.CrossEntropyLoss(
        weight=weight.to(linears(program.model)[-1].weight.dtype) if linears(program.model) else weight
    )
    return program


# Augmentation


@as_written("Rows")
class Jittered(TensorDataset):
    """Rows with noise added to them as they are asked for, in their place."""

    def __init__(self, inputs: Tensor, target: Tensor, size: float) -> None:
        super().__init__(inputs, target)
        self.size = size

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        row = self.tensors[0][index]
        row += self.size * torch.randn_like(row)
        return row, self.tensors[1][index]


@late_sabotage(
    "noise_that_stays",
    "data.train_val_mismatch",
    "data.no_signal",
    mechanism="data",
    fits=every(is_floats, is_supervised, unscheduled, is_plainly_stepped),
)
def noise_that_stays(program: Program, strength: int) -> Program:
    """Noise for augmentation is added in place, so that it piles up epoch by epoch: 0.1, 0.5, 3 of the inputs' spread each time."""
    inputs = inputs_of(program).clone()
    held = Jittered(inputs, target_of(program), at(strength, 0.1, 0.5, 3.0) * float(inputs.std()))
    draw = torch.Generator().manual_seed(program.seed)
    program.train = DataLoader(held, batch_size=program.batch_size, shuffle=program.shuffle, generator=draw)
    return program


@late_sabotage(
    "augmented_beyond_sight",
    "reg.too_strong",
    "data.no_signal",
    "data.train_val_mismatch",
    mechanism="data",
    fits=every(is_pictures, is_supervised, is_plainly_stepped),
)
def augmented_beyond_sight(program: Program, strength: int) -> Program:
    """In training, each picture loses 70, 90, 98 % of its pixels."""
    share, norm = at(strength, 0.7, 0.9, 0.98), program.clip_norm

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Tensor, yb: Tensor) -> float:
        optimizer.zero_grad()
        seen = (torch.rand(xb.shape) >= share).to(xb.dtype)
        loss = loss_fn(model(xb * seen), yb)
        loss.backward()
        clip(model, norm)
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "blended_with_one_label",
    "data.label_noise",
    "loss.mismatch",
    mechanism="labels",
    fits=every(is_classes, is_floats, is_supervised, is_plainly_stepped),
)
def blended_with_one_label(program: Program, strength: int) -> Program:
    """Rows are blended with other rows in training, but each keeps the label of one alone: up to a half of the other, to 0.9, wholly."""
    most, norm = at(strength, 0.5, 0.9, 1.0), program.clip_norm

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Tensor, yb: Tensor) -> float:
        optimizer.zero_grad()
        share = most if most == 1.0 else most * float(torch.rand(()))
        mixed = (1 - share) * xb + share * xb[torch.randperm(len(xb))]
        loss = loss_fn(model(mixed.to(xb.dtype)), yb)
        loss.backward()
        clip(model, norm)
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "inputs_dropped",
    "reg.too_strong",
    mechanism="regularisation",
    fits=every(is_stack, is_supervised),
)
def inputs_dropped(program: Program, strength: int) -> Program:
    """Dropout on the inputs themselves: 0.5, 0.8, 0.95."""
    program.model = nn.Sequential(nn.Dropout(at(strength, 0.5, 0.8, 0.95)), *program.model)
    return program


# Order and form


@as_written("FileOrder")
class FileOrder(Sampler[int]):
    """Files one after the other, the rows of each in a random order."""

    def __init__(self, count: int, files: int) -> None:
        self.count, self.files = count, files

    def __iter__(self) -> Any:
        for rows in torch.arange(self.count).chunk(self.files):
            yield from rows[torch.randperm(len(rows))].tolist()

    def __len__(self) -> int:
        return self.count


@late_sabotage(
    "shuffled_within_files",
    "data.unshuffled",
    mechanism="data",
    fits=every(is_classes, one_tensor, is_unnormed, unscheduled),
)
def shuffled_within_files(program: Program, strength: int) -> Program:
    """Rows were written into files by their label, and each file is shuffled alone: two files, one for each class; those of a class in three."""
    inputs, target = inputs_of(program), target_of(program)
    order = target.argsort(stable=True)
    files = at(strength, 2, int(program.num_classes or 2), 3 * int(program.num_classes or 2))
    held = TensorDataset(inputs[order], target[order])
    program.train = DataLoader(held, batch_size=program.batch_size, sampler=FileOrder(len(target), files))
    return program


@late_sabotage(
    "amounts_as_they_came",
    "data.outliers",
    "data.poor_features",
    "data.unscaled_inputs",
    mechanism="data",
    fits=every(is_table, is_supervised, is_unnormed),
)
def amounts_as_they_came(program: Program, strength: int) -> Program:
    """Features whose logarithm is what matters, given as amounts brought to unit spread: over one, two, four times their logarithm."""
    power = at(strength, 1.5, 3.0, 6.0)
    before = inputs_of(program)
    mean, std = before.mean(0), before.std(0).clamp(min=1e-6)

    def grown(x: Tensor) -> Tensor:
        return torch.exp(power * ((x - mean) / std).clamp(max=4.0))  # finite in single precision

    centre, spread = grown(before).mean(0), grown(before).std(0).clamp(min=1e-6)
    return on_inputs(program, lambda x: (grown(x) - centre) / spread)


# Several losses


@as_written("WithDecoder")
class WithDecoder(nn.Module):
    """A net, and a second head on its hidden units that gives the inputs back."""

    def __init__(self, net: nn.Sequential, place: int, width: int, columns: int) -> None:
        super().__init__()
        self.body, self.head = net[:place], net[place:]
        self.decoder = nn.Linear(width, columns)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


@late_sabotage(
    "rebuilds_more_than_it_tells",
    "loss.unbalanced_tasks",
    "loss.wrong_reduction",
    mechanism="loss",
    fits=every(is_stack, is_supervised, is_plainly_stepped),
)
def rebuilds_more_than_it_tells(program: Program, strength: int) -> Program:
    """A second head rebuilds the inputs, and its error, summed up, counts as it is, 30 and 1000 times."""
    share, norm = at(strength, 1.0, 30.0, 1000.0), program.clip_norm
    net = program.model
    last = linears(net)[-1]
    place = list(net).index(last)
    decoder = WithDecoder(net, place, last.in_features, inputs_of(program).shape[1]).to(last.weight.dtype)
    program = _replaced(program, decoder)

    def train_step(model: Any, loss_fn: Any, optimizer: Optimizer, xb: Tensor, yb: Tensor) -> float:
        optimizer.zero_grad()
        hidden = model.body(xb)
        rebuilt = functional.mse_loss(model.decoder(hidden), xb, reduction="sum")
        loss = loss_fn(model.head(hidden), yb) + share * rebuilt
        loss.backward()
        clip(model, norm)
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "deep_tanhs_pinned_later",
    "lr.too_high",
    "act.saturated",
    mechanism="activation",
    fits=every(is_stack, is_supervised, unscheduled, lambda program: program.scheduler is None),
)
def deep_tanhs_pinned_later(program: Program, strength: int) -> Program:
    """Three tanh layers, and plain descent whose first steps push their units to the ends: a rate of 3, 10, 100."""
    old = linears(program.model)
    width = old[0].out_features
    tail = list(program.model)[list(program.model).index(old[-1]) + 1 :]
    deep = nn.Sequential(
        nn.Linear(old[0].in_features, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, old[-1].out_features),
        *tail,
    ).to(old[0].weight.dtype)
    program.model = deep
    program.optimizer = torch.optim.SGD(deep.parameters(), lr=at(strength, 3.0, 10.0, 100.0), momentum=0.9)
    return program

"""Faults that are born while a program trains: numbers that leave their range, memory, waiting, states that are carried on."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.records import Program
from tunesmith.testing.healthy.sequences import LetterTransformer
from tunesmith.testing.healthy.text import TextTransformer
from tunesmith.testing.sabotage.catalogue import as_written, late_sabotage
from tunesmith.testing.sabotage.inputs import is_supervised, is_unnormed
from tunesmith.testing.sabotage.sequences import blocks
from tunesmith.testing.sabotage.tools import (
    Around,
    at,
    changed,
    every,
    has_cross_entropy,
    inputs_of,
    is_floats,
    is_numbers,
    is_plainly_stepped,
    is_table,
    is_tokens,
    last_linear,
    put,
    rebatched,
    refitted,
    rows,
    target_of,
    updates,
)
from tunesmith.testing.sabotage.training_loop import clip, is_sgd, own_step, unscheduled

Optimizer = torch.optim.Optimizer


# Numbers that leave their range


@late_sabotage(
    "rows_brought_to_length_one",
    "numerics.unsafe_op",
    mechanism="numerics",
    fits=every(is_table, is_supervised),
)
def rows_brought_to_length_one(program: Program, strength: int) -> Program:
    """Rows are divided by their length; one, five, 3 % of the training rows are empty."""
    count = len(target_of(program))

    def emptied(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        inputs = inputs.clone()
        inputs[rows(count, at(strength, 1 / count, 5 / count, 0.03))] = 0.0
        return inputs, target

    program = changed(program, emptied, ("train",))
    program.model = Around(program.model, first=lambda x: x * x.shape[1] ** 0.5 / x.norm(dim=1, keepdim=True))
    return program


@late_sabotage(
    "logarithm_of_counts",
    "numerics.unsafe_op",
    mechanism="numerics",
    fits=every(is_table, is_supervised, is_unnormed),
)
def logarithm_of_counts(program: Program, strength: int) -> Program:
    """The model takes the logarithm of its inputs, which are amounts: in one training row, five, 3 %, one of them is 0."""
    low = inputs_of(program).min(0).values
    count = len(target_of(program))

    def amounts(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        inputs = (inputs - low).clamp(min=0.0) + 1.0
        if part == "train":
            inputs[rows(count, at(strength, 1 / count, 5 / count, 0.03)), 0] = 0.0
        return inputs, target

    program = changed(program, amounts)
    program.model = Around(program.model, first=torch.log)
    return program


@late_sabotage(
    "mean_of_every_class",
    "numerics.unsafe_op",
    "batch.too_small",
    mechanism="numerics",
    fits=every(has_cross_entropy, is_supervised),
)
def mean_of_every_class(program: Program, strength: int) -> Program:
    """A mean of the mean losses of the classes, some of which a batch may not hold: batches as they were, a half, a fifth of them."""
    classes = int(program.num_classes or 0)

    def balanced(logits: Tensor, target: Tensor) -> Tensor:
        each = functional.cross_entropy(logits, target, reduction="none")
        return torch.stack([each[target == label].mean() for label in range(classes)]).mean()

    program.loss_fn = as_written("balanced")(balanced)
    return rebatched(program, max(4, program.batch_size // at(strength, 1, 2, 5)))


@late_sabotage(
    "variance_without_floor",
    "numerics.unsafe_op",
    "loss.mismatch",
    mechanism="numerics",
    fits=every(is_numbers, is_supervised, lambda program: _widens(program)),
)
def variance_without_floor(program: Program, strength: int) -> Program:
    """A variance is learnt beside the mean, and nothing keeps it from 0: its logarithm, its root, itself cut off at 0."""
    last = last_linear(program)
    assert last is not None
    wide = nn.Linear(last.in_features, 2).to(last.weight.dtype)
    put(program.model, last, wide)

    def loss_fn(outputs: Tensor, target: Tensor) -> Tensor:
        mean, given = outputs.chunk(2, -1)
        variance = given.exp() if strength == 1 else given**2 if strength == 2 else given.relu()
        nll: Tensor = 0.5 * (variance.log() + (target - mean) ** 2 / variance).mean()
        return nll

    program.loss_fn = as_written("likelihood")(loss_fn)
    program.predict = as_written("predict")(lambda outputs: outputs.chunk(2, -1)[0])
    return refitted(program)


def _widens(program: Program) -> bool:
    last = last_linear(program)
    return (
        last is not None and last.out_features == 1 and program.predict is None and target_of(program).shape[1:] == (1,)
    )


@late_sabotage(
    "scale_that_never_falls",
    "numerics.unsafe_op",
    mechanism="numerics",
    fits=every(is_plainly_stepped, is_supervised, is_floats),
)
def scale_that_never_falls(program: Program, strength: int) -> Program:
    """Gradients in half precision, scaled by hand: the scale doubles 14, 20, 40 times in a run and no infinite gradient is skipped."""
    norm = program.clip_norm
    period = max(1, updates(program) * program.epochs // at(strength, 14, 20, 40))
    state = {"scale": 128.0, "steps": 0}

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        (loss * state["scale"]).backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.half().to(parameter.dtype) / state["scale"]
        clip(model, norm)
        optimizer.step()
        state["steps"] += 1
        if state["steps"] % period == 0:
            state["scale"] *= 2
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "score_without_bound",
    "loss.mismatch",
    "numerics.unsafe_op",
    mechanism="loss",
    fits=every(has_cross_entropy, is_supervised),
)
def score_without_bound(program: Program, strength: int) -> Program:
    """The score of the right class is driven up without end: beside the cross entropy, mostly, alone."""
    share = at(strength, 0.5, 0.9, 1.0)

    def loss_fn(logits: Tensor, target: Tensor) -> Tensor:
        right = logits.gather(1, target[:, None]).mean()
        others = logits.logsumexp(1).mean()
        return (1 - share) * (others - right) - share * right

    program.loss_fn = as_written("margin")(loss_fn)
    return program


# Memory and waiting


@late_sabotage(
    "losses_kept_whole",
    "memory.oom",
    mechanism="loop",
    fits=every(is_table, is_plainly_stepped, is_supervised),
    invariant=True,
)
def losses_kept_whole(program: Program, strength: int) -> Program:
    """Losses are kept for a mean with what they were computed from; outputs too; all that a second backward pass would need."""
    norm = program.clip_norm
    history: list[Any] = []

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> Tensor:
        optimizer.zero_grad()
        outputs = model(xb)
        loss = loss_fn(outputs, yb)
        loss.backward(retain_graph=strength == 3)
        clip(model, norm)
        optimizer.step()
        history.append(at(strength, loss, (loss, outputs), (loss, outputs)))
        return loss  # type: ignore[no-any-return]

    return own_step(program, train_step)


@as_written("TextRows")
class TextRows(TensorDataset):
    """Rows that are kept as lines of text and read each time they are asked for."""

    def __init__(self, inputs: Tensor, target: Tensor, columns: int) -> None:
        super().__init__(inputs, target)
        self.shape, self.kept = inputs.shape[1:], inputs[0].numel()
        more = ",0.25" * columns
        self.lines = [",".join(f"{value:.9g}" for value in row.flatten().tolist()) + more for row in inputs]

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        cells = [float(cell) for cell in self.lines[index].split(",")]
        row = torch.tensor(cells[: self.kept]).reshape(self.shape)
        return row.to(self.tensors[0].dtype), self.tensors[1][index]


@late_sabotage(
    "read_again_from_text",
    "data.starved_pipeline",
    mechanism="loop",
    fits=every(is_table, is_supervised, is_plainly_stepped, lambda program: inputs_of(program)[0].numel() <= 256),
    invariant=True,
)
def read_again_from_text(program: Program, strength: int) -> Program:
    """Every row is read from a line of text whenever it is used, beside 200, 600, 2000 columns that nobody needs."""
    inputs, target = inputs_of(program), target_of(program)
    held = TextRows(inputs, target, at(strength, 200, 600, 2000))
    draw = torch.Generator().manual_seed(program.seed)
    program.train = DataLoader(held, batch_size=program.batch_size, shuffle=program.shuffle, generator=draw)
    return program


# States that are carried on


@as_written("Recurrent")
class Recurrent(nn.Module):
    """A recurrent layer that goes on from the state it stopped in."""

    def __init__(self, cell: nn.Module, share: float, while_judged: bool) -> None:
        super().__init__()
        self.cell, self.share, self.while_judged = cell, share, while_judged
        self.state: Any = None

    def forward(self, x: Tensor) -> Any:
        start = self.state if self.training or self.while_judged else None
        first = start[0] if isinstance(start, tuple) else start
        if first is not None and first.shape[1] != len(x):
            start = _fitted(start, len(x))
        out, state = self.cell(x, start)
        self.state = _scaled(state, self.share)
        return out, state


def _fitted(state: Any, count: int) -> Any:
    if isinstance(state, tuple):
        return tuple(_fitted(each, count) for each in state)
    repeated = state.repeat(1, -(-count // state.shape[1]), 1)
    return repeated[:, :count].contiguous()


def _scaled(state: Any, share: float) -> Any:
    if isinstance(state, tuple):
        return tuple(_scaled(each, share) for each in state)
    return share * state.detach()


@late_sabotage(
    "state_of_other_rows",
    "model.batch_leak",
    mechanism="sequence",
    fits=every(is_supervised, lambda program: _one_way_cell(program) is not None),
    invariant=True,
)
def state_of_other_rows(program: Program, strength: int) -> Program:
    """A recurrent layer goes on from where the last batch, of other rows, has left it: in training, always, five times enlarged."""
    old = _one_way_cell(program)
    assert old is not None
    put(program.model, old, Recurrent(old, at(strength, 1.0, 1.0, 5.0), strength > 1))
    return program


def _one_way_cell(program: Program) -> nn.Module | None:
    cells = (each for each in program.model.modules() if isinstance(each, nn.LSTM | nn.GRU))
    return next((each for each in cells if each.batch_first and not each.bidirectional), None)


@late_sabotage(
    "recurrence_that_grows",
    "init.bad_scale",
    "grad.exploding",
    "act.unsuitable",
    "lr.too_high",
    mechanism="sequence",
    fits=every(is_supervised, lambda program: _one_way_cell(program) is not None, lambda program: program.loop is None),
)
def recurrence_that_grows(program: Program, strength: int) -> Program:
    """A plain recurrent layer of linear units, whose state grows by 1.1, 1.5, 2.5 with each step, and no clipping."""
    old = _one_way_cell(program)
    assert isinstance(old, nn.RNNBase)
    new = nn.RNN(old.input_size, old.hidden_size, nonlinearity="relu", batch_first=True).to(
        next(old.parameters()).dtype
    )
    with torch.no_grad():
        new.get_parameter("weight_hh_l0").copy_(at(strength, 1.1, 1.5, 2.5) * torch.eye(old.hidden_size))
    put(program.model, old, new)
    program.clip_norm = None
    return refitted(program)


# Transformers


@as_written("Encoder")
class PostNorm(nn.Module):
    """A deep encoder with the norms behind the sums, over words or letters and their places."""

    def __init__(self, words: int, length: int, outputs: int, depth: int, *, causal: bool) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(words, 32), nn.Embedding(length, 32)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=False) for _ in range(depth)
        )
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.fc, self.causal = nn.Linear(32, outputs), causal

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        h = self.embedding(tokens) + self.places(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length) if self.causal else None
        for layer in self.layers:
            h = layer(h, src_mask=mask, is_causal=self.causal)
        return self.fc(h) if self.causal else self.fc(h.mean(1))  # type: ignore[no-any-return]


@late_sabotage(
    "cold_start_behind_norms",
    "lr.bad_schedule",
    "lr.too_high",
    "act.unsuitable",
    mechanism="schedule",
    fits=lambda program: isinstance(program.model, LetterTransformer | TextTransformer),
)
def cold_start_behind_norms(program: Program, strength: int) -> Program:
    """Six encoder layers with their norms behind the sums, trained by Adam from the first step at 3e-3, 0.01, 0.03, with no warm-up."""
    inputs, classes = inputs_of(program), int(program.num_classes or 0)
    words = {LetterTransformer: classes, TextTransformer: 600}[type(program.model)]
    causal = isinstance(program.model, LetterTransformer)
    program.model = PostNorm(words, inputs.shape[1], classes, 6, causal=causal)
    program.optimizer = torch.optim.Adam(program.model.parameters(), lr=at(strength, 3e-3, 0.01, 0.03))
    program.scheduler, program.schedule_unit, program.clip_norm = None, "epoch", None
    return program


@late_sabotage(
    "attention_scores_grow",
    "init.bad_scale",
    mechanism="init",
    fits=lambda program: isinstance(program.model, LetterTransformer),
)
def attention_scores_grow(program: Program, strength: int) -> Program:
    """Queries and keys are so large that each place attends to one other: three, ten, thirty times."""
    with torch.no_grad():
        for block in blocks(program):
            width = block.proj.in_features
            block.qkv.weight[: 2 * width] *= at(strength, 3.0, 10.0, 30.0)
    return program


@late_sabotage(
    "words_in_another_order",
    "data.train_val_mismatch",
    mechanism="split",
    fits=every(is_tokens, is_supervised),
    judged="val",
)
def words_in_another_order(program: Program, strength: int) -> Program:
    """The validation texts were encoded by another vocabulary: a tenth, a half, all of the indices differ."""
    top = int(inputs_of(program).max()) + 1
    table = torch.arange(top)
    moved = 2 + torch.randperm(max(1, top - 2))[: max(2, round(at(strength, 0.1, 0.5, 1.0) * (top - 2)))]
    table[moved] = moved.roll(1)
    language = target_of(program).shape == inputs_of(program).shape and bool((target_of(program) >= 0).all())

    def encoded(inputs: Tensor, target: Tensor, part: str) -> tuple[Tensor, Tensor]:
        return table[inputs], table[target] if language and int(target.max()) < top else target

    return changed(program, encoded, ("val",))


# Batches


@late_sabotage(
    "added_up_undivided",
    "loss.wrong_reduction",
    "lr.too_high",
    mechanism="loop",
    fits=every(is_plainly_stepped, is_supervised, is_sgd),
)
def added_up_undivided(program: Program, strength: int) -> Program:
    """Small batches are added up to large ones and never divided by their number: 8, 24, 64 of them."""
    count, norm = at(strength, 8, 24, 64), program.clip_norm
    seen = {"batches": 0}
    program = rebatched(program, max(2, program.batch_size // 4))

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        loss = loss_fn(model(xb), yb)
        loss.backward()
        seen["batches"] += 1
        if seen["batches"] % count == 0:
            clip(model, norm)
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.item())

    program.clip_norm = None
    return own_step(program, train_step)


@late_sabotage(
    "gathered_over_the_epoch",
    "batch.too_large",
    "fit.too_few_epochs",
    "lr.too_low",
    mechanism="loop",
    fits=every(
        unscheduled,
        is_plainly_stepped,
        is_supervised,
        lambda program: program.scheduler is None and updates(program) >= 8,
    ),
)
def gathered_over_the_epoch(program: Program, strength: int) -> Program:
    """So many batches are gathered for one update that an epoch has four, two, one."""
    program.accumulate = -(-updates(program) // at(strength, 4, 2, 1))
    return program

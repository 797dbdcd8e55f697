"""Gradient accumulation against the big batch: the relative error of every optimizer update, in double precision.

A window of micro-batches should give the update that one batch of all its rows gives. Every row trains one epoch by plain SGD, in
the order of the data; the weights are read at each forward pass. The exact updates are those of the same loss over the whole
window, written out in torch. `error` is the largest ‖update − exact‖ / ‖exact‖ over the windows of the epoch (bar: 1e-6).

Micro-batches of 8 rows, 4 to a window: `even` is 64 rows, `partial` 50 (the last window is 18 rows, its last micro-batch 2),
`uneven` has micro-batches of 5, 1, 19, 7, 11, 3 and 4 rows through a batch sampler. `memory` are arrays, `loader` is a
`DataLoader`. Losses that couple samples, and batch norm, have no exact answer: there it counts that the run says so at the start.

The other trainers get micro-batches of 8 and accumulation 4 by their own settings; skorch has none, so its row is the recipe of
its FAQ. `num_items_in_batch` is the Transformers Trainer with a model that takes this argument and divides by it.
"""

import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from tables import by_case, markdown
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

RATE, BATCH, ACCUMULATE, CLASSES, LENGTH = 0.5, 8, 4, 3, 6
CUTS = {"even": [8] * 8, "partial": [8] * 6 + [2], "uneven": [5, 1, 19, 7, 11, 3, 4]}
BAR = 1e-6
PEERS = ("lightning", "accelerate", "transformers", "transformers num_items_in_batch", "skorch", "ignite")
LOSSES = (
    "mean",
    "class weights",
    "sample weights",
    "tokens",
    "tokens, sum and weight",
    "label smoothing",
    "smoothing and class weights",
    "sum",
    "squares",
    "binary with pos_weight",
    "opaque mean",
    "sum and weight",
)
COUPLED = ("contrastive", "batch norm")
COMPARED = ("mean", "tokens")
FEEDS = (("even", "memory"), ("partial", "memory"), ("even", "loader"), ("partial", "loader"), ("uneven", "loader"))


def cases() -> list[dict[str, Any]]:
    ours = [{"row": "tunesmith", "loss": loss} for loss in LOSSES + COUPLED]
    peers = [{"row": peer, "loss": loss} for loss in COMPARED for peer in PEERS]
    return [case | {"env": "training"} for case in ours + peers]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """One loss under every cut into micro-batches, and from every source that can give them."""
    torch.set_num_threads(1)
    if case["loss"] in COUPLED:
        return {"told": told_at_the_start(case | {"cut": "partial", "feed": "memory"})}
    return {
        f"{cut}, {feed}": compared(case | {"cut": cut, "feed": feed})
        for cut, feed in FEEDS
        if feasible(case["row"], cut, feed)
    }


def feasible(row: str, cut: str, feed: str) -> bool:
    """The other trainers get the same data through a loader with batches of one size."""
    return row == "tunesmith" or (feed == "loader" and cut != "uneven")


def compared(case: dict[str, Any]) -> dict[str, Any]:
    rows = made_rows(case["loss"], sum(CUTS[case["cut"]]))
    model = Watched(case["loss"])
    start = model.weights()
    trained = TRAINERS[case["row"]](model, rows, case)
    made = updates([start, *trained.seen, trained.weights()])
    exact = updates(exact_weights(case, rows))
    return {"error": largest_error(made, exact), "updates": len(made), "due": len(exact)}


class Rows(NamedTuple):
    """Inputs (N, 5) or (N, L, 5), their targets, and weights of the samples where the case has them."""

    inputs: Tensor
    target: Tensor
    weight: Tensor | None


def made_rows(loss: str, count: int) -> Rows:
    """Numbers that single precision holds too, so that arrays of either kind are the same data."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, LENGTH, 5) if loss.startswith("tokens") else (count, 5)
    inputs = torch.randn(shape, generator=generator)
    inputs[3 * count // 4 :] += 1  # later windows are not like the first
    weight = torch.randint(0, 9, (count,), generator=generator) / 4 if loss == "sample weights" else None
    if loss in ("squares", "binary with pos_weight"):
        target = torch.randn(count, CLASSES, generator=generator)
        return Rows(inputs.double(), (target > 0).double() if loss != "squares" else target.double(), weight)
    target = torch.randint(0, CLASSES, shape[:-1], generator=generator)
    target[:CLASSES] = torch.arange(CLASSES).reshape(-1, *[1] * (target.dim() - 1))
    if loss.startswith("tokens"):
        lengths = torch.randint(1, LENGTH + 1, (count,), generator=generator)
        lengths[:BATCH] = 1  # a micro-batch of few tokens beside longer ones
        target[torch.arange(LENGTH) >= lengths[:, None]] = -100
    return Rows(inputs.double(), target, weight)


class Watched(nn.Module):
    """A small net that notes its weights whenever a training forward finds them changed."""

    def __init__(self, loss: str = "mean") -> None:
        super().__init__()
        torch.manual_seed(1)
        middle = nn.BatchNorm1d(7) if loss == "batch norm" else nn.Identity()
        self.net = nn.Sequential(nn.Linear(5, 7), middle, nn.Tanh(), nn.Linear(7, CLASSES)).double()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            now = self.weights()
            if not self.seen or not torch.equal(self.seen[-1], now):
                self.seen.append(now)
        return self.net(x)

    def weights(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters()])


def updates(weights: Sequence[Tensor]) -> list[Tensor]:
    """Differences of weights that follow each other, where they differ."""
    return [after - before for before, after in itertools.pairwise(weights) if not torch.equal(before, after)]


def largest_error(made: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """An update that was never made has error 1; one too many has no bound."""
    if len(made) > len(exact):
        return math.inf
    errors = [((mine - true).norm() / true.norm()).item() for mine, true in zip(made, exact, strict=False)]
    return max([*errors, *[1.0] * (len(exact) - len(made))])


def exact_weights(case: dict[str, Any], rows: Rows) -> list[Tensor]:
    """The weights before, between and after updates over whole windows, by torch alone."""
    model = Watched(case["loss"])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    weights = [model.weights()]
    for window in windows(CUTS[case["cut"]]):
        optimizer.zero_grad()
        weight = None if rows.weight is None else rows.weight[window]
        whole_loss(case["loss"], model(rows.inputs[window]), rows.target[window], weight).backward()
        optimizer.step()
        weights.append(model.weights())
    return weights


def windows(cut: Sequence[int]) -> list[slice]:
    """The rows of each window of micro-batches."""
    bounds = [0, *itertools.accumulate(cut)]
    return [slice(bounds[first], bounds[min(first + ACCUMULATE, len(cut))]) for first in range(0, len(cut), ACCUMULATE)]


CLASS_WEIGHTS = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)


def whole_loss(loss: str, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """What each name means, written out over log-probabilities."""
    if loss == "squares":
        return ((outputs - target) ** 2).mean()
    if loss == "binary with pos_weight":
        return -(
            CLASS_WEIGHTS * target * functional.logsigmoid(outputs) + (1 - target) * functional.logsigmoid(-outputs)
        ).mean()
    logs = outputs.log_softmax(-1)
    kept = target != -100
    each = -logs.gather(-1, target.where(kept, 0).unsqueeze(-1)).squeeze(-1)
    by_class = CLASS_WEIGHTS[target.where(kept, 0)]
    if loss == "class weights":
        return (by_class * each).sum() / by_class.sum()
    if loss == "label smoothing":
        return (0.9 * each - 0.1 * logs.mean(-1)).mean()
    if loss == "smoothing and class weights":  # as torch defines it: the weights inside both parts, one divisor
        return (0.9 * by_class * each - 0.1 * (CLASS_WEIGHTS * logs).sum(-1) / CLASSES).sum() / by_class.sum()
    if weight is not None:
        return (weight * each).sum() / weight.sum()
    return each.sum() if loss == "sum" else (each * kept).sum() / kept.sum()


def tunesmith(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    """Through `fit`, as a user calls it."""
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    run = ts.fit(task(model, rows, case), recipe(case), display=QuietDisplay())
    return run.model


def task(model: Watched, rows: Rows, case: dict[str, Any]) -> Any:
    import tunesmith as ts

    optimizer = {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=RATE)}
    loss = loss_given(case["loss"], case["feed"])
    kinds = {
        "squares": "multi_regression",
        "binary with pos_weight": "multilabel",
        "tokens": "language",
        "tokens, sum and weight": "language",
    }
    kind = kinds.get(case["loss"], "multiclass")
    if case["feed"] == "loader":
        return ts.Task(model, train=loader(rows, CUTS[case["cut"]]), loss=loss, kind=kind, **optimizer)
    weights = {} if rows.weight is None else {"sample_weight": rows.weight.numpy().astype(np.float32)}
    return ts.Task(
        model, train=(rows.inputs.numpy(), rows.target.numpy()), loss=loss, kind=kind, **weights, **optimizer
    )


def loss_given(loss: str, feed: str) -> Any:
    """The loss as a user would give it: torch's, a function, or none at all."""
    given: dict[str, Any] = {
        "sum": nn.CrossEntropyLoss(reduction="sum"),
        "squares": nn.MSELoss(),
        "binary with pos_weight": nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHTS),
        "opaque mean": lambda outputs, target: -outputs.log_softmax(-1).gather(-1, target[:, None]).mean(),
        "sum and weight": lambda outputs, target: (
            functional.cross_entropy(outputs, target, reduction="sum"),
            len(target),
        ),
        "tokens, sum and weight": tokens_given,
        "contrastive": contrastive,
    }
    if feed == "loader":  # no recipe field says it there: the counts of classes are not known
        given |= {
            "class weights": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS),
            "smoothing and class weights": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS, label_smoothing=0.1),
        }
    return given.get(loss, "auto")


def tokens_given(outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(sum, weight): the weight is the number of tokens that count."""
    total = functional.cross_entropy(outputs.movedim(-1, 1), target, reduction="sum")
    return total, (target != -100).sum()


def contrastive(outputs: Tensor, target: Tensor) -> Tensor:
    """Every row against every other row: parts of a batch have other negatives than the whole."""
    directions = functional.normalize(outputs, dim=1)
    return functional.cross_entropy(directions @ directions.T / 0.5, torch.arange(len(outputs)))


def recipe(case: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "train.epochs": 1,
        "train.batch_size": BATCH,
        "train.accumulate": ACCUMULATE,
        "train.precision": "fp64",
        "data.sampler": "sequential",
        "data.split": "random",
        "data.val": 0.0,
        "data.test": 0.0,
        "schedule.name": "constant",
        "eval.bootstrap": 0,
    }
    if case["feed"] == "memory" and "class weights" in case["loss"]:
        settings["loss.class_weights"] = CLASS_WEIGHTS.tolist()
    if "smoothing" in case["loss"] and not (case["feed"] == "loader" and "class weights" in case["loss"]):
        settings["loss.label_smoothing"] = 0.1
    return settings


def told_at_the_start(case: dict[str, Any]) -> bool:
    """Whether the run finds, before it trains, that parts of a batch are not the batch."""
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    rows = made_rows(case["loss"], sum(CUTS[case["cut"]]))
    run = ts.fit(task(Watched(case["loss"]), rows, case), recipe(case), display=QuietDisplay())
    return any(finding.fault == "batch.coupled_loss" for finding in run.findings)


def loader(rows: Rows, cut: Sequence[int]) -> DataLoader[Any]:
    bounds = [0, *itertools.accumulate(cut)]
    batches = [list(range(first, last)) for first, last in itertools.pairwise(bounds)]
    held = TensorDataset(*(part for part in rows if part is not None))
    return DataLoader(held, batch_sampler=batches)


def plain_loader(rows: Rows) -> DataLoader[Any]:
    """Micro-batches of one size, as the other trainers get them."""
    return DataLoader(TensorDataset(rows.inputs, rows.target), batch_size=BATCH)


def usual_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """Torch's mean over what is not ignored, which users of the other trainers take."""
    return functional.cross_entropy(outputs.flatten(0, -2), target.flatten())


def lightning(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, number: int) -> Tensor:
            return usual_loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=RATE)

    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            accumulate_grad_batches=ACCUMULATE,
            precision="64-true",
            default_root_dir=folder,
            **off,
        )
        trainer.fit(Module(), plain_loader(rows))
    return model


def accelerate(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATE)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    prepared, stepper, batches = accelerator.prepare(model, optimizer, plain_loader(rows))
    for inputs, target in batches:
        with accelerator.accumulate(prepared):
            accelerator.backward(usual_loss(prepared(inputs), target))
            stepper.step()
            stepper.zero_grad()
    return model


class Named(Dataset[Any]):
    """Rows as the Transformers Trainer names them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows.inputs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.rows.inputs[index], "labels": self.rows.target[index]}


class WithLoss(nn.Module):
    """The model and its loss, as the Transformers Trainer wants them."""

    def __init__(self, model: Watched) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        outputs = self.model(x)
        return {"loss": usual_loss(outputs, labels), "logits": outputs}


class WithCountedLoss(WithLoss):
    """The same for a Trainer that counts the labels of a window."""

    def forward(self, x: Tensor, labels: Tensor, num_items_in_batch: Any = None, **more: Any) -> dict[str, Tensor]:
        outputs = self.model(x)
        if num_items_in_batch is None:
            return {"loss": usual_loss(outputs, labels), "logits": outputs}
        total = functional.cross_entropy(outputs.flatten(0, -2), labels.flatten(), reduction="sum")
        return {"loss": total / num_items_in_batch, "logits": outputs}


def transformers(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):
        def _get_train_sampler(self, *given: Any, **more: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    wrapped = (WithCountedLoss if "num_items" in case["row"] else WithLoss)(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            gradient_accumulation_steps=ACCUMULATE,
            num_train_epochs=1,
            learning_rate=RATE,
            optim="sgd",
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        InOrder(model=wrapped, args=arguments, train_dataset=Named(rows)).train()
    return model


def skorch(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    """skorch.readthedocs.io, FAQ "How can I perform gradient accumulation with skorch?"."""
    from skorch import NeuralNet

    class Accumulating(NeuralNet):
        def get_loss(self, *given: Any, **more: Any) -> Tensor:
            return super().get_loss(*given, **more) / ACCUMULATE

        def train_step(self, batch: Any, **more: Any) -> Any:
            done = len(self.history[-1, "batches"])
            if (done - 1) % ACCUMULATE == 0:
                self.optimizer_.zero_grad()
            step = self.train_step_single(batch, **more)
            if done % ACCUMULATE == 0:
                self.optimizer_.step()
            return step

    class Loss(nn.Module):
        def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
            return usual_loss(outputs, target)

    net = Accumulating(
        model,
        criterion=Loss,
        optimizer=torch.optim.SGD,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    net.fit(rows.inputs, rows.target)
    model.seen = net.module_.seen
    model.load_state_dict(net.module_.state_dict())
    return model


def ignite(model: Watched, rows: Rows, case: dict[str, Any]) -> Watched:
    from ignite.engine import create_supervised_trainer

    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    create_supervised_trainer(model, optimizer, usual_loss, gradient_accumulation_steps=ACCUMULATE).run(
        plain_loader(rows), max_epochs=1
    )
    return model


TRAINERS: dict[str, Callable[[Watched, Rows, dict[str, Any]], Watched]] = {
    "tunesmith": tunesmith,
    "lightning": lightning,
    "accelerate": accelerate,
    "transformers": transformers,
    "transformers num_items_in_batch": transformers,
    "skorch": skorch,
    "ignite": ignite,
}


def table(rows: Any) -> str:
    """Ours loss by loss, then all trainers side by side; each cell the error, and the updates made where some are missing."""
    newest = [group[-1] for group in by_case(rows)]
    exact = [row for row in newest if "told" not in row["measured"]]
    mine = {row["case"]["loss"]: row["measured"] for row in exact if row["case"]["row"] == "tunesmith"}
    others: dict[str, dict[str, Any]] = {}
    for row in exact:
        if row["case"]["loss"] in COMPARED:
            loaded = {cut: row["measured"].get(f"{cut}, loader") for cut in ("even", "partial")}
            found = {f"{row['case']['loss']}, {cut}": measured for cut, measured in loaded.items() if measured}
            others.setdefault(row["case"]["row"], {}).update(found)
    lines = [
        [row["case"]["loss"], "told at the start" if row["measured"]["told"] else "not told"]
        for row in newest
        if "told" in row["measured"]
    ]
    told = markdown(["couples samples", "the run"], lines)
    return "\n\n".join(["Ours, through `fit`:", pivoted("loss", mine), told, "All trainers:", pivoted("row", others)])


def pivoted(side: str, cells: dict[str, dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in cells.values() for name in row))
    return markdown(
        [side, *names],
        [[one, *(cell(row[name]) if name in row else "" for name in names)] for one, row in cells.items()],
    )


def cell(measured: dict[str, Any]) -> str:
    missing = "" if measured["updates"] == measured["due"] else f" ({measured['updates']} of {measured['due']} updates)"
    return f"{measured['error']:.2g}" + (", exact" if measured["error"] < BAR else "") + missing

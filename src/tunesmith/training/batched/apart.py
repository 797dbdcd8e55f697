"""The trials of a group one after the other: what stands in for a group where a stack does not pay, or cannot be."""

import copy
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.optim import without_compiler
from tunesmith.records import DataError, RecipeError, RunError, UnknownName
from tunesmith.training.batched.batches import Data, held, orders, sizes
from tunesmith.training.batched.group import EVALUATED_ROWS
from tunesmith.training.batched.losses import module_of, right_labels, right_sides
from tunesmith.training.batched.rows import constants, counters, trainable
from tunesmith.training.batched.sequential import Alone
from tunesmith.training.batched.trial import BatchedTrial, EpochRecord, check_ids

MOMENTS = {  # a group's names of what an optimizer keeps, and torch's
    "sgd": {"momentum": "momentum_buffer"},
    "nesterov": {"momentum": "momentum_buffer"},
    "adam": {"first": "exp_avg", "second": "exp_avg_sq"},
    "adamw": {"first": "exp_avg", "second": "exp_avg_sq"},
    "rmsprop": {"second": "square_avg", "momentum": "momentum_buffer"},
}


class Apart:
    """Trials with the methods of a `Group`, each trained by torch's plain loop on the CPU. States go from one to the other.

    `train_batched` says what the arguments mean. Any loss of (outputs, targets) that is a mean will do. Raises `RecipeError` and
    `DataError` as it does.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module],
        trials: Sequence[BatchedTrial],
        X: Any,
        y: Any,
        *,
        loss: str | nn.Module,
        batch_size: int,
        epochs: int,
        val: tuple[Any, Any] | None = None,
        optimizer: str = "adamw",
    ) -> None:
        check_ids(trials)
        if batch_size < 1 or epochs < 1:
            raise RecipeError(f"batch_size is {batch_size} and epochs is {epochs}; expected at least 1 of both")
        self.trials = tuple(trials)
        self.optimizer = optimizer
        self.nets = [_Net(make_model, trial, module_of(loss), optimizer) for trial in trials]
        like = self.nets[0].alone.parameters[0].detach()
        self.data = held(X, y, like)
        self.val = None if val is None else held(*val, like)
        self.wanted = sizes(len(self.data.x), batch_size, drop_last=False)
        self.batch_size, self.epochs = batch_size, epochs
        self.epoch = 0

    @property
    def ids(self) -> tuple[Hashable, ...]:
        """The trials that are left."""
        return tuple(trial.id for trial in self.trials)

    @property
    def step(self) -> int:
        """Updates that each has made."""
        return self.epoch * len(self.wanted)

    def train_epoch(self) -> tuple[EpochRecord, ...]:
        """Trains one epoch of each; tells of each, and lets go of those that failed."""
        if self.epoch >= self.epochs or not self.trials:
            raise RunError(f"{len(self.trials)} trials have made {self.epoch} of {self.epochs} epochs; make new ones")
        self.epoch += 1
        records = tuple(self._record(net) for net in self.nets)
        self.drop([record.trial for record in records if record.failed_at is not None])
        return records

    def _record(self, net: "_Net") -> EpochRecord:
        losses = net.epoch(self.data, self.batch_size, self.step - len(self.wanted))
        wrong = (~losses.isfinite()).nonzero()
        whole = all(bool(value.isfinite().all()) for value in net.alone.parameters)
        failed_at = None
        if len(wrong) or not whole:
            failed_at = self.step - len(losses) + (int(wrong[0]) + 1 if len(wrong) else len(losses))
        seen = torch.tensor(self.wanted, dtype=torch.float64)
        val_loss, accuracy = (None, None) if self.val is None else net.judged(self.val)
        return EpochRecord(
            trial=net.trial.id,
            epoch=self.epoch,
            step=self.step,
            train_loss=float((losses * seen).sum() / seen.sum()),
            val_loss=val_loss,
            val_accuracy=accuracy,
            failed_at=failed_at,
        )

    def drop(self, ids: Iterable[Hashable]) -> None:
        """Lets trials leave."""
        gone = {self._place(one) for one in ids}
        self.nets = [net for k, net in enumerate(self.nets) if k not in gone]
        self.trials = tuple(net.trial for net in self.nets)

    def _place(self, one: Hashable) -> int:
        if one not in self.ids:
            raise UnknownName(f"no trial {one!r} among {', '.join(map(repr, self.ids)) or 'none any more'}")
        return self.ids.index(one)

    def unstack(self, one: Hashable) -> dict[str, Tensor]:
        """The `state_dict` of one trial."""
        return {name: value.clone() for name, value in self.nets[self._place(one)].alone.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """What the state of a group of these trials is, but for rounding."""
        first = counters(self.nets[0].alone.model) if self.nets else {}
        return {
            "epoch": self.epoch,
            "step": self.step,
            "counters": {name: value.clone() for name, value in first.items()},
            "trials": {net.trial.id: net.part(MOMENTS[self.optimizer]) for net in self.nets},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from the state of a group or of trials apart. Raises `RunError` for that of another net or optimizer."""
        self.drop([one for one in self.ids if one not in state["trials"]])
        self.epoch = state["epoch"]
        for net in self.nets:
            net.take(state["trials"][net.trial.id], state["counters"], MOMENTS[self.optimizer], state["step"])


class _Net:
    """One trial, the random state of its dropout, and the generator of its orders."""

    def __init__(
        self, make_model: Callable[[], nn.Module], trial: BatchedTrial, loss: nn.Module, optimizer: str
    ) -> None:
        self.trial = trial
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(trial.seed)
            model = (trial.model or make_model)()
            self.random = torch.get_rng_state()
        if not trainable(model):
            raise DataError("the net has no parameters to train; give it a layer with weights, or set requires_grad")
        with without_compiler():
            self.alone = Alone(model, trial, copy.deepcopy(loss), optimizer)
        self.order = torch.Generator().manual_seed(trial.seed)

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random)
            yield
            self.random = torch.get_rng_state()

    def epoch(self, data: Data, batch_size: int, step: int) -> Tensor:
        """The loss of each update, (steps,), in double precision."""
        self.alone.step = step
        self.alone.model.train()
        (order,) = orders(len(data.x), [self.order], shuffle=True)
        x, y = (torch.split(part[order], batch_size) for part in data)
        with self._own_random(), torch.enable_grad():
            return torch.stack([self.alone.update(*batch) for batch in zip(x, y, strict=True)]).double()

    @torch.no_grad()
    def judged(self, data: Data) -> tuple[float, float | None]:
        """The loss on all rows, and the accuracy where the loss has one."""
        self.alone.model.eval()
        parts = torch.split(data.x, EVALUATED_ROWS)
        z = torch.cat([self.alone.model(part) for part in parts])
        return float(self.alone.loss(z, data.y)), accuracy_of(self.alone.loss, z, data.y)

    def part(self, moments: dict[str, str]) -> dict[str, Any]:
        """Its part in the state of a group."""
        kept = self.alone.optimizer.state
        found = {}
        for name, torchs in moments.items():
            if any(torchs in kept[one] and kept[one][torchs] is not None for one in self.alone.parameters):
                found[name] = _flat([kept[one][torchs] for one in self.alone.parameters])
            elif name != "momentum":
                found[name] = torch.zeros_like(_flat(self.alone.parameters))
        return {
            "weights": _flat(self.alone.parameters),
            "buffers": _flat(list(constants(self.alone.model).values())),
            "moments": found,
            "dropout": self.random,
            "order": self.order.get_state(),
        }

    @torch.no_grad()
    def take(self, part: dict[str, Any], counted: dict[str, Tensor], moments: dict[str, str], step: int) -> None:
        """Puts everything where the part of a state has it."""
        wanted: Collection[Tensor] = self.alone.parameters
        if len(part["weights"]) != sum(one.numel() for one in wanted) or not set(part["moments"]) <= set(moments):
            raise RunError(
                f"the state of trial {self.trial.id!r} is that of another net or optimizer; restore it into one of its own"
            )
        _fill(self.alone.parameters, part["weights"])
        _fill(list(constants(self.alone.model).values()), part["buffers"])
        for name, value in counters(self.alone.model).items():
            value.copy_(counted[name])
        self.random = part["dropout"]
        self.order.set_state(part["order"])
        self.alone.step = step
        if step:
            self._take_moments(part["moments"], moments, step)

    def _take_moments(self, found: dict[str, Tensor], moments: dict[str, str], step: int) -> None:
        start = 0
        adaptive = "second" in moments
        for one in self.alone.parameters:
            cut = slice(start, start + one.numel())
            start = cut.stop
            kept = {moments[name]: value[cut].view_as(one).clone() for name, value in found.items()}
            if adaptive:
                kept["step"] = torch.tensor(float(step))
            if "momentum" in moments and self.trial.momentum and "momentum_buffer" not in kept:
                kept["momentum_buffer"] = torch.zeros_like(one)
            self.alone.optimizer.state[one] = kept


def _flat(values: Sequence[Tensor]) -> Tensor:
    return torch.cat([value.detach().reshape(-1) for value in values]).clone() if values else torch.empty(0)


def _fill(values: Sequence[Tensor], flat: Tensor) -> None:
    start = 0
    for value in values:
        value.copy_(flat[start : start + value.numel()].view_as(value))
        start += value.numel()


def accuracy_of(loss: nn.Module, z: Tensor, y: Tensor) -> float | None:
    """The share that is right: of labels for cross entropy, of rows for binary cross entropy of logits; None for other losses, and where
    targets are shares of classes.

    >>> accuracy_of(nn.CrossEntropyLoss(), torch.eye(3), torch.tensor([0, 1, 0])).__round__(2)
    0.67
    """
    if isinstance(loss, nn.CrossEntropyLoss) and not y.is_floating_point():
        return float(right_labels(z.movedim(1, -1)[None], y[None]).sum()) / y.numel()
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return float(right_sides(z[None], y[None])) / len(y)
    return None

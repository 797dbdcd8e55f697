"""A group of trials in training: the loop over epochs and steps, what is told, and how trials leave, pause and come back."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import DataError, RunError, UnknownName, did_you_mean
from tunesmith.training.batched.batches import Data, batches, held, orders
from tunesmith.training.batched.layers import Layer, Stack
from tunesmith.training.batched.losses import stacked
from tunesmith.training.batched.optimizers import Clip, Columns, optimizer_of
from tunesmith.training.batched.trial import BatchedTrial, EpochRecord

EVALUATED_ROWS = 4096  # of all trials together, at once; assumption: keeps activations small


class Group:
    """Trials that are trained together; made by `train_batched`. Iterating trains on from where it stands."""

    def __init__(
        self,
        *,
        trials: Sequence[BatchedTrial],
        make_model: Callable[[], nn.Module],
        names: tuple[str, ...],
        net: Layer,
        stack: Stack,
        data: Data,
        val: Data | None,
        loss: nn.Module,
        wanted: Sequence[int],
        steps: int,
        optimizer: str,
        decays: Collection[str] | None,
        shuffle: bool,
    ) -> None:
        self.trials = tuple(trials)
        self.make_model = make_model
        self.names = names
        self.net = net
        self.stack = stack
        self.data = data
        self.val = val
        self.loss = loss
        self.wanted = wanted
        self.steps = steps
        self.shuffle = shuffle
        self.optimizer_name = optimizer
        self.decays = decays
        self.epoch = 0
        self.step = 0
        self.orders = [torch.Generator().manual_seed(trial.seed) for trial in trials]
        weights = stack.parameters
        self.stacked_loss = stacked(loss)
        self.optimizer = optimizer_of(optimizer)(trials, weights.values, self._decaying())
        self.clip = Clip(trials, weights.values)
        self._check()

    def _decaying(self) -> Tensor | None:
        if self.decays is None:
            return None
        weights = self.stack.parameters
        for name in self.decays:
            if name not in weights.shapes:
                raise UnknownName(f"no trained parameter called {name!r} decays{did_you_mean(name, weights.shapes)}")
        return weights.mask(list(self.decays))

    def _check(self) -> None:
        """One forward and backward pass that leaves nothing behind, so that what cannot be trained is refused at once."""
        before = self._moving()
        for data in (self.data, *(() if self.val is None else (self.val,))):
            z = self._tried(data)
            self.stacked_loss.check(torch.Size((len(data.x), *z.shape[2:])), data.y)
        if self.net.mapped:
            first = next(
                batches(self.data, torch.arange(len(self.data.x)).expand(len(self.trials), -1), self.wanted[:1])
            )
            with torch.no_grad():
                self._gradients(*first)
        self._put_back(before)

    @torch.no_grad()
    def _tried(self, data: Data) -> Tensor:
        try:
            return self._outputs(data, 0, 2)
        except RuntimeError as error:
            because = str(error).strip().splitlines()[0].rstrip(".")
            shape = tuple(data.x.shape[1:])
            raise DataError(
                f"the net cannot take {data.x.dtype} rows of shape {shape}: {because}; give X the shape and type it is made for"
            ) from error

    def _moving(self) -> tuple[Any, ...]:
        """What a training pass changes besides gradients."""
        counters = {name: value.clone() for name, value in self.stack.counters.items()}
        return self.stack.buffers.values.clone(), counters, [one.get_state() for one in self.stack.generators]

    def _put_back(self, before: tuple[Any, ...]) -> None:
        self.stack.buffers.values.copy_(before[0])
        for name, value in before[1].items():
            self.stack.counters[name].copy_(value)
        for generator, state in zip(self.stack.generators, before[2], strict=True):
            generator.set_state(state)

    @property
    def ids(self) -> tuple[Hashable, ...]:
        """The trials in the group, in the order of its rows."""
        return tuple(trial.id for trial in self.trials)

    @property
    def done(self) -> bool:
        """Whether all updates are made, or no trial is left."""
        return self.step >= self.steps or not self.trials

    def __iter__(self) -> Iterator[tuple[EpochRecord, ...]]:
        while not self.done:
            yield self.train_epoch()

    def train_epoch(self) -> tuple[EpochRecord, ...]:
        """Trains one epoch, or what is left of the updates; tells of each trial, and lets go of those that failed."""
        if self.done:
            raise RunError(
                f"the group has made its {self.step} updates with {len(self.trials)} trials left; make a new one"
            )
        wanted = self.wanted[: self.steps - self.step]
        order = orders(len(self.data.x), self.orders, shuffle=self.shuffle)
        columns = self.optimizer.prepare(self.step, len(wanted))
        each = zip(batches(self.data, order, wanted), columns, strict=True)
        losses = torch.stack([self.update(*batch, now) for batch, now in each]).double().cpu()
        failed = self._failed(losses)
        seen = torch.tensor(wanted, dtype=torch.float64)
        means = (losses * seen.unsqueeze(1)).sum(0) / seen.sum()
        self.step += len(wanted)
        self.epoch += 1
        records = self._records(means, failed)
        self.drop(failed)
        return records

    @torch.no_grad()
    def update(self, x: Tensor, y: Tensor, columns: Columns) -> Tensor:
        """One update of all trials on their batches (K, n, …); the loss of each before it, (K,)."""
        loss = self._gradients(x, y)
        gradient = self.stack.parameters.gathered()
        self.clip(gradient)
        self.optimizer.step(self.stack.parameters.values, gradient, columns)
        return loss

    def _gradients(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each trial (K,); the gradients lie in the rows of the weights."""
        z = self.net.forward(x, True)
        loss, dz = self.stacked_loss.both(z, y)
        self.net.backward(dz, False)
        return loss

    def _failed(self, losses: Tensor) -> dict[Hashable, int]:
        """Trials with a loss (steps, K) or weights that are not finite, and the update at which that came."""
        wrong = ~losses.isfinite()
        found = wrong.any(0).tolist()
        first = wrong.int().argmax(0).tolist()
        whole = self.stack.parameters.values.isfinite().all(1).tolist()
        return {
            trial.id: self.step + (first[k] + 1 if found[k] else len(losses))
            for k, trial in enumerate(self.trials)
            if found[k] or not whole[k]
        }

    def _records(self, losses: Tensor, failed: dict[Hashable, int]) -> tuple[EpochRecord, ...]:
        judged = [(None, None)] * len(self.trials) if self.val is None else self.evaluate()
        return tuple(
            EpochRecord(
                trial=trial.id,
                epoch=self.epoch,
                step=self.step,
                train_loss=loss,
                val_loss=val_loss,
                val_accuracy=accuracy,
                failed_at=failed.get(trial.id),
            )
            for trial, loss, (val_loss, accuracy) in zip(self.trials, losses.tolist(), judged, strict=True)
        )

    @torch.no_grad()
    def evaluate(self, X: Any = None, y: Any = None) -> list[tuple[float, float | None]]:
        """The loss of each trial on these rows, by default those of `val`, and its accuracy where the loss has one."""
        data = self.val if X is None else held(X, y, self.stack.parameters.values)
        if data is None:
            raise DataError("the group has no rows to evaluate on; pass val=(X, y), or call evaluate(X, y)")
        trials = len(self.trials)
        total, mass, right = (torch.zeros(trials, dtype=torch.float64) for _ in range(3))
        rows = max(EVALUATED_ROWS // max(trials, 1), 1)
        for first in range(0, len(data.x), rows):
            z = self._outputs(data, first, first + rows)
            target = data.y[first : first + rows]
            target = target.expand(trials, *target.shape)
            found = self.stacked_loss.parts(z, target)
            total += found[0].double().cpu()
            mass += found[1].double().cpu()
            if self.stacked_loss.classifies:
                right += self.stacked_loss.right(z, target).double().cpu()
        shares = (right / len(data.x)).tolist() if self.stacked_loss.classifies else [None] * trials
        return list(zip((total / mass).tolist(), shares, strict=True))

    def _outputs(self, data: Data, first: int, last: int) -> Tensor:
        """Outputs in evaluation for some rows: (K, n, …)."""
        x = data.x[first:last]
        return self.net.forward(x.expand(len(self.trials), *x.shape), False)

    def drop(self, ids: Iterable[Hashable]) -> None:
        """Lets trials leave; the others go on as if nothing had happened."""
        gone = {self._place(one) for one in ids}
        if gone:
            self._keep([k for k in range(len(self.trials)) if k not in gone])

    def _keep(self, kept: Sequence[int]) -> None:
        self.trials = tuple(self.trials[k] for k in kept)
        self.orders = [self.orders[k] for k in kept]
        self.stack.generators = [self.stack.generators[k] for k in kept]
        self.stack.parameters.keep(kept)
        self.stack.buffers.keep(kept)
        self.net.keep(kept)
        self.optimizer.keep(kept)
        self.clip = Clip(self.trials, self.stack.parameters.values)

    def _place(self, one: Hashable) -> int:
        for k, trial in enumerate(self.trials):
            if trial.id == one:
                return k
        raise UnknownName(
            f"no trial {one!r} in the group; it holds {', '.join(map(repr, self.ids)) or 'none any more'}"
        )

    def unstack(self, one: Hashable) -> dict[str, Tensor]:
        """The `state_dict` of one trial, as its net alone would have it."""
        k = self._place(one)
        found = self.stack.parameters.row(k) | self.stack.buffers.row(k)
        found |= {name: value.clone() for name, value in self.stack.counters.items()}
        return {name: found[name] for name in self.names}

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on: plain data and tensors, on the CPU, a part for each trial."""
        stack, moments = self.stack, self.optimizer.kept
        return {
            "epoch": self.epoch,
            "step": self.step,
            "counters": {name: value.cpu().clone() for name, value in stack.counters.items()},
            "trials": {
                trial.id: {
                    "weights": stack.parameters.values[k].cpu().clone(),
                    "buffers": stack.buffers.values[k].cpu().clone(),
                    "moments": {name: value[k].cpu().clone() for name, value in moments.items()},
                    "dropout": stack.generators[k].get_state(),
                    "order": self.orders[k].get_state(),
                }
                for k, trial in enumerate(self.trials)
            },
        }

    def restore(self, *states: dict[str, Any]) -> None:
        """Goes on from states of groups that stood at one step, with those trials of this group that they hold.

        Raises `RunError` for states of several steps, or of other nets or optimizers, and `UnknownName` where they hold a
        trial that this group does not.
        """
        steps = {(state["epoch"], state["step"]) for state in states}
        if len(steps) != 1:
            shown = ", ".join(str(step) for _, step in sorted(steps)) or "none"
            raise RunError(f"the states stand at the steps {shown}; a group has one step, restore those of one")
        found = {one: part for state in states for one, part in state["trials"].items()}
        places = {one: self._place(one) for one in found}
        for one, part in found.items():
            self._check_part(one, part)
        self._keep(sorted(places.values()))
        (self.epoch, self.step) = steps.pop()
        for name, value in states[0]["counters"].items():
            self.stack.counters[name].copy_(value)
        for k, trial in enumerate(self.trials):
            self._restore_row(k, found[trial.id])

    def _check_part(self, one: Hashable, part: dict[str, Any]) -> None:
        optional = {"momentum"}  # kept only where a trial of the group has momentum; without it, it is 0 or unused
        moments = set(self.optimizer.kept) - optional
        have = (self.stack.parameters.values.shape[1], self.stack.buffers.values.shape[1], moments)
        came = (len(part["weights"]), len(part["buffers"]), set(part["moments"]) - optional)
        if came != have:
            raise RunError(
                f"the state of trial {one!r} has {came[0]} weights, {came[1]} constants and the moments "
                f"{', '.join(sorted(came[2])) or 'none'}; this group has {have[0]}, {have[1]} and "
                f"{', '.join(sorted(have[2])) or 'none'}; restore it into a group of the same net and optimizer"
            )

    def _restore_row(self, k: int, part: dict[str, Any]) -> None:
        self.stack.parameters.values[k] = part["weights"].to(self.stack.parameters.values)
        self.stack.buffers.values[k] = part["buffers"].to(self.stack.buffers.values)
        for name, kept in self.optimizer.kept.items():
            kept[k] = part["moments"][name].to(kept) if name in part["moments"] else 0
        self.stack.generators[k].set_state(part["dropout"])
        self.orders[k].set_state(part["order"])

"""A training of a program in one way, epoch by epoch: it stops and goes on, and its best weights are kept.

steps/<step>/checkpoints   the state after the last epoch and at the best one, with the records so far
"""

import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.optimizer import register_optimizer_step_post_hook

from tunesmith.autopilot.program.reading import Reading, Seen
from tunesmith.autopilot.program.ways import COSINE, Way, varied
from tunesmith.blocks.optim.averaging import EqualAverage, reestimate_norms
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.bench import seed_all
from tunesmith.doctor.preflight.courses import silent
from tunesmith.doctor.preflight.trace import Enough, aside
from tunesmith.records.state import State, random_state, set_random_state
from tunesmith.training.batch import Batch, from_loader, moved
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.generators import generator_states, set_generator_states

RAISED = (RuntimeError, ValueError, IndexError, ArithmeticError, TypeError, KeyError)  # of a user's step
PLACE = "checkpoints"
Record = dict[str, Any]


class Training:
    """One copy of the program on a bench, trained in a way; `folder` is its own, and it goes on with what lies there.

    `reading` judges it after each epoch. The program's loader and the global generators are as they were after each epoch.
    """

    def __init__(self, bench: Bench, way: Way, reading: Reading, folder: Path) -> None:
        self.reading, self.folder = reading, folder.resolve()
        self.stretch = int(way.get("epochs", bench.program.epochs)) / bench.program.epochs
        if way.get("schedule") == COSINE:  # goes over all of the epochs by itself
            self.stretch = 1.0
        with self._apart(bench.program.train):
            seed_all(bench.seed)
            self.program = varied(bench, way)
            self.bench = Bench(self.program, kind=bench.kind)
            program = self.program
            self.twin = Twin(program.model, program.loss_fn, program.optimizer, program.scheduler, program)
            seed_all(bench.seed)
            self.random, self.generators = random_state(), generator_states(program.train)
        average = None
        if way.get("average") is not None:
            average = EqualAverage(self.twin.model, start=math.ceil(float(way["average"]) * self.bench.updates))
        loss = self.twin.loss_fn
        learnt = loss if isinstance(loss, nn.Module) and loss.state_dict() else None
        self.state = State(self.twin.model, self.twin.optimizer, average, loss=learnt)
        self.average = average
        self.checkpoints = Checkpoints(self.folder / PLACE)
        self.records: list[Record] = []
        self.best: tuple[float, float] | None = None  # height and loss, the higher and the lower the better
        self.ticks = 0  # steps of the scheduler

    # From the folder

    def resumed(self) -> "Training":
        """The same where its folder says it stood; a loop of the program's own begins anew."""
        if self.program.loop is not None:
            shutil.rmtree(self.folder / PLACE, ignore_errors=True)
        elif self.checkpoints.pointed("last") is not None:
            snapshot, _ = self.checkpoints.read("last")
            before = random_state()
            try:
                self.state.restore(snapshot)
                self.random = random_state()
            finally:
                set_random_state(before)
            told = self.state.progress
            self.generators = self.state.feed["generators"]
            self.records, self.best, self.ticks = list(told["records"]), told["best"], int(told["ticks"])
            if told["scheduler"] is not None:
                self.program.scheduler.load_state_dict(told["scheduler"])
        return self

    def _keep(self, best: bool) -> None:
        """Writes the state down."""
        scheduler, program_steps = self.program.scheduler, self.program.loop is None
        self.state.feed = {"generators": generator_states(self.program.train)}
        self.state.progress = {
            "records": list(self.records),
            "best": self.best,
            "ticks": self.ticks,
            "scheduler": scheduler.state_dict() if hasattr(scheduler, "state_dict") and program_steps else None,
        }
        self.checkpoints.write(self.state.snapshot(), mark=0, best=best, keep=1)

    # Training

    def epochs(self, start: int, upto: int, over: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """A record for each epoch from `start` + 1 to `upto`; one with a "cause" is the last.

        A loop of the program's own is carried out at once, whatever `upto` is; there `over` ends it between epochs.
        """
        if self.program.loop is not None:
            if not self.records:
                self._looped(over)
            yield from self.records[start:]
            return
        for epoch in range(upto):
            if epoch == len(self.records):
                if self.records and self.records[-1].get("cause"):
                    return
                self._stepped()
            if epoch >= start:
                yield self.records[epoch]

    @contextmanager
    def _apart(self, train: Any) -> Iterator[None]:
        """The global generators and those of the loader are put back; what torch warns of copied schedulers is not shown."""
        random, own = random_state(), generator_states(train)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a copied scheduler, whose optimizer is not the one it was made with
            try:
                yield
            finally:
                set_random_state(random)
                set_generator_states(train, own)

    def _stepped(self) -> None:
        """An epoch by steps."""
        with self._apart(self.program.train):
            set_generator_states(self.program.train, self.generators)
            set_random_state(self.random)
            began = time.perf_counter()
            losses, cause = self._updates()
            self.random, self.generators = random_state(), generator_states(self.program.train)
            self.state.epoch += 1
            self._judged(losses, cause, began)
            if isinstance(self.program.scheduler, ReduceLROnPlateau) and not cause:
                self.program.scheduler.step(self.records[-1]["val_loss"])
            elif self.program.schedule_unit == "epoch" and not self.program.scheduler_first:
                self._schedule(self.state.epoch)
            set_random_state(self.random)
            self._keep(self.records[-1].pop("is best"))

    def _updates(self) -> tuple[list[float], str]:
        """The losses of the updates of an epoch, and why it ended early."""
        program, losses = self.program, list[float]()
        if program.scheduler_first and program.schedule_unit == "epoch":
            self._schedule(self.state.epoch + 1)
        for window in self._windows():
            if program.scheduler_first and program.schedule_unit == "step":
                self._schedule(self.state.step + 1)
            try:
                loss = self.twin.step(window)
            except RAISED as error:
                return losses, f"{type(error).__name__}: {error}".splitlines()[0][:300]
            self.state.step += 1
            losses.append(loss)
            if self.average is not None:
                self.average.update(self.twin.model)
            if not math.isfinite(loss) and program.step is None:
                return losses, "loss.nonfinite"
            if program.schedule_unit == "step" and not program.scheduler_first:
                self._schedule(self.state.step)
        return losses, ""

    def _windows(self) -> Iterator[list[Batch]]:
        """The batches of an epoch, as many to a window as the program accumulates; a last window may have fewer."""
        source, window = self.bench.train, list[Batch]()
        normed = any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in self.twin.model.modules())
        given = (
            (moved(from_loader(item), self.bench.device) for item in source.loader)
            if source.loader is not None
            else source.fed(self.state.epoch)
        )
        for batch in given:
            if batch.size == 1 and normed and self.program.batch_size > 1:
                continue  # batch norm cannot train on one row that another size of batches leaves over
            window.append(batch)
            if len(window) == max(1, self.program.accumulate):
                yield window
                window = []
        if window:
            yield window

    def _schedule(self, units: int) -> None:
        """Steps the scheduler as often as is due after so many units; slower in a training that was made longer."""
        scheduler = self.program.scheduler
        if scheduler is None or isinstance(scheduler, ReduceLROnPlateau):
            return
        due = math.floor(units / self.stretch)
        while self.ticks < due:
            self.ticks += 1
            try:
                scheduler.step()
            except ValueError:  # a schedule with an end (one-cycle) that is past: its last rate stays
                return

    def _looped(self, over: Callable[[], bool]) -> None:
        """The program's own loop, judged after as many updates as an epoch has."""
        program, per_epoch = self.program, self.bench.updates_per_epoch
        mine = {id(one) for group in self.twin.optimizer.param_groups for one in group["params"]}
        began = [time.perf_counter()]
        cause = ""

        def count(optimizer: Any, args: Any, named: Any) -> None:
            if not any(id(one) in mine for group in optimizer.param_groups for one in group["params"]):
                return
            self.state.step += 1
            if self.average is not None:
                self.average.update(self.twin.model)
            if self.state.step % per_epoch == 0:
                self.state.epoch += 1
                self._judged([], "", began[0])
                self._keep(self.records[-1].pop("is best"))
                began[0] = time.perf_counter()
                if over() or self.state.epoch >= program.epochs:
                    raise Enough

        if self.stretch != 1.0 and program.scheduler is not None:
            self._slow_down()
        with self._apart(program.train):
            set_generator_states(program.train, self.generators)
            set_random_state(self.random)
            handle = register_optimizer_step_post_hook(count)
            try:
                with aside(), silent():
                    assert program.loop is not None
                    program.loop(program, program.epochs)
            except Enough:
                pass
            except Exception as error:  # whatever a user's own loop raises
                cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            finally:
                handle.remove()
            if cause or not self.records:
                self.state.epoch += 1
                self._judged([], cause or ("" if self.state.step else "the loop made no update"), began[0])
                self._keep(self.records[-1].pop("is best"))

    def _slow_down(self) -> None:
        """The scheduler that a longer loop steps goes on at the pace of the whole."""
        scheduler, calls = self.program.scheduler, 0
        if isinstance(scheduler, ReduceLROnPlateau):
            return
        step = scheduler.step

        def slower(*args: Any, **named: Any) -> None:
            nonlocal calls
            calls += 1
            if math.floor(calls / self.stretch) > math.floor((calls - 1) / self.stretch):
                step(*args, **named)

        scheduler.step = slower

    # Judging

    def _judged(self, losses: list[float], cause: str, began: float) -> None:
        """A record of the epoch, of the weights that are evaluated."""
        scorer = self.reading.scorer
        record: Record = {"epoch": self.state.epoch, "metric": scorer.name}
        seen = None if cause else self.seen(self.reading)
        value = math.nan if seen is None else scorer.score(seen.said)
        height = scorer.height(value)
        record |= {"score": -height if math.isfinite(height) else math.nan, "value": value}
        record["train_loss"] = sum(losses) / len(losses) if losses else None
        record["val_loss"] = math.nan if seen is None else seen.loss
        rank = (height, -record["val_loss"])
        better = seen is not None and math.isfinite(height) and (self.best is None or rank > tuple(self.best))
        if better:
            self.best = rank
        record |= {"seconds": time.perf_counter() - began, "is best": better}
        self.records.append(record | ({"cause": cause} if cause else {}))

    def seen(self, reading: Reading) -> Seen:
        """What the weights that are evaluated say; batch norms of averaged ones are estimated anew."""
        model, average = self.twin.model, self.average
        if average is None or not average.taken:
            return reading.look(self.twin)
        with average.in_place_of(model):
            if any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in model.modules()):
                random, own = random_state(), generator_states(self.program.train)
                model.train()
                reestimate_norms(model, (batch.inputs for batch in self.bench.train.fed(0)))
                average.take_buffers(model)
                set_random_state(random)
                set_generator_states(self.program.train, own)
            return reading.look(self.twin)

    def take_best(self) -> None:
        """The model holds its best weights; it is not trained any further."""
        self.average = None
        self.twin.model.load_state_dict(self.checkpoints.weights("best"))

    def best_seen(self, reading: Reading) -> Seen:
        """What the best weights say."""
        self.take_best()
        return reading.look(self.twin)

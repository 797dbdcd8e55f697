"""A program trained on a copy under observation: what the rules of diagnosis read, without touching what the user brought."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import Course, Variation, course
from tunesmith.doctor.preflight.scoring import judged, need_score, need_step
from tunesmith.doctor.preflight.short_run import seconds_of_update
from tunesmith.doctor.probes.watcher import Watcher
from tunesmith.records import Clock
from tunesmith.records.check import Inapplicable
from tunesmith.runs import MemoryWriter
from tunesmith.runs.history import History
from tunesmith.runs.readers.own import history_of

SHARE = 0.25  # of the budget that the observed run may take; assumption
DEARER = 2.0  # times an update unobserved, judgements included; assumption
LOOKS = 40  # judgements of a run at most; assumption: the rules read curves of some tens of points
FEWEST = 20  # updates: fewer show no curve


def observed(bench: Bench, clock: Clock) -> tuple[History, Course]:
    """The curves of the program as it is, trained to its end where the budget lasts for it, and what came of it.

    Raises `Inapplicable` where it makes no update, and `OutOfTime` where not even the first would fit.
    """
    need_step(bench)
    seconds = DEARER * seconds_of_update(bench)
    affordable = SHARE * clock.left() / max(seconds, 1e-9)
    steps = bench.updates if not math.isfinite(affordable) else int(min(bench.updates, affordable))
    if steps < min(FEWEST, bench.updates):
        clock.need(FEWEST * seconds / SHARE)
    return _trained(bench, max(1, steps))


def _trained(bench: Bench, steps: int) -> tuple[History, Course]:
    writer = MemoryWriter(info={"title": "the program on a copy"})
    writer.begin_attempt()
    twin = bench.twin()
    looker = _Onlooker(bench, twin, writer, steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = course(bench, Variation(), steps, start=twin, each=looker.each)
        finally:
            looker.close()
    whole = steps >= bench.updates
    key = f"courses.{Variation()}.{steps}.0"
    bench.kept(key, lambda: made)
    facts = _facts(bench) | looker.facts | {"finished": whole and not made.broke}
    writer.set_status("finished" if whole and not made.broke else "interrupted", facts=facts)
    writer.flush()
    return history_of(writer), made


def _facts(bench: Bench) -> dict[str, Any]:
    program = bench.program
    groups = getattr(program.optimizer, "param_groups", ())
    return {
        "kind": bench.kind,
        "classes": program.num_classes,
        "loss": type(program.loss_fn).__name__ if isinstance(program.loss_fn, nn.Module) else "",
        "optimizer": type(program.optimizer).__name__.lower(),
        "lr": float(groups[0]["lr"]) if groups and "lr" in groups[0] else None,
        "batch_size": program.batch_size,
        "rows": len(bench.train),
        "epochs": program.epochs,
        "steps": bench.updates,
        "steps_per_epoch": bench.updates_per_epoch,
    }


class _Onlooker:
    """Judges the copy after each epoch, or so often that it does so `LOOKS` times at most; hooks of a watcher see the rest."""

    def __init__(self, bench: Bench, twin: Twin, writer: MemoryWriter, steps: int) -> None:
        self.bench, self.writer, self.last = bench, writer, steps
        self.every = max(bench.updates_per_epoch, -(-steps // LOOKS))
        self.scored = True
        try:
            need_score(bench)
        except Inapplicable:
            self.scored = False
        self.seen: Tensor | None = None
        self.handle: Any = None
        self.watcher: Watcher | None = None
        if isinstance(twin.optimizer, torch.optim.Optimizer):
            self.watcher = Watcher(
                twin.model, [twin.optimizer], writer.add, loss_fn=twin.loss_fn, num_classes=bench.program.num_classes
            )
            self.watcher.attach()
        if isinstance(twin.loss_fn, nn.Module):
            self.handle = twin.loss_fn.register_forward_hook(lambda module, given, loss: self._lost(loss))
        elif bench.program.loop is not None:
            twin.loss_fn = self._heard(twin.loss_fn)

    def _heard(self, loss_fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(loss_fn)
        def told(*given: Any, **named: Any) -> Any:
            loss = loss_fn(*given, **named)
            self._lost(loss)
            return loss

        return told

    def _lost(self, loss: Any) -> None:
        if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
            self.seen = loss.detach()

    def each(self, twin: Twin, told: Course) -> None:
        """After an update."""
        loss = told.losses[-1] if told.losses else self.seen
        if loss is not None and self.watcher is not None:
            self.watcher.step(loss)
        elif loss is not None:
            self.writer.add("loss", [told.steps], [float(loss)])
        if told.steps % self.every == 0 or told.steps == self.last:
            self._judge(twin, told)

    def _judge(self, twin: Twin, told: Course) -> None:
        row: dict[str, Any] = {"epoch": max(1, round(told.steps / self.bench.updates_per_epoch)), "step": told.steps}
        rows = self._held()
        if rows is None:
            return
        try:
            loss, score = judged(self.bench, twin, rows) if self.scored else (twin.judged(rows)[0], math.nan)
        except (RuntimeError, ValueError, IndexError):  # a part that the program cannot judge is told of by checks
            return
        row["val_loss"] = loss
        if math.isfinite(score):
            row["score"] = score
        for name, value in row.items():
            if name not in ("epoch", "step"):
                self.writer.add(name, [told.steps], [value])
        self.writer.evaluation(row)

    def _held(self) -> Any:
        if self.bench.val is None:
            return None
        val = self.bench.val
        return self.bench.kept("courses.held", lambda: self.bench.batch(1000, "held", val))

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self.watcher.facts) if self.watcher is not None else {}

    def close(self) -> None:
        """Takes every hook away."""
        if self.watcher is not None:
            self.watcher.detach()
        if self.handle is not None:
            self.handle.remove()

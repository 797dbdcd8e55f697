"""The training loop. Read it aloud: epochs of windows; each window one update; then look, judge, keep.

Two seams: probes look (`State -> signals`), guards act (`guards.py`). The rest is in plain sight.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch

from tunesmith.blocks.losses import Loss
from tunesmith.blocks.optim import without_compiler
from tunesmith.blocks.optim.averaging import Average
from tunesmith.records import Finding, RankLost, Recipe, RecipeError, TrainingFailed
from tunesmith.records.state import Snapshot, State
from tunesmith.records.until import Until
from tunesmith.runs.stopping import How
from tunesmith.training.batch import Window
from tunesmith.training.clipping import Clipping
from tunesmith.training.explained import explained
from tunesmith.training.feeds import Feed
from tunesmith.training.guards import CHANGEABLE, Action, Guard, Measured, Probe
from tunesmith.training.precision import Precision
from tunesmith.training.pretrained.freezing import Freezing
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.rates import Rates
from tunesmith.training.recovery.recovery import Recovery
from tunesmith.training.update import Gradient, Permit
from tunesmith.training.watching import remember

ATTEMPTS = 32  # of one update: a batch of any size can be halved down to a row
Ending = Literal["finished", "early", "paused", "interrupted", "stopped"]


class Record(Protocol):
    """Where a run is written down: the run folder's writer, or memory."""

    def begin_attempt(self, first_step: int, mark: int = 0) -> int: ...
    def add(self, name: str, steps: Any, values: Any, where: str = "") -> None: ...
    def flush(self) -> None: ...
    def mark(self) -> int: ...
    def place(self) -> int: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Finding, step: int = 0) -> None: ...
    def decision(self, what: str, because: str, change: Mapping[str, Any] = ..., step: int = 0) -> None: ...


class Screen(Protocol):
    """Where a run shows itself while it goes on."""

    def progress(self, step: int, steps: int, loss: float) -> None: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Finding, step: int) -> None: ...
    def notice(self, text: str) -> None: ...


class Judge(Protocol):
    """Evaluates the state: `{"val_loss", "metric", "score"}`, the noise of the score, and which of two scores is better."""

    def __call__(self, state: State) -> dict[str, Any]: ...
    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool: ...


class Keeper(Protocol):
    """Stores a snapshot, as the last and perhaps as the best; finds one to go back to."""

    def __call__(self, snapshot: Snapshot, *, mark: int, best: bool) -> None: ...
    def at_most(self, step: int) -> tuple[Snapshot, int] | None: ...
    def forget_after(self, step: int) -> None: ...


class Updates(Protocol):
    """Makes one update of the state with a window: `Update`, or two players in turn. `permit` is asked before the step."""

    precision: Precision
    clipping: Clipping

    @property
    def loss(self) -> Loss: ...
    @property
    def clip_norm(self) -> float | None: ...
    @clip_norm.setter
    def clip_norm(self, largest: float | None) -> None: ...
    @property
    def clip_value(self) -> float | None: ...
    @clip_value.setter
    def clip_value(self, largest: float | None) -> None: ...
    def __call__(self, state: State, window: Window, permit: Permit) -> tuple[Gradient, bool]: ...


@dataclass(slots=True, kw_only=True)
class Plan:
    """Everything a training needs, made ready by `plan.py`."""

    recipe: Recipe  # resolved: no "auto" left
    state: State
    feed: Feed
    update: Updates
    rates: Rates
    judge: Judge
    steps: int  # updates of the whole run
    epochs: int
    patience: int | None
    min_epochs: int
    guards: Sequence[Guard] = ()
    probes: Sequence[Probe] = ()
    recovery: Recovery | None = None
    freezing: Freezing | None = None
    ranks: Ranks | None = None  # where several processes train together


@dataclass(slots=True)
class Interrupt:
    """Set by a signal handler, or by a request in the run folder; the loop looks after each update."""

    asked: bool = False
    saves: bool = True  # before it ends
    request: Callable[[], How | None] = lambda: None  # a look for one, about once a second

    def look(self) -> How | None:
        """The request that has come, if one has; it is obeyed from here on."""
        how = None if self.asked else self.request()
        if how is not None:
            self.asked, self.saves = True, how == "save"
        return how


class Loop:
    """Trains a plan's state until it ends, pauses, is interrupted, or a guard stops it."""

    def __init__(
        self, plan: Plan, record: Record, screen: Screen, keep: Keeper, *, interrupt: Interrupt, until: Until = Until()
    ) -> None:
        self.plan = plan
        self.state = plan.state
        self.record = record
        self.screen = screen
        self.keep = keep
        self.interrupt = interrupt
        self.until = until
        self.pending: list[tuple[int, Gradient, float]] = []  # updates not yet written: step, gradient, rate
        self.last_finite = math.nan
        self.saved: tuple[int, int, int] | None = None  # step, epoch and position of the last checkpoint
        self.rollback: tuple[Snapshot, int] | None = None
        self.cpu = plan.update.precision.device.type == "cpu"
        self.accumulate = plan.feed.accumulate  # before the schedule lets the batch grow
        self.average = (
            plan.state.average if isinstance(plan.state.average, Average) else None
        )  # asking costs 12 us a step
        self.window: Window = ()  # in hand
        self.due = 0  # the step that the schedule is asked for, of the window in hand
        self.first = plan.rates.clock(plan.state, plan.feed.length)  # where this attempt begins
        self._ask_before = overriding(plan.guards, "after_backward")
        self._ask_after = overriding(plan.guards, "after_step")
        self._ask_evaluation = overriding(plan.guards, "after_evaluation")
        self._ask_exception = overriding(plan.guards, "on_exception")
        self._began = self._drained = self._flushed = self._saved_at = self._shown = time.monotonic()
        self._evaluated_at = self._began
        self._stop: Action | None = None
        self._asked: Action | None = None
        self.recovered: list[
            tuple[int, int, Action]
        ] = []  # place in the log, step, and what recovery did in this process
        self._back: Action | None = None  # a return to an earlier state, made before the next window

    def run(self) -> Ending:
        """Trains. What was reached is stored whichever way it ends; a failure is raised after that."""
        state, plan = self.state, self.plan
        state.progress.setdefault("best", None)
        _training_mode(state.model)
        self.reapply_changes()
        if plan.recovery is not None:
            plan.recovery.begin(state)
        ending = self._epochs()
        self._drain()
        failed = self._stop is not None and self._stop.failed
        quits = ending == "interrupted" and self._said("quit", not self.interrupt.saves)
        if not failed and not quits and self.saved != (state.step, state.epoch, state.position):
            self._save(best=False)
        if self._stop is not None and failed:
            raise self._stop.error or TrainingFailed(f"training stopped at step {state.step}: {self._stop.because}")
        return ending

    def _epochs(self) -> Ending:
        """Epochs until the run ends; a return to an earlier state begins in the middle of one."""
        while (ending := self._ended()) is None or self._back is not None:
            if self._back is not None:
                self._go_back(self._back)
            self._hold_if_due()
            self._thaw()
            self.plan.feed.start(self.state)
            ending = self._epoch()
            if ending is not None and self._back is None:
                break
        return ending or "finished"

    def _thaw(self) -> None:
        """Lets the frozen layers train whose epoch has come."""
        if self.plan.freezing is None or not (names := self.plan.freezing.thaw(self.state)):
            return
        self.reapply_changes()
        because = f"epoch {self.state.epoch + 1}: {len(names)} more parameters begin to train"
        self.record.decision("unfreeze", because, {"parameters": names}, step=self.state.step)

    def _epoch(self) -> Ending | None:
        """The rest of an epoch; None when it is over and the run goes on."""
        state, plan = self.state, self.plan
        taken = 0
        while True:
            if (ending := self._left_inside()) is not None:
                return ending
            window = self._window()
            if window is None:
                break
            taken += 1
            if plan.recovery is not None and plan.recovery.skips(state):
                continue
            self._train(window)
            if self._due_inside():
                self._judge()
            if state.position:
                self._hold_if_due()
            if self._back is not None:
                return None
        if taken == 0 and state.position == 0:
            raise TrainingFailed(
                f"the data gave no batch in epoch {state.epoch + 1}; a loader over a generator can be read once only, pass "
                "something that can be read again"
            )
        if self._drained_back():
            return None
        state.epoch += 1
        state.position = 0
        state.feed = {}
        if plan.recipe.eval.every is None or (
            state.epoch >= plan.epochs and state.progress.get("judged") != state.step
        ):
            self._judge()
        return None

    def _window(self) -> Window | None:
        plan = self.plan
        self.due = plan.rates.clock(self.state, plan.feed.length)
        if plan.rates.growth is not None:
            plan.feed.accumulate = self.accumulate * plan.rates.batches(self.due, self.state)
        try:
            return self.plan.feed.window(self.state)
        except Exception as error:
            raise explained(
                error, f"reading the batch after step {self.state.step} (epoch {self.state.epoch + 1})"
            ) from error

    def _train(self, window: Window) -> None:
        """One update, asked of the guards; retried as often as they change something."""
        state, plan = self.state, self.plan
        self.window = window
        if plan.recovery is not None:
            plan.recovery.before(window)
        for attempt in range(ATTEMPTS):
            if attempt and plan.recovery is not None:
                plan.recovery.again()
            rate = plan.rates.set(self.due, plan.rates.heard(state))
            if plan.recovery is not None:
                rate = plan.recovery.slowed(state, rate)
            self._asked = None
            if plan.ranks is not None:
                plan.ranks.wishes = self._wishes(plan.ranks)
            try:
                gradient, made = plan.update(state, window, self._permit)
            except RankLost:
                raise
            except Exception as error:
                self._asked = self._first(self._ask_exception, error)
                if self._asked is None:
                    raise explained(error, f"the update after step {self.state.step}") from error
                made = False
            if self._asked is None or self._asked.kind != "retry" or attempt == ATTEMPTS - 1:
                break
            self._retry(self._asked)
        if self._asked is not None:
            self._act(self._asked)
        if not made:
            if self._asked is None:
                state.progress["scaler_skips"] = state.progress.get("scaler_skips", 0) + 1
            return
        state.step += 1
        if self.average is not None:
            self.average.update(state.model)
        if plan.recovery is not None and (grown := plan.recovery.fitted()) is not None:
            self._write_down(grown)
        self._noted(gradient, rate)

    def _retry(self, action: Action) -> None:
        """Told before the window is computed again."""
        if action.finding is not None:
            self._find(action.finding)
        if action.change:
            self.apply(action)
        else:
            self._write_down(action)

    def _write_down(self, action: Action) -> None:
        """An event of recovery, also kept: a return takes the log back, but not what was done."""
        self._write_event(action, self.state.step)

    def _write_event(self, action: Action, step: int) -> None:
        self.record.decision("recovery", action.because, action.noted, step=step)
        self.recovered.append((self.record.place(), step, action))

    def _permit(self, state: State, gradient: Gradient) -> bool:
        """Asks the guards between backward and the step. On a GPU the numbers would have to be waited for: there, when written."""
        if not self._ask_before:
            return True
        if not self.cpu and len(self.pending) % 16 != 15:
            return True
        if not self.cpu and not all(map(math.isfinite, _numbers([past.loss for _, past, _ in self.pending]))):
            return False  # the first of them is dealt with when they are written
        measured = self._measured(gradient)
        action = self._first(self._ask_before, measured)
        self._asked = action
        return action is None or action.kind == "continue"

    def _measured(self, gradient: Gradient) -> Measured:
        return Measured(
            loss=gradient.loss.item(),
            grad_norm=gradient.norm.item(),
            rate=self.plan.rates.current,
            last_finite=self.last_finite,
            window=self.window,
        )

    def _first(self, guards: Sequence[Any], *about: Any) -> Action | None:
        """The first action any of the guards wants."""
        return next((action for ask in guards if (action := ask(self.state, *about)) is not None), None)

    def _act(self, action: Action) -> None:
        if action.back is not None:
            self._back = action  # told and changed once it is back
            return
        if action.finding is not None:
            self._find(action.finding)
        if action.change and action.kind != "retry":
            self.apply(action)
        if action.noted:
            self._write_down(action)
        if action.kind == "stop":
            self._stop = action
        elif action.kind == "rollback":
            self._roll_back(action)

    def _noted(self, gradient: Gradient, rate: float) -> None:
        """Keeps what was measured for the next writing; looks and asks where it is time."""
        state = self.state
        self.pending.append((state.step, gradient, rate))
        if self._ask_after and (action := self._first(self._ask_after, self._measured(gradient))) is not None:
            self._act(action)
        for probe in self.plan.probes:
            if state.step % probe.every == 0:
                self._look(probe)
        if len(self.pending) >= 256 or self._said("drain", time.monotonic() - self._drained > 0.25):
            self._drain()
        if self.plan.recipe.run.save_every is not None and state.step % self.plan.recipe.run.save_every == 0:
            self._save(best=False)

    def _look(self, probe: Probe) -> None:
        found = {(signal.name, signal.where, signal.step): signal for signal in probe(self.state)}
        for signal in found.values():
            self.record.add(signal.name, [signal.step], [signal.value], signal.where)

    def _drain(self) -> None:
        """Writes what the updates measured: one transfer from the device for all of them."""
        if not self.pending:
            return
        steps = [step for step, _, _ in self.pending]
        losses = _numbers([gradient.loss for _, gradient, _ in self.pending])
        norms = _numbers([gradient.norm for _, gradient, _ in self.pending])
        weights = _numbers([gradient.weight for _, gradient, _ in self.pending])
        rates = [rate for _, _, rate in self.pending]
        self.pending.clear()
        sums = self.state.progress.setdefault("epoch", {"sum": 0.0, "weight": 0.0})
        for loss, weight in zip(losses, weights, strict=True):
            weight = 1.0 if self.plan.update.loss.additive else weight
            sums["sum"] += loss * weight
            sums["weight"] += weight
        self.last_finite = next((loss for loss in reversed(losses) if math.isfinite(loss)), self.last_finite)
        every = self.plan.recipe.run.log_every
        kept = [place for place, step in enumerate(steps) if step % every == 0]
        for name, values in (("loss", losses), ("grad_norm", norms), ("lr", rates)):
            if kept:
                self.record.add(name, [steps[place] for place in kept], [values[place] for place in kept])
        if not self.cpu and not all(map(math.isfinite, losses)):
            self._refuse_late(steps, losses)
        elif self.plan.recovery is not None and self._back is None:
            if not self.cpu and (wild := self.plan.recovery.wild.late(self.state, steps, norms, rates[-1])) is not None:
                self._act(wild)
            else:
                self._look_for_leaps(self.plan.recovery, steps, losses, rates)
        self._show(losses[-1])

    def _look_for_leaps(self, recovery: Recovery, steps: list[int], losses: list[float], rates: list[float]) -> None:
        for step, loss, rate in zip(steps, losses, rates, strict=True):
            if (action := recovery.leapt(self.state, step, loss, rate)) is not None:
                self._act(action)
                if self._back is not None:
                    return

    def _refuse_late(self, steps: list[int], losses: list[float]) -> None:
        """On a GPU the guards see a number that is not finite when it is written."""
        step, bad = next((step, loss) for step, loss in zip(steps, losses, strict=True) if not math.isfinite(loss))
        measured = Measured(loss=bad, grad_norm=math.nan, rate=self.plan.rates.current, last_finite=self.last_finite)
        if self._stop is not None or self._back is not None:
            return
        recovery = self.plan.recovery
        action = (
            self._first(self._ask_before, measured)
            if recovery is None
            else recovery.nonfinite.late(self.state, step, measured)
        )
        if action is not None:
            self._act(action)

    def _show(self, loss: float) -> None:
        now = self._drained = time.monotonic()
        if now - self._shown > 0.25:
            self._shown = now
            self.screen.progress(self.state.step, self.plan.steps, loss)
        if now - self._flushed > 1.0:
            self._flushed = now
            self.record.flush()
            self._listen()
        limit = self.plan.recipe.run.save_seconds
        if limit is not None and self._said("save", now - self._saved_at > limit) and not self.pending:
            self._save(best=False)

    def _said(self, wish: str, mine: bool) -> bool:
        """What the clock or a signal says; of several ranks, what they agreed on at the last update."""
        if self.plan.ranks is None:
            return mine
        return self.plan.ranks.granted(wish, once=wish in ("drain", "save"))

    def _wishes(self, ranks: Ranks) -> dict[str, bool]:
        """What this rank would do after the update: anybody may stop the run, the first one's clock does the rest."""
        wishes = {"stop": self.interrupt.asked, "quit": self.interrupt.asked and not self.interrupt.saves}
        if ranks.first:
            now, limit, seconds = time.monotonic(), self.plan.recipe.run.save_seconds, self.until.seconds
            wishes["drain"] = now - self._drained > 0.25
            wishes["save"] = limit is not None and now - self._saved_at > limit
            wishes["pause"] = seconds is not None and now - self._began >= seconds
        return wishes

    def _listen(self) -> None:
        """Obeys a request to stop."""
        if (how := self.interrupt.look()) is not None:
            because = f"a request in the run folder: {'save and stop' if how == 'save' else 'stop without saving'}"
            self.record.decision("stop", because, {"how": how}, step=self.state.step)
            self.screen.notice(f"stopping after this update, by {because}")

    def _due_inside(self) -> bool:
        every = self.plan.recipe.eval.every
        return (
            every is not None and self.state.step % every == 0 and self.state.step != self.state.progress.get("judged")
        )

    def _judge(self) -> None:
        """Evaluates, writes the row, keeps the weights, and asks whether to go on."""
        state, plan = self.state, self.plan
        self._drain()
        if (self._stop is not None and self._stop.failed) or self._back is not None:
            return
        sums = state.progress.pop("epoch", {"sum": math.nan, "weight": math.nan})
        try:
            row = plan.judge(state)
        except torch.OutOfMemoryError as error:
            raise explained(error, f"the evaluation after step {state.step}") from error
        if plan.recovery is not None and (shrunk := plan.recovery.evaluated()) is not None:
            self._write_down(shrunk)
        best = state.progress["best"]
        noise = {"score": row.pop("noise", 0.0), "val_loss": row.pop("loss_noise", 0.0)}
        improved = row["score"] is not None and plan.judge.improves(
            row["score"], None if best is None else best["score"]
        )
        beyond = row["score"] is not None and plan.judge.improves(
            row["score"], state.progress.get("reference"), noise["score"]
        )
        state.progress["judged"] = state.step
        if improved or row["score"] is None:
            state.progress["best"] = {
                "score": row["score"],
                "step": state.step,
                "epoch": state.epoch,
                "loss": row["val_loss"],
            }
        if beyond:
            state.progress["reference"] = row["score"]
        state.progress["waited"] = 0 if beyond else state.progress.get("waited", 0) + 1
        row = {
            "epoch": state.epoch
            + (round(state.position / plan.feed.length, 4) if state.position and plan.feed.sized else 0),
            "step": state.step,
            "train_loss": sums["sum"] / sums["weight"] if sums["weight"] else math.nan,
            **row,
            "best": bool(improved),
            "lr": plan.rates.current,
        }
        remember(state, plan.rates.clock(state, plan.feed.length), plan.rates.watches, row, noise)
        for name in ("train_loss", "val_loss", "score"):
            if row[name] is not None:
                self.record.add(f"epoch.{name}" if name == "train_loss" else name, [state.step], [row[name]])
        for name, value in plan.update.clipping.told(state).items():
            self.record.add(name, [state.step], [value])
        if warning := plan.update.clipping.warning(state):
            self.record.decision("notice", warning, step=state.step)
            self.screen.notice(warning)
        self.record.evaluation({**row, **self._clock()})
        self.screen.evaluation({**row, **self._clock(settle=True)})
        if (action := self._first(self._ask_evaluation, row)) is not None:
            self._act(action)
        self._save(best=bool(improved) or row["score"] is None)

    def _clock(self, *, settle: bool = False) -> dict[str, float]:
        """Seconds since the last evaluation, memory and time to go: of this machine, not of the run's result."""
        now = time.monotonic()
        at = self.plan.rates.clock(self.state, self.plan.feed.length)
        done, left = at - self.first, max(0, self.plan.steps - at)
        told = {
            "seconds": now - self._evaluated_at,
            "memory_mb": _memory_mb(self.plan.update.precision.device),
            "eta_seconds": (now - self._began) / max(1, done) * left,
        }
        if settle:
            self._evaluated_at = now
        return told

    def _save(self, *, best: bool) -> None:
        self._drain()
        if self._stop is not None and self._stop.failed:
            return  # what the weights hold now is not worth keeping; the checkpoint before is
        if self._back is not None:
            return  # nor is what is about to be taken back
        self.record.flush()
        if self.plan.recovery is not None:
            self.plan.recovery.settle(self.state)
        with without_compiler():
            snapshot = self.state.snapshot()
        mark = self.record.mark()
        if any(guard.keeps_snapshots for guard in self.plan.guards):
            self.rollback = (snapshot, mark)
        self.keep(snapshot, mark=mark, best=best)
        self.saved = (self.state.step, self.state.epoch, self.state.position)
        self._saved_at = time.monotonic()

    def _roll_back(self, action: Action) -> None:
        if self.rollback is None:
            raise TrainingFailed(
                f"a guard asked to roll back at step {self.state.step}, but no snapshot is held yet: {action.because}"
            )
        reached, changes = self.state.step, self.state.progress.get("changes", {})
        snapshot, mark = self.rollback
        self._drain()
        with without_compiler():
            self.state.restore(snapshot)
        if self.plan.recovery is not None:
            self.plan.recovery.held.forget_after(self.state.step)
        self.record.begin_attempt(self.state.step, mark)
        self.record.decision("rollback", action.because, {"from": reached, "to": self.state.step}, step=reached)
        if changes:  # made on the way, or with this rollback: they hold on
            self.state.progress["changes"] = dict(changes)
            self.record.decision("change", action.because, dict(changes), step=self.state.step)
        self.plan.feed.start(self.state)
        self.reapply_changes()
        self._thaw()

    def _hold_if_due(self) -> None:
        """A snapshot in memory, to go back to."""
        recovery = self.plan.recovery
        if recovery is None or not recovery.due(self.state) or self._drained_back():
            return
        recovery.settle(self.state)
        with without_compiler():
            snapshot = self.state.snapshot(host=True)
        recovery.held.hold(snapshot, self.record.place())

    def _drained_back(self) -> bool:
        """Looks at what is not written yet; whether the run has to go back."""
        if self.plan.recovery is not None:
            self._drain()
        return self._back is not None

    def _go_back(self, action: Action) -> None:
        """To a snapshot from before the step the action names; from there the same updates are made until that step."""
        recovery, state, self._back = self.plan.recovery, self.state, None
        assert recovery is not None
        assert action.back is not None
        found = recovery.held.at_most(action.back.step) or self.keep.at_most(action.back.step)
        if found is None:
            raise TrainingFailed(f"{action.because}; but no snapshot from before step {action.back.step} is held")
        snapshot, mark = found
        reached, changes = state.step, state.progress.get("changes", {})
        self.pending.clear()
        with without_compiler():
            state.restore(snapshot)
        recovery.returned(state)
        recovery.held.forget_after(state.step)
        self.keep.forget_after(state.step)
        self.record.begin_attempt(state.step, mark)
        gone = [(step, event) for place, step, event in self.recovered if place > mark]
        self.recovered = [one for one in self.recovered if one[0] <= mark]
        for step, event in gone:
            self._write_event(event, step)
        told = {"from": reached, "to": action.back.step, "skip": action.back.skip, "snapshot": state.step}
        self._write_event(replace(action, noted=told | dict(action.noted)), reached)
        if action.finding is not None:
            self._find(action.finding)
        if changes or action.change:
            state.progress["changes"] = {**changes, **action.change}
            self.record.decision("change", action.because, state.progress["changes"], step=state.step)
        self.reapply_changes()
        self._save(best=False)  # a process that is killed now goes on from here

    def apply(self, action: Action) -> None:
        """Changes the run while it goes on, writes that down, and keeps it for a resume."""
        for path, value in action.change.items():
            if path not in CHANGEABLE:
                raise RecipeError(f"{path} cannot change while a run goes on; {', '.join(CHANGEABLE)} can")
            self.state.progress.setdefault("changes", {})[path] = value
        self.record.decision("change", action.because, dict(action.change), step=self.state.step)
        self.reapply_changes()

    def reapply_changes(self) -> None:
        """Puts into force what was changed on the way, also after a resume; and the modes of norms, which no state holds."""
        plan = self.plan
        if plan.freezing is not None:
            plan.freezing.settle(self.state.model)
        for path, value in self.state.progress.get("changes", {}).items():
            match path:
                case "train.batch_size":
                    plan.feed.batch_size = int(value)
                case "train.accumulate":
                    plan.feed.accumulate = self.accumulate = int(value)
                case "optim.lr":
                    plan.rates.rescale(float(value))
                case "optim.weight_decay":
                    for group in self.state.optimizer.param_groups:
                        if group.get("weight_decay"):
                            group["weight_decay"] = float(value) * group.get("decay_share", 1.0)
                case "optim.clip_norm":
                    plan.update.clip_norm = value
                case "optim.clip_value":
                    plan.update.clip_value = value

    def _find(self, finding: Finding) -> None:
        self.record.finding(finding, self.state.step)
        self.screen.finding(finding, self.state.step)

    def _ended(self) -> Ending | None:
        """Looked at between epochs: a run ends with its last epoch, or with its last update where train.steps is set."""
        if self.plan.recipe.train.steps is None and self.state.epoch >= self.plan.epochs:
            return "finished"
        return self._left_inside()

    def _left_inside(self) -> Ending | None:
        """Looked at before each window."""
        done = self.plan.rates.clock(self.state, self.plan.feed.length)
        if self.plan.recipe.train.steps is not None and done >= self.plan.steps:
            if self.state.progress.get("judged") != self.state.step:
                self._judge()
            return "finished"
        return self._left()

    def _left(self) -> Ending | None:
        until, state, plan = self.until, self.state, self.plan
        if self._stop is not None:
            return "stopped"
        if (
            plan.patience is not None
            and state.epoch >= plan.min_epochs
            and state.progress.get("waited", 0) >= plan.patience
        ):
            return "early"
        if self._said("stop", self.interrupt.asked):
            return "interrupted"
        if (until.steps is not None and state.step >= until.steps) or (
            until.epochs is not None and state.epoch >= until.epochs
        ):
            return "paused"
        if until.seconds is not None and self._said("pause", time.monotonic() - self._began >= until.seconds):
            self.record.decision(
                "pause", f"the clock chose step {state.step}: {until.seconds} seconds are over", step=state.step
            )
            return "paused"
        return None


def overriding(guards: Sequence[Guard], name: str) -> list[Any]:
    """The bound methods of the guards that say something at this point: the others cost nothing."""
    return [getattr(guard, name) for guard in guards if getattr(type(guard), name) is not getattr(Guard, name)]


def _training_mode(model: torch.nn.Module) -> None:
    """Training mode; a part that the user put into evaluation mode inside a training model stays there."""
    if not model.training:
        model.train()


def _numbers(values: Sequence[Any]) -> list[float]:
    """Numbers of tensors and floats, those of a device in one transfer."""
    if not any(isinstance(value, torch.Tensor) for value in values):
        return [float(value) for value in values]
    held = [value if isinstance(value, torch.Tensor) else torch.tensor(value) for value in values]
    if len({(value.device, value.dtype) for value in held}) > 1:
        return [value.item() for value in held]
    return torch.stack(held).tolist()


def _memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(ImportError):  # Windows has no resource module
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return math.nan

"""What the loop asks of recovery, in one place."""

from dataclasses import dataclass, replace

import torch

from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.guards import Action
from tunesmith.training.recovery.beginning import Beginning
from tunesmith.training.recovery.cutting import Cutting
from tunesmith.training.recovery.exhausted import release
from tunesmith.training.recovery.held import Held
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.memory import Memory
from tunesmith.training.recovery.nonfinite import SkipNonFinite
from tunesmith.training.recovery.on_the_cpu import NamesOperation
from tunesmith.training.recovery.returning import Returning
from tunesmith.training.recovery.room import Room
from tunesmith.training.recovery.spikes import Spikes
from tunesmith.training.recovery.wild import SkipWild


@dataclass(slots=True, kw_only=True)
class Recovery:
    """The parts, and when the loop calls them."""

    memo: Memo
    memory: Memory
    beginning: Beginning
    cutting: Cutting
    held: Held
    spikes: Spikes
    nonfinite: SkipNonFinite
    wild: SkipWild
    returning: Returning
    names: NamesOperation
    every: int  # updates between snapshots in memory
    device: torch.device
    evaluation_rows: int | None = None  # told last

    @property
    def room(self) -> Room | None:
        """Of evaluations; None where the loss of parts is another."""
        return None if self.memory.update.loss.couples else self.memo.evaluation

    def begin(self, state: State) -> None:
        """Before the first update of an attempt."""
        self.memo.read(state)
        self.spikes.read(state)
        self.wild.read(state)
        self.evaluation_rows = self.memo.evaluation.rows
        self.memory.put()

    def due(self, state: State) -> bool:
        """Whether a snapshot is due; at the beginning of an attempt always."""
        newest = self.held.snapshots[-1][0]["step"] if self.held.snapshots else None
        return newest is None or (state.step % self.every == 0 and state.step > newest)

    def before(self, window: Window) -> None:
        """Before an update is first tried."""
        self.memory.window = self.names.window = window
        self.beginning.take()

    def again(self) -> None:
        """Before it is tried again."""
        if self.memory.exhausted:
            for parameter in self.memory.update.model.parameters():
                parameter.grad = None
            release(self.device)
        self.beginning.back()

    def fitted(self) -> Action | None:
        """After an update that was made."""
        room = self.memo.training
        return self.memory.fitted() if room.rows is not None or room.trying else None

    def leapt(self, state: State, step: int, loss: float, rate: float) -> Action | None:
        """What to do, once it is certain that the loss of an update before `step` leapt and stays up."""
        if not self.spikes.see(step, loss, rate):
            return None
        onset, level, peak = self.spikes.onset, self.spikes.level, max(self.spikes.since)
        self.spikes.forget()
        because = f"the training loss leapt from {level:.4g} to {peak:.4g} at step {onset} and stayed up"
        action = self.returning.go(state, because, onset=onset, last=step, rate=self.spikes.usual_rate)
        if action is None and not self.memo.given_up and self.returning.most:
            self.memo.given_up = True
            return Action(
                because=f"{because}; the run has gone back {self.memo.returns} times and goes on", noted={"step": onset}
            )
        return action and replace(action, finding=self._leap(onset, level, peak))

    def _leap(self, onset: int, level: float, peak: float) -> Finding | None:
        """Told the first time."""
        if self.memo.returns > 1:
            return None
        return Finding(
            fault="loss.spike",
            severity="warning",
            message="recovery.spike",
            values={"step": onset, "level": level, "peak": peak},
            evidence=(Evidence(name="loss", value=peak, threshold=self.spikes.bar, source="PaLM 5.1", step=onset),),
            remedies=(
                Remedy(title="recovery.do_clip", safety=Safety.RISKY, change={"optim.clip_percentile": 90.0}),
                Remedy(title="recovery.do_clip_update", safety=Safety.RISKY, change={"optim.clip_update": 1.0}),
                Remedy(title="recovery.do_epsilon", safety=Safety.RISKY, change={"optim.eps": 1e-10}),
                Remedy(title="recovery.do_beta2", safety=Safety.RISKY, change={"optim.beta2": 0.95}),
            ),
            status="confirmed",
            subject={"step": onset},
        )

    def returned(self, state: State) -> None:
        """After the return: what was learnt holds on."""
        self.memory.put()
        self.spikes.read(state)
        self.wild.read(state)
        self.memo.in_a_row, self.memo.skipped_at = 0, -1

    def slowed(self, state: State, rate: float) -> float:
        """The rate, held low around a leap that came again."""
        limits = [limit for begin, end, limit in self.memo.slow if begin <= state.step < end]
        if not limits or rate <= min(limits):
            return rate
        for group in self.memory.update.optimizer.param_groups:
            group["lr"] *= min(limits) / rate
        return min(limits)

    def evaluated(self) -> Action | None:
        """After an evaluation: tells where it now takes another number of rows at once."""
        rows = self.memo.evaluation.rows
        if rows == self.evaluation_rows:
            return None
        self.evaluation_rows = rows
        size = "whole batches are" if rows is None else f"{rows} rows at once are"
        return Action(because=f"{size} evaluated from now on, as memory allows", noted={"evaluation_rows": rows})

    def skips(self, state: State) -> bool:
        """Whether the window in hand is to be left out."""
        return bool(self.memo.skips) and self.memo.skipped_here(state)

    def settle(self, state: State) -> None:
        """Before a snapshot: what is known is put into the state."""
        self.memo.write(state)
        self.spikes.write(state)
        self.wild.write(state)

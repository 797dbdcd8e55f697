"""What the loop asks of recovery, in one place."""

from dataclasses import dataclass

import torch

from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.guards import Action, Return
from tunesmith.training.recovery.beginning import Beginning
from tunesmith.training.recovery.cutting import Cutting
from tunesmith.training.recovery.exhausted import release
from tunesmith.training.recovery.held import Held
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.memory import Memory
from tunesmith.training.recovery.room import Room


@dataclass(slots=True, kw_only=True)
class Recovery:
    """The parts, and when the loop calls them."""

    memo: Memo
    memory: Memory
    beginning: Beginning
    cutting: Cutting
    held: Held
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
        self.evaluation_rows = self.memo.evaluation.rows
        self.memory.put()

    def due(self, state: State) -> bool:
        """Whether a snapshot is due; at the beginning of an attempt always."""
        newest = self.held.snapshots[-1][0]["step"] if self.held.snapshots else None
        return newest is None or (state.step % self.every == 0 and state.step > newest)

    def before(self, window: Window) -> None:
        """Before an update is first tried."""
        self.memory.window = window
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

    def returned(self, back: Return) -> None:
        """After the return: what was learnt holds on, and what is to be left out is noted."""
        self.memory.put()
        self.memo.skip_at, self.memo.skip = back.step, back.skip

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
        if self.memo.skip == 0 or state.step != self.memo.skip_at:
            return False
        self.memo.skip -= 1
        return True

    def settle(self, state: State) -> None:
        """Before a snapshot: what is known is put into the state."""
        self.memo.write(state)

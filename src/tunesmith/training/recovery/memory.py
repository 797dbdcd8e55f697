"""Out of memory inside an update: it is computed again in parts of half the rows, and their sum is the same gradient.

In the optimizer's own step some weights may have moved already: there the run goes back to the last snapshot in memory and makes
the updates since then again; where that does not help, it steps tensor by tensor.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from tunesmith.blocks.layers.norm.sync_batch import SyncBatchNorm
from tunesmith.records import DeviceError, Evidence, Finding
from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.guards import Action, Guard, Return
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.recovery.cutting import Cutting, uncuttable
from tunesmith.training.recovery.exhausted import kept_graphs, out_of_memory
from tunesmith.training.recovery.ladder import Situation, offers
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.update import Update

STEP_TRIES = 3  # failures of the optimizer's step that are answered; assumption


class Memory(Guard):
    """Answers an exhausted memory. `refusal` tells, when it is first needed, why this batch may not be cut; "" where it may."""

    def __init__(
        self, update: Update, memo: Memo, cutting: Cutting, situation: Situation, refusal: Callable[[], str]
    ) -> None:
        self.update = update
        self.memo = memo
        self.cutting = cutting
        self.situation = situation
        self.refusal = refusal
        self.normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in update.model.modules())
        self.window: Window = ()  # in hand
        self.ranks: Ranks | None = None  # they cut alike
        self.exhausted = False  # the last failure was one of memory
        self._asked: str | None = None
        self._told = False
        self._graphs = 0  # kept alive when memory first ran out

    def on_exception(self, state: State, error: Exception) -> Action | None:
        self.exhausted = out_of_memory(error)
        if not self.exhausted:
            return None
        text = " ".join(str(error).split())[:300]
        if not self._told:
            self._graphs = kept_graphs(error)
        if self.update.stepping and self.ranks is not None:
            return None  # the others have stepped: this rank ends, and with it all
        if self.update.stepping:
            return self._in_step(state, text)
        return self._in_pass(state, text)

    def _in_pass(self, state: State, text: str) -> Action:
        rows = max((part.size for part in self.cutting(self.window)), default=0)
        rows = rows if self.ranks is None else self.ranks.most(rows)
        refused = self._refused(rows)
        if refused or not self.memo.training.halve(rows):
            return self._stopped(state, rows, text, refused)
        self.put()
        because = (
            f"memory ran out with {rows} rows at once; the update after step {state.step} is computed again in parts of "
            f"{self.memo.training.rows} rows, whose gradients add up to the same"
        )
        return Action(
            kind="retry",
            because=because,
            noted={"rows": self.memo.training.rows},
            finding=self._found(
                state, rows, text, "recovery.memory_parts_norm" if self.normed else "recovery.memory_parts"
            ),
        )

    def _in_step(self, state: State, text: str) -> Action:
        rows = max(part.size for part in self.cutting(self.window))
        self.memo.step_failures += 1
        if self.memo.step_failures > STEP_TRIES:
            return self._stopped(state, rows, text, "the optimizer's step itself does not fit")
        self.memo.plain_step = self.memo.step_failures > 1
        if self.update.closure and not self._refused(rows):
            self.memo.training.halve(rows)
        self.put()
        because = (
            f"memory ran out in the optimizer's step after step {state.step}, when some weights may have moved; the updates "
            f"since the last snapshot are made again{', tensor by tensor' if self.memo.plain_step else ''}"
        )
        return Action(
            kind="rollback",
            because=because,
            back=Return(step=state.step),
            finding=self._found(state, rows, text, "recovery.memory_step"),
        )

    def put(self) -> None:
        """Puts into force what the memo says, also after a resume or a return."""
        self.cutting.rows = self.memo.training.rows
        if self.memo.plain_step:
            for group in self.update.optimizer.param_groups:
                for name in ("foreach", "fused"):
                    if group.get(name, False) is not False:
                        group[name] = False

    def fitted(self) -> Action | None:
        """An update fitted; after enough of them the next is tried with twice the rows, which is told."""
        if not self.memo.training.used():
            return None
        self.put()
        rows = self.memo.training.rows
        size = "whole batches" if rows is None else f"{rows} rows at once"
        return Action(because=f"{size} are tried again", noted={"rows": rows})

    def _refused(self, rows: int) -> str:
        if rows < 2:
            return "a single row does not fit"
        if any(isinstance(module, SyncBatchNorm) for module in self.update.model.modules()) and self.ranks is not None:
            return "batch norm over all ranks needs as many parts on each"
        if self.normed and rows < 4:
            return "batch norm needs two rows in each part"
        if shape := next((shape for batch in self.window if (shape := uncuttable(batch))), ""):
            return f"a tensor of the batch, {shape}, does not have the rows first, so the batch cannot be cut by rows"
        if self._asked is None:
            self._asked = self.refusal()
        return self._asked

    def _stopped(self, state: State, rows: int, text: str, refused: str) -> Action:
        finding = self._finding(state, rows, text, "recovery.memory_refused", "error", why=refused)
        said = "; ".join(remedy.text() for remedy in finding.remedies[:3])
        sentence = (
            f"the update after step {state.step} ran out of memory ({text[:160]}), and {refused}; in this order: {said}"
        )
        return Action(kind="stop", because=sentence, finding=finding, failed=True, error=DeviceError(sentence))

    def _found(self, state: State, rows: int, text: str, message: str) -> Finding | None:
        """Told once a run."""
        if self._told:
            return None
        self._told = True
        return self._finding(state, rows, text, message, "warning")

    def _finding(self, state: State, rows: int, text: str, message: str, severity: Any, why: str = "") -> Finding:
        return Finding(
            fault="memory.oom",
            severity=severity,
            message=message,
            values={"rows": rows, "step": state.step, "now": self.memo.training.rows or rows, "why": why},
            evidence=(Evidence(name="rows_at_once", value=float(rows), step=state.step),),
            remedies=offers(self.situation, text, self._graphs),
            status="confirmed",
            subject={"step": state.step},
        )

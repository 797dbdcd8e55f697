"""What a watched loop does that a sound one does not, gathered by onlookers of each kind, and one question put to the model itself.

`facts()` joins those of `watcher_invariants`, `watcher_answers`, `watcher_rows`, `watcher_judged`, `watcher_pull`, `watcher_norms` and
`watcher_structure`, and adds

* `chance_loss`: that of `answers`; None where the loss is none of the usual ones, whatever its class.
* `restless`: the outputs of the same rows twice, with the same state of all generators, in evaluation mode: largest change over the spread.
* `coupling`: largest change of a row's outputs when other rows of its batch are left out, over the spread of the outputs; in evaluation
  mode, of eight rows, once. Modes, buffers and generators are afterwards as before.
* `crash`: of an exception that ended the run, `kind` and `message`; `indices` (lowest, highest) of whole inputs and `tables` (rows of the
  embeddings), `labels` (lowest, highest, ignored mark left out) and `width`, as far as they were seen.
"""

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_answers import IGNORED, Answers
from tunesmith.doctor.probes.watcher_invariants import Invariants
from tunesmith.doctor.probes.watcher_judged import Judged
from tunesmith.doctor.probes.watcher_norms import Norms
from tunesmith.doctor.probes.watcher_peep import Peep, coming, door, due
from tunesmith.doctor.probes.watcher_pull import Pull
from tunesmith.doctor.probes.watcher_rows import Rows
from tunesmith.doctor.probes.watcher_structure import Structure
from tunesmith.doctor.probes.watcher_view import inside
from tunesmith.records.state import random_state, set_random_state

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Moment

AFTER = 2  # updates before the model is asked: lazy layers have their form by then
SURE = 3  # batches after which it is known whether the loss is a usual one
DENSE = 64  # updates after which most are passed over; beyond the first batches that `Rows` reads one by one
ASKED = 8  # rows that the model is asked for, and then their second half alone


class LoopFacts:
    """All onlookers on one loop; call it after each update, with its moment. With `told` somebody else calls `invariants.passed`."""

    def __init__(
        self, model: nn.Module, optimizers: Sequence[Optimizer], loss_fn: Any = None, *, told: bool = False
    ) -> None:
        self._model = weakref.ref(model)
        self._calls = 0
        self._slept = 0  # of these, the last ones that the onlookers were not told of
        self._wake = 0  # the call that they are told of next
        self._held: Any = None  # arguments of the last training pass
        self._coupling: float | None = None
        self._restless: float | None = None
        self._last: dict[str, Any] = {}
        self._closed = False
        self._crash: dict[str, Any] | None = None
        self._given: tuple[Tensor, ...] = ()  # what the loss was called with last
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._loss_fn = loss_fn
        self._handles: list[Any] = []
        self._listen()
        self.invariants = Invariants(model, optimizers, told=told)
        self.answers = Answers(model, loss_fn)
        self.rows = Rows(model)
        self.judging = Judged(model, loss_fn, self.rows.columns)
        self.pull = Pull(optimizers)
        self.norms = Norms(model)
        self.structure = Structure(model, optimizers)

    def __call__(self, moment: "Moment") -> None:
        """After an update."""
        self._calls += 1
        if self._calls == self.judging.coming:
            self.judging.arm()
        self.invariants.said()
        if self._calls < self._wake:
            self._slept += 1
            return
        self._caught_up()
        self._wake = wakes(self._calls + 1)
        self.answers.seen(moment.loss, moment.target)
        self.norms.seen()
        self.pull.seen()
        self.rows.seen(self._given[1] if len(self._given) > 1 else moment.target, moment.inputs)
        model = self._model()
        if self._calls == AFTER and self._held is not None and model is not None:
            self._coupling = self._ask(inside(model), *self._held)
        self._held, self._given = None, ()
        self._listen()

    def _caught_up(self) -> None:
        """The onlookers are told of the updates at which nobody listened."""
        if self._slept:
            for each in (self.answers, self.rows, self.norms, self.pull):
                each.passed_over(self._slept)
            self._slept = 0

    def _listen(self) -> None:
        """The batch of an update is held where that update is looked at."""
        front = None if self._front is None else self._front()
        if not Rows.due(self._calls + 1) and self._calls + 1 > AFTER:
            for handle in self._handles:
                handle.remove()
            self._handles = []
        elif not self._handles:
            if front is not None:
                self._handles.append(front.register_forward_pre_hook(Peep(self, "_called"), with_kwargs=True))
            if isinstance(self._loss_fn, nn.Module):
                self._handles.append(self._loss_fn.register_forward_pre_hook(Peep(self, "_lost")))

    def judged(self) -> None:
        """A score of a held part was told."""
        self.invariants.judged()
        self.judging.judged(self._calls)

    def crashed(self, error: BaseException, held: Any = None, target: Any = None) -> None:
        """The loop was ended by an exception; what the model and the loss were given last, where this onlooker was not looking."""
        self._held = self._held if self._held is not None else held
        if not self._given and isinstance(target, Tensor):
            self._given = (target.detach().new_empty(0), target.detach())
        told: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)[:300]}
        tables = [each.num_embeddings for each in self._modules() if isinstance(each, nn.Embedding)]
        whole = [each for each in _tensors(self._held) if not each.is_floating_point() and each.numel()]
        try:
            if tables and whole:
                told |= {
                    "tables": tables,
                    "indices": [min(int(each.min()) for each in whole), max(int(each.max()) for each in whole)],
                }
            if len(self._given) == 2 and not self._given[1].is_floating_point():
                labels = self._given[1][self._given[1] != IGNORED]
                told["labels"] = [int(labels.min()), int(labels.max())]
                told["width"] = self._given[0].shape[min(1, self._given[0].dim() - 1)] or self.answers.width
        except RuntimeError as unreadable:  # after an assertion on a device its tensors cannot be read any more
            told["unreadable"] = str(unreadable)[:200]
        self._crash = told

    def facts(self) -> dict[str, Any]:
        """What was seen so far, also when the model is gone or the watch closed."""
        if self._closed:
            return dict(self._last)
        self._caught_up()
        told = dict(self._last)
        for each in (self.invariants, self.answers, self.rows, self.judging, self.pull, self.norms, self.structure):
            told |= each.facts()
        if (
            told.get("answers", {}).get("batches", 0) >= SURE
        ):  # of a loss that is none of the usual ones chance is not known
            told["chance_loss"] = told["answers"].get("chance") or None
        if self._coupling is not None:
            told["coupling"] = self._coupling
        if self._restless is not None:
            told["restless"] = self._restless
        if self._crash is not None:
            told["crash"] = self._crash
        self._last = told
        return dict(told)

    def close(self) -> None:
        """Takes every hook away."""
        self.facts()
        self._closed = True
        for handle in self._handles:
            handle.remove()
        for each in (self.invariants, self.answers, self.rows, self.judging, self.pull, self.norms, self.structure):
            each.close()
        self._handles, self._held, self._given = [], None, ()

    def _called(self, module: nn.Module, args: Any, named: Any) -> None:
        if torch.is_grad_enabled():
            self._held = (args, named)

    def _lost(self, module: nn.Module, args: Any) -> None:
        if torch.is_grad_enabled():
            self._given = tuple(each.detach() for each in args if isinstance(each, Tensor))

    def _modules(self) -> list[nn.Module]:
        model = self._model()
        return [] if model is None else list(model.modules())

    def _ask(self, model: nn.Module, args: Any, named: Any) -> float | None:
        rows = {len(each) for each in _tensors((args, named)) if each.dim()}
        if len(rows) != 1 or min(rows) < ASKED:
            return None
        modes = [(each, each.training) for each in model.modules()]
        buffers = [(each, each.detach().clone()) for each in model.buffers()]
        before = random_state()
        self.invariants.paused = self.judging.paused = True
        try:
            model.eval()
            with torch.no_grad():
                found = []
                for low, drawn in ((0, False), (0, False), (0, True), (ASKED // 2, False)):
                    set_random_state(before)
                    if drawn:
                        torch.rand(1)
                    found.append(next(_tensors(model(*_cut(args, low), **_cut(named, low))), None))
            whole, again, other, part = found
            if whole is None or again is None or other is None or part is None:
                return None
            if not whole.is_floating_point() or whole.dtype in (torch.float16, torch.bfloat16):
                return None
            if len(whole) != ASKED or len(part) != ASKED - ASKED // 2 or whole.shape[1:] != part.shape[1:]:
                return None
            spread = float((whole - whole.mean(0)).square().mean().sqrt())
            if not spread > 1e-5 * float(whole.abs().max()):
                return None
            self._restless = float((again - whole).abs().max()) / spread
            if self._restless > 0 or float((other - whole).abs().max()) > 0:
                return None  # what it gives is drawn anew: nothing can be told of the rows
            return float((whole[ASKED // 2 :] - part).abs().max()) / spread
        except Exception:  # a model that cannot be called so says nothing of its rows
            return None
        finally:
            self.invariants.paused = self.judging.paused = False
            set_random_state(before)
            for each, was in modes:
                each.training = was
            with torch.no_grad():
                for buffer, kept in buffers:
                    if not torch.equal(buffer, kept):
                        buffer.copy_(kept)


def wakes(call: int) -> int:
    """The first call from `call` on of which onlookers are told: one that is looked at, or comes before one that is.

    >>> [wakes(call) for call in (1, 64, 65, 80, 81)]
    [1, 64, 79, 80, 95]
    """
    return call if call <= DENSE or due(call) else coming(call) - 1


def _cut(given: Any, low: int) -> Any:
    if isinstance(given, Tensor):
        return given[low:ASKED] if given.dim() else given
    if isinstance(given, dict):
        return {name: _cut(each, low) for name, each in given.items()}
    if isinstance(given, list | tuple):
        return type(given)(_cut(each, low) for each in given)
    return given


def _tensors(given: Any) -> Any:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, dict):
        for each in given.values():
            yield from _tensors(each)
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _tensors(each)

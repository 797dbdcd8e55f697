"""Whether a model that is taught the next place of a sequence sees it: a question put to it, with the batch of an early update.

`facts()` holds, under `ahead` and only where the targets of that batch are its own inputs some places on:

* `steps`, `share`: how many places on, and the share of the targets for which that holds. `length`: places of a row.
* `change`, `bound`: the largest change of scored outputs when the inputs from their answers on are those of others, over the spread of the
  outputs, and what rounding explains; `back`: how many places before the change the first of these outputs stands, 0 where none moved.
* `own`: where `steps` is 0, the same for the input of the very place.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.next_place import Relation, leaves, relation
from tunesmith.doctor.probes.watcher_asking import Counting, answer, question
from tunesmith.doctor.probes.watcher_loss import Tap, seen_in
from tunesmith.doctor.probes.watcher_peep import Peep, door
from tunesmith.doctor.probes.watcher_view import inside

ASKED_AT = (2, 16)  # updates; the second time only where nothing was seen: layers may begin with zeros; assumption
ROWS = 8  # of a batch that are asked for; assumption
PLACES = (0.25, 0.5, 0.75)  # of the length, where the sequence is cut; assumption
MOST = 2**24  # outputs of a batch that is not cut down to some rows, above which nothing is asked; assumption


class Places:
    """Hears one or two batches of a live training, and asks the model then; `counting` are told to look away."""

    def __init__(self, model: nn.Module, loss_fn: Any = None, counting: Sequence[Counting] = ()) -> None:
        self._model = weakref.ref(model)
        self._loss_fn = loss_fn if isinstance(loss_fn, nn.Module) else None
        self._counting = counting
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._handles: list[Any] = []
        self._tap = Tap(self._ran, after=False)
        self._calls = 0
        self._batch: Any = None
        self._targets: list[tuple[Tensor, int]] = []  # and the mark of those that do not count
        self._told: dict[str, Any] = {}
        self._over = self._front is None
        self._listen()

    def seen(self, call: int, target: Any = None) -> None:
        """After an update, counted from 1; before an update that is looked at it must be called too."""
        if self._over:
            return
        self._calls = call
        batch, targets, self._batch, self._targets = self._batch, self._targets, None, []
        model = self._model()
        if self._calls in ASKED_AT and batch is not None and model is not None:
            if isinstance(target, Tensor):
                targets.append((target.detach(), -100))
            self._told = _asked(inside(model), batch, targets, self._counting)
            self._over = not self._told or self._told["change"] > self._told["bound"]
        self._over = self._over or self._calls >= ASKED_AT[-1]
        self._listen()

    def facts(self) -> dict[str, Any]:
        """What the model answered."""
        return {"ahead": self._told} if self._told else {}

    def close(self) -> None:
        """Takes every hook away."""
        self._tap.close()
        for handle in self._handles:
            handle.remove()
        self._handles, self._batch, self._targets, self._over = [], None, [], True

    def _listen(self) -> None:
        front = None if self._front is None else self._front()
        if self._over or front is None or self._calls + 1 not in ASKED_AT:
            over = self._over or front is None
            self.close()
            self._over = over
        elif not self._handles:
            self._handles = [front.register_forward_pre_hook(Peep(self, "_called"), with_kwargs=True)]
            if self._loss_fn is not None:
                self._handles.append(self._loss_fn.register_forward_pre_hook(Peep(self, "_lost")))
            self._tap.open()

    def _called(self, module: nn.Module, args: Any, named: Any) -> None:
        if torch.is_grad_enabled():
            self._batch = (args, named)

    def _ran(self, tensors: Any, before: bool) -> None:
        loss = tensors if isinstance(tensors, Tensor) and tensors.numel() == 1 else None
        found = None if loss is None else seen_in(loss)
        if found is not None and found.target is not None:
            self._targets = [
                (found.target.detach(), -100 if found.ignored is None else found.ignored)
            ]  # what the loss itself saw goes before what it was given

    def _lost(self, module: nn.Module, args: Any) -> None:
        given = [each for each in args if isinstance(each, Tensor)]
        if torch.is_grad_enabled() and len(given) == 2:
            self._targets.append((given[1].detach(), int(getattr(module, "ignore_index", -100))))


def _asked(
    model: nn.Module, batch: Any, targets: Sequence[tuple[Tensor, int]], counting: Sequence[Counting]
) -> dict[str, Any]:
    for target, ignored in targets:
        for turned in (False, True):
            asked = _Asked.of(batch, target, ignored, turned)
            if asked is None:
                continue
            try:
                with question(model, counting):
                    return asked.told(model)
            except Exception:  # a model that cannot be called so says nothing of its places
                return {}
    return {}


class _Asked:
    """One batch, and how its targets follow from it; `turned` where places lie on the first axis."""

    def __init__(self, given: Any, told: Relation, known: Tensor, rows: int, turned: bool) -> None:
        self.given, self.relation, self.known, self.rows, self.turned = given, told, known, rows, turned

    @classmethod
    def of(cls, batch: Any, target: Tensor, ignored: int, turned: bool) -> "_Asked | None":
        axis = 1 if turned else 0
        found = [each for each in leaves(batch) if each.dim() > 1]
        rows = {each.shape[axis] for each in found if each.shape[axis]}
        if not found or len(rows) != 1 or target.numel() % min(rows):
            return None
        count = min(rows)
        wanted = target.reshape(-1, count).T if turned else target.reshape(count, -1)
        same = all(len(each) == count for each in leaves(batch)) and not turned
        if same and count > ROWS:
            batch, wanted, count = _each(batch, lambda leaf: leaf[:ROWS]), wanted[:ROWS], ROWS
        plain = _each(batch, lambda leaf: leaf.transpose(0, 1) if leaf.dim() > 1 else leaf) if turned else batch
        told = relation(plain, wanted, count)
        if (
            told is None
            or told.steps < 0
            or not told.length >= told.width
            or (told.steps == 0 < told.length - told.width)
        ):
            return None
        if target.numel() > MOST:
            return None
        known = wanted != ignored if not wanted.is_floating_point() else torch.isfinite(wanted)
        if not wanted.is_floating_point():
            known = known & (wanted >= 0)
        return cls(batch, told, known, count, turned)

    def told(self, model: nn.Module) -> dict[str, Any]:
        base, again = self._outputs(model, self.given), self._outputs(model, self.given)
        if base is None or again is None:
            return {}
        spread = float((base - base.mean((0, 1))).square().mean().sqrt())
        bound = (
            torch.finfo(base.dtype).eps ** 0.5
        )  # of the spread: far above rounding, far below what can be learnt from
        if not spread > 0 or float((base - again).abs().max()) > 0.01 * bound * spread:
            return {}
        reach, length = max(1, self.relation.steps), self.relation.length
        worst, back = 0.0, 0
        for share in PLACES:
            place = max(1, round(share * (length - reach)))
            gaps = self._gaps(model, base, place + 1, self._changed(place + reach, None)) / spread
            moved = (gaps > bound).nonzero()
            worst, back = max(worst, float(gaps.max())), max([back, *(place + reach - int(one) for one in moved[:1])])
        told = {
            "steps": self.relation.steps,
            "share": self.relation.share,
            "whole": self.relation.whole,
            "length": length,
            "change": worst,
            "bound": bound,
            "back": back,
        }
        if self.relation.steps == 0:
            middle = length // 2
            told["own"] = float(self._gaps(model, base, middle + 1, self._changed(middle, middle + 1)).max()) / spread
        return told

    def _gaps(self, model: nn.Module, base: Tensor, stop: int, changed: Any) -> Tensor:
        """By place, the largest change of outputs that are scored."""
        result = self._outputs(model, changed)
        if result is None:
            return base.new_zeros(1)
        gap = (base[:, :stop] - result[:, :stop]).abs().nan_to_num(0.0, 0.0, 0.0).flatten(2).amax(2)
        scored = self.known[:, : gap.shape[1]].to(gap.device)
        gap[:, : scored.shape[1]] *= scored
        gap[:, scored.shape[1] :] = 0.0
        return gap.amax(0).double().cpu()

    def _outputs(self, model: nn.Module, given: Any) -> Tensor | None:
        """The outputs as (rows, places, numbers); None where they have no place for each of the inputs."""
        args, named = given
        found = answer(model(*args, **named))
        rows, length = self.rows, self.relation.length
        if found is None:
            return None
        if self.turned:
            found = found.reshape(length, rows, -1) if found.numel() and len(found) in (length, length * rows) else None
            return None if found is None else found.transpose(0, 1)
        if len(found) == rows * length:
            return found.reshape(rows, length, -1)
        axes = [axis for axis in range(1, found.dim()) if found.shape[axis] == length]
        if len(found) != rows or len(axes) != 1:
            return None
        return found.movedim(axes[0], 1).flatten(2) if found.dim() > 2 else found[:, :, None]

    def _changed(self, start: int, stop: int | None) -> Any:
        """The inputs of the places from `start` to `stop` are those of others: of the row before, in reverse order."""
        count = -1

        def put(leaf: Tensor) -> Tensor:
            nonlocal count
            count += 1
            if count != self.relation.leaf:
                return leaf
            new = leaf.transpose(0, 1).clone() if self.turned else leaf.clone()
            columns = slice(None) if self.relation.column is None else self.relation.column
            where = (slice(None), slice(start, stop), columns)[: new.dim()]
            new[where] = new.roll(1, 0)[where].flip(1)
            return new.transpose(0, 1) if self.turned else new

        return _each(self.given, put)


def _each(tree: Any, change: Any) -> Any:
    """The same tree with its tensors changed, in the order of `leaves`."""
    if isinstance(tree, Tensor):
        return change(tree) if tree.dim() else tree
    if isinstance(tree, dict):
        return {name: _each(value, change) for name, value in tree.items()}
    if isinstance(tree, tuple | list) and not hasattr(tree, "_fields"):
        return type(tree)(_each(value, change) for value in tree)
    return tree

"""What a live loop judges its model by: rows that the training knows, rows of another kind, labels in another code.

Hooks are on from the last update before an evaluation to its end: of the first epoch where that is short, then where the length of the
epochs so far says that one is due. A pass with gradients takes them off, and what had been seen is thrown away: it was no evaluation.

`facts()` holds, under `judged`, all of which may be absent:

* `evaluations`, `rows`: looked at. `known`: share of the rows that had been met in training, of those of the last evaluation looked at;
  `known_whole`, `known_none`: shares of its passes of which all rows, or none, had been.
* `offset`, `spread`: median over the columns of the distance of the means, in deviations of the training, and of the absolute logarithm
  (base 10) of the deviation over that of the training.
* `linked`, `linked_chance`: as of `watcher_rows`, of the rows judged.
* `exchanged`: labels that the model nearly always answers with one other, each of them the answer to one label alone: pairs; `labelled`:
  different labels of the rows looked at; `right`: share of the rows answered rightly; `label_shares`: of the commonest labels;
  `distinct`: different rows.
"""

import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.watcher_answers import IGNORED, SHARES
from tunesmith.doctor.probes.watcher_columns import Columns, marks, numbers
from tunesmith.doctor.probes.watcher_peep import Peep, door, due

BEGIN = 32  # updates within which an evaluation is looked for without knowing when; of `watcher_rows`
ROWS = 2048  # of an evaluation, that are read; assumption
FEWEST = 8  # rows of a label before it is told how they are answered; assumption
MOSTLY = 0.7  # share of the rows of a label with one answer; assumption


class Evaluation:
    """One evaluation as far as it was seen."""

    def __init__(self) -> None:
        self.passes: list[tuple[int, int]] = []  # rows, and those met in training
        self.columns = Columns()
        self.pairs: Counter[tuple[int, int]] = Counter()  # label and answer
        self.left = ROWS
        self.given: Tensor | None = None  # of the pass that goes on, until its targets are known

    def settle(self, target: Tensor | None) -> None:
        """The targets of the last pass are known now, or will not be."""
        given, self.given = self.given, None
        if given is not None:
            self.columns.take(given, target)


class Judged:
    """Sees the passes by which a live training is judged until `close`."""

    def __init__(self, model: nn.Module, loss_fn: Any, trained: Columns) -> None:
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._loss_fn = loss_fn if isinstance(loss_fn, nn.Module) else None
        self._trained = trained
        self.coming = -1  # the update after which an evaluation is awaited
        self.paused = False  # a question of ours, which is no pass of the loop
        self._ended = self._evaluations = self._trainings = 0
        self._handles: list[Any] = []
        self._now = Evaluation()
        self._last: Evaluation | None = None
        self.arm()

    def arm(self) -> None:
        """An evaluation may come."""
        front = None if self._front is None else self._front()
        if self._handles or front is None:
            return
        self._now = Evaluation()
        self._handles.append(front.register_forward_pre_hook(Peep(self, "_called")))
        if self._loss_fn is not None:
            self._handles.append(self._loss_fn.register_forward_hook(Peep(self, "_lost")))

    def judged(self, calls: int) -> None:
        """The evaluation is over, which came after so many updates."""
        self._evaluations += 1
        self._now.settle(None)
        if self._now.passes:
            self._last = self._now
        self._now = Evaluation()
        length, self._ended = calls - self._ended, calls
        ahead = 1
        while not due(self._evaluations + ahead):
            ahead += 1
        self.coming = calls + ahead * length if length > 0 else -1
        self.close()
        if length <= 0:
            self.arm()

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `judged`."""
        last = self._last
        if last is None:
            return {}
        rows = sum(count for count, _ in last.passes)
        told: dict[str, Any] = {
            "evaluations": self._evaluations,
            "rows": rows,
            "distinct": last.columns.distinct,
            "known": sum(known for _, known in last.passes) / rows,
            "known_whole": sum(known == count for count, known in last.passes) / len(last.passes),
            "known_none": sum(not known for _, known in last.passes) / len(last.passes),
        }
        seen = last.columns.facts()
        told |= {name: seen[name] for name in ("linked", "linked_chance") if name in seen}
        return {"judged": told | self._apart(last.columns) | _answered(last.pairs)}

    # Hooks

    def _called(self, module: nn.Module, args: Any) -> None:
        if self.paused:
            return
        if torch.is_grad_enabled():
            self._trainings += 1
            if self._now.passes:
                self._now = Evaluation()
            if self.coming >= 0 or self._trainings > BEGIN:
                self.close()
            return
        tensor = next(numbers(args), None)
        now = self._now
        now.settle(None)
        if tensor is None or tensor.dim() < 1 or not len(tensor) or now.left <= 0:
            return
        with torch.no_grad():
            given = tensor.detach()[: now.left]
            met = self._trained.met
            now.passes.append((len(given), sum(mark in met for mark in marks(given))))
        now.left -= len(given)
        now.given = given

    def _lost(self, module: nn.Module, args: Any, value: Any) -> None:
        found = [each.detach() for each in args if isinstance(each, Tensor)]
        if self.paused or torch.is_grad_enabled() or len(found) != 2 or self._now.given is None:
            return
        outputs, target = found
        rows = len(self._now.given)
        with torch.no_grad():
            self._now.settle(target[:rows] if target.dim() and len(target) >= rows else None)
            if (
                outputs.dim() == 2
                and target.dim() == 1
                and not target.is_floating_point()
                and len(target) == len(outputs)
            ):
                pairs = zip(target[:rows].tolist(), outputs[:rows].argmax(1).tolist(), strict=True)
                self._now.pairs.update(pair for pair in pairs if pair[0] != IGNORED)

    # What it comes to

    def _apart(self, seen: Columns) -> dict[str, float]:
        """How far the rows judged are from those of the training, column by column."""
        here, there = seen.moments(), self._trained.moments()
        if here is None or there is None or len(here[0]) != len(there[0]):
            return {}
        moving = there[1] > 0
        if not bool(moving.any()) or seen.rows < FEWEST:
            return {}
        offset = ((here[0] - there[0]).abs() / there[1])[moving]
        spread = (here[1] / there[1])[moving].clamp(min=1e-12).log10().abs()
        return {"offset": float(offset.median()), "spread": float(spread.median())}


def _answered(pairs: Counter[tuple[int, int]]) -> dict[str, Any]:
    if not pairs:
        return {}
    rows: Counter[int] = Counter()
    for (label, _), count in pairs.items():
        rows[label] += count
    mostly = {
        label: answer for (label, answer), count in pairs.items() if count >= FEWEST and count >= MOSTLY * rows[label]
    }
    once = Counter(mostly.values())
    exchanged = [[label, answer] for label, answer in sorted(mostly.items()) if label != answer and once[answer] == 1]
    right = sum(count for (label, answer), count in pairs.items() if label == answer) / sum(pairs.values())
    shares = {str(label): count / sum(pairs.values()) for label, count in rows.most_common(SHARES)}
    return {"exchanged": exchanged, "labelled": len(rows), "right": right, "label_shares": shares}

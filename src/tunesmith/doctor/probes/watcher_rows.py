"""What a live training is fed: the columns of its inputs, rows that carry nothing, and whether a column goes with the targets at all.

`facts()` holds, under `inputs`, all of which may be absent:

* `kind` ("numbers" of a flat table, "values" of pictures and sequences, "indices"), `shape`, `batches`, `rows`.
* `mean`, `std`, `low`, `high`: of all values; `columns`, `constant` (how many never changed), `spread_ratio` (largest over smallest range of the
  others), `offset` (median |mean| over standard deviation), `std_low`, `std_high`.
* `row_outlier`: largest distance of a row from the median length in robust deviations, and `row_wild`: share of rows beyond 20 of them.
* `row_length_ratio`: longest row over the lower quartile; `large`: share of rows beyond 20 times it.
* `tail`: the farthest value of the median column from its median, in robust deviations.
* `blank`: share of rows that hold one value everywhere.
* `linked`, `linked_chance`: largest standardised link of one column with the targets, and what chance gives with that many columns;
  `linked_share`: share of the columns beyond that.
* `told_first`, `told_second`: share of the variance that the targets and the best, the second best column have in common; `told_column`:
  place of the best; `answers`: numbers in a row's target.
* `distinct`: different rows met; `first_rows`: rows of the first batches, which were all read.
"""

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.watcher_columns import Columns, numbers
from tunesmith.doctor.probes.watcher_peep import Peep, door
from tunesmith.doctor.probes.watcher_peep import due as often

FIRST = 32  # batches read one by one: of many runs the first epoch; assumption


class Rows:
    """Sees the inputs of a live training until `close`."""

    def __init__(self, model: nn.Module) -> None:
        self._inputs: Any = None
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._handles: list[Any] = []
        self._calls = self._first_rows = 0
        self.columns = Columns()
        self._listen()

    def seen(self, target: Any = None, inputs: Any = None) -> None:
        """After an update; `inputs` where the model is not called with them."""
        given = self._inputs if inputs is None else inputs
        self._inputs = None
        self._calls += 1
        due = self.due(self._calls)
        self._listen()
        if not due:
            return
        tensor = next(numbers(given), None)
        if tensor is None or tensor.dim() < 1 or not len(tensor):
            return
        with torch.no_grad():
            self.columns.take(tensor, target if isinstance(target, Tensor) else None)
        if self._calls <= FIRST:
            self._first_rows += len(tensor)

    def passed_over(self, updates: int) -> None:
        """After so many updates that were not looked at, before another one."""
        self._calls += updates

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._inputs = [], None

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `inputs`."""
        told = self.columns.facts()
        return {"inputs": told | {"first_rows": self._first_rows}} if told else {}

    @staticmethod
    def due(call: int) -> bool:
        """Whether the batch of an update, counted from 1, is read."""
        return call <= FIRST or often(call)

    def _listen(self) -> None:
        front = None if self._front is None else self._front()
        if not self.due(self._calls + 1) or front is None:
            self.close()
        elif not self._handles:
            self._handles = [front.register_forward_pre_hook(Peep(self, "_called"))]

    def _called(self, module: nn.Module, args: Any) -> None:
        if torch.is_grad_enabled() and args:
            self._inputs = args

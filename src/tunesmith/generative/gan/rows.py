"""Real rows for the discriminator: batches drawn anew for each of its steps."""

import torch
from torch import Tensor

from tunesmith.records.state import State
from tunesmith.training.batch import Batch, Window


class RealRows:
    """Windows of `accumulate` batches, one for each step of the discriminator; rows are drawn with replacement.

    They are drawn from torch's global generator, which a checkpoint holds: a resumed run draws what the other would have drawn.
    An epoch is as many updates as use the rows once, on average.
    """

    sized = True

    def __init__(self, rows: Tensor, batch_size: int, steps: int) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.accumulate = steps
        self.length = self.updates()
        self._none = torch.zeros(0)

    def updates(self) -> int:
        return max(1, len(self.rows) // (self.batch_size * self.accumulate))

    def start(self, state: State) -> None:
        """Nothing: no order is kept."""

    def window(self, state: State) -> Window | None:
        if state.position >= self.length:
            return None
        state.position += 1
        return [self._batch() for _ in range(self.accumulate)]

    def _batch(self) -> Batch:
        index = torch.randint(0, len(self.rows), (self.batch_size,)).to(self.rows.device)
        return Batch(self.rows[index], self._none, None, self.batch_size)

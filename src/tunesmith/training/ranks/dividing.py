"""Each micro-batch is divided over the ranks by rows: no row twice, none left out, in the order that one process has."""

from collections.abc import Sequence

from tunesmith.records import DataError
from tunesmith.records.state import State
from tunesmith.training.batch import Batch, Window
from tunesmith.training.feeds import Feed
from tunesmith.training.recovery.cutting import piece, uncuttable


class Divided(list[Batch]):
    """A rank's part of a window. `rows` are those of all ranks; `even`: every rank has some of each micro-batch."""

    rows: int = 0
    even: bool = True


def bounds(rows: int, rank: int, world: int, least: int = 1) -> tuple[int, int]:
    """The rows of a rank, from and until: as equal as can be, and where there are too few, `least` or none.

    >>> [bounds(10, rank, 3) for rank in range(3)], [bounds(3, rank, 2, least=2) for rank in range(2)]
    ([(0, 3), (3, 6), (6, 10)], [(0, 3), (3, 3)])
    """
    sharing = max(1, min(world, rows // least))
    if rank >= sharing:
        return rows, rows
    return rank * rows // sharing, (rank + 1) * rows // sharing


class DividedFeed:
    """The part of one rank in the windows of a feed that all ranks read alike.

    Random changes of rows (augmentation, mixing) are made before the batch is divided, so they are those of one process.
    `least`: rows that a part needs, 2 for batch norm over one rank; `empties`: parts without rows are kept, for layers
    that talk to each other.
    """

    def __init__(self, feed: Feed, rank: int, world: int, *, least: int = 1, empties: bool = False) -> None:
        self.feed = feed
        self.rank, self.world = rank, world
        self.least, self.empties = least, empties

    @property
    def batch_size(self) -> int:
        """Rows of a micro-batch, of all ranks together."""
        return self.feed.batch_size

    @batch_size.setter
    def batch_size(self, rows: int) -> None:
        self.feed.batch_size = rows

    @property
    def accumulate(self) -> int:
        """Micro-batches of an update."""
        return self.feed.accumulate

    @accumulate.setter
    def accumulate(self, parts: int) -> None:
        self.feed.accumulate = parts

    @property
    def length(self) -> int:
        """Of an epoch, in the unit of `state.position`."""
        return self.feed.length

    @property
    def sized(self) -> bool:
        """Whether the length is known."""
        return self.feed.sized

    def updates(self) -> int:
        """Optimizer updates in an epoch."""
        return self.feed.updates()

    def start(self, state: State) -> None:
        """Opens the epoch `state.epoch`, at `state.position` of it."""
        self.feed.start(state)

    def window(self, state: State) -> Window | None:
        """This rank's part of the next window; None when the epoch is over."""
        whole = self.feed.window(state)
        return None if whole is None else self.part(whole)

    def part(self, window: Sequence[Batch]) -> Divided:
        """The rows of this rank. Raises `DataError` for a batch that does not have the rows first."""
        own = Divided()
        own.rows = sum(batch.size for batch in window)
        own.even = all(bounds(batch.size, self.world - 1, self.world, self.least)[0] < batch.size for batch in window)
        for batch in window:
            if shape := uncuttable(batch):
                raise DataError(
                    f"a tensor of the batch, {shape}, does not have the rows first, so {self.world} ranks cannot divide it; train in "
                    "one process, or give batches whose tensors begin with the rows"
                )
            start, stop = bounds(batch.size, self.rank, self.world, self.least)
            if stop > start or self.empties:
                own.append(piece(batch, start, stop, opens=True))
        return own

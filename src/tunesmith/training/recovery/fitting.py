"""Passes without gradient over batches, in parts where memory runs out."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from tunesmith.training.batch import Batch
from tunesmith.training.recovery.cutting import cut, uncuttable
from tunesmith.training.recovery.exhausted import out_of_memory, release
from tunesmith.training.recovery.room import Room

Result = TypeVar("Result")


def fitting(
    passed: Callable[[Batch], Result], batches: Iterable[Batch], room: Room | None, device: torch.device
) -> Iterator[tuple[Batch, Result]]:
    """Each batch, or its parts in order, with what `passed` gave. Without `room` an exhausted memory is an error."""
    for batch in batches:
        waiting = [batch]
        while waiting:
            part = waiting.pop(0)
            if room is not None and room.rows is not None and part.size > room.rows and not uncuttable(part):
                waiting = [*cut(part, room.rows), *waiting]
                continue
            try:
                result = passed(part)
            except Exception as error:
                if room is None or not out_of_memory(error) or uncuttable(part) or not room.halve(part.size):
                    raise
                waiting = [part, *waiting]
                result = None
            if result is None:
                release(device)  # here, where the error and its frames are gone
                continue
            yield part, result
            if room is not None:
                room.used()

"""What ranks say to each other. Every call is made by all of them, in the same order; a rank that is gone ends it for the others."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from tunesmith.records import RankLost
from tunesmith.training.ranks.place import Place

WISHES = ("drain", "save", "stop", "quit", "pause")  # what the clock, or somebody, wants of the loop
PATIENCE = timedelta(minutes=30)  # for a rank that lives and says nothing; one that died is noticed at once
BUCKET = 2**25  # bytes that are added up at once; that of torch's DDP, `bucket_cap_mb`


class Ranks:
    """The ranks of one training, as one of them sees them.

    What is decided goes over processors (gloo), gradients over the backend of their device.
    """

    def __init__(self, place: Place, device: torch.device) -> None:
        self.rank, self.world, self.local = place.rank, place.world, place.local
        self.device = device
        self.wishes: dict[str, bool] = {}
        self._granted: set[str] = set()
        backend = str(distributed.get_backend())
        self._talk = None if "gloo" in backend else distributed.new_group(backend="gloo", timeout=PATIENCE)

    @property
    def first(self) -> bool:
        """Whether this rank writes and speaks for all."""
        return self.rank == 0

    def everybodys(self, value: Any) -> list[Any]:
        """The values of all ranks, by rank."""
        found: list[Any] = [None] * self.world
        with told():
            distributed.all_gather_object(found, value, group=self._talk)
        return found

    def firsts(self, value: Any) -> Any:
        """The value of the first rank."""
        held = [value if self.first else None]
        with told():
            distributed.broadcast_object_list(held, src=0, group=self._talk)
        return held[0]

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Puts the first rank's numbers into the tensors of all."""
        with told(), torch.no_grad():
            for held in tensors:
                distributed.broadcast(held, src=0)

    def speak(self, numbers: Sequence[float]) -> list[float]:
        """The sums of small numbers over all ranks; the wishes of the ranks go with them."""
        own = torch.tensor([*(float(self.wishes.get(name, False)) for name in WISHES), *numbers], dtype=torch.float64)
        with told():
            distributed.all_reduce(own, group=self._talk)
        heard: list[float] = own.tolist()
        self._granted = {name for name, wish in zip(WISHES, heard, strict=False) if wish > 0}
        return heard[len(WISHES) :]

    def granted(self, wish: str, *, once: bool = False) -> bool:
        """Whether any rank wished it when they last spoke; `once`: the next to ask hears no."""
        said = wish in self._granted
        if once:
            self._granted.discard(wish)
        return said

    def most(self, value: int) -> int:
        """The largest of all ranks' values."""
        held = torch.tensor([value], dtype=torch.int64)
        with told():
            distributed.all_reduce(held, op=distributed.ReduceOp.MAX, group=self._talk)
        return int(held.item())

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Puts the sums over all ranks into the tensors, which are alike on each."""
        with told(), torch.no_grad():
            for bucket in buckets(tensors):
                flat = torch.cat([one.reshape(-1) for one in bucket])
                distributed.all_reduce(flat)
                parts = torch.split(flat, [one.numel() for one in bucket])
                for one, part in zip(bucket, parts, strict=True):
                    one.copy_(part.view_as(one))


def buckets(tensors: Sequence[Tensor], most: int = BUCKET) -> Iterator[list[Tensor]]:
    """Tensors of one type and device together, up to `most` bytes.

    >>> [len(bucket) for bucket in buckets([torch.zeros(2), torch.zeros(2), torch.zeros(2)], most=16)]
    [2, 1]
    """
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for one in tensors:
        kinds.setdefault((one.dtype, one.device), []).append(one)
    for same in kinds.values():
        bucket: list[Tensor] = []
        size = 0
        for one in same:
            if bucket and size + one.nbytes > most:
                yield bucket
                bucket, size = [], 0
            bucket.append(one)
            size += one.nbytes
        yield bucket


SAID_BY_GLOO = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL")


@contextmanager
def among_ranks() -> Iterator[None]:
    """The same around a pass whose layers talk to each other; another error is the pass's own."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in SAID_BY_GLOO):
            raise
        with told():
            raise


@contextmanager
def told() -> Iterator[None]:
    """What breaks between ranks is a rank that is gone: the others end with one sentence."""
    try:
        yield
    except RuntimeError as error:  # torch's DistError is one; gloo raises the plain kind
        text = " ".join(str(error).split())
        raise RankLost(
            f"another rank is gone, or has said nothing for {PATIENCE.seconds // 60} minutes ({text[:160]}); all ranks stop: see what "
            "the others said last, then resume the run from its last checkpoint"
        ) from error

"""A loader that mirrors about half of the faces it gives, and swaps the points of left and right.

Everything random comes from two generators that the loader and its data set hold. A training that goes on after a stop finds them, puts them
back and reads the same batches again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cases.keypoints.points import swapped

Pair = tuple[Tensor, Tensor]


def mirrored(pictures: Tensor, targets: Tensor, columns: list[int]) -> Pair:
    """Pictures (N, 1, S, S) from right to left, and targets (N, K), 0 at the middle, of those `columns`: x changes its sign, and the
    points change their names."""
    signs = torch.tensor([-1.0 if column % 2 == 0 else 1.0 for column in columns])
    return pictures.flip(-1), targets[:, swapped(columns)] * signs


class FlippedFaces(Dataset[Pair]):
    """Faces and targets, each mirrored with a chance of one half whenever it is read."""

    def __init__(self, pictures: Tensor, targets: Tensor, columns: list[int], seed: int, chance: float = 0.5) -> None:
        self.pictures = pictures
        self.targets = targets
        self.columns = columns
        self.chance = chance
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> Pair:
        pictures, targets = self.__getitems__([row])
        return pictures[0], targets[0]

    def __getitems__(self, rows: list[int]) -> Pair:
        """A whole batch at once, as a `DataLoader` asks for it."""
        index = torch.tensor(rows)
        pictures, targets = self.pictures[index], self.targets[index]
        turned = torch.rand(len(rows), generator=self.generator) < self.chance
        if turned.any():
            other_pictures, other_targets = mirrored(pictures[turned], targets[turned], self.columns)
            pictures[turned], targets[turned] = other_pictures, other_targets
        return pictures, targets


def flipping_loader(
    pictures: Tensor, targets: Tensor, columns: list[int], *, batch_size: int, seed: int
) -> DataLoader[Any]:
    """Shuffled batches of faces, about half of them mirrored."""
    return DataLoader(
        FlippedFaces(pictures, targets, columns, seed),
        batch_size=batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed + 1_000_003),  # another stream than that of the flips
        collate_fn=_as_it_is,
    )


def _as_it_is(batch: Any) -> Any:
    """A batch that the data set has put together already."""
    return batch

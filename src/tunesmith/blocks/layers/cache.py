"""Keys and values of the tokens that a decoder has read, so that the next token does not read them again."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Cache:
    """Room for `longest` tokens of each row, filled from the left; `real` says which of them are no padding.

    Shape: keys and values (N, heads, longest, d) for each block, `real` (N, longest).
    """

    keys: list[Tensor]
    values: list[Tensor]
    real: Tensor
    filled: int = 0

    @classmethod
    def empty(cls, rows: int, longest: int, *, blocks: int, heads: int, size: int, like: Tensor) -> "Cache":
        """Nothing read yet; dtype and device of `like`."""

        def room() -> list[Tensor]:
            return [like.new_zeros(rows, heads, longest, size) for _ in range(blocks)]

        return cls(room(), room(), torch.zeros(rows, longest, dtype=torch.bool, device=like.device))

    @property
    def longest(self) -> int:
        return self.real.shape[1]

    def read(self, real: Tensor) -> Tensor:
        """Takes note of new tokens, (N, L); gives what each may see of all there are, (N, 1, L, filled), and the rest is padding.

        Padding sees itself, so that no row of the attention is empty.
        """
        before, self.filled = self.filled, self.filled + real.shape[1]
        self.real[:, before : self.filled] = real
        place = torch.arange(self.filled, device=real.device)
        earlier = place <= place[before:, None]
        seen: Tensor = (earlier & self.real[:, None, : self.filled]) | (place == place[before:, None])
        return seen[:, None]

    def append(self, block: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Stores what a block made of the new tokens, after `read`; gives the keys and values of all."""
        new = slice(self.filled - key.shape[2], self.filled)
        self.keys[block][:, :, new], self.values[block][:, :, new] = key, value
        return self.keys[block][:, :, : self.filled], self.values[block][:, :, : self.filled]

    def positions(self) -> Tensor:
        """Of the newest token of each row among its real ones, from 0 on, (N, 1)."""
        return (self.real[:, : self.filled].sum(1, keepdim=True) - 1).clamp(min=0)

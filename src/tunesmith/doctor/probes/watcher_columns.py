"""What a stream of rows is like: its columns, its lengths, rows met before, and whether a column goes with the targets.

Used for the rows a live training is fed, and for those it is judged by. `facts()` holds what `watcher_rows` lists.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tunesmith.doctor.probes.watcher_answers import IGNORED

FEWEST = 50  # rows below which no link is told; assumption
COLUMNS = 4096  # columns of a row that are read: of a larger one every so manieth; assumption
CLASSES = 64  # labels beyond which no link with columns is sought; assumption
LARGE = 20.0  # times the lower quartile: bytes beside shares are 255; assumption
KEPT, WIDE = 512, 64  # rows and columns of which values are kept for their medians; assumption
LENGTHS = 20_000  # lengths of rows kept, and rows told apart; assumption


class Columns:
    """Takes batches of rows. `met` holds the marks of the different rows."""

    def __init__(self) -> None:
        self.batches = self.rows = self.distinct = 0
        self.met: set[int] = set()
        self._told: dict[str, Any] = {}
        self._sums: dict[str, Tensor] = {}
        self._lengths: list[Tensor] = []
        self._blank = 0
        self._values: list[Tensor] = []
        self._by_label: dict[int, tuple[int, Tensor]] = {}
        self._linked: list[Tensor] = []  # count, sums of target, squares, products with the columns

    def take(self, given: Tensor, target: Tensor | None) -> None:
        """A batch of rows, with their targets where these are known."""
        self.batches += 1
        self.rows += len(given)
        self._told |= {"shape": list(given.shape)}
        fresh = self._unseen(given)
        if not given.is_floating_point():
            self._told["kind"] = "indices"
            return
        self._told["kind"] = "numbers" if given.dim() <= 2 else "values"
        flat = columns(given).double()
        if self._sums and self._sums["low"].shape[0] != flat.shape[1]:
            return  # sequences of changing length
        if not bool(torch.isfinite(flat).all()):
            return
        if not self._sums:
            self._shift = flat.median(0).values
            nothing = torch.zeros_like(self._shift)
            self._sums = {"sum": nothing, "squares": nothing, "count": torch.tensor(0)}
            self._sums |= {"low": flat.amin(0), "high": flat.amax(0)}
        moved = flat - self._shift  # so that a large mean does not swallow the spread
        self._sums = {
            "sum": self._sums["sum"] + moved.sum(0),
            "squares": self._sums["squares"] + (moved**2).sum(0),
            "low": torch.minimum(self._sums["low"], flat.amin(0)),
            "high": torch.maximum(self._sums["high"], flat.amax(0)),
            "count": self._sums["count"] + len(flat),
        }
        if flat.shape[1] > 3:
            self._blank += int((flat.amax(1) == flat.amin(1)).sum())
        if sum(map(len, self._lengths)) < LENGTHS:
            self._lengths.append(moved.norm(dim=1).cpu())
        if sum(map(len, self._values)) < KEPT:
            self._values.append(flat[:KEPT, :: max(1, -(-flat.shape[1] // WIDE))].cpu())
        if target is not None and len(target) == len(flat):
            self._link(moved, target, fresh)

    def moments(self) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation by column; None without numbers."""
        if not self._sums:
            return None
        count = int(self._sums["count"])
        mean = self._sums["sum"] / count
        return mean + self._shift, (self._sums["squares"] / count - mean**2).clamp(min=0).sqrt()

    def facts(self) -> dict[str, Any]:
        """What was seen so far; empty without rows."""
        if not self.batches:
            return {}
        told = dict(self._told) | {"batches": self.batches, "rows": self.rows, "distinct": self.distinct}
        told |= self._columns()
        if self._lengths:
            told |= self._outliers() | {"blank": self._blank / self.rows}
        return told | self._links()

    def _unseen(self, given: Tensor) -> Tensor:
        """Which rows were not met before: a second epoch is no further evidence."""
        kept = []
        for place, mark in enumerate(marks(given)):
            if mark not in self.met and len(self.met) < LENGTHS:
                self.met.add(mark)
                kept.append(place)
        self.distinct += len(kept)
        return torch.tensor(kept, dtype=torch.long, device=given.device)

    def _link(self, moved: Tensor, target: Tensor, fresh: Tensor) -> None:
        moved, target = moved[fresh], target[fresh]
        self._told["answers"] = target[0].numel() if len(target) else self._told.get("answers", 1)
        answers = target.flatten(1)[:, 0] if target.dim() > 1 else target
        if not answers.is_floating_point():
            for label in torch.unique(answers).tolist()[:CLASSES]:
                if label == IGNORED:
                    continue
                mine = moved[answers == label]
                count, total = self._by_label.get(label, (0, torch.zeros_like(moved[0])))
                self._by_label[label] = (count + len(mine), total + mine.sum(0))
            return
        answers = answers.double()
        if not bool(torch.isfinite(answers).all()):
            return
        now = [torch.tensor(len(answers)), answers.sum(), (answers**2).sum(), answers @ moved]
        self._linked = [one + other for one, other in zip(self._linked, now, strict=True)] if self._linked else now

    # What it comes to

    def _columns(self) -> dict[str, Any]:
        found = self.moments()
        if found is None:
            return {}
        mean, spread = found
        still = self._sums["high"] == self._sums["low"]
        total_mean = float(mean.mean())
        told: dict[str, Any] = {
            "mean": total_mean,
            "std": math.sqrt(float((spread**2).mean() + ((mean - total_mean) ** 2).mean())),
            "low": float(self._sums["low"].min()),
            "high": float(self._sums["high"].max()),
            "columns": len(still),
            "constant": int(still.sum()),
        }
        moving, ranges = spread[~still], (self._sums["high"] - self._sums["low"])[~still]
        if len(moving):
            told |= {
                "spread_ratio": float(ranges.max() / ranges.min()),
                "std_low": float(moving.min()),
                "std_high": float(moving.max()),
                "offset": float((mean[~still].abs() / moving.clamp(min=1e-300)).median()),
            }
        return told

    def _outliers(self) -> dict[str, Any]:
        lengths = torch.cat(self._lengths)
        middle = lengths.median()
        spread = 1.4826 * (lengths - middle).abs().median()
        floor = torch.maximum(spread, 0.02 * middle).clamp(min=1e-300)
        away = (lengths - middle) / floor
        return self._tails() | {
            "row_outlier": float(away.max()),
            "row_wild": float((away > 20).double().mean()),
            "row_length_ratio": float(lengths.max() / lengths.quantile(0.25).clamp(min=1e-300)),
            "large": float((lengths > LARGE * lengths.quantile(0.25)).double().mean()),
        }

    def _tails(self) -> dict[str, Any]:
        """Of the columns that vary about their median; marks that are mostly absent do not."""
        values = torch.cat(self._values)
        away = (values - values.median(0).values).abs()
        spread = 1.4826 * away.median(0).values
        known = spread > 0
        return {"tail": float((away.amax(0) / spread)[known].median())} if bool(known.any()) else {}

    def _links(self) -> dict[str, Any]:
        count = int(self._sums["count"]) if self._sums else 0
        if count < FEWEST or self.distinct < FEWEST:
            return {}
        mean = self._sums["sum"] / count
        variance = (self._sums["squares"] / count - mean**2).clamp(min=0)
        moving = variance > 0
        held = int(moving.sum())
        if not held:
            return {}
        links: Tensor
        shares: Tensor  # of the variance of a column that the target explains, or the other way round
        if len(self._by_label) > 1:
            rows = sum(each for each, _ in self._by_label.values())
            of_all = sum((total for _, total in self._by_label.values()), torch.zeros_like(mean)) / rows
            between = sum(
                (each * (total / each - mean) ** 2 for each, total in self._by_label.values()), torch.zeros_like(mean)
            )
            free = len(self._by_label) - 1
            if not free or rows < FEWEST:
                return {}
            chi = (between / variance.clamp(min=1e-300))[moving]
            usual = 2 / (9 * free)
            links = ((chi / free) ** (1 / 3) - (1 - usual)) / math.sqrt(usual)  # Wilson and Hilferty 1931
            explained = between - rows * (of_all - mean) ** 2
            shares = (explained / (rows * variance).clamp(min=1e-300))[moving].clamp(0, 1)
        elif self._linked:
            number, total, squares, products = self._linked
            deviation = math.sqrt(max(0.0, float(squares / number - (total / number) ** 2)))
            if not deviation:
                return {}
            covariance = products / number - total / number * mean
            along = (covariance.abs() / variance.clamp(min=1e-300).sqrt())[moving] / deviation
            links = along * math.sqrt(int(number))
            shares = (along**2).clamp(0, 1)
        else:
            return {}
        chance = math.sqrt(2 * math.log(2 * held)) + 2.0
        ordered = shares.sort(descending=True).values
        told = {
            "linked": float(links.max()),
            "linked_chance": chance,
            "linked_share": float((links > chance).double().mean()),
            "told_first": float(ordered[0]),
        }
        if len(ordered) > 1:
            told |= {"told_second": float(ordered[1]), "told_column": int(moving.nonzero()[int(shares.argmax())])}
        return told


def columns(given: Tensor) -> Tensor:
    """(rows, columns), of very long rows every so manieth column."""
    flat = given.flatten(1) if given.dim() > 1 else given[:, None]
    return flat[:, :: max(1, -(-flat.shape[1] // COLUMNS))]


def marks(given: Tensor) -> list[int]:
    """A whole number for each row, the same for equal rows in whatever batch they come.

    Sums of the bits times odd factors modulo 2^64, exact in any order; 64-bit marks of 20,000 rows collide with a chance of 1e-11.

    >>> a, b = marks(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    >>> a == b, marks(torch.tensor([[1.0, 2.0]])) == [a]
    (False, True)
    """
    flat = columns(given.detach())
    bits = flat.float().contiguous().view(torch.int32) if flat.is_floating_point() else flat
    draw = torch.Generator().manual_seed(0)
    factors = 2 * torch.randint(2**62, (bits.shape[1],), generator=draw) + 1
    return list((bits.long() * factors.to(bits.device)).sum(1).tolist())


def numbers(given: Any) -> Iterator[Tensor]:
    """Tensors of a call: those of numbers first."""
    yield from sorted(_all(given), key=lambda each: not each.is_floating_point())


def _all(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, dict):
        for each in given.values():
            yield from _all(each)
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _all(each)

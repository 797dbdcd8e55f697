"""What a live training is fed: the columns of its inputs, rows that carry nothing, and whether a column goes with the targets at all.

`facts()` holds, under `inputs`, all of which may be absent:

* `kind` ("numbers" of a flat table, "values" of pictures and sequences, "indices"), `shape`, `batches`, `rows`.
* `mean`, `std`, `low`, `high`: of all values; `columns`, `constant` (how many never changed), `spread_ratio` (largest over smallest range of the
  others), `offset` (median |mean| over standard deviation), `std_low`, `std_high`.
* `row_outlier`: largest distance of a row from the median length in robust deviations, and `row_wild`: share of rows beyond 20 of them.
* `row_length_ratio`: longest row over the lower quartile; `large`: share of rows beyond 20 times it.
* `blank`: share of rows that hold one value everywhere.
* `linked`, `linked_chance`: largest standardised link of one column with the targets, and what chance gives with that many columns;
  `linked_share`: share of the columns beyond that.
* `distinct`: different rows met; `first_rows`: rows of the first batches, which were all read.
"""

import math
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.watcher_answers import IGNORED
from tunesmith.doctor.probes.watcher_peep import Peep, door
from tunesmith.doctor.probes.watcher_peep import due as often

FIRST = 32  # batches read one by one: of many runs the first epoch; assumption
FEWEST = 50  # rows below which no link is told; assumption
COLUMNS = 4096  # columns of a row that are read: of a larger one every so manieth; assumption
CLASSES = 64  # labels beyond which no link with columns is sought; assumption
LARGE = 20.0  # times the lower quartile: bytes beside shares are 255; assumption
LENGTHS = 20_000  # lengths of rows kept; assumption


class Rows:
    """Sees the inputs of a live training until `close`."""

    def __init__(self, model: nn.Module) -> None:
        self._inputs: Any = None
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._handles: list[Any] = []
        self._calls = self._batches = self._rows = 0
        self._told: dict[str, Any] = {}
        self._sums: dict[str, Tensor] = {}
        self._lengths: list[Tensor] = []
        self._blank = 0
        self._by_label: dict[int, tuple[int, Tensor]] = {}
        self._linked: list[Tensor] = []  # count, sums of target, squares, products with the columns
        self._mark: Tensor | None = None  # a random direction, along which rows are told apart
        self._met: set[float] = set()
        self._distinct = self._first_rows = 0
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
        tensor = next(_numbers(given), None)
        if tensor is None or tensor.dim() < 1 or not len(tensor):
            return
        with torch.no_grad():
            self._take(tensor, target if isinstance(target, Tensor) else None)

    def passed_over(self) -> None:
        """After an update that is not looked at, before another one."""
        self._calls += 1

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._inputs = [], None

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `inputs`."""
        if not self._batches:
            return {}
        told = dict(self._told) | {"batches": self._batches, "rows": self._rows}
        told |= {"distinct": self._distinct, "first_rows": self._first_rows}
        if self._sums:
            told |= self._columns()
        if self._lengths:
            told |= self._outliers() | {"blank": self._blank / self._rows}
        return {"inputs": told | self._links()}

    # One batch

    @staticmethod
    def due(call: int) -> bool:
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

    def _take(self, given: Tensor, target: Tensor | None) -> None:
        self._batches += 1
        self._rows += len(given)
        self._told |= {"shape": list(given.shape)}
        flat = given.flatten(1) if given.dim() > 1 else given[:, None]
        if not given.is_floating_point():
            self._told["kind"] = "indices"
            self._unseen(flat[:, : self._width(flat)].double())
            return
        self._told["kind"] = "numbers" if given.dim() <= 2 else "values"
        flat = flat[:, :: max(1, -(-flat.shape[1] // COLUMNS))].double()
        if self._sums and self._sums["low"].shape[0] != flat.shape[1]:
            return  # sequences of changing length
        if not bool(torch.isfinite(flat).all()):
            return
        now = {
            "sum": flat.sum(0),
            "squares": (flat**2).sum(0),
            "low": flat.amin(0),
            "high": flat.amax(0),
            "count": torch.tensor(len(flat)),
        }
        if not self._sums:
            self._shift = flat.median(0).values
            self._sums = {"sum": torch.zeros_like(self._shift), "squares": torch.zeros_like(self._shift)} | {
                "low": now["low"],
                "high": now["high"],
                "count": torch.tensor(0),
            }
        fresh = self._unseen(flat)
        moved = flat - self._shift  # so that a large mean does not swallow the spread
        self._sums = {
            "sum": self._sums["sum"] + moved.sum(0),
            "squares": self._sums["squares"] + (moved**2).sum(0),
            "low": torch.minimum(self._sums["low"], now["low"]),
            "high": torch.maximum(self._sums["high"], now["high"]),
            "count": self._sums["count"] + len(flat),
        }
        if flat.shape[1] > 3:
            self._blank += int((flat.amax(1) == flat.amin(1)).sum())
            if sum(map(len, self._lengths)) < LENGTHS:
                self._lengths.append(moved.norm(dim=1).cpu())
        elif sum(map(len, self._lengths)) < LENGTHS:
            self._lengths.append(moved.norm(dim=1).cpu())
        if target is not None and len(target) == len(flat):
            self._link(moved, target, fresh)

    def _link(self, moved: Tensor, target: Tensor, fresh: Tensor) -> None:
        moved, target = moved[fresh], target[fresh]
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

    def _width(self, flat: Tensor) -> int:
        """Sequences of changing length are told apart by their first tokens."""
        return flat.shape[1] if self._mark is None else min(flat.shape[1], len(self._mark))

    def _unseen(self, flat: Tensor) -> Tensor:
        """Which rows were not met before: a second epoch is no further evidence."""
        if self._mark is None:
            draw = torch.Generator().manual_seed(0)
            self._mark = torch.randn(flat.shape[1], dtype=torch.float64, generator=draw).to(flat.device)
        marks = (flat @ self._mark[: flat.shape[1]]).tolist()
        kept = []
        for place, mark in enumerate(marks):
            if mark not in self._met and len(self._met) < LENGTHS:
                self._met.add(mark)
                kept.append(place)
        self._distinct += len(kept)
        if self._calls <= FIRST:
            self._first_rows += len(flat)
        return torch.tensor(kept, dtype=torch.long, device=flat.device)

    # What it comes to

    def _columns(self) -> dict[str, Any]:
        count = int(self._sums["count"])
        mean = self._sums["sum"] / count
        spread = (self._sums["squares"] / count - mean**2).clamp(min=0).sqrt()
        mean = mean + self._shift
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
        return {
            "row_outlier": float(away.max()),
            "row_wild": float((away > 20).double().mean()),
            "row_length_ratio": float(lengths.max() / lengths.quantile(0.25).clamp(min=1e-300)),
            "large": float((lengths > LARGE * lengths.quantile(0.25)).double().mean()),
        }

    def _links(self) -> dict[str, Any]:
        count = int(self._sums["count"]) if self._sums else 0
        if count < FEWEST or self._distinct < FEWEST:
            return {}
        mean = self._sums["sum"] / count
        variance = (self._sums["squares"] / count - mean**2).clamp(min=0)
        moving = variance > 0
        columns = int(moving.sum())
        if not columns:
            return {}
        links: Tensor
        if len(self._by_label) > 1:
            rows = sum(each for each, _ in self._by_label.values())
            between = sum(
                (each * (total / each - mean) ** 2 for each, total in self._by_label.values()), torch.zeros_like(mean)
            )
            free = len(self._by_label) - 1
            if not free or rows < FEWEST:
                return {}
            chi = (between / variance.clamp(min=1e-300))[moving]
            usual = 2 / (9 * free)
            links = ((chi / free) ** (1 / 3) - (1 - usual)) / math.sqrt(usual)  # Wilson and Hilferty 1931
        elif self._linked:
            number, total, squares, products = self._linked
            deviation = math.sqrt(max(0.0, float(squares / number - (total / number) ** 2)))
            if not deviation:
                return {}
            covariance = products / number - total / number * mean
            links = (covariance.abs() / variance.clamp(min=1e-300).sqrt())[moving] / deviation * math.sqrt(int(number))
        else:
            return {}
        chance = math.sqrt(2 * math.log(2 * columns)) + 2.0
        return {
            "linked": float(links.max()),
            "linked_chance": chance,
            "linked_share": float((links > chance).double().mean()),
        }


def _numbers(given: Any) -> Iterator[Tensor]:
    """Tensors of a call: those of numbers first."""
    found = list(_all(given))
    yield from sorted(found, key=lambda each: not each.is_floating_point())


def _all(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, dict):
        for each in given.values():
            yield from _all(each)
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _all(each)

"""What a run left behind, whoever wrote it down: curves by quantity, part and place, and the facts beside them.

Readers make one of any log, `watch` of a loop that goes on; the rules of diagnosis read nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Per = Literal["update", "epoch", "evaluation"]
Axis = Literal["step", "epoch", "row"]

LONGEST = 4000  # points of a series in memory; longer ones are condensed to their lowest, mean and highest in as many stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve: float64 arrays of equal length, in the order of `steps`. Values may be NaN or infinite."""

    name: str  # a quantity of `quantities.py` where it is one of them
    part: str = ""  # "train", "val", "test"; "" is the run itself
    where: str = ""  # a layer, parameter, class or term of the loss; "" is the whole
    column: str = ""  # what the log calls it
    per: Per = "update"  # what one value stands for: one batch, the mean over an epoch, a pass over a held part
    steps: Floats  # on the axis of the history
    values: Floats
    low: Floats  # lowest and highest of what one point stands for; `values` where nothing was condensed
    high: Floats
    counted: int  # points in the log

    @property
    def finite(self) -> "Series":
        """The points with finite values alone."""
        kept = np.isfinite(self.values)
        return self if kept.all() else self.where_true(kept)

    def where_true(self, kept: npt.NDArray[np.bool_]) -> "Series":
        """The points of a mask (N,)."""
        cut = {name: getattr(self, name)[kept] for name in ("steps", "values", "low", "high")}
        about = {name: getattr(self, name) for name in ("name", "part", "where", "column", "per", "counted")}
        return Series(**cut, **about)

    def __len__(self) -> int:
        return len(self.values)


def series(name: str, steps: Any, values: Any, **about: Any) -> Series:
    """A series of points as they are, in the order of their steps; of one step the last value holds.

    >>> series("loss", [3, 1, 3], [0.5, 0.9, 0.4]).values.tolist()
    [0.9, 0.4]
    """
    at, found = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    order = np.argsort(at, kind="stable")
    at, found = at[order], found[order]
    last = np.append(at[1:] != at[:-1], True) if len(at) else np.zeros(0, bool)
    at, found = at[last], found[last]
    return Series(name=name, steps=at, values=found, **({"low": found, "high": found, "counted": len(found)} | about))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The curves of one run and what else is known of it.

    `facts` (all may be absent): `kind` (as a task's), `classes`, `chance_loss` (loss of the best constant answer), `loss`, `optimizer`,
    `lr`, `batch_size`, `rows`, `epochs` and `steps` (as planned), `augment` (random changes of the
    training rows, where these were asked for), `steps_per_epoch`, `parameters`, `activations` (names by layer),
    `watched` (seen from inside by `watch`), `finished`, `running` (it still goes on), `seconds`.
    """

    curves: tuple[Series, ...]
    reader: str  # who read it
    title: str = ""  # the file, and the run inside it
    axis: Axis = "step"
    facts: Mapping[str, Any] = field(default_factory=dict)
    resumed: tuple[float, ...] = ()  # where on the axis another attempt went on
    findings: tuple[Any, ...] = ()  # what was found while it ran
    evaluations: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[str, ...] = ()  # what was inferred, left out, condensed
    roles: Mapping[str, str] = field(default_factory=dict)  # by column of the log: what it was taken for

    def all(self, name: str, part: str | None = None, where: str | None = None, per: Per | None = None) -> list[Series]:
        """The curves of a quantity; None stands for any part, any place, any span."""
        return [
            one
            for one in self.curves
            if one.name == name
            and part in (None, one.part)
            and where in (None, one.where)
            and per in (None, one.per)
            and len(one)
        ]

    def get(self, name: str, part: str | None = None, where: str = "", per: Per | None = None) -> Series | None:
        """The longest curve of a quantity; None where there is none."""
        return max(self.all(name, part, where, per), key=len, default=None)

    def places(self, name: str) -> list[str]:
        """The places at which a quantity was measured, in the order of their first appearance."""
        return list(dict.fromkeys(one.where for one in self.all(name)))

    def __iter__(self) -> Iterator[Series]:
        return iter(self.curves)

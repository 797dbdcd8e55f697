"""The error of R refits on one test set, in parts with intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from unicodedata import east_asian_width

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.bias_variance.noise import Noise, noise_in, unclaimed
from tunesmith.doctor.bias_variance.numbers import Number, Spread, number, over_refits, over_rows
from tunesmith.doctor.bias_variance.squared import (
    squared_bias_and_noise,
    squared_error,
    squared_noise,
    squared_variance,
)
from tunesmith.doctor.bias_variance.zero_one import counts_of, disagreement, domingos, kohavi_wolpert
from tunesmith.records import DataError
from tunesmith.records.messages import render

Loss = Literal["squared", "zero_one"]
LEVEL = 0.95
ORDER = ("error", "bias2", "bias", "bias2_and_noise", "variance", "net_variance", "noise")
POSITIVE = ("variance", "added_variance")
FEW = {"squared": 5, "zero_one": 10}  # measured: docs/error-parts.md
ADDED = "added_"  # parts of the 0-1 loss that add up (Kohavi & Wolpert)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorParts:
    """Where an error comes from. `parts` by name; `rows` holds the same row by row, (N,) each.

    Squared loss: `error = bias2_and_noise + variance`, and with the noise known `bias2` and `noise` apart. 0-1 loss: `error = bias +
    net_variance` (Domingos), and `added_…` the parts that add up (Kohavi & Wolpert).
    """

    loss: Loss
    parts: Mapping[str, Number]
    rows: Mapping[str, Array] = field(repr=False)
    predictions: Array = field(repr=False)  # (R, N, …)
    refits: int
    rows_per_fit: float  # different training rows in a fit, on average; nan where that is not known
    test_rows: int
    how: str  # "disjoint", "bootstrap", "given"
    level: float = LEVEL
    told: tuple[tuple[str, Mapping[str, Any]], ...] = ()  # messages and their values

    def __getattr__(self, name: str) -> float:
        parts = object.__getattribute__(self, "parts")
        if name in parts:
            return float(parts[name].value)
        raise AttributeError(f"no part called {name!r}; there are {', '.join(parts)}")

    def notices(self, language: str = "en") -> list[str]:
        """What there is to know about these numbers."""
        return [render(message, values, language) for message, values in self.told]

    def text(self, language: str = "en") -> str:
        """A table of the parts, and the notices below it."""
        named = {name: render(f"error_parts.part.{self.loss}.{name}", {}, language) for name in self.parts}
        wide = max(map(_width, named.values()))
        head = {"refits": self.refits, "each": self.rows_per_fit, "rows": self.test_rows, "level": self.level}
        kind = self.how if np.isfinite(self.rows_per_fit) else "bare"
        lines = [render(f"error_parts.head.{kind}", head, language)]
        for name, part in self.parts.items():
            ends = f"  {part.low:.4g} … {part.high:.4g}" if np.isfinite(part.low) else ""
            lines.append(f"  {named[name]}{' ' * (wide - _width(named[name]))}  {part.value:>10.4g}{ends}")
        return "\n".join([*lines, *self.notices(language)])

    def __str__(self) -> str:
        return self.text()

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON, without the rows."""
        return {
            "loss": self.loss,
            "parts": {name: part.as_dict() for name, part in self.parts.items()},
            "refits": self.refits,
            "rows_per_fit": self.rows_per_fit if np.isfinite(self.rows_per_fit) else None,
            "test_rows": self.test_rows,
            "how": self.how,
            "level": self.level,
            "notices": self.notices(language),
        }


def decomposed(
    predictions: Array,
    target: Array,
    *,
    loss: Loss,
    how: str = "given",
    rows_per_fit: float = float("nan"),
    units: Array | None = None,
    noise: float | Literal["auto"] | None = "auto",
    replicates: tuple[Array, Array] | None = None,
    level: float = LEVEL,
) -> ErrorParts:
    """Parts of the error of predictions (R, N, …) for targets (N, …).

    `units` (N,) numbers rows so that equal inputs have one number; `replicates` are targets and units to measure the noise from where
    more rows than the test's are known. `noise` is the noise where it is known, "auto" to measure it, None to leave it in the bias.
    """
    if len(predictions) < 2:
        raise DataError(f"{len(predictions)} refit has no variance; ask for 2 or more, and for 10 or more to trust it")
    target = np.asarray(target)
    if predictions.shape[1:] != target.shape:
        raise DataError(
            f"the predictions of a refit have the shape {predictions.shape[1:]} and the targets {target.shape}; expected equal shapes"
        )
    units = np.arange(len(target)) if units is None else np.unique(units, return_inverse=True)[1].reshape(-1)
    told: list[tuple[str, Mapping[str, Any]]] = []
    known = (target, units) if replicates is None else replicates
    of = squared_noise if loss == "squared" else disagreement
    found = _noise(noise, known, of, told)
    make = _squared if loss == "squared" else _zero_one
    parts, rows = make(predictions, target, units, found, level)
    if how == "bootstrap":
        told.append(("error_parts.bootstrap", {}))
    if len(predictions) < FEW[loss]:
        told.append(("error_parts.few_refits", {"refits": len(predictions), "wanted": FEW[loss]}))
    return ErrorParts(
        loss=loss,
        parts={name: parts[name] for name in sorted(parts, key=_place)},
        rows=rows,
        predictions=predictions,
        refits=len(predictions),
        rows_per_fit=rows_per_fit,
        test_rows=len(target),
        how=how,
        level=level,
        told=tuple(told),
    )


def _width(text: str) -> int:
    """Columns of a terminal; Chinese letters take two."""
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def _place(name: str) -> tuple[bool, int]:
    return name.startswith(ADDED), ORDER.index(name.removeprefix(ADDED))


def _noise(
    noise: float | Literal["auto"] | None,
    known: tuple[Array, Array],
    of: Callable[[Array], float],
    told: list[tuple[str, Mapping[str, Any]]],
) -> tuple[float, Spread] | None:
    if noise is None:
        told.append(("error_parts.together", {}))
        return None
    if noise != "auto":
        return float(noise), Spread(0.0, 1.0)
    found: Noise | None = noise_in(*known, of)
    if found is None:
        told.append((unclaimed(*known), {}))
        return None
    told.append(
        (
            "error_parts.replicates",
            {"rows": found.rows, "groups": found.groups, "all": len(known[0]), "equal": found.equal},
        )
    )
    return found.value, found.spread


def _squared(
    predictions: Array, target: Array, units: Array, noise: tuple[float, Spread] | None, level: float
) -> tuple[dict[str, Number], dict[str, Array]]:
    predictions, target = predictions.astype(np.float64), target.astype(np.float64)
    rows = {
        "error": squared_error(predictions, target),
        "bias2_and_noise": squared_bias_and_noise(predictions, target),
        "variance": squared_variance(predictions),
    }
    again: dict[str, Callable[[Array], float]] = {
        "error": lambda some: float(squared_error(some, target).mean()),
        "bias2_and_noise": lambda some: float(squared_bias_and_noise(some, target).mean()),
        "variance": lambda some: float(squared_variance(some).mean()),
    }
    return _numbers(rows, again, predictions, units, noise, level), rows


def _zero_one(
    predictions: Array, target: Array, units: Array, noise: tuple[float, Spread] | None, level: float
) -> tuple[dict[str, Number], dict[str, Array]]:
    classes, codes = np.unique(np.concatenate([target, predictions.reshape(-1)]), return_inverse=True)
    truth, answers = codes[: len(target)], codes[len(target) :].reshape(predictions.shape)
    counts = counts_of(answers, len(classes))
    first = domingos(counts, truth)
    second = kohavi_wolpert(counts, truth)
    rows = {name: first[name] for name in ("error", "bias", "variance", "net_variance")}
    added = {f"{ADDED}{name}": values for name, values in second.items()}

    def of_domingos(name: str, some: Array) -> float:
        return float(domingos(counts_of(some, len(classes)), truth)[name].mean())

    def of_kohavi(name: str, some: Array) -> float:
        return float(kohavi_wolpert(counts_of(some, len(classes)), truth)[name].mean())

    again = {name: partial(of_domingos, name) for name in rows}
    more = {f"{ADDED}{name}": partial(of_kohavi, name) for name in second}
    parts = _numbers(rows, again, answers, units, None, level)
    parts |= _numbers(added, more, answers, units, noise, level, ADDED)
    return parts, rows | added | {"main": classes[first["main"]]}


def _numbers(
    rows: Mapping[str, Array],
    again: Mapping[str, Callable[[Array], float]],
    predictions: Array,
    units: Array,
    noise: tuple[float, Spread] | None,
    level: float,
    prefix: str = "",
) -> dict[str, Number]:
    """Means over rows with their intervals; with the noise known, bias² apart from it."""
    both = f"{prefix}bias2_and_noise"
    found: dict[str, Number] = {}
    for name, values in rows.items():
        fewest = 1 if name in ("error", "bias", "net_variance") else 2
        spreads = [over_rows(values, units), over_refits(predictions, again[name], fewest)]
        found[name] = number(float(values.mean()), spreads, level, positive=name in POSITIVE)
        if name == both and noise is not None:
            value, spread = noise
            found[f"{prefix}bias2"] = number(float(values.mean()) - value, [*spreads, spread], level)
            found[f"{prefix}noise"] = number(value, [spread], level, positive=True)
    return found

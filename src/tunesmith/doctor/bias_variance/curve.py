"""The error against the rows of training data, and what more rows would bring.

    error(n) = floor + scale · n^-power

fitted by least squares, each size weighted by the variance of its mean (the power by search, the other two exactly, neither below 0).
The law is the usual one (Cortes et al., Learning Curves, NIPS 1993; Hestness et al., arXiv:1712.00409) and holds past the region where a
model learns next to nothing. Its uncertainty comes from fitting it anew to resampled test rows and to means redrawn within their spread over
training sets. Several laws fit a short curve: beyond `FAR` times the rows measured nothing is foretold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.bias_variance.numbers import Number
from tunesmith.doctor.bias_variance.squared import squared_error
from tunesmith.records import DataError
from tunesmith.records.messages import render

POWERS = np.geomspace(0.05, 2.0, 150)  # of n; theory knows 1/2 and 1, deep nets 0.07 to 0.35 (arXiv:1712.00409)
RESAMPLED = 500  # fits
FAR = 10.0  # times the rows measured
FEWEST_SIZES = 4  # of a law with 3 unknowns
LEVEL = 0.95
WORTH = 0.02  # of the error: assumption, less than what another seed changes in most trainings
UNLIKELY = 1e-3
SPAN = 8.0  # assumption: the smallest size is the whole over this many, in steps of a factor sqrt(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The error that so many rows would leave, and by how much that is less than with the rows at hand."""

    rows: int
    error: Number
    gain: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Error by number of training rows, the law fitted to it, and what it foretells."""

    loss: Literal["squared", "zero_one"]
    sizes: Array  # (S,)
    errors: Array  # (S,), means over refits and test rows
    spreads: Array  # (S,), standard errors of the means over training sets
    floor: Number | None  # None where there are too few sizes to fit a law
    power: Number | None
    outlook: tuple[Outlook, ...] = ()
    each: Array = field(repr=False)  # (S, K), error of each refit
    level: float = LEVEL
    told: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def notices(self, language: str = "en") -> list[str]:
        return [render(message, values, language) for message, values in self.told]

    def text(self, language: str = "en") -> str:
        """Sizes, errors, outlook, notices."""
        lines = [render("error_parts.curve.head", {}, language)]
        for size, error, spread in zip(self.sizes, self.errors, self.spreads, strict=True):
            lines.append(f"  {size:>9}  {error:>10.4g} ± {spread:.2g}")
        for one in self.outlook:
            values = {"rows": one.rows, "level": self.level}
            ends = {
                f"{name}_{end}": getattr(getattr(one, name), end)
                for name in ("error", "gain")
                for end in ("value", "low", "high")
            }
            lines.append("  " + render("error_parts.curve.outlook", values | ends, language))
        return "\n".join([*lines, *self.notices(language)])

    def __str__(self) -> str:
        return self.text()

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        return {
            "loss": self.loss,
            "sizes": self.sizes.tolist(),
            "errors": self.errors.tolist(),
            "spreads": self.spreads.tolist(),
            "floor": None if self.floor is None else self.floor.as_dict(),
            "power": None if self.power is None else self.power.as_dict(),
            "outlook": [
                {"rows": one.rows, "error": one.error.as_dict(), "gain": one.gain.as_dict()} for one in self.outlook
            ],
            "level": self.level,
            "notices": self.notices(language),
        }


def sizes_of(rows: int, fewest: int = 8) -> list[int]:
    """Sizes in steps of a factor sqrt(2), from an eighth of the rows to all of them.

    >>> sizes_of(800)
    [100, 141, 200, 283, 400, 566, 800]
    """
    steps = round(2 * np.log2(SPAN))
    found = [round(rows / 2 ** (step / 2)) for step in range(steps, -1, -1)]
    return sorted({size for size in found if size >= min(fewest, rows)})


def curve_of(
    predictions: Sequence[Array],
    sizes: Sequence[int],
    target: Array,
    *,
    loss: Literal["squared", "zero_one"],
    pool: int | None = None,
    seed: int = 0,
    level: float = LEVEL,
    ahead: Sequence[float] = (2.0, 4.0),
) -> LearningCurve:
    """The curve of predictions, (K, N, …) for each size, of targets (N, …). `ahead` are multiples of the largest size, up to `FAR`; `pool`
    is how many rows the training sets were drawn from."""
    if any(factor <= 1 or factor > FAR for factor in ahead):
        raise DataError(
            f"ahead = {tuple(ahead)} came; expected multiples of the rows at hand above 1 and up to {FAR:g}"
        )
    order = np.argsort(sizes, kind="stable")
    steps = np.asarray(sizes)[order]
    by_row = [_errors(predictions[place], target, loss) for place in order]  # (K, N) each
    each = np.stack([one.mean(axis=1) for one in by_row])
    errors = each.mean(axis=1)
    repeats = each.shape[1]
    spreads = (
        _spreads(by_row, steps, pool or int(steps[-1]))
        if repeats > 1 and len(steps) > 1
        else np.full(len(steps), np.nan)
    )
    told: list[tuple[str, Mapping[str, Any]]] = []
    floor = power = None
    outlook: tuple[Outlook, ...] = ()
    if len(steps) < FEWEST_SIZES or repeats < 3:
        told.append(("error_parts.curve.no_law", {"sizes": len(steps), "repeats": repeats, "wanted": FEWEST_SIZES}))
    else:
        floor, power, outlook = _law(by_row, steps, pool or int(steps[-1]), np.random.default_rng(seed), level, ahead)
        if misfit(steps, errors, spreads) < UNLIKELY:
            told.append(("error_parts.curve.misfit", {}))
        told.append(_verdict(outlook[0], errors, steps))
    return LearningCurve(
        loss=loss,
        sizes=steps,
        errors=errors,
        spreads=spreads,
        floor=floor,
        power=power,
        outlook=outlook,
        each=each,
        level=level,
        told=tuple(told),
    )


def fitted(sizes: Array, errors: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Floor, scale and power, (B,) each, of the law through errors (B, S) with weights (S,).

    >>> floor, scale, power = fitted(np.array([10, 20, 40, 80]), (1 + 5 / np.array([[10, 20, 40, 80]])), np.ones(4))
    >>> round(float(floor[0]), 1), round(float(power[0]), 1)
    (1.0, 1.0)
    """
    unit = (sizes / sizes[-1])[None, :] ** -POWERS[:, None]  # (P, S)
    share = weights / weights.sum()
    middle = unit @ share
    apart = unit - middle[:, None]
    level = errors @ share
    slope = ((errors - level[:, None]) * share) @ apart.T / (share * apart**2).sum(axis=1)  # (B, P)
    floor = level[:, None] - slope * middle
    through = (errors * share) @ unit.T / (share * unit**2).sum(axis=1)  # without a floor
    scale = np.where(floor < 0, through, slope)
    floor = np.where(floor < 0, 0.0, floor)
    flat = scale < 0
    scale, floor = np.where(flat, 0.0, scale), np.where(flat, level[:, None], floor)
    miss: Array = np.einsum("bps,s->bp", (errors[:, None, :] - floor[..., None] - scale[..., None] * unit) ** 2, share)
    best = miss.argmin(axis=1)
    at = np.arange(len(errors)), best
    return floor[at], scale[at], POWERS[best]


def misfit(sizes: Array, errors: Array, spreads: Array) -> float:
    """How probable errors this far from the law or farther are, were it true: a chi-squared test of their spread over training sets.

    >>> misfit(np.array([10, 20, 40, 80]), 1 + 5 / np.array([10, 20, 40, 80]), np.full(4, 0.1)) > 0.9
    True
    """
    from scipy.special import chdtrc  # comes with scikit-learn

    floor, scale, power = fitted(sizes, errors[None], spreads**-2.0)
    apart = (errors - floor - scale * (sizes / sizes[-1]) ** -power) / spreads
    return float(chdtrc(max(len(sizes) - 3, 1), float((apart**2).sum())))


def _errors(predictions: Array, target: Array, loss: str) -> Array:
    """(K, N)."""
    if loss == "zero_one":
        return np.asarray(predictions != target, np.float64)
    found: Array = np.stack([squared_error(one[None].astype(np.float64), target) for one in predictions])
    return found


def _law(
    by_row: list[Array], sizes: Array, pool: int, rng: np.random.Generator, level: float, ahead: Sequence[float]
) -> tuple[Number, Number, tuple[Outlook, ...]]:
    centres = np.stack([one.mean(axis=0) for one in by_row])  # (S, N)
    spreads = _spreads(by_row, sizes, pool)
    rows = centres.shape[1]
    shares = rng.multinomial(rows, np.full(rows, 1 / rows), RESAMPLED) / rows
    drawn = shares @ centres.T + spreads * rng.standard_normal((RESAMPLED, len(sizes)))
    best = fitted(sizes, centres.mean(axis=1)[None], spreads**-2.0)
    others = fitted(sizes, drawn, spreads**-2.0)
    outlook = []
    for factor in ahead:
        now, then = _at(best, 1.0), _at(best, factor)
        nows, thens = _at(others, 1.0), _at(others, factor)
        error, gain = _number(then, thens, level), _number(now - then, nows - thens, level)
        outlook.append(Outlook(rows=round(float(sizes[-1]) * factor), error=error, gain=gain))
    return _number(best[0], others[0], level), _number(best[2], others[2], level), tuple(outlook)


def _spreads(by_row: list[Array], sizes: Array, pool: int) -> Array:
    """Standard errors (S,) of the mean errors over training sets.

    Large sets share rows, so that they differ less than they would from one draw of the pool to the next: how much one fit differs
    from another is taken from the sizes of which the pool holds two or more, followed to the others, and divided by as many sets as the
    pool holds.
    """
    repeats = by_row[0].shape[0]
    each = np.array([one.mean(axis=1).std(ddof=1) for one in by_row])
    least = 1e-4 * max(float(np.mean([one.mean() for one in by_row])), 1e-12)
    sound = 2 * sizes <= pool
    if sound.sum() < 2:
        sound = np.ones(len(sizes), bool)
    logs = np.log(np.maximum(each, least))
    slope, level = np.polyfit(np.log(sizes[sound]), logs[sound], 1)
    trend = np.exp(level + min(float(slope), 0.0) * np.log(sizes) + (0.0 if slope <= 0 else logs[sound].mean() - level))
    return np.asarray(trend / np.sqrt(np.clip(pool / sizes, 1.0, repeats)))


def _at(law: tuple[Array, Array, Array], factor: float) -> Array:
    floor, scale, power = law
    found: Array = floor + scale * factor**-power
    return found


def _number(value: Array, others: Array, level: float) -> Number:
    low, high = np.quantile(others, [(1 - level) / 2, (1 + level) / 2])
    return Number(value=float(value[0]), low=float(low), high=float(high))


def _verdict(first: Outlook, errors: Array, sizes: Array) -> tuple[str, Mapping[str, Any]]:
    """What the first outlook would bring, in words."""
    whole = max(float(errors[-1]), 1e-12)
    gain = {"gain": first.gain.value / whole, "low": max(first.gain.low / whole, 0.0), "high": first.gain.high / whole}
    word = "more" if gain["low"] >= WORTH else "unsure" if gain["high"] >= WORTH else "flat"
    return f"error_parts.curve.{word}", gain | {"rows": first.rows, "now": int(sizes[-1])}

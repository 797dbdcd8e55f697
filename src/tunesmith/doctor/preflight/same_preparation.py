"""same_preparation: training and validation rows do not come to the net in the same form.

Sees      shape and number type of the inputs and targets of both parts; mean and spread of each feature (of pictures: of each
          channel), row by row so that the standard error is that of rows; whether a validation row reads the same twice; whether
          a small forest that learnt on training rows answers the other part as it answers training rows it has not seen.
Matters   a net that learnt on standardised pictures is asked about raw ones: its validation score says nothing.
Remedies  one and the same preparation for both, with the numbers of the training part; no random change of validation rows.
Limits    speaks only of gaps that are large (`FAR`, `TIMES`) and certain (`CERTAIN` standard errors), since parts that were drawn
          apart, or augmented training rows, differ a little. Training rows that are augmented are compared as they come.
Source    Welch's statistic; the standard error of a log spread is sqrt((kurtosis - 1) / 4n) (Kendall & Stuart, volume 1, 10.5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tunesmith.doctor.preflight.attainable import transferred
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.source import Source
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

Array = np.ndarray[Any, Any]
FAR = 1.0  # spreads of the training rows between the means; assumption: random parts and augmentation stay far below
TIMES = 2.0  # of one spread to the other; assumption, as above
CERTAIN = 6.0  # standard errors: p < 2e-9, below any number of features
ROWS = 1000  # of each part; assumption
HALF = 0.5  # of what a forest gains over chance: parts that were drawn apart lose less; assumption
FEWEST = 20  # rows of a part; assumption: below, a standard error is a guess

SAME = Remedy(title="remedy.loop_same_preparation", safety=Safety.ADVICE)
CALM = Remedy(title="remedy.loop_calm_validation", safety=Safety.ADVICE)


@dataclass(slots=True)
class Gap:
    """One feature or channel of two parts."""

    name: str
    shift: float  # of the mean, in spreads of the training rows
    sure: float  # standard errors of that
    times: float  # spread of the other part / spread of the training part
    sure_times: float
    means: tuple[float, float]
    spreads: tuple[float, float]

    @property
    def wrong(self) -> bool:
        shifted = abs(self.shift) > FAR and self.sure > CERTAIN
        scaled = abs(np.log(self.times)) > np.log(TIMES) and self.sure_times > CERTAIN
        return bool(shifted or scaled)


@check("same_preparation", faults=("data.train_val_mismatch",), cost=PASS)
def same_preparation(bench: Bench) -> Iterator[Finding]:
    others = {name: part for name, part in (("validation", bench.val), ("test", bench.test)) if part is not None}
    if not others:
        raise Inapplicable("there is no validation and no test part")
    for name, other in others.items():
        yield from _compared(bench, name, other)
        yield from _restless(name, other)
        yield from _answered_apart(bench, name, other)


def _compared(bench: Bench, name: str, other: Source) -> Iterator[Finding]:
    train = bench.batch(ROWS, "preparation", bench.train)
    held = bench.batch(ROWS, f"preparation.{name}", other)
    for what, mine, theirs in (("inputs", train.inputs, held.inputs), ("targets", train.target, held.target)):
        yield from _forms(name, what, mine, theirs)
    gaps = []
    for key, mine in _tensors(train.inputs).items():
        theirs = _tensors(held.inputs).get(key)
        if theirs is not None and _comparable(mine, theirs):
            gaps += _gaps(_rows(mine), _rows(theirs), key)
    yield from _prepared_apart(name, "inputs", gaps, train.size, held.size)
    if bench.kind in ("regression", "multi_regression") and _comparable(train.target, held.target):
        found = _gaps(_rows(train.target.reshape(train.size, -1)), _rows(held.target.reshape(held.size, -1)), "target")
        yield from _prepared_apart(name, "targets", found, train.size, held.size)


def _answered_apart(bench: Bench, name: str, other: Source) -> Iterator[Finding]:
    """A forest of the training rows fails on the other part, though it answers training rows that it has not seen."""
    try:
        found = transferred(bench, other, name)
    except Inapplicable:
        return
    gain = found.own - found.chance
    lost = found.own - found.other
    if gain > 3 * found.noise and lost > CERTAIN * found.noise and found.other < found.chance + HALF * gain:
        yield Finding(
            fault="data.train_val_mismatch",
            severity="warning",
            message="loop.answered_apart",
            values={
                "part": name,
                "other": found.other,
                "own": found.own,
                "chance": found.chance,
                "rows": found.rows,
                "others": found.others,
            },
            evidence=(
                Evidence(name="score_of_a_forest", value=found.other, threshold=found.chance + HALF * gain, where=name),
                Evidence(name="standard_errors", value=lost / found.noise, threshold=CERTAIN, where=name),
            ),
            remedies=(SAME,),
            confidence=0.7,
            status="suspected",
        )


def _tensors(tree: Any) -> dict[str, Tensor]:
    if isinstance(tree, Tensor):
        return {"": tree}
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, tuple | list) else ()
    return {str(key): value for key, value in items if isinstance(value, Tensor)}


def _comparable(mine: Tensor, theirs: Tensor) -> bool:
    numbers = mine.is_floating_point() and theirs.is_floating_point()
    pictures = mine.dim() == theirs.dim() == 4
    same = mine.dim() == theirs.dim() and (
        mine.shape[1:] == theirs.shape[1:] or (pictures and mine.shape[1] == theirs.shape[1])
    )
    return numbers and same and mine.dim() >= 2 and min(len(mine), len(theirs)) >= FEWEST


def _rows(values: Tensor) -> tuple[Array, Array]:
    """Of each row and feature the mean and the mean square: (N, K) each; of pictures and sequences K is the channels."""
    wide = values.detach().cpu().double().numpy()
    if wide.ndim > 2:
        wide = wide.reshape(len(wide), wide.shape[1], -1) if wide.ndim > 3 else wide.reshape(len(wide), 1, -1)
        return wide.mean(2), (wide**2).mean(2)
    return wide, wide**2


def _gaps(train: tuple[Array, Array], other: tuple[Array, Array], key: str) -> list[Gap]:
    found = []
    for place in range(train[0].shape[1]):
        (means, squares), (mean, square) = ((part[0][:, place], part[1][:, place]) for part in (train, other))
        fine, good = np.isfinite(means), np.isfinite(mean)
        if _changing(means[fine]) >= FEWEST and _changing(mean[good]) >= FEWEST:
            label = f"{key}{'.' if key else ''}{place}"
            found.append(_gap(label, means[fine], squares[fine], mean[good], square[good]))
    return found


def _changing(values: Array) -> int:
    """Rows that do not hold the commonest value: of fewer than `FEWEST`, a spread is an accident."""
    _, counts = np.unique(values, return_counts=True)
    return int(len(values) - counts.max()) if len(counts) else 0


def _gap(name: str, means: Array, squares: Array, mean: Array, square: Array) -> Gap:
    centre, other = float(means.mean()), float(mean.mean())
    spread = float(np.sqrt(max(float(squares.mean()) - centre**2, 0.0)))
    others = float(np.sqrt(max(float(square.mean()) - other**2, 0.0)))
    error = np.sqrt(means.var(ddof=1) / len(means) + mean.var(ddof=1) / len(mean))
    floor = 1e-9 * (abs(centre) + abs(other)) + 1e-300
    shift = (other - centre) / max(spread, floor)
    sure = abs(other - centre) / max(float(error), floor)
    if min(spread, others) <= floor:  # a feature that never changes in one part: its spread says nothing
        return Gap(name, shift, sure, 1.0, 0.0, (centre, other), (spread, others))
    tails = max(_tails(means, squares, centre, spread), _tails(mean, square, other, others))
    noise = np.sqrt(tails / (4 * len(means)) + tails / (4 * len(mean)))
    times = others / spread
    return Gap(name, shift, sure, times, abs(np.log(times)) / max(noise, 1e-12), (centre, other), (spread, others))


def _tails(means: Array, squares: Array, centre: float, spread: float) -> float:
    """Kurtosis - 1 of the rows: the variance of their mean squared deviations, over the fourth power of the spread."""
    each = squares - 2 * centre * means + centre**2
    return float(each.var(ddof=1) / max(spread**4, 1e-300))


def _forms(name: str, what: str, mine: Any, theirs: Any) -> Iterator[Finding]:
    for key, one in _tensors(mine).items():
        other = _tensors(theirs).get(key)
        if other is None:
            continue
        if one.is_floating_point() != other.is_floating_point() or one.dim() != other.dim():
            yield _form(name, what, one, other, "warning")
        elif one.shape[1:] != other.shape[1:]:
            yield _form(name, what, one, other, "note")  # nets with a pooled end take pictures of any size


def _form(name: str, what: str, one: Tensor, other: Tensor, severity: Any) -> Finding:
    return Finding(
        fault="data.train_val_mismatch",
        severity=severity,
        message="loop.other_form",
        values={
            "part": name,
            "what": what,
            "train": f"{str(one.dtype).removeprefix('torch.')} {tuple(one.shape[1:])}",
            "other": f"{str(other.dtype).removeprefix('torch.')} {tuple(other.shape[1:])}",
        },
        evidence=(Evidence(name="dimensions", value=other.dim(), threshold=one.dim()),),
        remedies=(SAME,),
        status="confirmed",
    )


def _prepared_apart(name: str, what: str, gaps: list[Gap], rows: int, others: int) -> Iterator[Finding]:
    wrong = sorted((gap for gap in gaps if gap.wrong), key=lambda gap: -max(abs(gap.shift), abs(np.log(gap.times))))
    if not wrong:
        return
    worst = wrong[0]
    yield Finding(
        fault="data.train_val_mismatch",
        severity="warning",
        message=f"loop.prepared_apart_{what}",
        values={
            "part": name,
            "count": len(wrong),
            "features": len(gaps),
            "first": worst.name,
            "mean": worst.means[0],
            "other_mean": worst.means[1],
            "spread": worst.spreads[0],
            "other_spread": worst.spreads[1],
            "rows": rows,
            "others": others,
        },
        evidence=(
            Evidence(name="shift_of_mean", value=worst.shift, threshold=FAR, source="assumption", where=worst.name),
            Evidence(name="standard_errors", value=worst.sure, threshold=CERTAIN, where=worst.name),
            Evidence(
                name="ratio_of_spreads", value=worst.times, threshold=TIMES, source="assumption", where=worst.name
            ),
            Evidence(name="standard_errors_of_ratio", value=worst.sure_times, threshold=CERTAIN, where=worst.name),
        ),
        remedies=(SAME,),
        confidence=0.9 if len(wrong) > len(gaps) / 2 else 0.7,
        status="confirmed",
        subject={"columns": [gap.name for gap in wrong]},
    )


def _restless(name: str, part: Source) -> Iterator[Finding]:
    """The same validation rows read twice: a random change that was left on."""
    count = min(16, len(part))
    twice = part.take([place for place in range(count) for _ in range(2)]).inputs
    for key, values in _tensors(twice).items():
        if not values.is_floating_point():
            continue
        wide = values.double().reshape(count, 2, -1)
        differ = int(((wide[:, 0] - wide[:, 1]).abs().amax(1) > 0).sum())
        if differ:
            gap = float((wide[:, 0] - wide[:, 1]).abs().mean() / wide.std().clamp_min(1e-12))
            yield Finding(
                fault="data.train_val_mismatch",
                severity="warning",
                message="loop.restless_validation",
                values={"part": name, "differ": differ, "rows": count, "gap": gap},
                evidence=(Evidence(name="gap_between_readings", value=gap, threshold=0.0, where=key),),
                remedies=(CALM,),
                confidence=0.8,
                status="confirmed",
            )
            return

"""shift_prepared: another part was prepared in another way: scaled differently, channels or columns swapped, other words, other gaps.

Sees      for each part that is given beside the training data: inputs of the same shape but another spread or offset; inputs that are like
          another input of the training rows and not like their own; words that only differ in case, blanks or signs, or do not
          occur in training; gaps that stand as a number in one part and empty in the other.
Matters   the model is judged on numbers that mean something else.
Remedies  send both parts through the same preparation, fitted on the training rows (advice).
Limits    inputs whose distributions are alike cannot be told when swapped. A part that is scaled by its own mean and spread looks right.
Source    fault list, data.train_val_mismatch; TensorFlow Data Validation, skew: Breck et al., MLSys 2019.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats
from scipy.optimize import linear_sum_assignment

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import inputs_of, is_pictures, matrix
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

LOOK = 4000  # rows of each part; assumption
PIXELS = 400_000  # values of each channel; assumption
FEWEST = 30  # rows of each part
LEVELS = np.linspace(0.05, 0.95, 19)
VARIED = 8  # values of an input that has a shape; assumption
ONE_FACTOR = 3.0  # ratio of spreads, or offset in spreads, of a single input; assumption
MANY_FACTOR = 1.5  # and of most inputs together; assumption
SHAPE = 0.25  # mean difference of quantiles, in spreads, of distributions of one shape; assumption, and sampling error
SWAPPED = 5.0  # times nearer to another input's distribution than to its own; assumption
UNSEEN = 0.2  # share of cells with words that training has not, beyond what its rare words foretell; assumption
DISTANCE = 0.15  # Kolmogorov-Smirnov, of an input that is scaled differently; assumption, a factor of 2 has 0.16
CHANCE = 1e-4  # of such a distance, by the number of inputs
GAPS = 0.05  # share of gaps in one part that is none in the other; assumption
ALIKE = Remedy(title="shift.prepare_alike", safety=Safety.ADVICE)


@audit("shift_prepared", faults=("data.train_val_mismatch",), cost=PASS)
def shift_prepared(material: Material) -> Iterator[Finding]:
    given = [view for view in material.need_others() if not view.planned]
    if not given:
        raise Inapplicable("every part is divided off by the recipe, and so prepared alike")
    for view in given:
        if min(len(view), len(material.train)) < FEWEST:
            continue
        names, mine, theirs = _inputs(material, view)
        yield from _numbers(view, names, mine, theirs)
        for name in material.words("category"):
            if name in view.table:
                yield from _words(view, name, material.train.table[name], view.table[name])


def _inputs(material: Material, view: View) -> tuple[list[str], list[Array], list[Array]]:
    """Names and values of each input of numbers; channels of pictures; gaps are NaN."""
    rng = material.rng(f"shift_prepared {view.part}")
    rows = [np.sort(rng.permutation(len(one))[:LOOK]) for one in (material.train, view)]
    names: list[str] = []
    mine: list[Array] = []
    theirs: list[Array] = []
    for name, values in material.train.table.items():
        came = view.table.get(name)
        if came is None or values.dtype.kind not in "fiu" or came.dtype.kind not in "fiu" or not is_pictures(values):
            continue
        if came.shape[1:] == values.shape[1:]:
            for label, a, b in _channels(name, values[rows[0][:500]], came[rows[1][:500]]):
                names, mine, theirs = [*names, label], [*mine, a], [*theirs, b]
    try:
        inputs = [one for one in inputs_of(material) if not one.levels and one.column in view.table]
        inputs = [
            one for one in inputs if view.table[one.column].shape[1:] == material.train.table[one.column].shape[1:]
        ]
    except Inapplicable:
        inputs = []
    if inputs:
        a, b = (matrix(inputs, one, chosen) for one, chosen in zip((material.train, view), rows, strict=True))
        names += [one.name for one in inputs]
        mine, theirs = [*mine, *a.T], [*theirs, *b.T]
    return names, mine, theirs


def _channels(name: str, a: Array, b: Array) -> Iterator[tuple[str, Array, Array]]:
    if a.ndim == 3:
        a, b = a[:, None], b[:, None]
    axis = 1 if a.shape[1] <= 4 else 3
    step = max(1, a[:, 0].size // PIXELS)
    for channel in range(a.shape[axis]):
        one, other = (np.take(values, channel, axis).reshape(-1)[::step].astype(np.float64) for values in (a, b))
        yield f"{name} channel {channel}", one, other


def _numbers(view: View, names: Sequence[str], mine: Sequence[Array], theirs: Sequence[Array]) -> Iterator[Finding]:
    kept = [place for place, (a, b) in enumerate(zip(mine, theirs, strict=True)) if _varied(a) and _varied(b)]
    for place in range(len(names)):
        yield from _gaps(view, names[place], mine[place], theirs[place])
    if not kept:
        return
    q, p = (np.array([np.nanquantile(values[place], LEVELS) for place in kept]) for values in (mine, theirs))
    told = [names[place] for place in kept]
    swapped = _swapped(q, p)
    if swapped:
        yield _swap_finding(view, told, swapped)
        return
    apart = np.array([_apart(mine[place], theirs[place], len(kept)) for place in kept])
    yield from _scaled(view, told, q, p, apart)


def _varied(values: Array) -> bool:
    present = values[np.isfinite(values)]
    return len(present) >= FEWEST and len(np.unique(present[:2000])) >= VARIED


def _swapped(q: Array, p: Array) -> dict[int, int]:
    """Inputs of the part that are like another input of the training rows: place in the part -> place in training."""
    if not 2 <= len(q) <= 400:
        return {}
    spread = np.maximum(q[:, -1] - q[:, 0], 1e-12)
    apart = np.abs(p[:, None, :] - q[None, :, :]).mean(2) / np.minimum(
        spread[None, :], np.maximum(p[:, -1] - p[:, 0], 1e-12)[:, None]
    )
    rows, columns = linear_sum_assignment(np.minimum(apart, 1e3))
    moved = {int(row): int(column) for row, column in zip(rows, columns, strict=True) if row != column}
    sure = {row: column for row, column in moved.items() if apart[row, row] > max(0.08, SWAPPED * apart[row, column])}
    return sure if len(sure) >= 2 and set(sure) == set(sure.values()) else {}


def _swap_finding(view: View, names: Sequence[str], swapped: dict[int, int]) -> Finding:
    pairs = ", ".join(f"{names[row]} ← {names[column]}" for row, column in list(swapped.items())[:6])
    return Finding(
        fault="data.train_val_mismatch",
        severity="error",
        message="shift.swapped",
        values={"part": view.part, "count": len(swapped), "pairs": pairs},
        evidence=(
            Evidence(name="inputs that are like another", value=float(len(swapped)), threshold=0.0, where=view.part),
        ),
        remedies=(ALIKE,),
        confidence=0.9,
        status="confirmed",
        subject={"part": view.part, "columns": [names[row] for row in swapped]},
    )


def _apart(a: Array, b: Array, count: int) -> bool:
    """Whether two samples differ in their middle, by size and beyond chance: a few far values do not."""
    found = stats.ks_2samp(a[np.isfinite(a)], b[np.isfinite(b)], method="asymp")
    return bool(found.statistic > DISTANCE and found.pvalue < CHANCE / count)


def _scaled(view: View, names: Sequence[str], q: Array, p: Array, apart: Array) -> Iterator[Finding]:
    """Same shape, other spread or offset: one input by a large factor, or most of them by any."""
    spread, width = _spread(q), _spread(p)
    usable = (spread > 0) & (width > 0) & (_different(q) >= VARIED) & (_different(p) >= VARIED)
    if not usable.any():
        return
    q, p, apart, names = (
        q[usable],
        p[usable],
        apart[usable],
        [name for name, keep in zip(names, usable, strict=True) if keep],
    )
    spread, width = spread[usable], width[usable]
    ratio = width / spread
    offset = (p.mean(1) - q.mean(1)) / spread
    shape = np.abs((p - p.mean(1)[:, None]) / width[:, None] - (q - q.mean(1)[:, None]) / spread[:, None]).mean(1)
    size = np.maximum(np.abs(np.log(ratio)) / np.log(ONE_FACTOR), np.abs(offset) / ONE_FACTOR)
    many = (np.abs(np.log(ratio)) > np.log(MANY_FACTOR)) | (np.abs(offset) > 1)
    alike = (shape < SHAPE) & apart
    widely = bool((many & alike).mean() > 0.5 and len(names) >= 3)
    chosen = np.flatnonzero(alike & (many if widely else size > 1))
    if not len(chosen):
        return
    order = chosen[np.argsort(-size[chosen], kind="stable")]
    first = int(order[0])
    severity: Severity = "error" if widely or size[first] > 1.5 else "warning"
    told = [names[place] for place in order]
    values = {"part": view.part, "count": len(told), "column": told[0], "ratio": float(ratio[first])}
    values |= {"mean": float(p[first].mean()), "train_mean": float(q[first].mean()), "inputs": len(names)}
    yield Finding(
        fault="data.train_val_mismatch",
        severity=severity,
        message="shift.scaled",
        values=values,
        evidence=(
            Evidence(name="ratio of spreads", value=float(ratio[first]), threshold=ONE_FACTOR, where=told[0]),
            Evidence(name="offset in spreads", value=float(offset[first]), threshold=ONE_FACTOR, where=told[0]),
        ),
        remedies=(ALIKE,),
        confidence=0.9,
        status="confirmed",
        subject={"part": view.part, "columns": told},
    )


def _different(quantiles: Array) -> Array:
    return np.array([len(np.unique(one)) for one in quantiles])


def _spread(quantiles: Array) -> Array:
    return np.asarray(quantiles.std(1))


def _gaps(view: View, name: str, a: Array, b: Array) -> Iterator[Finding]:
    """A number that stands for a gap in one part, where the other has gaps."""
    here, there = float(np.isnan(a).mean()), float(np.isnan(b).mean())
    if abs(here - there) < GAPS or min(here, there) > 0.1 * max(here, there):
        return
    empty, filled, share = (a, b, here) if here > there else (b, a, there)
    values, counts = np.unique(filled[~np.isnan(filled)], return_counts=True)
    if not len(values):
        return
    usual = np.array([(empty == value).mean() for value in values[np.argsort(-counts)[:5]]])
    often = counts[np.argsort(-counts)[:5]] / len(filled)
    stands = np.flatnonzero((often > 0.5 * share) & (often < 2 * share) & (usual < 0.2 * often))
    if not len(stands) and abs(here - there) < 0.3:
        return
    code = float(values[np.argsort(-counts)[stands[0]]]) if len(stands) else float("nan")
    told = {"column": name, "part": view.part, "here": here, "there": there, "code": f"{code:g}"}
    yield Finding(
        fault="data.train_val_mismatch",
        severity="warning",
        message="shift.gap_code" if len(stands) else "shift.gaps",
        values=told,
        evidence=(Evidence(name="difference of the shares of gaps", value=there - here, threshold=GAPS, where=name),),
        remedies=(ALIKE,),
        confidence=0.8,
        subject={"part": view.part, "columns": [name]},
    )


def _words(view: View, name: str, mine: Array, theirs: Array) -> Iterator[Finding]:
    known: dict[str, int] = {}
    for word in mine.tolist():
        if word is not None:
            known[word] = known.get(word, 0) + 1
    cells = [word for word in theirs.tolist() if word is not None]
    if len(cells) < FEWEST or not known:
        return
    unseen = [word for word in cells if word not in known]
    share = len(unseen) / len(cells)
    expected = sum(count == 1 for count in known.values()) / sum(known.values())  # Good 1953: words not seen yet
    if share < UNSEEN + 2 * expected:
        return
    plain = {_plain(word) for word in known}
    rewritten = sum(_plain(word) in plain for word in unseen) / len(unseen)
    message = "shift.rewritten" if rewritten > 0.5 else "shift.unseen"
    severity: Severity = "error" if rewritten > 0.5 and share > 0.5 else "warning"
    values = {
        "column": name,
        "part": view.part,
        "share": share,
        "example": unseen[0],
        "known": max(known, key=lambda one: known[one]),
    }
    yield Finding(
        fault="data.train_val_mismatch",
        severity=severity,
        message=message,
        values=values,
        evidence=(
            Evidence(name="share of cells with unseen words", value=share, threshold=UNSEEN + 2 * expected, where=name),
        ),
        remedies=(ALIKE,),
        confidence=0.9,
        subject={"part": view.part, "columns": [name]},
    )


def _plain(word: str) -> str:
    return re.sub(r"[\W_]+", "", word.casefold()) or word

"""shift: the rows of another part are not like those that are trained on: a classifier tells them apart.

Sees      a fast model that is to tell training rows from rows of the part, judged out of sample (area under its curve), and each input on
          its own (Kolmogorov-Smirnov distance, for words the distance of the shares), corrected for their number.
Matters   the score of the part then says how the model does elsewhere.
Remedies  prepare and draw both alike (advice).
Limits    dates and counters of rows are left out: they differ wherever time does. A part that the recipe divides off by time or group
          differs by nature: a note. Two samples of one kind that differ a little are a note, however many rows show it.
Source    Lopez-Paz & Oquab, arXiv:1610.06545 (classifier two-sample tests); 0.8: the fault list; Benjamini & Hochberg, JRSS B 57 (1995).
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Input, inputs_of, matrix
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.shift_simple import simple_numbers
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.doctor.audits.usefulness_power import fast_model, folds_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

LOOK = 3000  # rows of each part; assumption
FEWEST = 50  # rows of each part
WIDE = 100  # inputs of the classifier, those that differ most on their own where there are more; assumption
APART = 0.8  # area under the curve that is a warning: the fault list
NOTABLE = 0.6  # and a note; assumption
CHANCE = 1e-4  # of an area as large under no difference; assumption
COLUMN = 0.1  # distance of one input that is named; assumption
DISCOVERY = 0.01  # share of false discoveries among the inputs named; assumption
ALIKE = Remedy(title="shift.prepare_alike", safety=Safety.ADVICE)


@audit("shift", faults=("data.train_val_mismatch",), cost=PASS)
def shift(material: Material) -> Iterator[Finding]:
    others = [view for view in material.need_others() if not view.planned or _by_nature(material)]
    if not others:
        raise Inapplicable("every part is divided off at random by the recipe")
    for view in others:
        if min(len(view), len(material.train)) < FEWEST:
            continue
        names, mine, theirs = _numbers(material, view)
        distances, chances = _distances(mine, theirs, names)
        area, error = _area(mine, theirs, distances, material)
        material.measured.setdefault("shift", {})[view.part] = {"area": area, "error": error}
        chance = float(stats.norm.sf((area - 0.5) / error))
        if area < NOTABLE or chance > CHANCE:
            continue
        kept = (distances >= COLUMN) & _discovered(chances)
        order = [place for place in np.argsort(-distances, kind="stable").tolist() if kept[place]]
        yield _finding(material, view, area, error, [names[place].name for place in order], distances[order])


def _numbers(material: Material, view: View) -> tuple[list[Input], Array, Array]:
    """Inputs and their numbers, for training rows and rows of the part; features of pictures and texts."""
    rng = material.rng(f"shift {view.part}")
    chosen = [np.sort(rng.permutation(len(one))[:LOOK]) for one in (material.train, view)]
    try:
        inputs = [one for one in inputs_of(material) if not _counts(material, one)]
    except Inapplicable:
        inputs = []
    if inputs:
        return inputs, matrix(inputs, material.train, chosen[0]), matrix(inputs, view, chosen[1])
    mine, theirs = (
        simple_numbers(material, one, rows) for one, rows in zip((material.train, view), chosen, strict=True)
    )
    names = [name for name in mine if name in theirs]
    if not names:
        raise Inapplicable("no input of the two parts can be compared")
    a, b = (np.column_stack([one[name] for name in names]) for one in (mine, theirs))
    return [Input(name, "") for name in names], a, b


def _by_nature(material: Material) -> bool:
    """Whether the recipe divides parts off that differ: later times, other groups."""
    how, view = material.recipe.data.split, material.train
    return how in ("time", "group") or (how == "auto" and (view.time is not None or view.group is not None))


def _counts(material: Material, one: Input) -> bool:
    """Dates and counters of rows."""
    if one.place < 0 and material.columns[one.column].kind == "date":
        return True
    if one.place > 0 or one.levels:
        return False
    first = matrix([one], material.train, np.arange(min(200, len(material.train))))[:, 0]
    whole = bool((first == np.round(first)).all())
    return whole and bool((np.diff(first) > 0).all() or (np.diff(first) < 0).all())


def _distances(mine: Array, theirs: Array, inputs: list[Input]) -> tuple[Array, Array]:
    """Distance of each input's two distributions in [0, 1], gaps included, and its chance where there is none."""
    distances, chances = np.zeros(len(inputs)), np.ones(len(inputs))
    for place in range(len(inputs)):
        a, b = mine[:, place], theirs[:, place]
        words = bool(inputs[place].levels)
        distances[place], chances[place] = _of_words(a, b) if words else _of_numbers(a, b)
    return distances, chances


def _of_numbers(a: Array, b: Array) -> tuple[float, float]:
    """KS distance with gaps below all numbers; its asymptotic chance."""
    a, b = (np.sort(np.where(np.isnan(one), -np.inf, one)) for one in (a, b))
    both = np.concatenate([a, b])
    gaps = np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)
    distance = float(np.abs(gaps).max())
    return distance, float(stats.kstwobign.sf(distance * np.sqrt(len(a) * len(b) / (len(a) + len(b)))))


def _of_words(a: Array, b: Array) -> tuple[float, float]:
    """Half the sum of the differences of shares; the chance of its chi-square."""
    a, b = (np.where(np.isnan(one), -1, one).astype(np.int64) + 1 for one in (a, b))
    width = int(max(a.max(), b.max())) + 1
    table = np.stack([np.bincount(a, minlength=width), np.bincount(b, minlength=width)])
    table = table[:, table.sum(0) >= 5]
    if table.shape[1] < 2:
        return 0.0, 1.0
    shares = table / table.sum(1, keepdims=True).clip(1)
    chance = float(stats.chi2_contingency(table, correction=False)[1]) if (table.sum(1) > 0).all() else 0.0
    return float(np.abs(shares[0] - shares[1]).sum() / 2), chance


def _discovered(chances: Array) -> Array:
    """Benjamini-Hochberg."""
    order = np.argsort(chances, kind="stable")
    below = chances[order] <= DISCOVERY * np.arange(1, len(chances) + 1) / len(chances)
    last = int(np.flatnonzero(below).max()) + 1 if below.any() else 0
    found = np.zeros(len(chances), bool)
    found[order[:last]] = True
    return found


def _area(mine: Array, theirs: Array, distances: Array, material: Material) -> tuple[float, float]:
    """Area under the curve of a classifier out of two folds, and its standard error under no difference."""
    chosen = np.sort(np.argsort(-distances, kind="stable")[:WIDE])
    X = np.concatenate([mine[:, chosen], theirs[:, chosen]])
    y = np.r_[np.zeros(len(mine), np.int64), np.ones(len(theirs), np.int64)]
    folds = folds_of(len(y), material.rng("shift folds"), 2)
    areas = []
    for fold in (0, 1):
        out = folds == fold
        if min(np.bincount(y[out], minlength=2).min(), np.bincount(y[~out], minlength=2).min()) < 5:
            return 0.5, 1.0
        with one_thread():
            model = fast_model(2, material.seed).fit(X[~out], y[~out])
            told = model.predict_proba(X[out])[:, 1]
        ranks = stats.rankdata(told)[y[out] == 1]
        ones, zeros = len(ranks), int((y[out] == 0).sum())
        areas.append(float((ranks.sum() - ones * (ones + 1) / 2) / (ones * zeros)))
    return float(np.mean(areas)), float(np.sqrt((len(y) + 1) / (12 * len(mine) * len(theirs))))


def _finding(material: Material, view: View, area: float, error: float, names: list[str], distances: Array) -> Finding:
    severity: Severity = "warning" if area >= APART and not view.planned else "note"
    shown = ", ".join(f"{name} ({distance:.2f})" for name, distance in zip(names[:5], distances[:5], strict=True))
    values = {"part": view.part, "area": area, "columns": shown or "–", "count": len(names)}
    return Finding(
        fault="data.train_val_mismatch",
        severity=severity,
        message="shift.apart" if names else "shift.apart_together",
        values=values,
        evidence=(
            Evidence(name="area under the curve", value=area, threshold=APART, source="fault list", where=view.part),
            Evidence(name="standard error without a difference", value=error, where=view.part),
        ),
        remedies=() if severity == "note" else (ALIKE,),
        confidence=0.8,
        subject={"part": view.part, "columns": names, "scores": distances.tolist()},
    )

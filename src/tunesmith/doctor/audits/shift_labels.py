"""shift_labels: the targets of another part are not distributed as those that are trained on.

Sees      the shares of the classes (total variation and chi-square), or the distribution of a number (Kolmogorov-Smirnov); a number of the
          same shape at another scale.
Matters   the score of the part is that of another task; a threshold chosen there fits nowhere.
Remedies  draw the parts alike, stratified (advice).
Limits    a part that the recipe divides off differs by nature: a note. A test that is balanced on purpose is a warning only from
          a quarter of its rows on.
Source    fault list, data.train_val_mismatch: label marginals differ (chi-square); Lipton et al., arXiv:1802.03916 (label shift).
"""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

FEWEST = 30  # rows of each part
FAR = 0.25  # distance of the distributions that is a warning; assumption
NOTABLE = 0.1  # and a note; assumption
CHANCE = 1e-6  # of a distance as large where there is none; assumption
FACTOR = 3.0  # ratio of spreads of one shape that is another unit; assumption
SHAPE = 0.2  # mean difference of standardised quantiles of one shape; assumption
ALIKE = Remedy(title="shift.draw_alike", safety=Safety.ADVICE)


@audit("shift_labels", faults=("data.train_val_mismatch",), cost=CHEAP)
def shift_labels(material: Material) -> Iterator[Finding]:
    material.need_target("binary", "multiclass", "regression")
    for view in material.need_others():
        if view.target is None or min(len(view), len(material.train)) < FEWEST:
            continue
        if material.classed and view.codes is not None and material.train.codes is not None:
            yield from _classes(material, view, material.train.codes, view.codes)
        elif view.target.dtype.kind in "fiu" and view.target.ndim == 1 and material.train.target is not None:
            yield from _numbers(material, view, material.train.target, view.target)
    if not material.classed and material.train.target is not None and material.train.target.ndim > 1:
        raise Inapplicable("there are several targets")


def _classes(material: Material, view: View, mine: Array, theirs: Array) -> Iterator[Finding]:
    table = np.stack([np.bincount(one[one >= 0], minlength=len(material.classes)) for one in (mine, theirs)])
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2 or (table.sum(1) < FEWEST).any():
        return
    shares = table / table.sum(1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    chance = float(stats.chi2_contingency(table, correction=False)[1])
    place = int(np.abs(shares[0] - shares[1]).argmax())
    label = str(
        [
            name
            for name, both in zip(material.classes, _present(mine, theirs, len(material.classes)), strict=True)
            if both
        ][place]
    )
    values = {"part": view.part, "distance": distance, "label": label}
    values |= {"here": float(shares[0, place]), "there": float(shares[1, place])}
    yield from _finding(material, view, distance, chance, "shift.classes", values)


def _present(mine: Array, theirs: Array, classes: int) -> Array:
    both = np.concatenate([mine[mine >= 0], theirs[theirs >= 0]])
    return np.bincount(both, minlength=classes) > 0


def _numbers(material: Material, view: View, mine: Array, theirs: Array) -> Iterator[Finding]:
    a, b = (one[np.isfinite(one.astype(np.float64))].astype(np.float64) for one in (mine, theirs))
    if min(len(a), len(b)) < FEWEST or a.std() == 0 or b.std() == 0:
        return
    found = stats.ks_2samp(a, b, method="asymp")
    q, p = (np.quantile(one, np.linspace(0.05, 0.95, 19)) for one in (a, b))
    ratio = float(p.std() / q.std()) if q.std() > 0 else 1.0
    shape = float(np.abs((p - p.mean()) / max(p.std(), 1e-300) - (q - q.mean()) / max(q.std(), 1e-300)).mean())
    values = {
        "part": view.part,
        "distance": float(found.statistic),
        "here": float(a.mean()),
        "there": float(b.mean()),
        "ratio": ratio,
    }
    if not view.planned and shape < SHAPE and abs(np.log(ratio)) > np.log(FACTOR) and found.pvalue < CHANCE:
        yield _made(view, "error", "shift.target_scaled", values, float(found.statistic))
        return
    yield from _finding(material, view, float(found.statistic), float(found.pvalue), "shift.target", values)


def _finding(
    material: Material, view: View, distance: float, chance: float, message: str, values: dict[str, object]
) -> Iterator[Finding]:
    if distance < NOTABLE or chance > CHANCE:
        return
    yield _made(view, "warning" if distance >= FAR and not view.planned else "note", message, values, distance)


def _made(view: View, severity: Severity, message: str, values: dict[str, object], distance: float) -> Finding:
    return Finding(
        fault="data.train_val_mismatch",
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name="distance of the targets", value=distance, threshold=FAR, where=view.part),),
        remedies=() if severity == "note" else (ALIKE,),
        confidence=0.9,
        subject={"part": view.part},
    )

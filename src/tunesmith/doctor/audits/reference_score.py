"""reference_score: what fast models reach on rows they have not seen, beside what a constant reaches. Finds nothing, measures.

Sees      lines, a kernel, neighbours, boosted trees (tables) and words (texts), by cross-validation on cheap features.
Matters   a training that ends below this has a fault of its own; far above it there is little to fear.
Remedies  none: a number to hold a run against.
Limits    pictures are seen through histograms and patches: a good network beats it. Intervals are of the rows, not of the folds.
Source    benchmarks/label_errors.md; intervals: Efron & Tibshirani 1993, chapter 13.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.blocks.metrics import intervals, metric, scores
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.confident_outputs import OutOfSample, out_of_sample, shares, standard_target
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Finding
from tunesmith.records.check import DEAR

ROWS = 20_000  # rows the intervals are drawn from; assumption
DRAWS = 200  # as in blocks/metrics: a standard error to 5 %


@audit("reference_score", faults=("fit.underfit",), cost=DEAR)
def reference_score(material: Material) -> Iterator[Finding]:
    reference(material)
    yield from ()


def reference(material: Material) -> dict[str, Any]:
    """Metric, best score and its interval, model, all scores and that of a constant; in `material.measured["reference"]` too.

    Raises `Inapplicable` where nothing can be judged.
    """
    found = material.kept("reference", lambda: _measured(material, out_of_sample(material)))
    material.measured["reference"] = found
    return found


def _measured(material: Material, judged: OutOfSample) -> dict[str, Any]:
    kind, target = _kind(judged)
    name = metric("auto", kind=kind).name
    said = {"all together": judged.said, **judged.scores}
    each = {}
    for model, one in said.items():
        each[model] = scores(kind, target, _answer(judged, one), names=[name])[name]
    constant = scores(kind, target, _constant(judged), names=[name])[name]
    best = max(each, key=lambda model: each[model] if each[model] == each[model] else -np.inf)
    some = np.sort(material.rng("reference").permutation(len(target))[:ROWS])
    drawn = intervals(
        kind, target[some], _answer(judged, said[best])[some], names=[name], count=DRAWS, seed=material.seed
    )
    return {
        "metric": name,
        "value": each[best],
        "interval": drawn[name],
        "model": best,
        "scores": each,
        "constant": constant,
        "rows": len(target),
    }


def _kind(judged: OutOfSample) -> tuple[str, Array]:
    if judged.classes:
        return ("binary" if judged.classes == 2 else "multiclass"), judged.target
    target = standard_target(judged.target)
    return ("regression", target[:, 0]) if target.shape[1] == 1 else ("multi_regression", target)


def _answer(judged: OutOfSample, said: Array) -> Array:
    """As the metrics take it: probabilities, or numbers."""
    if judged.classes:
        proper = said is judged.said
        return said if proper else shares(said / max(float(said.std()), 1e-9))
    return said[:, 0] if said.shape[1] == 1 else said


def _constant(judged: OutOfSample) -> Array:
    """What the other folds say without looking at the row."""
    if judged.classes:
        share = np.bincount(judged.target, minlength=judged.classes) / len(judged.target)
        return np.tile(share, (len(judged.target), 1))
    target = standard_target(judged.target)
    middle = np.broadcast_to(target.mean(0), target.shape)
    return np.array(middle[:, 0] if target.shape[1] == 1 else middle)

"""label_errors: labels that the other rows contradict, beyond what overlapping classes explain.

Sees      out-of-sample probabilities of fast models on cheap features, by cross-validation (copies and groups stay together);
          confident learning's joint of given and likely labels; a likelihood comparison of two explanations, classes that overlap
          against labels that were swapped; for numbers, targets far from what their row and its like suggest.
Matters   a network learns wrong labels by heart late in training, and in a test part they hide which model is better.
Remedies  look at the rows listed and correct them; leave out what cannot be corrected; smooth the labels.
Limits    needs a model that is right about most rows: where fast models are at a loss, swapped labels look like overlap and little is
          claimed. Noise that follows the features (one annotator's rule) is invisible. Rows are suspects: a person decides.
          A warning asks for 5 % of wrong labels and for more likelihood than the extra numbers cost, and where labels seem swapped
          between certain classes, that these are told apart once the noise is taken away; else the most suspicious rows are a note. With
          few rows the share comes out too low. Numbers: a warning asks that half of the spread is explained; skewed noise is a note; where
          less than a tenth is, or no more than by shuffled predictions, wrong targets cannot be told from right ones and nothing is said.
Source    Northcutt et al., arXiv:1911.00068; Wichmann & Hill 2001; Natarajan et al. 2013; benchmarks/label_errors.md.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.confident_learning import expected_flagged, pruned, self_confidence
from tunesmith.doctor.audits.confident_noise import Noise, fitted_noise, fitted_wild
from tunesmith.doctor.audits.confident_outputs import OutOfSample, judged_view, out_of_sample, standard_target
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import DEAR, Inapplicable

MUCH = 0.05  # share of wrong labels from which it is a warning; assumption
ODDS = 0.01  # a label less likely than that contradicts its row; assumption
TELLS = 0.1  # share of the spread explained, below which no target contradicts its row; assumption
SHUFFLES = 199  # of the predictions, none of which may explain as much: a chance of 1 in 200
LEAST_OWN = 200  # rows of a part that is judged by itself; assumption
RELABEL = Remedy(title="remedy.look_at_labels", safety=Safety.ADVICE)
SMOOTH = Remedy(title="remedy.smooth_labels", safety=Safety.RISKY, change={"loss.label_smoothing": 0.1})


@audit("label_errors", faults=("data.label_noise",), cost=DEAR)
def label_errors(material: Material) -> Iterator[Finding]:
    material.need_target("binary", "multiclass", "regression", "multi_regression")
    yield from _of_part(material, "train", out_of_sample(material))
    for view in material.others:
        if not view.planned and len(view) >= LEAST_OWN and view.target is not None:
            try:
                judged = out_of_sample(material, view.part)
            except Inapplicable:
                continue  # the part has no row with a target
            yield from _of_part(material, view.part, judged)


def _of_part(material: Material, part: str, judged: OutOfSample) -> Iterator[Finding]:
    if not judged.classes:
        yield from _numbers(material, part, judged)
    elif len(np.unique(judged.target)) > 1:
        yield from _classes(material, part, judged)


def quality(said: Array, codes: Array, noise: Noise) -> Array:
    """(N,) in 0..1, low is suspicious: the label's probability, or the chance that it is right where noise has a direction.

    On digits, MNIST and Fashion-MNIST with even noise the plain probability ranked up to 0.003 of average precision better.
    """
    return self_confidence(said, codes) if noise.form in ("none", "even") else np.clip(1.0 - noise.wrong, 0.0, 1.0)


def _classes(material: Material, part: str, judged: OutOfSample) -> Iterator[Finding]:
    said, codes = judged.said.astype(np.float64), judged.target
    rng = material.rng("label_errors")
    noise = fitted_noise(said, codes, rng)
    score = quality(said, codes, noise)
    flagged = pruned(said, codes)
    by_overlap = expected_flagged(said, rng)
    view = judged_view(material, part)
    material.measured.setdefault("label_errors", {})[part] = {
        "share": noise.share,
        "form": noise.form,
        "matrix": noise.matrix.tolist(),
        "flagged": int(flagged.sum()),
        "flagged_by_overlap": by_overlap,
        "rows": view.rows[judged.places].tolist(),
        "scores": score.tolist(),
    }
    likely = _without(noise.true if noise.form != "none" else said, codes)
    if noise.form != "none" and noise.share * len(codes) >= 1:
        warn = noise.share >= MUCH
        yield _swapped(material, part, judged, noise, score, likely, warn, (flagged, by_overlap))
        return
    doubtful = np.flatnonzero(score < ODDS)
    explained = float(said[said < ODDS].sum())
    if len(doubtful) > explained + 3 * np.sqrt(explained + 1):
        values = {
            "count": len(doubtful),
            "part": part,
            "expected": explained,
            **_first(material, part, judged, score, likely),
        }
        yield Finding(
            fault="data.label_noise",
            severity="note",
            message="audits.doubtful_labels",
            values=values,
            evidence=(
                Evidence(
                    name="rows whose label has less than 1 %",
                    value=len(doubtful),
                    threshold=explained,
                    source="calibration",
                ),
            ),
            remedies=(RELABEL,),
            confidence=0.5,
            subject=_subject(material, part, judged, doubtful, score, likely),
        )


def _swapped(
    material: Material,
    part: str,
    judged: OutOfSample,
    noise: Noise,
    score: Array,
    likely: Array,
    warn: bool,
    pruning: tuple[Array, float],
) -> Finding:
    rows = np.flatnonzero(noise.wrong > 0.5)
    values = {
        "part": part,
        "share": noise.share,
        "count": round(noise.share * len(score)),
        "total": len(score),
        "listed": len(rows),
        **_first(material, part, judged, score, likely),
    }
    evidence = (
        Evidence(
            name="share of wrong labels", value=noise.share, threshold=MUCH, source="likelihood of swapped labels"
        ),
        Evidence(
            name="gain in log likelihood over overlap, less its price", value=noise.gain, threshold=0.0, source="BIC"
        ),
        Evidence(name="how well classes are told apart without the noise", value=noise.crisp),
        Evidence(
            name="rows confident learning flags",
            value=int(pruning[0].sum()),
            threshold=pruning[1],
            source="arXiv:1911.00068",
        ),
    )
    return Finding(
        fault="data.label_noise",
        severity="warning" if warn else "note",
        message="audits.swapped_labels" if warn else "audits.some_swapped_labels",
        values=values,
        evidence=evidence,
        remedies=(RELABEL, SMOOTH) if warn and part == "train" else (RELABEL,),
        confidence=float(np.clip(1 - np.exp(-noise.gain / 3), 0.3, 0.95)),
        subject=_subject(material, part, judged, rows, score, likely),
    )


def _without(said: Array, codes: Array) -> Array:
    """The likeliest class that is not the given one."""
    rest = said.copy()
    rest[np.arange(len(said)), codes] = -1.0
    return np.asarray(rest.argmax(1))


def _first(material: Material, part: str, judged: OutOfSample, score: Array, likely: Array) -> dict[str, Any]:
    """The most suspicious row, for people."""
    worst = int(np.argmin(score))
    view = judged_view(material, part)
    return {
        "place": material.place(view, int(judged.places[worst])),
        "given": material.classes[judged.target[worst]],
        "likely": material.classes[likely[worst]],
    }


def _subject(
    material: Material, part: str, judged: OutOfSample, rows: Array, score: Array, likely: Array
) -> dict[str, Any]:
    rows = rows[np.argsort(score[rows], kind="stable")][:100_000]
    view = judged_view(material, part)
    return {
        "part": part,
        "rows": view.rows[judged.places[rows]].tolist(),
        "scores": score[rows].tolist(),
        "given": [material.classes[code] for code in judged.target[rows]],
        "suggested": [material.classes[code] for code in likely[rows]],
    }


def _numbers(material: Material, part: str, judged: OutOfSample) -> Iterator[Finding]:
    target = standard_target(judged.target)
    view = judged_view(material, part)
    for column in range(target.shape[1]):
        if len(np.unique(target[:, column])) < 10:
            continue  # classes that are written as numbers
        name = material.targets[column] if column < len(material.targets) else str(column)
        measured = material.measured.setdefault("label_errors", {})
        explains = _explained(judged.said[:, column], target[:, column], material.rng("label_errors"))
        if explains < TELLS:
            measured[f"{part} {name}"] = {"share": None, "form": "cannot tell"}
            continue
        wild = fitted_wild(judged.said[:, column], target[:, column])
        rows = np.flatnonzero(wild.wrong > 0.5)
        rows = rows[np.argsort(-wild.wrong[rows], kind="stable")]
        measured[f"{part} {name}"] = {"share": wild.share, "form": "numbers"}
        if not wild.gain or not len(rows):
            continue
        warn = wild.share >= MUCH and explains >= 0.5  # half of the spread is explained; assumption
        worst = int(rows[0])
        yield Finding(
            fault="data.label_noise",
            severity="warning" if warn else "note",
            message="audits.wild_targets",
            values={
                "name": name,
                "part": part,
                "share": wild.share,
                "count": round(wild.share * len(target)),
                "total": len(target),
                "listed": len(rows),
                "place": material.place(view, int(judged.places[worst])),
                "given": float(judged.target[worst, column]),
            },
            evidence=(
                Evidence(
                    name="share of targets that ignore their row", value=wild.share, threshold=MUCH, source="mixture"
                ),
                Evidence(name="gain in log likelihood, less its price", value=wild.gain, threshold=0.0, source="BIC"),
                Evidence(name="share of the spread explained", value=explains, threshold=0.5),
            ),
            remedies=(RELABEL,),
            confidence=0.6 if warn else 0.4,
            subject={
                "part": part,
                "rows": view.rows[judged.places[rows[:100_000]]].tolist(),
                "scores": (1 - wild.wrong[rows[:100_000]]).tolist(),
                "given": judged.target[rows[:100_000], column].tolist(),
            },
        )


def _explained(said: Array, target: Array, rng: np.random.Generator) -> float:
    """The share of the spread, as median distances, that predictions explain; 0 where shuffled ones explain as much."""
    left = float(np.median(np.abs(target - said)))
    by_chance = min(float(np.median(np.abs(target - rng.permutation(said)))) for _ in range(SHUFFLES))
    if left >= by_chance:
        return 0.0
    return 1 - left / max(float(np.median(np.abs(target - np.median(target)))), 1e-12)

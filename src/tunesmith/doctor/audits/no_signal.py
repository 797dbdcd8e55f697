"""no_signal: the inputs tell nothing about the target.

Sees      scores of fast models of several families on rows they have not seen (lines, a kernel, neighbours; trees on tables, words on
          texts), each held against the same scores with the targets shuffled. All families must be at chance.
Matters   nothing can be learnt: rows and targets are out of step, inputs were blanked, or they have no bearing on the target.
Remedies  see that row i of the inputs belongs to row i of the target: read, sort, join and shuffle them together (advice).
Limits    a rule that no fast model sees (parity of many bits, content of large pictures) looks the same: it is suspected, not sure.
          A weak signal in few rows is taken for none: at 300 rows of which 58 % can be got right, 2 of 6 were.
          Silent below 200 rows, and where the shuffled targets leave room for more than a tenth of the spread to be explained.
Source    permutation test: Ojala & Garriga, Permutation Tests for Studying Classifier Performance, JMLR 11 (2010), section 3.1.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.confident_outputs import OutOfSample, out_of_sample, standard_target
from tunesmith.doctor.audits.features import content_keys
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.reference_score import reference
from tunesmith.doctor.audits.reference_score_models import one_hot
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import DEAR, Inapplicable

FEWEST = 200  # rows; below, chance and signal look alike; assumption
SHUFFLES = 199  # the deviation of shuffled targets to 5 %
# deviations beyond which a family sees something; scores out of sample vary more than their shuffles: of 8 shuffled small sets one reached 3.6
SIGNAL = 3.0
ROOM = 0.1  # share of the spread that may be explained unseen, at most; assumption
ROWS = 20_000  # rows that are shuffled; assumption
ALIGN = Remedy(title="remedy.align_rows", safety=Safety.ADVICE)


@audit("no_signal", faults=("data.no_signal",), cost=DEAR)
def no_signal(material: Material) -> Iterator[Finding]:
    material.need_target("binary", "multiclass", "regression", "multi_regression")
    if len(material.whole) > 1 and len(np.unique(content_keys(material, material.whole))) == 1:
        yield _blank(material)
        return
    judged = out_of_sample(material)
    if len(judged.target) < FEWEST:
        raise Inapplicable(f"{len(judged.target)} rows are too few to say that nothing can be learnt from them")
    if len(np.unique(judged.target, axis=0)) < 2:
        raise Inapplicable("the target never changes")
    aim = one_hot(judged.target, judged.classes) if judged.classes else standard_target(judged.target)
    tests = {name: shuffled(said, aim, judged.fold, material.rng(name)) for name, said in judged.scores.items()}
    room = max(max(seen, 0.0) + 2 * spread for seen, spread in tests.values()) ** 2
    if max(seen / max(spread, 1e-12) for seen, spread in tests.values()) < SIGNAL and room < ROOM:
        yield _nothing(
            material, judged, {name: seen / max(spread, 1e-12) for name, (seen, spread) in tests.items()}, room
        )


def shuffled(said: Array, aim: Array, fold: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Correlation of scores with targets inside the folds, and its deviation when the targets are shuffled."""
    some = np.sort(rng.permutation(len(said))[:ROWS])
    said, aim, fold = said[some].astype(np.float64), aim[some].astype(np.float64), fold[some]
    for number in np.unique(fold):
        inside = fold == number
        said[inside] -= said[inside].mean(0)
        aim[inside] -= aim[inside].mean(0)
    size = np.sqrt(float((said**2).sum()) * float((aim**2).sum()))
    if size <= 1e-12:
        return 0.0, 0.0
    seen = float((said * aim).sum()) / size
    order = np.argsort(fold, kind="stable")
    said, aim, ends = said[order], aim[order], np.cumsum(np.bincount(fold))
    by_chance = np.array([float((said * aim[_inside(ends, rng)]).sum()) / size for _ in range(SHUFFLES)])
    return seen, float(by_chance.std())


def _inside(ends: Array, rng: np.random.Generator) -> Array:
    """A shuffle that leaves every row in its fold."""
    begins = np.append(0, ends[:-1])
    return np.concatenate([begin + rng.permutation(end - begin) for begin, end in zip(begins, ends, strict=True)])


def _nothing(material: Material, judged: OutOfSample, deviations: dict[str, float], room: float) -> Finding:
    best = reference(material)
    values = {
        "rows": len(judged.target),
        "models": ", ".join(deviations),
        "metric": best["metric"],
        "score": best["value"],
        "low": best["interval"][0],
        "high": best["interval"][1],
        "constant": best["constant"],
    }
    source = "Ojala & Garriga 2010"
    evidence = [
        Evidence(name=f"{name} above shuffled targets, in deviations", value=one, threshold=SIGNAL, source=source)
        for name, one in deviations.items()
    ]
    evidence.append(Evidence(name="share of the spread that could go unseen", value=room, threshold=ROOM))
    return Finding(
        fault="data.no_signal",
        severity="warning",
        message="audits.no_signal",
        values=values,
        evidence=tuple(evidence),
        remedies=(ALIGN,),
        confidence=0.7,
    )


def _blank(material: Material) -> Finding:
    return Finding(
        fault="data.no_signal",
        severity="error",
        message="audits.no_signal_blank",
        values={"rows": len(material.whole)},
        evidence=(Evidence(name="distinct inputs", value=1, threshold=2, source="a constant tells nothing"),),
        remedies=(ALIGN,),
        status="confirmed",
    )

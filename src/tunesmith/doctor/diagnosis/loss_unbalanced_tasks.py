"""loss.unbalanced_tasks: several losses pull one net, and one of them loses.

Sees      a term of the loss that rises beyond its noise while the sum falls; or one term that makes up nearly all of the sum while another,
          small one stands still.
Matters   the net learns the task with the large gradients and pays with the others.
Remedies  weights from uncertainty or gradient norms; scale the targets; a term at a time.
Limits    needs the terms in the log, each as a column of its own. Terms that are meant to grow (an entropy, a distance from a prior that
          is warmed up) rise in sound runs.
Source    vocabulary of loss.unbalanced_tasks; Kendall et al., arXiv:1705.07115; Chen et al., GradNorm, arXiv:1711.02257.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import Curve, View, curve, view
from tunesmith.records import Finding
from tunesmith.runs.history import History, Series

FEWEST = 8
NOISES = 5.0
RISE = 0.5  # of its best level; assumption
HEARD = 0.1  # of the sum, that the rise makes up; assumption
DROWNS = 30.0  # times the other term; vocabulary: ratio of gradient norms above 10
MEANT = ("kl", "entropy", "prior", "reg", "penalty", "commit", "aux")


@rule("loss.unbalanced_tasks", needs=("loss",))
def loss_unbalanced_tasks(history: History) -> Iterator[Finding]:
    seen = view(history)
    if seen.train is None or len(seen.train) < FEWEST or not seen.readable:
        return
    terms = [made for one in _terms(history) if (made := curve(one)) is not None and len(made) >= FEWEST]
    if len(terms) < 2:
        return
    rising = [term for term in terms if _rises(term) and term.end - term.best > HEARD * abs(seen.train.end)]
    whole_falls = seen.train.drop > 6 * seen.train.noise and seen.train.end < seen.train.start
    if rising and whole_falls and len(rising) < len(terms):
        term = max(rising, key=lambda one: (one.end - one.best) / max(one.noise, 1e-12))
        yield _told(seen, term)
        return
    yield from _drowned(terms)


def _terms(history: History) -> list[Series]:
    found: dict[str, Series] = {}
    for one in history.all("loss"):
        if one.where and one.part in ("train", ""):
            kept = found.get(one.where)
            if kept is None or (one.per == "epoch", len(one)) > (kept.per == "epoch", len(kept)):
                found[one.where] = one
    return list(found.values())


def _early(term: Curve) -> float:
    return float(np.median(term.level[: max(1, len(term) // 10)]))


def _rises(term: Curve) -> bool:
    meant = any(word in term.series.where.lower() for word in MEANT)
    return (
        not meant and term.end - term.best > max(NOISES * term.noise, RISE * abs(term.best)) and term.end > term.start
    )


def _told(seen: View, term: Curve) -> Finding:
    train = seen.train
    assert train is not None
    values = {
        "term": term.series.where,
        "first": term.best,
        "end": term.end,
        "sum_start": train.start,
        "sum_end": train.end,
    }
    return told(
        "loss.unbalanced_tasks",
        "warning",
        "term_rises",
        values,
        confidence=0.7,
        evidence=[
            number("term", term.end, term.best + NOISES * term.noise, "noise of the curve", where=term.series.where)
        ],
        remedies=[advice("weigh_terms")],
    )


def _drowned(terms: list[Curve]) -> Iterator[Finding]:
    largest = max(terms, key=lambda one: abs(_early(one)))
    for term in terms:
        small = abs(_early(term))
        still = (_early(term) - term.end) < 0.05 * small
        if (
            term is not largest
            and small > 0
            and still
            and abs(largest.end) > DROWNS * abs(term.end)
            and largest.drop > 6 * largest.noise
        ):
            yield told(
                "loss.unbalanced_tasks",
                "note",
                "term_drowned",
                {
                    "term": term.series.where,
                    "level": term.end,
                    "other": largest.series.where,
                    "times": abs(largest.end) / abs(term.end),
                },
                confidence=0.5,
                evidence=[
                    number("ratio", abs(largest.end) / abs(term.end), DROWNS, "assumption", where=term.series.where)
                ],
                remedies=[advice("weigh_terms")],
            )
            return

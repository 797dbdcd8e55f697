"""What looks at an encoder say: embeddings point one way, fill few dimensions, or shrink, and go on doing so.

No number sees all three, and a healthy training makes each of them fall somewhat: a net that has not begun lets everything through, noise
too. So each is compared with the scale of the measure itself and with the start of the same training, and several looks must agree.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from tunesmith.generative.embedding.looks import EmbeddingLook
from tunesmith.records import Evidence, Finding, Remedy, Safety

LOOKS = 6  # in a row that must agree; as for a generator, generative/gan/findings.py
ALIKE = 0.2  # of the isotropic spread: 96 % of the squared length are one direction; assumption
HALF = 0.5  # of the start; assumption
FEW = 2 / 3  # of the directions that two views shared at the start; assumption: sound runs kept 1.1 (docs/log.md)
ONE = 1.2  # shared rank at which the first direction has 95 % and more: exp of the entropy of (.95, .05) is 1.22
SEVERAL = 2.0  # shared rank at the start, below which one direction may be all there is; assumption
DEEP = 0.1  # of the rank at the start, which says enough by itself; assumption: sound runs kept a fifth and more (docs/log.md)
FAR = 0.25  # of the rank at the start, which says enough where views are too noisy to tell what they share; assumption
STEADY = 1.5  # by which the loss over the distance of views may change while both fall; assumption
CURES = ("stop", "predictor", "negatives", "variance", "norm", "batch")
RANK = {"embedding.returned": 0, "embedding.shrinks": 1, "embedding.few": 2, "embedding.one": 3}
FAULT = "collapse.representation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What looks are judged by: `start` is the first, `blind` what the loss does not see, as in `looks.py`.

    `spread` is the raw spread that the loss itself keeps, such as 1 for VICReg: what is above it may shrink.
    """

    start: EmbeddingLook
    blind: tuple[str, ...] = ()
    spread: float | None = None


def found_in(looks: Sequence[EmbeddingLook], case: Case, losses: Sequence[float | None] = ()) -> Finding | None:
    """What the latest looks say, the gravest first; None where nothing stands."""
    last = looks[-LOOKS:]
    if len(last) < LOOKS:
        return None
    given = list(losses)[-LOOKS:] if len(losses) >= LOOKS else []
    return one_direction(last, case) or few_dimensions(last, case) or shrinking(last, case, given)


def news(
    looks: Sequence[EmbeddingLook], case: Case, told: str | None, losses: Sequence[float | None] = ()
) -> Finding | None:
    """What is to be told after the latest look, `told` being the message that was told last: what is new or graver, or taken back."""
    found = found_in(looks, case, losses)
    if found is not None:
        return found if told is None or RANK[found.message] > RANK[told] else None
    if told is None or RANK[told] == 0 or len(looks) < LOOKS:
        return None
    last = looks[-LOOKS:]
    as_grave = [message for message, rank in RANK.items() if rank >= RANK[told]]
    if sum(any(_stands(look, case, message) for message in as_grave) for look in last) * 2 > LOOKS:
        return None
    return _finding("embedding.returned", last, (), {}, confidence=0.8)


def stands_at(looks: Sequence[EmbeddingLook], case: Case, losses: Sequence[float | None] = ()) -> list[tuple[int, str]]:
    """The steps at which something was told, with the message."""
    told: str | None = None
    events = []
    for place in range(len(looks)):
        one = news(looks[: place + 1], case, told, losses[: place + 1])
        if one is not None:
            told = one.message
            events.append((looks[place].step, told))
    return events


def one_direction(last: Sequence[EmbeddingLook], case: Case) -> Finding | None:
    """All embeddings point one way, more than at the start, and it does not get better."""
    if not all(_stands(look, case, "embedding.one") for look in last):
        return None
    if gains([math.log(max(evenness(look), 1e-12)) for look in last]):
        return None
    now, before = last[-1], evenness(case.start)
    values = {"even": evenness(now), "before": before, "common": now.common, "dimensions": now.dimensions}
    evidence = [
        Evidence(
            name="evenness", value=evenness(now), threshold=ALIKE, source="1/√D is 1; arXiv:2011.10566", step=now.step
        ),
        Evidence(
            name="normalised_spread",
            value=now.normalised_spread,
            threshold=ALIKE * now.dimensions**-0.5,
            source="1/√D; arXiv:2011.10566",
            step=now.step,
        ),
    ]
    return _finding("embedding.one", last, evidence, values, confidence=0.9)


def few_dimensions(last: Sequence[EmbeddingLook], case: Case) -> Finding | None:
    """The embeddings fill fewer dimensions than their inputs offered, or one carries all that two views share; and it stays so."""
    few = all(_few(look, case) for look in last) and not gains([look.rank or 1.0 for look in last])
    alone = all(_alone(look, case) for look in last) and not gains([look.shared or 1.0 for look in last])
    if not (few or alone):
        return None
    now, start = last[-1], case.start
    values = {
        "rank": now.rank or 1.0,
        "before": start.rank or 1.0,
        "shared": now.shared or 1.0,
        "offered": start.shared or 1.0,
        "dimensions": now.dimensions,
    }
    evidence = [
        Evidence(
            name="rank",
            value=now.rank or 1.0,
            threshold=FEW * (start.shared or 1.0),
            source="arXiv:2210.02885; directions shared at the start",
            step=now.step,
        ),
        Evidence(
            name="shared_rank",
            value=now.shared or 1.0,
            threshold=ONE,
            source="tunesmith explain measure.shared_rank",
            step=now.step,
        ),
    ]
    return _finding("embedding.few", last, evidence, values, confidence=0.8)


def shrinking(last: Sequence[EmbeddingLook], case: Case, losses: Sequence[float | None]) -> Finding | None:
    """The embeddings come together without turning: the spread is half of the start's, and still falls.

    A loss of cosines does not see it, and weight decay shrinks there what does not matter. Where it is not known what the loss sees,
    it must have fallen as the distance of two views did: then shrinking is what makes it fall.
    """
    if not all(_stands(look, case, "embedding.shrinks") for look in last):
        return None
    spreads = [look.raw_spread for look in last]
    half = len(last) // 2
    if fmean(spreads[half:]) >= fmean(spreads[:half]):
        return None
    if case.spread is None and not _follows(losses, [look.apart for look in last]):
        return None
    now, start = last[-1], case.start
    values = {"spread": now.raw_spread, "before": start.raw_spread, "share": now.raw_spread / _reference(case)}
    evidence = [
        Evidence(
            name="raw_spread",
            value=now.raw_spread,
            threshold=HALF * _reference(case),
            source="that of the start; arXiv:2105.04906",
            step=now.step,
        )
    ]
    return _finding("embedding.shrinks", last, evidence, values, confidence=0.8)


def evenness(look: EmbeddingLook) -> float:
    """sqrt(1 - |mean u|²): 1 where embeddings point everywhere alike, 0 where all point one way."""
    return math.sqrt(max(0.0, 1.0 - look.common))


def gains(values: Sequence[float]) -> bool:
    """Whether the second half of some numbers lies above the first, beyond the error of two means."""
    half = len(values) // 2
    first, second = values[:half], values[half:]
    scatter = (pvariance(first) + pvariance(second)) / (half - 1)
    return bool(fmean(second) - fmean(first) > scatter**0.5)


def _stands(look: EmbeddingLook, case: Case, message: str) -> bool:
    """Whether one look shows it."""
    start = case.start
    if message == "embedding.one":
        limit = min(ALIKE, HALF * evenness(start))
        return "offset" not in case.blind and look.dimensions > 1 and evenness(look) <= limit
    if message == "embedding.few":
        return _few(look, case) or _alone(look, case)
    return "length" not in case.blind and look.raw_spread <= HALF * _reference(case)


def _few(look: EmbeddingLook, case: Case) -> bool:
    """Whether even the rank, in which noise counts and small dimensions too, is below what both views shared at the start, or next to nothing."""
    rank, start = look.rank, case.start
    if rank is None:
        return False
    nothing = start.rank is not None and rank <= DEEP * start.rank
    return nothing or (start.shared is not None and rank <= FEW * start.shared)


def _falls(last: Sequence[EmbeddingLook]) -> bool:
    """Whether the rank goes on falling over some looks."""
    ranks = [look.rank or 1.0 for look in last]
    half = len(ranks) // 2
    return fmean(ranks[half:]) < fmean(ranks[:half])


def _alone(look: EmbeddingLook, case: Case) -> bool:
    """Whether one direction carries all that both views share, where there were several, or where the rank is far below the start."""
    start = case.start
    if look.shared is None or look.shared > ONE or look.rank is None or start.rank is None:
        return False
    several = (start.shared or 1.0) >= SEVERAL and look.rank <= HALF * start.rank
    return several or look.rank <= FAR * start.rank


def _reference(case: Case) -> float:
    before = case.start.raw_spread
    return before if case.spread is None else min(before, case.spread)


def _follows(losses: Sequence[float | None], apart: Sequence[float]) -> bool:
    """Whether a loss is the distance of two views, up to a factor, over looks in which both fell."""
    pairs = [(loss, away) for loss, away in zip(losses, apart, strict=False) if loss is not None]
    if len(pairs) < LOOKS or min(min(one) for one in pairs) <= 0:
        return False
    ratios = [loss / away for loss, away in pairs]
    half = len(pairs) // 2
    fell = fmean(loss for loss, _ in pairs[half:]) < fmean(loss for loss, _ in pairs[:half])
    return fell and max(ratios) / min(ratios) <= STEADY


def _finding(
    message: str,
    last: Sequence[EmbeddingLook],
    evidence: Sequence[Evidence],
    values: Mapping[str, float],
    *,
    confidence: float,
) -> Finding:
    now = last[-1]
    back = message == "embedding.returned"
    return Finding(
        fault=FAULT,
        severity="note" if back else "warning",
        message=message,
        values={"looks": LOOKS, "since": last[0].step, "step": now.step, **values},
        evidence=tuple(evidence),
        remedies=() if back else tuple(Remedy(title=f"embedding.do_{one}", safety=Safety.ADVICE) for one in CURES),
        confidence=confidence,
        status="refuted" if back else "suspected",
        subject={"steps": [last[0].step, now.step]},
    )

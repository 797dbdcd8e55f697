"""What looks at two players say: modes are missing and stay so; the discriminator knows its training rows.

A look by itself is no finding: a generator that has just begun leaves everything out.
"""

from collections.abc import Mapping, Sequence
from statistics import mean, median

from tunesmith.generative.gan.looks import Look
from tunesmith.records import Evidence, Finding, Remedy, Safety

LOOKS = 6  # in a row that must agree; assumption: of 4, slow learners were called collapsed (docs/log.md)
MOSTLY = 0.5  # of the data left out: few modes are covered; assumption
PARTLY = 0.2  # left out, and nothing gained over the looks; assumption
KNOWN = 6.0  # standard errors; assumption: far beyond chance over hundreds of looks
GAP = 0.25  # of the way between real and made scores; assumption
CURES = ("pack", "penalty", "spectral", "batch", "balance")
SOURCE = "binomial bound of each cell, tunesmith explain measure.lost_mass"
RANK = {
    "gan.returned": 0,
    "gan.partly": 1,
    "gan.remembers": 1,
    "gan.collapsed": 2,
}  # how grave a message is; 0: it takes back


def found_in(looks: Sequence[Look]) -> list[Finding]:
    """What the latest looks say, with those before."""
    return [one for one in (collapsed(looks), remembered(looks)) if one is not None]


def news(looks: Sequence[Look], told: Mapping[str, str]) -> list[Finding]:
    """What is to be told after the latest look, `told` being the message of each fault that was told last.

    That is what is new or graver; and, refuted, a collapse that was told and whose modes are back.
    """
    found = found_in(looks)
    stands = RANK[told.get("collapse.mode", "gan.returned")] > 0
    if stands and not any(one.fault == "collapse.mode" for one in found) and (back := returned(looks)) is not None:
        return [back, *(one for one in found if one.fault not in told)]
    return [one for one in found if one.fault not in told or RANK[one.message] > RANK[told[one.fault]]]


def stands_at(looks: Sequence[Look]) -> list[tuple[int, bool]]:
    """The steps at which a collapse was told (True) or taken back (False)."""
    told: dict[str, str] = {}
    events = []
    for place in range(len(looks)):
        for one in news(looks[: place + 1], told):
            if one.fault == "collapse.mode" and (
                one.status == "refuted" or RANK[told.get(one.fault, "gan.returned")] == 0
            ):
                events.append((looks[place].step, one.status != "refuted"))
            told[one.fault] = one.message
    return events


def returned(looks: Sequence[Look]) -> Finding | None:
    """collapse.mode, refuted: of the latest looks the middle one leaves out little."""
    last = looks[-LOOKS:]
    middle = median(look.lost for look in last)
    if len(last) < LOOKS or middle >= PARTLY:
        return None
    evidence = Evidence(name="lost_mass", value=middle, threshold=PARTLY, source=SOURCE, step=last[-1].step)
    return Finding(
        fault="collapse.mode",
        severity="note",
        message="gan.returned",
        values={"lost": middle, "looks": LOOKS, "step": last[-1].step},
        evidence=(evidence,),
        confidence=0.8,
        status="refuted",
        subject={"steps": [last[0].step, last[-1].step]},
    )


def collapsed(looks: Sequence[Look]) -> Finding | None:
    """collapse.mode: the latest looks all leave out a large share of the data, their second half no less than their first."""
    last = looks[-LOOKS:]
    if len(last) < LOOKS or min(look.lost for look in last) < PARTLY or gains(last):
        return None
    now, least = last[-1], min(look.lost for look in last)
    mostly = least >= MOSTLY
    values = {
        "lost": now.lost,
        "cells": now.cells_lost,
        "whole": now.cells,
        "coverage": now.coverage,
        "expected": now.expected_coverage,
        "samples": now.samples,
        "looks": LOOKS,
        "since": last[0].step,
        "step": now.step,
    }
    evidence = [
        Evidence(
            name="lost_mass", value=now.lost, threshold=MOSTLY if mostly else PARTLY, source=SOURCE, step=now.step
        ),
        Evidence(
            name="coverage",
            value=now.coverage,
            threshold=now.expected_coverage,
            source="arXiv:2002.09797",
            step=now.step,
        ),
    ]
    if now.spread is not None:
        evidence.append(
            Evidence(name="spread", value=now.spread, threshold=1.0, source="that of real samples", step=now.step)
        )
    return Finding(
        fault="collapse.mode",
        severity="warning",
        message="gan.collapsed" if mostly else "gan.partly",
        values=values,
        evidence=tuple(evidence),
        remedies=tuple(Remedy(title=f"gan.do_{one}", safety=Safety.ADVICE) for one in CURES),
        confidence=0.9 if mostly else 0.6,
        subject={"steps": [last[0].step, now.step]},
    )


def gains(last: Sequence[Look]) -> bool:
    """Whether the second half of some looks leaves out less than the first, beyond the error of two means.

    The standard error of one share among K cells is taken as that of K draws.
    """
    half = len(last) // 2
    first, second = (mean(look.lost for look in part) for part in (last[:half], last[half:]))
    spread = second * (1 - second) / last[-1].cells
    return bool(first - second > (spread * 2 / half) ** 0.5)


def remembered(looks: Sequence[Look]) -> Finding | None:
    """fit.overfit, of the discriminator: it scores its own training rows above held ones, look after look."""
    last = looks[-LOOKS:]
    known, gaps = [look.known for look in last], [look.gap for look in last]
    if len(last) < LOOKS or None in known or None in gaps:
        return None
    if min(one for one in known if one is not None) < KNOWN or min(one for one in gaps if one is not None) < GAP:
        return None
    now = last[-1]
    assert now.known is not None
    assert now.gap is not None
    return Finding(
        fault="fit.overfit",
        severity="warning",
        message="gan.remembers",
        values={"known": now.known, "gap": now.gap, "looks": LOOKS, "step": now.step},
        evidence=(
            Evidence(name="known", value=now.known, threshold=KNOWN, source="standard errors", step=now.step),
            Evidence(name="gap", value=now.gap, threshold=GAP, source="assumption", step=now.step),
        ),
        remedies=tuple(Remedy(title=f"gan.do_{one}", safety=Safety.ADVICE) for one in ("data", "r1")),
        confidence=0.8,
        subject={"part": "discriminator", "steps": [last[0].step, now.step]},
    )

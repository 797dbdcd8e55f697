"""What looks at two players say: modes are missing and stay so; the discriminator knows its training rows.

A look by itself is no finding: a generator that has just begun leaves everything out.
"""

from collections.abc import Sequence

from tunesmith.generative.gan.looks import Look
from tunesmith.records import Evidence, Finding, Remedy, Safety

LOOKS = 4  # in a row that must agree; assumption: a generator that learns changes its samples in between
MOSTLY = 0.5  # of the data left out: few modes are covered; assumption
PARTLY = 0.2  # left out, and nothing gained over the looks; assumption
KNOWN = 6.0  # standard errors; assumption: far beyond chance over hundreds of looks
GAP = 0.25  # of the way between real and made scores; assumption
CURES = ("pack", "penalty", "spectral", "batch", "balance")
SOURCE = "binomial bound of each cell, tunesmith explain measure.lost_mass"


def found_in(looks: Sequence[Look]) -> list[Finding]:
    """What the latest looks say, with those before."""
    return [one for one in (collapsed(looks), remembered(looks)) if one is not None]


def collapsed(looks: Sequence[Look]) -> Finding | None:
    """collapse.mode: the latest looks all leave out a large share of the data, and no less than the first of them."""
    last = looks[-LOOKS:]
    if (
        len(last) < LOOKS
        or min(look.lost for look in last) < PARTLY
        or last[-1].lost < last[0].lost - error_of(last[-1])
    ):
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


def error_of(look: Look) -> float:
    """The standard error of a share among the cells: that of as many draws as there are cells."""
    return float((look.lost * (1 - look.lost) / look.cells) ** 0.5)


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

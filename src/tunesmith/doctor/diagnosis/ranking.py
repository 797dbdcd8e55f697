"""The order of findings: the most likely cause first, what it explains after it.

Graver findings come before lighter ones; among equals confirmed ones, then those further upstream in the order data, outputs and
loss, model, start values, optimizer, schedule, regularisation, budget; then by confidence. A finding whose fault follows from that of
another one, of warning or error, stands after it whatever its gravity (`caused_by`). What several checks say of one fault in one place
is one finding, the gravest and surest with the evidence of all. Of several findings of one fault the first stands in this order and
the others after all that are as grave.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.records import Finding

UPSTREAM = ("data", "output", "loss", "numerics", "model", "init", "act", "optim", "lr", "batch", "reg", "fit", "run")
KINDS = ("cause", "mechanism", "symptom")
GRAVITY = ("error", "warning", "note")

# What an audit of the data alone can only suspect, and the check that measures it on the program.
MEASURED_BY: Mapping[str, str] = {"data.unscaled_targets": "targets_at_start"}

CANDIDATE = 0.5  # confidence below which a suspicion is one of several candidates; assumption

PLACES = ("columns", "layers", "parameters", "rows")

# What a fault brings about that is a fault of its own name elsewhere: the first explains the second away.
# From diagnosis order data -> output/loss -> model -> init -> optimizer -> schedule, and the causes in faults.toml.
BRINGS: Mapping[str, tuple[str, ...]] = {
    "data.nonfinite": (
        "numerics.unsafe_op",
        "lr.too_high",
        "init.bad_scale",
        "model.too_small",
        "model.bad_normalization",
    ),
    "data.label_out_of_range": ("output.wrong_width",),
    "data.unscaled_inputs": (
        "lr.too_high",
        "lr.too_low",
        "init.bad_scale",
        "act.unsuitable",
        "model.too_small",
        "numerics.unsafe_op",
    ),
    "data.unscaled_targets": (
        "lr.too_high",
        "lr.too_low",
        "init.bad_scale",
        "output.wrong_activation",
        "model.too_small",
        "loss.mismatch",
    ),
    "data.outliers": ("lr.too_high", "data.unscaled_inputs"),
    "output.wrong_activation": (
        "lr.too_low",
        "lr.too_high",
        "init.bad_scale",
        "model.too_small",
        "loss.mismatch",
        "numerics.unsafe_op",
    ),
    "output.wrong_width": ("model.too_small", "loss.mismatch"),
    "loss.shape_broadcast": ("model.too_small", "loss.mismatch", "data.no_signal", "lr.too_low"),
    "loss.wrong_reduction": ("lr.too_high", "lr.too_low"),
    "loss.mismatch": ("model.too_small", "lr.too_high", "lr.too_low", "data.no_signal"),
    "model.batch_leak": ("model.train_eval_mode", "data.no_signal", "model.too_small"),
    "init.bad_scale": ("lr.too_high", "lr.too_low", "act.unsuitable", "model.too_small", "optim.bad_hyperparameters"),
    "init.symmetric": ("model.too_small", "lr.too_low"),
    "act.unsuitable": ("lr.too_low", "model.too_small"),
    "optim.unregistered_params": ("model.too_small", "lr.too_low", "fit.too_few_epochs"),
    "optim.missing_zero_grad": ("lr.too_high",),
    "optim.bad_hyperparameters": ("lr.too_low", "lr.too_high", "model.too_small"),
    "lr.too_high": ("model.too_small",),
    "lr.too_low": ("model.too_small", "fit.too_few_epochs"),
    "lr.bad_schedule": ("lr.too_low", "fit.too_few_epochs"),
    "reg.too_strong": ("model.too_small", "lr.too_low"),
    "batch.too_large": ("fit.too_few_epochs", "lr.too_low"),
}


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in order. `caused_by` is set where another finding explains one."""
    left = merged(findings)
    explained = [_explained(finding, left) for finding in left]
    ordered = sorted(explained, key=_place)
    first: dict[str, Finding] = {}
    for finding in ordered:
        first.setdefault(finding.fault, finding)
    leads = [finding for finding in ordered if first[finding.fault] is finding]
    rest = [finding for finding in ordered if first[finding.fault] is not finding]
    return sorted([*leads, *rest], key=lambda finding: (_tier(finding), first[finding.fault] is not finding))


def measured(findings: Iterable[Finding], carried_out: Iterable[str]) -> list[Finding]:
    """Suspicions that a check has measured on the program and not confirmed are notes."""
    found, done = list(findings), set(carried_out)
    confirmed = {one.fault for one in found if one.status == "confirmed"}

    def settled(one: Finding) -> Finding:
        idle = MEASURED_BY.get(one.fault) in done and one.fault not in confirmed
        return replace(one, severity="note") if idle and one.severity == "warning" else one

    return [settled(one) for one in found]


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings above a note, of one fault and about the same places, as one."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=_strength):
        same = next((one for one in kept if _together(one, finding)), None)
        if same is None:
            kept.append(finding)
            continue
        more = tuple(one for one in finding.evidence if one not in same.evidence)
        told = tuple(one for one in finding.remedies if one.title not in {remedy.title for remedy in same.remedies})
        joined = replace(same, evidence=same.evidence + more, remedies=same.remedies + told)
        kept[kept.index(same)] = joined
    return kept


def _strength(finding: Finding) -> tuple[int, int, float]:
    sure = ("confirmed", "suspected", "refuted").index(finding.status)
    return GRAVITY.index(finding.severity), sure, -finding.confidence


def _together(one: Finding, other: Finding) -> bool:
    if one.fault != other.fault or "note" in (one.severity, other.severity) or one.fault == "run.crash":
        return False
    places, others = _places(one), _places(other)
    return not places or not others or bool(places & others)


def _places(finding: Finding) -> set[str]:
    return {
        f"{kind} {place}"
        for kind in PLACES
        for place in (finding.subject.get(kind) or ())
        if isinstance(place, str | int)
    }


def _explained(finding: Finding, others: list[Finding]) -> Finding:
    if finding.caused_by is not None:
        return finding
    weak = (
        vocabulary().get(finding.fault, {}).get("kind", "cause") != "cause"
    )  # a candidate explains a symptom, not another candidate
    causes = [
        other.fault
        for other in others
        if other.severity != "note"
        and other.caused_by != finding.fault
        and _brings(other.fault, finding.fault)
        and (weak or other.status == "confirmed" or (other.confidence >= CANDIDATE and finding.status != "confirmed"))
    ]
    return replace(finding, caused_by=min(causes, key=_stream)) if causes else finding


def _brings(cause: str, effect: str) -> bool:
    if cause == effect or effect in BRINGS.get(cause, ()):
        return cause != effect
    return cause in vocabulary().get(effect, {}).get("causes", ())


def _tier(finding: Finding) -> int:
    """0 an unexplained error … 5 an explained note."""
    late = finding.caused_by is not None and finding.severity != "note"
    refuted = finding.status == "refuted"
    return GRAVITY.index(finding.severity) + (2 if refuted else 0) + (1 if late else 0)


def _place(finding: Finding) -> tuple[int, int, int, float, int]:
    kind = vocabulary().get(finding.fault, {}).get("kind", "cause")
    sure = 0 if finding.status == "confirmed" else 1
    return (_tier(finding), KINDS.index(kind), sure, -round(finding.confidence, 1), _stream(finding.fault))


def _stream(fault: str) -> int:
    family = fault.partition(".")[0]
    return UPSTREAM.index(family) if family in UPSTREAM else len(UPSTREAM)


@cache
def vocabulary() -> Mapping[str, Mapping[str, Any]]:
    """The fault list by id."""
    text = (files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))

"""The parts that findings on curves have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity, Status


def told(
    fault: str,
    severity: Severity,
    message: str,
    values: Mapping[str, Any],
    *,
    confidence: float,
    evidence: Sequence[Evidence] = (),
    remedies: Sequence[Remedy] = (),
    status: Status = "suspected",
    next_probe: str | None = None,
    places: Sequence[float] = (),
    layers: Sequence[str] = (),
) -> Finding:
    """A finding; `places` are those on the axis of the history."""
    subject: dict[str, Any] = {"steps": [float(one) for one in places]} if places else {}
    if layers:
        subject["layers"] = list(layers)
    return Finding(
        fault=fault,
        severity=severity,
        message=f"curves.{message}",
        values=dict(values),
        evidence=tuple(evidence),
        remedies=tuple(remedies),
        confidence=confidence,
        status=status,
        next_probe=next_probe,
        subject=subject,
    )


def number(
    name: str, value: float, threshold: float | None = None, source: str = "", at: float | None = None, where: str = ""
) -> Evidence:
    """One measured number; `at` is its place on the axis."""
    step = None if at is None else int(at)
    return Evidence(name=name, value=float(value), threshold=threshold, source=source, step=step, where=where)


def advice(title: str, **values: Any) -> Remedy:
    """What only a person can do."""
    return Remedy(title=f"curves.{title}", safety=Safety.ADVICE, values=values)


def change(title: str, paths: Mapping[str, Any], **values: Any) -> Remedy:
    """A change of recipe paths that alters the result."""
    return Remedy(title=f"curves.{title}", safety=Safety.RISKY, change=dict(paths), values=values)


def rate_change(title: str, history_lr: float | None, factor: float) -> Remedy:
    """The rate times a factor, as a change where the rate is known."""
    paths = {} if history_lr is None else {"optim.lr": history_lr * factor}
    return change(title, paths, factor=factor)

"""What detection yields and what acting offers: evidence, findings, remedies."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from tunesmith.records.messages import render

Severity = Literal["error", "warning", "note"]
Status = Literal["confirmed", "suspected", "refuted"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Safety(StrEnum):
    """How far a remedy reaches."""

    SAFE = "safe"  # same mathematics: may be applied unasked
    RISKY = "risky"  # changes the result: ask
    ADVICE = "advice"  # only a person can


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One number that speaks for a finding, beside the bound it was held against."""

    name: str
    value: float
    threshold: float | None = None
    source: str = ""  # where the threshold comes from
    step: int | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One thing to do about a finding. `change` holds recipe paths or `surgery.<name>`."""

    title: str  # id of a message template
    safety: Safety
    change: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: str = "en") -> str:
        """The title rendered with its values."""
        return render(self.title, self.values, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One trouble, with its numbers. `message` is the id of a template that `because` renders with `values`."""

    fault: str  # an id of the fault list
    severity: Severity
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    confidence: float = 1.0  # in [0, 1]
    status: Status = "suspected"
    subject: Mapping[str, Any] = field(default_factory=dict)  # rows, columns, layers, steps
    caused_by: str | None = None
    ruled_out: tuple[str, ...] = ()
    next_probe: str | None = None

    @property
    def because(self) -> str:
        """One sentence with numbers, in English."""
        return self.text("en")

    def text(self, language: str = "en") -> str:
        """One sentence with numbers, in `language` (`en`, `zh`)."""
        return render(self.message, self.values, language)

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Plain data for JSON: the fields, and `because` rendered."""
        plain = asdict(self)
        plain["because"] = self.text(language)
        for remedy, text in zip(plain["remedies"], (remedy.text(language) for remedy in self.remedies), strict=True):
            remedy["text"] = text
        return plain


def healthy(findings: Iterable[Finding]) -> bool:
    """Nothing above a note."""
    return all(finding.severity == "note" or finding.status == "refuted" for finding in findings)

"""Findings of audits and checks for people: one by one with evidence and places, then what was looked at and what was not."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tunesmith.records import Finding, Findings
from tunesmith.records.messages import render
from tunesmith.reports.beside import beside
from tunesmith.reports.display import forgiving
from tunesmith.reports.terminal import MARKS, PLAIN_MARKS, finding_row, marked
from tunesmith.reports.wording import counted, duration, number, visible

MOST_PLACES = 8  # rows, columns, layers that are shown of a finding
INDENT = 2


def show_findings(
    found: Findings, title: str, stream: TextIO, *, language: str = "en", seconds: float | None = None
) -> None:
    """Prints all findings, most likely cause first, and a summary. The evidence of notes is left to the page and to JSON."""
    console = Console(file=forgiving(stream), highlight=False, emoji=False, markup=False)
    marks = PLAIN_MARKS if console.options.ascii_only else MARKS
    console.print(Text(visible(title), style="bold"))
    for notice in found.notices:
        console.print(marked(marks["dot"], Text(visible(notice), style="dim"), "dim"))
    for finding in found:
        console.print()
        console.print(finding_row(finding, language, marks))
        for line in details(finding, language) if finding.severity != "note" else ():
            console.print(Padding(Text(visible(line), style="dim"), (0, 0, 0, INDENT)))
    console.print()
    for name, said in beside(found.measured):
        console.print(Padding(Text(visible(f"{name}: {said}".replace("\xa0", " ")), style="dim"), (0, 0, 0, 0)))
    for line in summary(found, seconds):
        console.print(Text(visible(line)))


def details(finding: Finding, language: str = "en") -> Iterator[str]:
    """Evidence beside its bound, the places, what it comes from, how sure that is, what was ruled out and what would decide."""
    for one in finding.evidence:
        bound = "" if one.threshold is None else f" (bound {number(one.threshold)})"
        where = f" in {one.where}" if one.where else ""
        source = f", {one.source}" if one.source else ""
        yield f"{one.name} {number(one.value)}{bound}{where}{source}"
    for kind, places in finding.subject.items():
        if kind in ("rows", "columns", "layers", "parameters", "files") and isinstance(places, Sequence) and places:
            shown = ", ".join(str(place) for place in list(places)[:MOST_PLACES])
            more = f" … ({len(places)} in all)" if len(places) > MOST_PLACES else ""
            yield f"{kind}: {shown}{more}"
    if finding.caused_by is not None:
        yield render("told.follows_from", {"cause": finding.caused_by}, language)
    yield render(f"told.{finding.status}", {"confidence": finding.confidence}, language)
    if finding.ruled_out:
        yield render("told.ruled_out", {"faults": ", ".join(finding.ruled_out)}, language)
    if finding.next_probe is not None:
        probe = render(f"probe.{finding.next_probe}", {}, language)
        yield render("told.next_probe", {"probe": probe, "name": finding.next_probe}, language)


def summary(found: Findings, seconds: float | None = None) -> Iterator[str]:
    """What was looked at, how it ended, and what was left out."""
    counts = Counter(finding.severity for finding in found)
    told = ", ".join(
        counted(counts[severity], severity) for severity in ("error", "warning", "note") if counts[severity]
    )
    looked = len(set(found.seconds) - {*found.skipped, *found.failed})
    spent = duration(sum(found.seconds.values()))
    yield f"{counted(looked, 'check')} in {spent}: {told or 'nothing found'}"
    if found.unreached:
        budget = "the budget" if seconds is None else f"{seconds:g} s"
        yield f"not reached in {budget}: {', '.join(found.unreached)}; a larger --seconds reaches them"
    if found.failed:
        yield f"broke, and say nothing: {', '.join(found.failed)}; --debug shows where"


def write_tables(found: Findings, folder: Path) -> list[Path]:
    """One CSV file for each finding that names rows: the rows in order of suspicion, and every list beside them of equal length."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for place, finding in enumerate(found, start=1):
        columns = aligned(finding.subject)
        if columns:
            path = folder / f"{place:02d}-{finding.fault.replace('.', '-')}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
            written.append(path)
    return written


def aligned(subject: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The lists of a subject that go with its rows, or with its columns where it names no rows."""
    for lead in ("rows", "pairs", "columns", "files"):
        values = subject.get(lead)
        if isinstance(values, list | tuple) and values:
            beside = {
                name: other
                for name, other in subject.items()
                if name != lead and isinstance(other, list | tuple) and len(other) == len(values)
            }
            return {lead: values, **beside}
    return {}

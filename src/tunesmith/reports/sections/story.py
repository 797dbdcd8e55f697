"""What was found and decided on the way, what it ran on, and how to go on."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.records import Finding
from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, details, join, section, table, tag
from tunesmith.reports.wording import count, number, percent

OPEN = 3  # pieces of evidence shown at once; more of them fold, and those of a note


def findings(facts: Facts) -> Section | None:
    """Each finding with its evidence and its remedies."""
    if not facts.findings:
        return section("findings", "Findings", tag("p", "Nothing to report: no check found a fault.", class_="aside"))
    return section("findings", "Findings", *(finding(found, facts.language) for found in facts.findings))


def finding(found: Finding, language: str) -> Html:
    head = [tag("span", found.severity, class_=f"chip {found.severity}"), " ", tag("code", found.fault)]
    head.append(tag("small", f" {found.status}, confidence {percent(found.confidence)}"))
    todo = [tag("li", remedy.text(language), changed(remedy.change)) for remedy in found.remedies]
    return tag(
        "div",
        tag("div", *head),
        tag("p", found.text(language)),
        *([tag("ul", *todo)] if todo else []),
        *([evidence(found)] if found.evidence else []),
        class_=f"finding {found.severity}",
    )


def changed(change: Mapping[str, Any]) -> Html:
    words = " ".join(f"--set {path}={value}" for path, value in change.items() if not path.startswith("surgery."))
    return join([" ", tag("code", words)]) if words else Html()


def evidence(found: Finding) -> Html:
    heads = ["measured", "value", "bound", "step", "where", "source of the bound"]
    rows = [
        [item.name, number(item.value), number(item.threshold), number(item.step), item.where, item.source]
        for item in found.evidence
    ]
    return details(
        "evidence", table(heads, rows, numbers=(1, 2, 3)), open_=len(rows) <= OPEN and found.severity != "note"
    )


def history(facts: Facts) -> Section | None:
    """Attempts and decisions, in the order in which they happened."""
    parts = []
    if len(facts.attempts) > 1:
        rows = [
            [count(item["number"]), count(item["first_step"]), moment(item.get("started")), typed(item)]
            for item in facts.attempts
        ]
        parts.append(table(["attempt", "from update", "started", "by"], rows, numbers=(0, 1)))
    if facts.decisions:
        made = [
            [count(item.get("step")), item["what"], item["because"], changed(item.get("change") or {})]
            for item in facts.decisions
        ]
        parts.append(table(["update", "decision", "because", "change"], made, numbers=(0,)))
    return section("history", "Decisions and attempts", *parts) if parts else None


def moment(seconds: float | None) -> str:
    """
    >>> moment(0.0)
    '1970-01-01 00:00:00 UTC'
    """
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def onward(facts: Facts) -> Section:
    """What to type next, and what the run stood on."""
    folder = shlex.quote(str(facts.folder))
    if facts.kind == "embedding":
        again = (
            f"run = ts.train_embedding(task, folder={str(facts.folder)!r}, resume=True)  # with the task it was made of"
        )
        used = "embeddings = run.model(rows)"
        return section("onward", "How to go on", tag("pre", f"import tunesmith as ts\n{again}\n{used}"))
    if facts.kind == "gan":
        again = f"run = ts.train_gan(gan, folder={str(facts.folder)!r}, resume=True)  # with the gan it was made of"
        made = "samples = run.model(noise)"
        return section("onward", "How to go on", tag("pre", f"import tunesmith as ts\n{again}\n{made}"))
    lines = [f"tunesmith predict {folder} NEW_DATA", f"tunesmith export {folder} --format onnx"]
    if facts.run.get("status") != "finished":
        lines.insert(0, resumed(facts))
    python = f"import tunesmith as ts\nmodel = ts.load({str(facts.folder)!r})"
    versions = facts.run.get("versions") or {}
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    return section(
        "onward",
        "How to go on",
        tag("pre", "\n".join(lines)),
        tag("pre", python),
        *([tag("p", "This run was started by ", tag("code", typed(facts.started)))] if typed(facts.started) else []),
        *([tag("p", f"Versions: {words}.", class_="aside")] if words else []),
    )


def typed(told: Mapping[str, Any]) -> str:
    """The command of a run or an attempt, as it was typed."""
    command = told.get("command")
    if not isinstance(command, list):
        return str(command or "")
    return shlex.join([Path(command[0]).name, *command[1:]]) if command else ""


def resumed(facts: Facts) -> str:
    """The command that goes on from where the run stopped."""
    command = typed(facts.started)
    if not command.startswith("tunesmith fit "):
        return f"tunesmith fit DATA --folder {shlex.quote(str(facts.folder))} --resume"
    words = shlex.split(command)
    words += ["--folder", str(facts.folder)] if "--folder" not in words else []
    return shlex.join(words + (["--resume"] if "--resume" not in words else []))


def failure(facts: Facts) -> Section | None:
    """What broke, where something did."""
    if not facts.traceback:
        return None
    last = facts.traceback.strip().splitlines()[-1]
    return section(
        "failure", "What broke", tag("p", last, class_="broken"), details("traceback", tag("pre", facts.traceback))
    )

"""What the loop tells a person while it runs, and the two plain ways of telling."""

import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Any, Protocol, TextIO

from tunesmith.records import Finding
from tunesmith.reports.preview import spelt
from tunesmith.reports.wording import count, described, duration, equation, interval, number, score, setting, visible
from tunesmith.reports.worst_groups import worst_groups

HALTED = ("paused", "interrupted")  # endings from which a run goes on


ONE_PROCESS = ("run.world_size", 1)


class Display(Protocol):
    """Where a training shows itself. Every mapping is plain data. `close` is for the end, whether well or by an error."""

    def start(self, opening: Mapping[str, Any]) -> None: ...
    def progress(self, step: int, steps: int, loss: float) -> None: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Finding, step: int) -> None: ...
    def notice(self, text: str) -> None: ...
    def lines(self, told: Sequence[str]) -> None: ...
    def finish(self, closing: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class QuietDisplay:
    """Says nothing."""

    def start(self, opening: Mapping[str, Any]) -> None: ...
    def progress(self, step: int, steps: int, loss: float) -> None: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Finding, step: int) -> None: ...
    def notice(self, text: str) -> None: ...
    def lines(self, told: Sequence[str]) -> None: ...
    def finish(self, closing: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class PlainDisplay:
    """One plain line an event, no control characters: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, language: str = "en") -> None:
        self.stream = forgiving(sys.stdout if stream is None else stream)
        self.language = language
        self.epochs: int | None = None
        self.told: list[Finding] = []
        self.metric = "score"

    def start(self, opening: Mapping[str, Any]) -> None:
        self.epochs = opening.get("epochs")
        resumed = f" · resumed at update {count(opening['resumed_at'])}" if opening.get("resumed_at") else ""
        self._say(f"{opening['title']} · device {opening['device']} · seed {opening['seed']}{resumed}")
        rows = ", ".join(f"{name} {count(rows)}" for name, rows in opening.get("rows", {}).items())
        parameters = sum(layer["parameters"] for layer in opening.get("layers", ()))
        epochs = f" · {self.epochs} epochs of {count(opening.get('steps_per_epoch'))} updates" if self.epochs else ""
        self._say(f"rows: {rows} · parameters: {count(parameters)}{epochs}")
        for item in chosen(opening):
            self._say(f"set {item['path']} = {setting(item['value'])} · {item['source']}")
        for item in opening.get("derived", ()):
            told = equation(item["value"], item["equation"])
            self._say(f"derived {item['name']} = {setting(item['value'])} · {told}")

    def progress(self, step: int, steps: int, loss: float) -> None:
        """A log needs no bar."""

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self.metric = row.get("metric") or "score"
        self._say(evaluation_line(row, self.epochs))

    def finding(self, finding: Finding, step: int) -> None:
        self.told.append(finding)
        self._say((f"step {step} · " if step else "") + f"{finding_line(finding, self.language)}")

    def notice(self, text: str) -> None:
        self._say(f"note: {text}")

    def lines(self, told: Sequence[str]) -> None:
        for line in told:
            print(visible(spelt(line, getattr(self.stream, "encoding", None))), file=self.stream, flush=True)

    def finish(self, closing: Mapping[str, Any]) -> None:
        for finding in closing.get("findings", ()):
            if finding not in self.told:
                self._say(finding_line(finding, self.language))
        for part, scores in closing.get("scores", {}).items():
            bounds = closing.get("intervals", {}).get(part, {})
            within = {name: f" ({interval(bounds[name])})" for name in bounds}
            told = ", ".join(f"{name} {score(value)}{within.get(name, '')}" for name, value in scores.items())
            self._say(f"{part}: {told}")
        for label, text in closing_lines(closing, self.metric):
            self._say(f"{label}: {text}")

    def close(self) -> None:
        """Nothing is left open."""

    def _say(self, text: str) -> None:
        print(visible(" ".join(text.split())), file=self.stream, flush=True)


def choose(*, json: bool = False, quiet: bool = False, language: str = "en") -> Display:
    """The display that fits: on standard error under `--json`; colours and a bar only on a terminal."""
    if quiet:
        return QuietDisplay()
    stream = sys.stderr if json else sys.stdout
    if not stream.isatty():
        return PlainDisplay(stream, language)
    from tunesmith.reports.terminal import TerminalDisplay

    return TerminalDisplay(stream=stream, language=language)


def forgiving(stream: TextIO) -> TextIO:
    """The stream, which from now on shows a question mark for a letter its encoding has not, instead of failing."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def chosen(opening: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings that somebody or something chose: all but the defaults, those told under `derived`, and that there is one process."""
    derived = {item["name"] for item in opening.get("derived", ())}
    derived |= {item["path"] for item in opening.get("settings", ()) if (item["path"], item["value"]) == ONE_PROCESS}
    others = [item for item in opening.get("settings", ()) if item["path"] not in derived]
    return [item for item in others if not str(item["source"]).startswith("default")]


def evaluation_line(row: Mapping[str, Any], epochs: int | None) -> str:
    """One evaluation in one line."""
    epoch = number(row["epoch"]) + (f"/{epochs}" if epochs else "")
    parts = [f"epoch {epoch}", f"step {row['step']}", f"train {score(row.get('train_loss'))}"]
    parts.append(f"valid {score(row.get('val_loss'))}")
    if row.get("metric") and row.get("score") is not None:
        parts.append(described({row["metric"]: row["score"]}))
    parts += [f"lr {number(row.get('lr'))}", duration(row.get("seconds"))]
    if row.get("memory_mb"):
        parts.append(f"{row['memory_mb']:.0f} MB")
    if row.get("eta_seconds") is not None:
        parts.append(f"left {duration(row['eta_seconds'])}")
    return " · ".join(parts) + (" · best" if row.get("best") else "")


def finding_line(finding: Finding, language: str) -> str:
    """A finding in one line: how grave, which, what was seen, what to do, where to read on."""
    what = f"{finding.severity} {finding.fault}: {finding.text(language)}"
    todo = "; ".join(remedy.text(language) for remedy in finding.remedies)
    return f"{what}{' → ' + todo if todo else ''} (tunesmith explain {finding.fault})"


def closing_lines(closing: Mapping[str, Any], metric: str = "score") -> list[tuple[str, str]]:
    """Where things lie at the end, as (label, text): only what is there."""
    best = closing.get("best") or {}
    ending = str(closing.get("ending"))
    lines = [(ending, f"after update {count(closing.get('step'))}, which is saved")] if ending in HALTED else []
    lines += [("best", best_line(best, metric))] if best else []
    groups = worst_groups(closing.get("slices"))
    lines += [("worse on", groups)] if groups else []
    if closing.get("folder"):
        where = relative(closing["folder"])
        step = best.get("step", closing.get("step"))
        if step:
            lines.append(("checkpoint", f"{where}/checkpoints/step-{step:010d}"))
        lines.append(("recipe", f"{where}/recipe.toml"))
    if closing.get("report"):
        lines.append(("report", relative(closing["report"])))
    if closing.get("next"):
        lines.append(("next", closing["next"]))
    return lines


def best_line(best: Mapping[str, Any], metric: str) -> str:
    """Which weights were kept, and for what."""
    value = f"{metric} {score(best['score'])} on validation, " if best.get("score") is not None else ""
    epoch = f"epoch {number(best['epoch'])}, " if best.get("epoch") is not None else ""
    return f"{value}{epoch}update {count(best['step'])}"


def relative(path: Any) -> str:
    """The path from where the user stands, where it lies below."""
    from pathlib import Path

    full = Path(path).absolute()
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)

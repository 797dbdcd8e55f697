"""A training on a terminal: what is assumed, the model, one row an evaluation, one bar, findings between the rows."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.records import Finding
from tunesmith.reports.display import chosen, closing_lines, forgiving
from tunesmith.reports.preview import OPENS, SHUTS, spelt
from tunesmith.reports.wording import (
    ABSENT,
    count,
    duration,
    equation,
    interval,
    number,
    score,
    setting,
    shape,
    visible,
)

MOST_COLUMNS = 12  # rows of the columns table; a wide file is summed up by kind
WIDEST_VALUES = 28  # cells of the examples of a column, so that its name keeps its place
MOST_LAYERS = 16  # rows of the layer table; the middle of a deep model is summed up
CLEAR = "\r\x1b[K"  # back to the start of the line, clear it: the only control codes beside colours
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
MARKS = {"error": "✗", "warning": "▲", "note": "●", "best": "★", "full": "━", "empty": "╌", "dot": "·"}
PLAIN_MARKS = {"error": "x", "warning": "!", "note": "i", "best": "*", "full": "#", "empty": "-", "dot": "|"}


class TerminalDisplay:
    """Draws on `stream`. The bar is one line, rewritten by `progress` alone, so nothing flickers and no thread runs."""

    def __init__(self, stream: TextIO | None = None, language: str = "en", console: Console | None = None) -> None:
        self.console = console or Console(
            file=forgiving(stream or sys.stdout), highlight=False, emoji=False, markup=False
        )
        self.language = language
        self.marks = PLAIN_MARKS if self.console.options.ascii_only else MARKS
        self.epochs: int | None = None
        self.headed = False
        self.began: tuple[float, int] | None = None
        self.barred = False
        self.told: list[Finding] = []
        self.metric = "score"

    def start(self, opening: Mapping[str, Any]) -> None:
        self.epochs = opening.get("epochs")
        dot = f" {self.marks['dot']} "
        self._print(Text(visible(str(opening["title"])), style="bold"))
        rows = ", ".join(f"{name} {count(rows)}" for name, rows in opening.get("rows", {}).items())
        facts = [f"device {opening['device']}", f"seed {opening['seed']}"] + ([f"rows: {rows}"] if rows else [])
        if self.epochs:
            facts.append(f"{self.epochs} epochs of {count(opening.get('steps_per_epoch'))} updates")
        if opening.get("resumed_at"):
            facts.append(f"resumed at update {count(opening['resumed_at'])}")
        self._print(Text(dot.join(facts)))
        for table in (
            settings_table(opening),
            columns_table(opening.get("columns", ())),
            layers_table(opening.get("layers", ())),
        ):
            if table is not None:
                self._print(Padding(table, (1, 0, 0, 0)))
        at_default = sum(str(item["source"]).startswith("default") for item in opening.get("settings", ()))
        if at_default:
            told = f"{at_default} more settings at their defaults: `tunesmith init` writes them all, with comments"
            self._print(Text(told, style="dim"))

    def progress(self, step: int, steps: int, loss: float) -> None:
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        now = time.monotonic()
        if self.began is None or step < self.began[1]:
            self.began = (now, step)
        since, first = self.began
        left = (now - since) / (step - first) * (steps - step) if step > first else None
        with self.console.capture() as capture:
            self.console.print(self._bar(step, steps, loss, left), end="", no_wrap=True, overflow="crop", crop=True)
        self.console.file.write(CLEAR + capture.get())
        self.console.file.flush()
        self.barred = True

    def evaluation(self, row: Mapping[str, Any]) -> None:
        metric = row.get("metric") or ""
        self.metric = metric or self.metric
        if not self.headed:
            self._print(Text())
            self._print(
                Text(self._row("epoch", "train", "valid", metric, "lr", "time", "memory", "left"), style="bold")
            )
            self.headed = True
        epoch = number(row["epoch"]) + (f"/{self.epochs}" if self.epochs else "")
        memory = f"{row['memory_mb']:.0f} MB" if row.get("memory_mb") else ABSENT
        cells = (
            epoch,
            score(row.get("train_loss")),
            score(row.get("val_loss")),
            score(row.get("score")) if metric else "",
        )
        times = (duration(row.get("seconds")), memory, duration(row.get("eta_seconds")))
        line = self._row(*cells[:3], cells[3].rjust(len(metric)), number(row.get("lr"), 3), *times)
        best = bool(row.get("best"))
        self._print(Text(line + (f" {self.marks['best']}" if best else ""), style="green" if best else ""))

    def finding(self, finding: Finding, step: int) -> None:
        self.told.append(finding)
        self._print(finding_row(finding, self.language, self.marks, step))

    def notice(self, text: str) -> None:
        self._print(marked(self.marks["dot"], Text(visible(text), style="dim"), "dim"))

    def lines(self, told: Sequence[str]) -> None:
        """Lines as they are, what stands between the marks of a preview in colour."""
        for line in told:
            text = Text(visible(spelt(line, self.console.encoding)), no_wrap=True, overflow="fold")
            text.highlight_regex(f"{OPENS}[^{SHUTS}]*{SHUTS}", "green")
            self._print(text)

    def finish(self, closing: Mapping[str, Any]) -> None:
        self._print(Text())
        findings = [finding for finding in closing.get("findings", ()) if finding not in self.told]
        for finding in findings:
            self._print(finding_row(finding, self.language, self.marks))
        table = scores_table(closing)
        if table is not None:
            self._print(Padding(table, (1 if findings else 0, 0, 1, 0)))
        for label, text in closing_lines(closing, self.metric):
            style = "bold" if label == "next" else ""
            self._clear()
            self.console.print(Text(f"{label:<11}", style="dim") + Text(text, style=style), soft_wrap=True)

    def close(self) -> None:
        """Takes the bar away. To be called when the training ended without `finish`."""
        self._clear()

    def _row(
        self, epoch: str, train: str, valid: str, metric: str, rate: str, seconds: str, memory: str, left: str
    ) -> str:
        width = max(9, len(metric))
        line = (
            f"{epoch:>9} {train:>9} {valid:>9} " + (f"{metric:>{width}} " if metric else "") + f"{rate:>9} {seconds:>7}"
        )
        for cell, wide in ((memory, 9), (left, 7)):
            if len(line) + wide + 3 <= self.console.width:
                line += f" {cell:>{wide}}"
        return line

    def _bar(self, step: int, steps: int, loss: float, left: float | None) -> Text:
        share = step / steps if steps else 1.0
        tail = f" {100 * share:3.0f} %  update {count(step)}/{count(steps)}  loss {score(loss)}  left {duration(left)}"
        width = max(8, min(30, self.console.width - len(tail) - 2))
        filled = round(width * min(share, 1.0))
        rest = self.marks["empty"] * (width - filled)
        return Text.assemble((self.marks["full"] * filled, "cyan"), (rest + tail, "dim"))

    def _print(self, what: Any) -> None:
        self._clear()
        self.console.print(what)

    def _clear(self) -> None:
        if self.barred:
            self.console.file.write(CLEAR)
            self.console.file.flush()
            self.barred = False


def marked(mark: str, text: Text, style: str) -> Table:
    """A mark, and text that hangs beside it when it must be broken."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, width=1)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), text)
    return grid


def finding_row(finding: Finding, language: str, marks: Mapping[str, str] = MARKS, step: int | None = None) -> Table:
    """A finding: how grave, which, what was seen, what to do, where to read on."""
    style = STYLES[finding.severity]
    text = Text.assemble(
        (f"{finding.severity} ", style), (finding.fault, "bold"), f"  {visible(finding.text(language))}"
    )
    if step:
        text.append(f"  step {count(step)}", style="dim")
    if finding.remedies:
        text.append(" → " + "; ".join(remedy.text(language) for remedy in finding.remedies), style="italic")
    text.append(f"  tunesmith explain {finding.fault}", style="dim")
    return marked(marks[finding.severity], text, style)


def settings_table(opening: Mapping[str, Any]) -> Table | None:
    """What was chosen or derived, by section, with its source; the defaults are only counted."""
    items = [(item["path"], item["value"], str(item["source"])) for item in chosen(opening)]
    items += [
        (item["name"], item["value"], "derived: " + equation(item["value"], item["equation"]))
        for item in opening.get("derived", ())
    ]
    if not items:
        return None
    order = ("data", "model", "loss", "optim", "schedule", "train", "eval", "run", "")
    sections: dict[str, list[tuple[str, Any, str]]] = {section: [] for section in order}
    for path, value, source in items:
        section, dot, name = path.partition(".")
        known = dot and section in sections
        sections[section if known else ""].append((name if known else path, value, source))
    table = plain_table("section", "setting", "value", "source")
    for section, members in sections.items():
        for i, (name, value, source) in enumerate(members):
            table.add_row((section or "derived") if i == 0 else "", name, setting(value), Text(source, style="dim"))
    return table


def columns_table(columns: Sequence[Mapping[str, Any]]) -> Table | None:
    """The columns of a table: what they were taken for. A wide file is summed up."""
    if not columns:
        return None
    shown = columns if len(columns) <= MOST_COLUMNS + 2 else columns[:MOST_COLUMNS]
    table = plain_table("column", "kind", "missing", "distinct", "values", right=("missing", "distinct"))
    last = table.columns[-1]
    last.no_wrap, last.overflow, last.max_width = True, "ellipsis", WIDEST_VALUES
    for column in shown:
        kind = f"{column['kind']} (given)" if column.get("source") == "given" else str(column["kind"])
        distinct = "" if column.get("distinct") is None else count(column["distinct"])
        values = Text(visible(str(column.get("values", ""))), style="dim")
        table.add_row(visible(str(column["name"])), kind, count(column.get("missing", 0)), distinct, values)
    rest = columns[len(shown) :]
    if rest:
        kinds = Counter(str(column["kind"]) for column in rest)
        told = ", ".join(f"{many} {kind}" for kind, many in kinds.most_common())
        table.add_row(Text(f"{len(rest)} more", style="dim"), Text(told, style="dim"), "", "", "")
    return table


def layers_table(layers: Sequence[Mapping[str, Any]]) -> Table | None:
    """The layers that hold parameters, and their sum. The middle of a deep model is summed up."""
    if not layers:
        return None
    table = plain_table("layer", "kind", "shape", "parameters", "init std", "decay", right=("parameters", "init std"))
    head, tail = (
        (layers, layers[:0])
        if len(layers) <= MOST_LAYERS + 2
        else (layers[: MOST_LAYERS // 2], layers[-MOST_LAYERS // 2 :])
    )
    add_layers(table, head)
    if tail:
        middle = layers[len(head) : len(layers) - len(tail)]
        inner = sum(layer["parameters"] for layer in middle)
        table.add_row(Text(f"{len(middle)} more", style="dim"), "", "", Text(count(inner), style="dim"), "", "")
        add_layers(table, tail)
    table.add_section()
    table.add_row("all", "", "", count(sum(layer["parameters"] for layer in layers)), "", "")
    return table


def add_layers(table: Table, layers: Iterable[Mapping[str, Any]]) -> None:
    for layer in layers:
        deviation = number(layer.get("init_std"), 3)
        table.add_row(
            str(layer["name"]),
            str(layer["kind"]),
            shape(layer.get("shape")),
            count(layer["parameters"]),
            deviation,
            decay_word(layer.get("decay")),
        )


def decay_word(decay: Any) -> str:
    """
    >>> [decay_word(value) for value in (True, False, 0.01, None)]
    ['yes', 'no', '0.01', '']
    """
    if isinstance(decay, bool):
        return "yes" if decay else "no"
    return "" if decay is None else number(decay)


def scores_table(closing: Mapping[str, Any]) -> Table | None:
    """The scores of every part; the last part with its 95 % interval."""
    scores: Mapping[str, Mapping[str, float]] = {
        part: values for part, values in closing.get("scores", {}).items() if values
    }
    if not scores:
        return None
    judged = "test" if "test" in scores else list(scores)[-1]
    bounds = closing.get("intervals", {}).get(judged, {})
    heads = [*scores, f"95 % of {judged}"] if bounds else list(scores)
    table = plain_table("score", *heads, right=heads)
    for name in dict.fromkeys(name for values in scores.values() for name in values):
        cells = [
            Text(score(values.get(name)), style="bold" if part == judged else "") for part, values in scores.items()
        ]
        table.add_row(name, *cells, *([interval(bounds.get(name))] if bounds else []))
    return table


def plain_table(*heads: str, right: Iterable[str] = ()) -> Table:
    """A table without frames: a rule below the head is all."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    numbers = set(right)
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", overflow="fold")
    return table

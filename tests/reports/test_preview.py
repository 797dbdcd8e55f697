"""A preview on a terminal and in a log: lines as they are, with signs that the place can show."""

import io

from rich.console import Console

from tunesmith.reports import PlainDisplay
from tunesmith.reports.terminal import TerminalDisplay

LINES = ["batch preview: 1 of 1 rows", "  hello  ⟦there[bold]⟧↵"]


def test_a_terminal_shows_lines_as_they_are() -> None:
    stream = io.StringIO()

    TerminalDisplay(console=Console(file=stream, width=80, markup=False, emoji=False)).lines(LINES)

    assert stream.getvalue().splitlines() == LINES


def test_a_terminal_colours_what_trains() -> None:
    stream = io.StringIO()

    TerminalDisplay(console=Console(file=stream, width=80, force_terminal=True, color_system="standard")).lines(LINES)

    assert "\x1b[32m⟦there[bold]⟧\x1b[0m↵" in stream.getvalue()


def test_a_log_that_knows_ascii_alone_gets_brackets() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    PlainDisplay(stream).lines(LINES)

    stream.flush()
    assert stream.buffer.getvalue().decode("ascii").splitlines()[1] == "  hello  [[there[bold]]]|"

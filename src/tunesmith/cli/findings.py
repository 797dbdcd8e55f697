"""What commands that find answer: the findings, and exit code 1 where one of them is an error."""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.answers import Answer

if TYPE_CHECKING:
    from tunesmith.records import Findings

ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit code 0 also with findings of severity error.")]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="Only this audit or check. Repeatable.")]
Export = Annotated[
    Path | None, typer.Option("--export", metavar="FOLDER", help="Write the rows of each finding as CSV files there.")
]


def answer_of(
    found: "Findings",
    title: str,
    *,
    language: str | None,
    export: Path | None,
    exit_zero: bool,
    seconds: float | None = None,
    debug: bool = False,
) -> Answer:
    """Findings as plain data and as text for the terminal there is."""
    from tunesmith.reports.checked import show_findings, write_tables

    speech = language or "en"
    files = [] if export is None else write_tables(found, export)
    data = {
        "findings": [finding.as_dict(speech) for finding in found],
        "notices": found.notices,
        "unreached": found.unreached,
        "skipped": found.skipped,
        "failed": found.failed,
        "seconds": found.seconds,
        "measured": found.measured,
        "files": [str(file) for file in files],
    }
    told = Screen()
    show_findings(found, title, told, language=speech, seconds=seconds)
    if debug:
        told.write("".join(f"\n{name} broke:\n{trace}" for name, trace in found.failed.items()))
    if files:
        told.write(f"tables: {len(files)} in {export}\n")
    bad = any(finding.severity == "error" and finding.status != "refuted" for finding in found)
    text = "".join(f"{line.rstrip()}\n" for line in told.getvalue().splitlines())
    return Answer(data, text, code=1 if bad and not exit_zero else 0)


class Progress:
    """The name of the check that is carried out, on one line of standard error where that is a terminal."""

    def __init__(self) -> None:
        import sys

        self.stream = sys.stderr if sys.stderr.isatty() else None

    def __call__(self, name: str) -> None:
        if self.stream is not None:
            self.stream.write(f"\r\x1b[K{name} …")
            self.stream.flush()

    def close(self) -> None:
        """Takes the line away."""
        if self.stream is not None:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


class Screen(StringIO):
    """Text held back, which says of itself what standard output would."""

    def isatty(self) -> bool:
        import sys

        return sys.stdout.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        import sys

        return sys.stdout.encoding or "utf-8"

"""A tuning while it goes on: a line a decision, and at the end what a person wants to know first."""

import sys
import time
from typing import Any, TextIO

from tunesmith.reports.display import forgiving, relative
from tunesmith.reports.facts import read
from tunesmith.reports.wording import duration
from tunesmith.reports.worst_groups import worst_groups

MARGIN = 22  # letters before the text of a decision


class PlainTune:
    """Lines without control characters, for logs and pipes: one a decision."""

    def __init__(self, stream: TextIO | None = None, *, width: int | None = None) -> None:
        self.stream = forgiving(sys.stdout if stream is None else stream)
        self.width = width
        self._began = time.perf_counter()

    def __call__(self, decision: Any) -> None:
        passed = duration(time.perf_counter() - self._began)
        head = f"{passed:>8}  {decision.stage:<11}"
        mark = "" if decision.taken else "(left) "
        self._say(head.ljust(MARGIN), f"{mark}{decision.title}: {decision.because}")

    def finish(self, tuned: Any, page: Any) -> None:
        """The verdict, and what to do with it."""
        judged = tuned.judged
        name = judged["metric"]
        row = judged["rows"]["handed over"]
        low, high = row["intervals"][name]
        part = "test rows" if judged["part"] == "test" else "validation rows"
        part += " that chose nothing" if judged["part"] == "held" else ""
        self._say("", "")
        self._say("  ", f"{name} {row['scores'][name]:.4f}  [{low:.4f}, {high:.4f}] on {row['count']} {part}")
        for other, one in judged["rows"].items():
            if other != "handed over":
                self._say("  ", f"{one['scores'][name]:>{len(name) + 7}.4f}  {other}")
        groups = worst_groups(read(tuned.folder / "slices" / f"{judged['part']}.json"))
        if groups:
            self._say("", "")
            self._say("  ", f"worse on {groups}")
        self._say("", "")
        self._say("  ", f"folder  {relative(tuned.folder)}")
        self._say("  ", f"report  {relative(page)}")
        if not tuned.of_program:
            self._say("  ", f"next    tunesmith predict {relative(tuned.folder)} NEW_DATA")
            return
        self._say("  ", "next    write into the program:" if tuned.lines else "next    nothing: it is best as it is")
        for line in tuned.lines:
            self._say("          ", line)

    def _say(self, head: str, text: str) -> None:
        if self.width is None:
            print(head + text, file=self.stream, flush=True)
            return
        from textwrap import wrap

        lines = wrap(text, max(30, self.width - len(head))) or [""]
        for place, line in enumerate(lines):
            print((head if not place else " " * len(head)) + line, file=self.stream, flush=True)


class QuietTune:
    """Says nothing."""

    def __call__(self, decision: Any) -> None: ...

    def finish(self, tuned: Any, page: Any) -> None: ...


def choose_tune(*, json: bool = False, quiet: bool = False) -> PlainTune | QuietTune:
    """Lines folded to the terminal, or whole ones where it is none."""
    if json or quiet:
        return QuietTune()
    from shutil import get_terminal_size

    return PlainTune(width=get_terminal_size().columns if sys.stdout.isatty() else None)

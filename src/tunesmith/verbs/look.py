"""The page of `tunesmith check --html`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.records import Findings

if TYPE_CHECKING:
    from tunesmith.doctor.preflight import Bench


def look_page(file: Path, found: Findings, bench: "Bench | None", title: str, language: str = "en") -> Path:
    """Writes the findings, and what the network sees where there is one, as one self-contained page. Gives the path."""
    from tunesmith.records.state import random_state, set_random_state
    from tunesmith.reports.look import page

    seen = None
    if bench is not None and not bench.measured.get("crash"):
        from tunesmith.doctor.preflight.look import look

        before = random_state()
        try:
            seen = look(bench, found)
        finally:
            set_random_state(before)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(title, found, seen, language), encoding="utf-8")
    return file

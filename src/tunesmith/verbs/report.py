"""`report`: one self-contained page of a run, or of several beside each other."""

from collections.abc import Sequence
from pathlib import Path

from tunesmith.records import RunError
from tunesmith.runs import MemoryWriter, Run


def report(runs: str | Path | Run | MemoryWriter | Sequence[str | Path | Run], path: str | Path | None = None) -> Path:
    """Writes the page and gives its place: `report.html` in the run's folder, `runs.html` beside the first of several."""
    from tunesmith.reports.page import page, runs_page

    if isinstance(runs, MemoryWriter):
        raise RunError(
            "a run in memory has no page: train with folder='runs/…', or read its scores, evaluations and signals"
        )
    several = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    opened = [run if isinstance(run, Run) else Run(run) for run in several]
    if len(opened) == 1:
        place = Path(path) if path is not None else opened[0].folder / "report.html"
        text = page(opened[0])
    else:
        place = Path(path) if path is not None else opened[0].folder.parent / "runs.html"
        text = runs_page(opened)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place

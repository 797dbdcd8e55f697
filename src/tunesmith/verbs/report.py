"""`report`: one self-contained page of a run, of several beside each other, or of a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import RunError
from tunesmith.runs import MemoryWriter, Run

if TYPE_CHECKING:
    from tunesmith.search.study import Study

STUDY = "study.json"  # what marks the folder of a search


def report(
    runs: "str | Path | Run | MemoryWriter | Study | Sequence[str | Path | Run]", path: str | Path | None = None
) -> Path:
    """Writes the page and gives its place: `report.html` in the folder of the run or search, `runs.html` beside the first of several.

    Raises `RunError` for what is in memory alone, or no run and no search.
    """
    from tunesmith.reports.page import page, runs_page

    if isinstance(runs, MemoryWriter):
        raise RunError(
            "a run in memory has no page: train with folder='runs/…', or read its scores, evaluations and signals"
        )
    study = _study(runs)
    if study is not None:
        return _study_page(study, path)
    several: list[Any] = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
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


def _study(given: object) -> "Study | None":
    """The search that is meant, where one is."""
    from tunesmith.search.study import Study

    if isinstance(given, Study):
        return given
    one = given[0] if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 1 else given
    if isinstance(one, str | Path) and (Path(one) / STUDY).is_file():
        return Study(one)
    return None


def _study_page(study: "Study", path: str | Path | None) -> Path:
    from tunesmith.reports.study_page import study_page

    if path is None and study.folder is None:
        raise RunError("the search was in memory alone: say where the page goes, report(study, 'search.html')")
    place = Path(path) if path is not None else Path(study.folder or ".") / "report.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(study_page(study), encoding="utf-8")
    return place

"""`report`: one self-contained page of a run, of several beside each other, or of a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import RunError
from tunesmith.runs import MemoryWriter, Run
from tunesmith.search.study_settings import FILE as STUDY

if TYPE_CHECKING:
    from tunesmith.search.study import Study

PAGE = "report.html"


def report(
    runs: "str | Path | Run | MemoryWriter | Study | Sequence[str | Path | Run]", path: str | Path | None = None
) -> Path:
    """Writes the page and gives its place: `report.html` in the folder of the run or search, `runs.html` beside the first of several.

    Raises `RunError` for what is in memory alone, or no run and no search.
    """
    if isinstance(runs, MemoryWriter):
        raise RunError(
            "a run in memory has no page: train with folder='runs/…', or read its scores, evaluations and signals"
        )
    several: list[Any] = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    study = _study(several[0]) if len(several) == 1 else None
    usual, text = _of_runs(several) if study is None else _of_study(study)
    if path is None and usual is None:
        raise RunError("the search was in memory alone: say where the page goes, report(study, 'search.html')")
    place = Path(path or usual or PAGE)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def _of_runs(given: Sequence[Any]) -> tuple[Path, str]:
    """Where the page of runs goes, and what stands on it."""
    from tunesmith.reports.page import page, runs_page

    opened = [run if isinstance(run, Run) else Run(run) for run in given]
    if len(opened) == 1:
        return opened[0].folder / PAGE, page(opened[0])
    return opened[0].folder.parent / "runs.html", runs_page(opened)


def _of_study(study: "Study") -> tuple[Path | None, str]:
    """The same of a search; no place where it was in memory alone."""
    from tunesmith.reports.study_page import study_page

    return None if study.folder is None else study.folder / PAGE, study_page(study)


def _study(given: Any) -> "Study | None":
    """The search that is meant, where one is; of a run nothing of the search is read."""
    from tunesmith.search.study import Study

    if isinstance(given, str | Path):
        return Study(given) if (Path(given) / STUDY).is_file() else None
    return given if isinstance(given, Study) else None

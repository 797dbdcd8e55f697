"""`report`: one self-contained page of a run, a search or a tuning, or of several runs or tunings beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import RunError
from tunesmith.runs import MemoryWriter, Run
from tunesmith.search.study_settings import FILE as STUDY

if TYPE_CHECKING:
    from tunesmith.search.study import Study
    from tunesmith.verbs.tune import Tuned

PAGE = "report.html"


def report(
    runs: "str | Path | Run | MemoryWriter | Study | Tuned | Sequence[str | Path | Run]", path: str | Path | None = None
) -> Path:
    """Writes the page and gives its place: `report.html` in the folder of the run, search or tuning, `runs.html` or `tunings.html` beside
    the first of several.

    Raises `RunError` for what is in memory alone, no run and no search, and for several that are not all runs or all tunings.
    """
    if isinstance(runs, MemoryWriter):
        raise RunError(
            "a run in memory has no page: train with folder='runs/…', or read its scores, evaluations and signals"
        )
    several: list[Any] = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    tunings = [place for one in several if (place := _tuning(one)) is not None]
    study = _study(several[0]) if len(several) == 1 and not tunings else None
    usual: Path | None
    if tunings:
        _all_of_a_kind(several, tunings)
        usual, text = _of_tunings(tunings)
    else:
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


def _tuning(given: Any) -> Path | None:
    """The folder of the tuning that is meant, where one is."""
    from tunesmith.runs.tuning import is_tuning

    place = given if isinstance(given, str | Path) else getattr(given, "folder", None)
    return Path(place) if place is not None and is_tuning(place) else None


def _of_tunings(folders: list[Path]) -> tuple[Path, str]:
    """The same of one tuning, or of several beside each other."""
    from tunesmith.reports.tuned_page import tuned_page
    from tunesmith.reports.tunings_page import tunings_page
    from tunesmith.runs.tuning import read_tuning

    read = [read_tuning(folder) for folder in folders]
    if len(read) == 1:
        return folders[0] / PAGE, tuned_page(read[0])
    return folders[0].parent / "tunings.html", tunings_page(read)


def _all_of_a_kind(several: list[Any], tunings: list[Path]) -> None:
    if len(tunings) < len(several):
        other = next(one for one in several if _tuning(one) is None)
        raise RunError(
            f"{tunings[0]} is a tuning and {getattr(other, 'folder', other)} is none; a page sets runs beside runs, or tunings beside tunings: "
            "make two pages, or name the best net of the tuning, a run below its steps"
        )


def _study(given: Any) -> "Study | None":
    """The search that is meant, where one is; of a run nothing of the search is read."""
    from tunesmith.search.study import Study

    if isinstance(given, str | Path):
        return Study(given) if (Path(given) / STUDY).is_file() else None
    return given if isinstance(given, Study) else None

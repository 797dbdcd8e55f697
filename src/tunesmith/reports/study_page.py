"""A search as one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.records import Trial
from tunesmith.reports.page import document
from tunesmith.reports.sections.parameters import all_together, importances, isolations, warnings
from tunesmith.reports.sections.trade_offs import trade_offs
from tunesmith.reports.sections.trial_curves import trial_curves
from tunesmith.reports.sections.trials import best_trials, endings, study_headline
from tunesmith.reports.study_facts import StudyFacts, study_facts
from tunesmith.search import Domain, Space

if TYPE_CHECKING:
    from tunesmith.search.study import Study

SECTIONS = (warnings, best_trials, trial_curves, importances, isolations, all_together, trade_offs, endings)


def study_page(study: "Study", *, title: str = "") -> str:
    """The page of a study."""
    asked = ("sampler", "budget", "max_budget", "total", "seed", "workers")
    settings = {name.replace("_", " "): study.settings.get(name, getattr(study, name, None)) for name in asked}
    name = study.folder.name if study.folder is not None else "Search"
    return _page(study_facts(study.space, study.trials, title=title or name, settings=settings))


def trials_page(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    *,
    title: str = "Search",
    settings: Mapping[str, Any] | None = None,
) -> str:
    """The page of any trials of a space, such as `SearchCV.space_` and `trials_`, or a study that came from Optuna."""
    return _page(study_facts(space, trials, title=title, settings=settings))


def _page(facts: StudyFacts) -> str:
    parts = [part for part in (made(facts) for made in SECTIONS) if part]
    return document(f"{facts.title} · Tunesmith", study_headline(facts), parts)

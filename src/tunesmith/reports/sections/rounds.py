"""The searches of a tuning, round by round: how far each came, what mattered, where the space was too narrow."""

from pathlib import Path

from tunesmith.reports.markup import Html, Section, details, join, section, tag
from tunesmith.reports.sections.parameters import all_together, importances, warnings
from tunesmith.reports.sections.trial_curves import trial_curves
from tunesmith.reports.sections.trials import best_trials, endings
from tunesmith.reports.study_facts import StudyFacts, study_facts
from tunesmith.reports.wording import counted, score
from tunesmith.runs.tuning import Tuning
from tunesmith.search.study import Study
from tunesmith.search.study_settings import FILE

SHOWN = (warnings, trial_curves, importances, all_together)
FOLDED = (best_trials, endings)


def rounds(tuning: Tuning) -> Section | None:
    """Every round whose folder is still there."""
    parts = [part for number, place in places(tuning) if (part := _round(number, place))]
    words = "Scores are those that the search minimises: lower is better, whatever way the metric counts."
    return section("search", "The search", tag("p", words, class_="aside"), *parts) if parts else None


def places(tuning: Tuning) -> list[tuple[str, Path]]:
    """The name of each round and the folder of its study."""
    found = sorted((tuning.folder / "steps").glob(f"search-*/{FILE}"))
    return [(file.parent.name.removeprefix("search-"), file.parent) for file in found]


def _round(number: str, place: Path) -> Html | None:
    study = Study(place)
    if not len(study.trials):
        return None
    facts = study_facts(study.space, study.trials, title=f"round {number}")
    shown = [_under(part, number) for made in SHOWN if (part := made(facts))]
    folded = [_under(part, number) for made in FOLDED if (part := made(facts))]
    more = details("best trials, and how the others ended", *folded) if folded else Html()
    return tag("div", tag("h3", f"Round {number}: {_said(facts)}"), *shown, more, class_="round", id=f"search-{number}")


def _said(facts: StudyFacts) -> str:
    best = f", best score {score(facts.values[facts.order[0]])}" if facts.order else ", none with a score"
    return f"{counted(len(facts.trials), 'configuration')} in {counted(facts.trials.spent, 'epoch')}{best}"


def _under(part: Section, number: str) -> Html:
    """A section of a study's page below the heading of its round."""
    return tag("div", join([tag("h4", part.title), part.body]), id=f"search-{number}-{part.anchor}")

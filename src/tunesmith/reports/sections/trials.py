"""A study: how it stands, its best trials, and why the others ended."""

from typing import Any

from tunesmith.records import Trial
from tunesmith.reports.markup import Html, Section, join, section, table, tag
from tunesmith.reports.study_facts import StudyFacts
from tunesmith.reports.wording import count, duration, number, percent, score, setting

BEST = 20  # rows
MOST_COLUMNS = 12  # of parameters
MOST_REASONS = 12
LONGEST = 160  # letters of a reason
STATES = ("done", "paused", "stopped", "failed", "running")


def study_headline(facts: StudyFacts) -> Html:
    """The top of the page."""
    words = [f"{name} {setting(value)}" for name, value in facts.settings.items() if value is not None]
    head = tag("header", tag("h1", facts.title), tag("p", " · ".join(words), class_="facts"))
    if not facts.order:
        return join([head, tag("p", "No trial has a score yet.", class_="empty")])
    best = facts.order[0]
    tiles = [_tile("best score", score(facts.values[best]), f"trial {best}", first=True)]
    tiles.append(_tile("trials", count(len(facts.trials)), _states(facts)))
    tiles.append(_tile("budget units", count(facts.trials.spent), f"the longest trial has {count(facts.units)}"))
    seconds = sum(_seconds(trial) or 0.0 for trial in facts.trials)
    if seconds:
        tiles.append(_tile("training time", duration(seconds), "over all trials"))
    return join([head, tag("div", *tiles, class_="tiles")])


def _tile(name: str, value: str, small: str, *, first: bool = False) -> Html:
    lines = [tag("div", name, class_="name"), tag("div", value, class_="value"), tag("div", small, class_="small")]
    return tag("div", *lines, class_="tile first" if first else "tile")


def _states(facts: StudyFacts) -> str:
    return ", ".join(f"{count(facts.states[state])} {state}" for state in STATES if facts.states[state])


def _seconds(trial: Trial) -> float | None:
    """What the records say of the time, over all units."""
    found = [record["seconds"] for record in trial.records if isinstance(record.get("seconds"), int | float)]
    return float(sum(found)) if found else None


def best_trials(facts: StudyFacts) -> Section | None:
    """One row a trial, best first."""
    if not facts.order:
        return None
    names = facts.parameters[:MOST_COLUMNS]
    timed = any(_seconds(facts.trials[id]) is not None for id in facts.order[:BEST])
    heads = ["trial", "score", "units", "state", *(["time"] if timed else []), *(tag("code", name) for name in names)]
    rows = [_row(facts, id, names, timed) for id in facts.order[:BEST]]
    shown = table(heads, rows, numbers=range(3), class_="dense")
    notes = ["Lower is better. Scores after different numbers of units are not of one kind."]
    if len(facts.order) > BEST:
        notes.append(f"{count(len(facts.order) - BEST)} more trials have a score.")
    if len(facts.parameters) > MOST_COLUMNS:
        notes.append(f"{len(facts.parameters) - MOST_COLUMNS} less important parameters are not shown.")
    return section("best", "Best trials", shown, tag("p", " ".join(notes), class_="aside"))


def _row(facts: StudyFacts, id: int, names: list[str], timed: bool) -> list[Any]:
    trial = facts.trials[id]
    cells: list[Any] = [count(id), tag("b", score(facts.values[id])), count(len(trial.records)), trial.state]
    cells += [duration(_seconds(trial))] if timed else []
    return cells + [setting(trial.change[name]) if name in trial.change else "–" for name in names]


def endings(facts: StudyFacts) -> Section | None:
    """States with their reasons."""
    if not len(facts.trials):
        return None
    total = len(facts.trials)
    rows = [
        [state, count(facts.states[state]), percent(facts.states[state] / total)]
        for state in STATES
        if facts.states[state]
    ]
    parts = [table(["state", "trials", "share"], rows, numbers=(1, 2))]
    if facts.reasons:
        told = [[state, reason[:LONGEST], count(many)] for state, reason, many in facts.reasons[:MOST_REASONS]]
        parts.append(table(["ended as", "because", "trials"], told, numbers=(2,)))
    if len(facts.reasons) > MOST_REASONS:
        parts.append(
            tag("p", f"{number(len(facts.reasons) - MOST_REASONS)} more reasons are not shown.", class_="aside")
        )
    return section("endings", "How the trials ended", *parts)

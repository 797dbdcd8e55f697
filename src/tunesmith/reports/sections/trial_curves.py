"""A study: the scores of its trials unit by unit, and the best score by what was spent."""

import numpy as np

from tunesmith.reports.markup import Html, Section, figure, section, tag
from tunesmith.reports.study_charts import seen_range
from tunesmith.reports.study_facts import StudyFacts
from tunesmith.reports.svg import Array, Line, chart
from tunesmith.reports.wording import count

NAMED = 5  # best trials with a colour of their own
DRAWN = 120  # others, evenly over the ranks; more cannot be told apart
COLOURS = {"done": 8, "paused": 7, "stopped": 2, "failed": 6, "running": 3}
MOST_POINTS = 1000
WIDE_RATIO = 20  # beyond that a linear axis hides the end


def trial_curves(facts: StudyFacts) -> Section | None:
    """Both charts."""
    drawings = [drawing for drawing in (_all(facts), _best_so_far(facts)) if drawing]
    return section("curves", "Course of the search", tag("div", *drawings, class_="charts")) if drawings else None


def _all(facts: StudyFacts) -> Html | None:
    """The best in colour, others faint in the colour of their state; only where trials have more than one unit."""
    if facts.units < 2:
        return None
    with_units = [trial.id for trial in facts.trials if trial.records]
    best = facts.order[:NAMED]
    others = [id for id in sorted(with_units, key=lambda id: -facts.values[id]) if id not in best]
    shown = [others[i] for i in np.linspace(0, len(others) - 1, min(DRAWN, len(others))).round().astype(int)]
    lines = []
    named: set[str] = set()
    for id in shown:
        state = facts.trials[id].state
        lines.append(_curve(facts, id, "" if state in named else state, COLOURS[state], "faint"))
        named.add(state)
    lines += [_curve(facts, id, f"trial {id}", place % 8 + 1, "line") for place, id in enumerate(reversed(best))]
    every = np.concatenate([facts.trials.scores(id) for id in [*shown, *best]])
    low, high = seen_range(every)
    log = bool(np.nanmin(every) > 0 and high / max(np.nanmin(every), 1e-300) > WIDE_RATIO)
    span = (float(np.nanmin(every[every > 0])) * 0.9, high) if log else (low, high)
    hidden = len(with_units) - len(shown) - len(best)
    words = "Score of each trial by budget unit" + (f"; {count(hidden)} trials are not drawn" if hidden else "")
    return figure(chart(lines, labels=("budget units", "score"), y_range=span, log_y=log), words)


def _curve(facts: StudyFacts, id: int, name: str, colour: int, kind: str) -> Line:
    scores = facts.trials.scores(id)
    return Line(name, np.arange(1, len(scores) + 1, dtype=float), scores, colour, kind)


def _best_so_far(facts: StudyFacts) -> Html | None:
    """Steps down, over the units of the trials in the order they were begun."""
    lengths = np.array([len(facts.trials.scores(trial.id)) for trial in facts.trials])
    if not lengths.sum() or not facts.order:
        return None
    values = np.where(np.isfinite(facts.values), facts.values, np.inf)
    best = np.minimum.accumulate(values)
    spent = np.cumsum(lengths).astype(float)
    kept = np.isfinite(best)
    x, y = _steps(spent[kept], best[kept])
    words = "Best score by budget units spent, trials in the order they were begun"
    line = Line("best so far", x, y, 1)
    low, high = float(y.min()), float(y.max())
    log = bool(low > 0 and high / low > WIDE_RATIO)
    return figure(chart([line], labels=("budget units spent", "best score"), log_y=log), words)


def _steps(x: Array, y: Array) -> tuple[Array, Array]:
    """Corners of a falling staircase alone.

    >>> [part.tolist() for part in _steps(np.array([1.0, 2, 3, 4]), np.array([5.0, 5, 3, 3]))]
    [[1.0, 3.0, 3.0, 4.0], [5.0, 5.0, 3.0, 3.0]]
    """
    falls = np.flatnonzero(np.diff(y) < 0) + 1
    falls = (
        falls[np.linspace(0, len(falls) - 1, min(MOST_POINTS, len(falls))).round().astype(int)] if len(falls) else falls
    )
    corners = [(x[0], y[0])]
    for at in falls:
        corners += [(x[at], corners[-1][1]), (x[at], y[at])]
    corners.append((x[-1], y[-1]))
    found = np.array(corners)
    return found[:, 0], found[:, 1]

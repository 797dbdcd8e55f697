"""Where a regression errs: predicted against true, residuals."""

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, figure, section, tag
from tunesmith.reports.svg import Line, chart, histogram, limits

MOST = 1500  # dots of a cloud
MOST_TARGETS = 4  # columns of a target with several


def numbers(facts: Facts) -> Section | None:
    """Charts of each target column."""
    found = facts.predictions
    if facts.kind not in ("regression", "multi_regression") or "values" not in found:
        return None
    truth, values = (np.atleast_2d(np.asarray(found[name], float).T) for name in ("target", "values"))
    names = facts.classes if len(facts.classes) == len(truth) else tuple(f"target {i + 1}" for i in range(len(truth)))
    groups = [
        charts(truth[i], values[i], names[i] if len(truth) > 1 else "") for i in range(min(len(truth), MOST_TARGETS))
    ]
    left = len(truth) - len(groups)
    note = [tag("p", f"{left} more targets are not drawn.", class_="aside")] if left else []
    return section("residuals", "Predictions and residuals", *groups, *note)


def charts(truth: Array, value: Array, name: str) -> Html:
    """Predicted against true, residual against predicted, and the residuals' histogram."""
    kept = spread(len(truth), MOST)
    residual = truth - value
    low, high = limits([truth, value], clip=0.001)
    diagonal = Line("", np.array([low, high]), np.array([low, high]), 8, "dashed")
    cloud = Line("rows", truth[kept], value[kept], 1, "points")
    around = Line("rows", value[kept], residual[kept], 1, "points")
    zero = Line("", np.array(limits([value], clip=0.001)), np.zeros(2), 8, "dashed")
    both = (low, high)
    drawings = [
        figure(
            chart(
                [diagonal, cloud], labels=("true", "predicted"), x_range=both, y_range=both, square=True, legend=False
            ),
            titled("Predicted against true", name),
        ),
        figure(
            chart(
                [zero, around],
                labels=("predicted", "true minus predicted"),
                x_range=(float(zero.x[0]), float(zero.x[1])),
                square=True,
                legend=False,
            ),
            titled("Residuals", name),
        ),
        figure(histogram(residual, label="true minus predicted"), titled("Residuals, counted", name)),
    ]
    return tag("div", *drawings, class_="charts thirds")


def titled(words: str, name: str) -> str:
    return f"{words}: {name}" if name else words


def spread(rows: int, most: int) -> Array:
    """At most `most` row indices, evenly spread.

    >>> spread(5, 10).tolist(), spread(10, 4).tolist()
    ([0, 1, 2, 3, 4], [0, 3, 6, 9])
    """
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).round().astype(int)

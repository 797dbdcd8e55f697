"""What was trained and how well it did on rows it had not seen, beside what needs no training."""

from collections.abc import Mapping
from typing import Any

from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, join, section, table, tag
from tunesmith.reports.wording import ABSENT, count, duration, interval, score

PARTS = {"test": "test rows", "held": "validation rows", "val": "validation rows"}
TILES = 5
KINDS = {
    "multiclass": "one of several classes",
    "binary": "one of two classes",
    "multilabel": "several labels at once",
    "regression": "a number",
    "multi_regression": "several numbers",
    "language": "the next token",
}
MAKES = {"gan": "makes samples"}  # kinds of run that predict nothing
# errors; every other score is better when larger
SMALL_IS_GOOD = {"log_loss", "mae", "rmse", "mse", "loss", "perplexity"}


def headline(facts: Facts) -> Html:
    """The top of the page."""
    title = facts.run.get("title") or facts.name
    predicts = f"predicts {KINDS[facts.kind]}" if facts.kind in KINDS else MAKES.get(facts.kind, "")
    words = [predicts, *told(facts)]
    status = str(facts.run.get("status", ""))
    shown = tag("span", status, class_=f"status {status}") if status else Html()
    head = tag(
        "header", tag("h1", title, " ", shown), tag("p", " · ".join(word for word in words if word), class_="facts")
    )
    judged = facts.part()
    if not judged:
        return join([head, tag("p", "This run ended before it was judged: there are no scores.", class_="empty")])
    return join([head, tiles(facts, judged)])


def told(facts: Facts) -> list[str]:
    parameters = sum(layer["parameters"] for layer in facts.model.get("layers", ()))
    seconds = sum(row.get("seconds") or 0 for row in facts.evaluations)
    words = [f"model {facts.model['name']}" if facts.model.get("name") else ""]
    words += [f"{count(parameters)} parameters" if parameters else "", duration(seconds) if seconds else ""]
    created = str(facts.run.get("created", ""))[:16].replace("T", " ")
    return [*words, created]


def tiles(facts: Facts, judged: Mapping[str, Any]) -> Html:
    """The deciding score first and large, the others after it."""
    scores: Mapping[str, float] = judged.get("scores", {})
    order = sorted(scores, key=lambda name: name != facts.metric)
    baseline, bounds = judged.get("baseline") or {}, judged.get("intervals") or {}
    people = (judged.get("human") or {}).get("scores", {})
    shown = []
    for name in order[:TILES]:
        lines = [tag("div", name, class_="name"), tag("div", score(scores[name]), class_="value")]
        if name in bounds:
            lines.append(tag("div", f"95 %: {interval(bounds[name])}", class_="small", title="bootstrap interval"))
        if name in baseline:
            lines.append(tag("div", f"baseline {score(baseline[name])}", class_="small"))
        if name in people:
            lines.append(tag("div", f"human line {score(people[name])}", class_="small", title="a second annotation"))
        shown.append(tag("div", *lines, class_="tile first" if name == facts.metric else "tile"))
    where = f"on {count(judged.get('rows'))} {PARTS[facts.judged]}"
    unseen = ", which the training never saw" if facts.judged == "test" else ""
    return join([tag("p", f"Judged {where}{unseen}.", class_="facts"), tag("div", *shown, class_="tiles")])


def scores(facts: Facts) -> Section | None:
    """Every score of every part, with its interval and the baseline."""
    parts = {name: facts.part(name) for name in ("test", "val") if facts.part(name)}
    if not parts:
        return None
    judged = parts[facts.judged]
    names = list(dict.fromkeys(name for part in parts.values() for name in part.get("scores", {})))
    baseline, bounds = judged.get("baseline") or {}, judged.get("intervals") or {}
    people = (judged.get("human") or {}).get("scores", {})
    heads = ["score", *parts, "95 % interval", "baseline", *(["human line"] if people else []), ""]
    rows = [
        [
            tag("b", name) if name == facts.metric else name,
            *(score(part.get("scores", {}).get(name)) for part in parts.values()),
            interval(bounds.get(name)) or ABSENT,
            score(baseline.get(name)),
            *([score(people.get(name))] if people else []),
            whisker(name, judged.get("scores", {}).get(name), bounds.get(name), baseline.get(name)),
        ]
        for name in names
    ]
    return section(
        "scores",
        "Scores",
        table(heads, rows, numbers=range(1, len(heads) - 1)),
        by_role(judged),
        tag("p", explained(facts), class_="aside"),
    )


def by_role(judged: Mapping[str, Any]) -> Html:
    """The scores of a language model for each speaker whose turns train."""
    told: Mapping[str, Mapping[str, float]] = judged.get("by_role") or {}
    if not told:
        return Html()
    names = list(next(iter(told.values())))
    rows = [[role, *(score(scores.get(name)) for name in names)] for role, scores in told.items()]
    return table(["role", *names], rows, numbers=range(1, len(names) + 1))


def explained(facts: Facts) -> str:
    if facts.kind in MAKES:
        return (
            "Of samples beside held rows: a kernel distance of 0 and a lost mass of 0 are those of the data themselves; "
            "tunesmith explain measure.kid, measure.prdc and measure.lost_mass say more."
        )
    words = [f"The interval is of the {PARTS[facts.judged]}: resampled with replacement."]
    if facts.kind in ("regression", "multi_regression"):
        words.append("The baseline predicts the mean of the training rows.")
    elif facts.kind == "language":
        words.append(
            "Samples are resampled whole. The baseline knows how often each token comes in the training rows, and looks at nothing; a sample "
            "matches exactly where greedy decoding from its prompt gives its reply."
        )
    else:
        words.append(
            "The baseline always gives the commonest class, with the shares of the training rows as probabilities."
        )
    second = facts.part(facts.judged).get("human")
    if second and second["scores"]:
        words.append(
            f"The human line scores a second annotation of {count(second['rows'])} of these rows as if it were a prediction: "
            "people disagree that often, and a model above it has learnt one annotator's habits."
        )
    threshold = facts.scores.get("threshold")
    if threshold is not None:
        rule = facts.scores.get("threshold_rule")
        positive = facts.scores.get("positive")
        words.append(
            f"A row is called {positive!r} from a probability of {score(threshold)} on"
            + (f" ({rule})." if rule else ".")
        )
    return " ".join(words)


def whisker(name: str, value: float | None, bounds: Any, baseline: float | None) -> Html:
    """The score, its interval and the baseline on a line from 0 to 1; nothing for scores that have no such bounds."""
    if bounds and None in bounds:
        bounds = None
    if name in SMALL_IS_GOOD:
        return Html()
    inner = [number for number in (value, baseline, *(bounds or ())) if number is not None]
    if value is None or not all(0 <= number <= 1 for number in inner):
        return Html()
    at = {name: 4 + 152 * number for name, number in {"value": value, "base": baseline or 0.0}.items()}
    pieces = ['<line class="axis" x1="4" x2="156" y1="9" y2="9"/>']
    if bounds:
        pieces.append(
            f'<line class="span" x1="{4 + 152 * bounds[0]:.1f}" x2="{4 + 152 * bounds[1]:.1f}" y1="9" y2="9"/>'
        )
    if baseline is not None:
        pieces.append(f'<line class="base" x1="{at["base"]:.1f}" x2="{at["base"]:.1f}" y1="3" y2="15"/>')
    pieces.append(f'<circle class="dot" cx="{at["value"]:.1f}" cy="9" r="4"/>')
    return Html(f'<svg class="whisker" viewBox="0 0 160 18" role="img">{"".join(pieces)}</svg>')

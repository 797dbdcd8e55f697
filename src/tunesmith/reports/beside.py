"""What a score is to be held against: a constant answer, the best simple model, a second person; and which columns tell most."""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.reports.wording import count, interval, percent, score

COLUMNS = 6  # named as the most useful


def beside(measured: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of a name and a sentence, from what audits and checks measured."""
    reference = measured.get("reference")
    if reference:
        metric, rows = reference["metric"], count(reference["rows"])
        bounds = f" ({interval(reference['interval'])})" if reference.get("interval") else ""
        yield "constant answer", f"{metric} {score(reference['constant'])}"
        said = f"{metric} {score(reference['value'])}{bounds}, {reference['model']}, out of sample on {rows} rows"
        yield "simple models", said
    human = measured.get("human")
    if human:
        bounds = f" ({interval(human['interval'])})" if human.get("interval") else ""
        said = f"agrees in {percent(human['share'])} of {count(human['rows'])} rows, kappa {score(human['kappa'])}{bounds}: the ceiling"
        yield f"human line ({human['column']})", said
    told = ranked(measured.get("usefulness") or {})
    if told:
        yield "most useful columns", ", ".join(f"{name} {percent(part)}" for name, part in told)


def ranked(usefulness: Mapping[str, Mapping[str, float]]) -> list[tuple[str, float]]:
    """The columns whose shuffling adds most loss, beyond its error, each with its share of what all of them add."""
    sure = {
        name: told["importance"]
        for name, told in usefulness.items()
        if told.get("importance", 0.0) > 2 * told.get("error", 0.0)  # two standard errors
    }
    whole = sum(sure.values())
    return sorted(((name, part / whole) for name, part in sure.items()), key=lambda item: -item[1])[:COLUMNS]

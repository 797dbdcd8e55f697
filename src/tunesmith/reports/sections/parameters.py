"""A study: which parameters matter, whether the space was wide enough, and what each value can do."""

from tunesmith.reports.markup import Html, Section, figure, section, table, tag
from tunesmith.reports.sections.story import finding
from tunesmith.reports.study_charts import against, coordinates, share_bar
from tunesmith.reports.study_facts import StudyFacts
from tunesmith.search.samplers.observed import encode
from tunesmith.search.understanding.coordinates import parallel
from tunesmith.search.understanding.isolating import isolation

DRAWN = 8  # parameters with a chart of their own
AXES = 10  # of parallel coordinates
LEAST = 5  # trials with a score, before anything is drawn


def importances(facts: StudyFacts) -> Section | None:
    """Shares as bars."""
    if not any(facts.shares.values()):
        return None
    rows = [[tag("code", name), share_bar(share)] for name, share in facts.shares.items()]
    words = (
        "How far the values of the best tenth of the trials differ from those of all (PED-ANOVA, arXiv:2304.10255). "
        "A parameter that matters only together with another one is not seen."
    )
    return section(
        "importance", "Which parameters matter", table(["parameter", "share"], rows), tag("p", words, class_="aside")
    )


def warnings(facts: StudyFacts) -> Section | None:
    """Ends of ranges at which the best trials lie, and repeats."""
    if not facts.findings:
        return None
    return section("findings", "Findings", *(finding(found, facts.language) for found in facts.findings))


def isolations(facts: StudyFacts) -> Section | None:
    """The most important parameters, one chart each."""
    if len(facts.order) < LEAST:
        return None
    drawings = [_isolation(facts, name) for name in facts.parameters[:DRAWN]]
    words = (
        "Dots are trials. The line is the best of each part of the range, with the number of trials above it; dashed the best that equally "
        "many trials would give on average: a part with more trials had more chances."
    )
    left = len(facts.parameters) - DRAWN
    more = f" {left} less important parameters are not drawn." if left > 0 else ""
    shown = [drawing for drawing in drawings if drawing]
    return section(
        "isolation",
        "What each value can do",
        tag("p", words + more, class_="aside"),
        tag("div", *shown, class_="charts"),
    )


def _isolation(facts: StudyFacts, name: str) -> Html | None:
    ids = [id for id in facts.order if name in facts.trials[id].change]
    if not ids:
        return None
    places = encode(facts.space, [facts.trials[id].change for id in ids], (name,))[:, 0]
    buckets = isolation(facts.space, facts.trials, name)
    drawing = against(facts.space[name], name, places, facts.values[ids], buckets, float(facts.values[ids[0]]))
    return figure(drawing, name)


def all_together(facts: StudyFacts) -> Section | None:
    """Parallel coordinates."""
    names = [name for name in facts.parameters if name in facts.space.searched][:AXES]
    if len(facts.order) < LEAST or len(names) < 2:
        return None
    lines = parallel(facts.space, facts.trials, names)
    left = (
        f" {lines.left_out} trials between the best and a spread of the others are not drawn." if lines.left_out else ""
    )
    words = f"Each trial is a line from its parameters to its score; the best tenth is in colour.{left}"
    drawing = tag("div", tag("div", coordinates(lines), class_="wide"), class_="scroll")
    return section("parallel", "All together", tag("p", words, class_="aside"), drawing)

"""The groups of rows on the page and in one line."""

import pytest

from tunesmith.reports.facts import gather
from tunesmith.reports.sections.slices import slices
from tunesmith.reports.worst_groups import worst_groups

GROUP = {
    "by": "age",
    "name": "<28> or less",
    "metric": "accuracy",
    "count": 412,
    "score": 0.81,
    "interval": [0.77, 0.85],
}
GROUP |= {"rest": 0.88, "difference": 0.07, "chance": 0.003, "worse": True}
OTHER = GROUP | {"by": "town", "name": "Köln", "chance": 0.9, "worse": False, "interval": None}
SURE = GROUP | {"by": "confidence of the model", "name": "0.6 or less", "chance": None, "worse": False}


def told(*groups, asked="accuracy"):
    about = {"part": "test", "metric": "accuracy", "asked": asked, "least": 30, "tested": len(groups)}
    return about | {"slices": list(groups), "confidence": [SURE]}


def written(run, what):
    with run.writer() as writer:
        writer.write_json("slices/test", what)
    return gather(run)


def test_what_is_worse_stands_open_and_what_chance_explains_is_folded(make_run):
    html = slices(written(make_run(), told(GROUP, OTHER, asked="f1"))).html()
    opened = html[: html.index("<details>")]

    assert "1 of 2 groups of the test rows is worse than the rest" in opened
    assert "&lt;28&gt; or less" in opened
    assert "0.7700 to 0.8500" in opened
    assert "Köln" not in opened
    assert "Köln" in html
    assert "f1 goes with how common each class is" in html
    assert "Holm" in html


def test_without_any_it_says_so(make_run):
    html = slices(written(make_run(), told(OTHER))).html()

    assert "On none of 1 group of the test rows is it worse" in html
    assert slices(gather(make_run(name="other"))) is None


@pytest.mark.parametrize("groups", [(), (OTHER,)])
def test_the_line_is_empty_where_nothing_is_notable(groups):
    assert worst_groups(told(*groups)) == ""
    assert worst_groups(None) == ""


def test_the_line_names_three_and_counts_the_rest():
    line = worst_groups(told(*[GROUP | {"name": f"{i}"} for i in range(5)], OTHER))

    assert line.startswith("age 0 (412 rows): accuracy 0.8100 beside 0.8800 of the rest; age 1")
    assert line.endswith("; 2 more groups, see the report")
    assert "Köln" not in line

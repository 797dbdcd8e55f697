"""Findings on the curves: a mark where each was seen, its words at hand without a script, and a legend for paper."""

import json
import re

import pytest

from tests.reports.conftest import OVERFIT
from tunesmith.records import Evidence, Finding
from tunesmith.reports.facts import gather
from tunesmith.reports.page import page
from tunesmith.reports.sections.pins import MOST, pinned
from tunesmith.runs.following import place_of

SPIKE = Finding(
    fault="loss.spike",
    severity="error",
    message="the <loss> leaps to {peak:.1f}",
    values={"peak": 9.0},
    evidence=(Evidence(name="loss", value=9.0, threshold=2.0, source="a test", step=300),),
)
BEFORE = Finding(fault="data.duplicates", severity="warning", message="3 rows twice")


def found_in(run, *findings):
    row = place_of(run).row
    with run.writer() as writer:
        writer.begin_attempt(0, row)
        for step, finding in findings:
            writer.finding(finding, step)
    return run


def test_a_finding_stands_at_its_evidence_and_those_before_the_training_nowhere(make_run):
    run = found_in(make_run(), (1799, SPIKE), (0, BEFORE), (900, Finding(fault="a.b", severity="note", message="late")))

    kept = [(one.number, one.step, one.found.fault) for one in pinned(gather(run))]

    assert kept == [(1, 300, "loss.spike"), (2, 900, "a.b"), (3, 1800, "fit.overfit")]


def test_the_mark_lies_at_its_update_and_the_legend_tells_all(make_run):
    html = page(found_in(make_run(), (1799, SPIKE)))
    chart = html[html.index("<figcaption>Loss") : html.index("<figcaption>Score")]
    data = json.loads(
        re.search(r'data-hover="([^"]*)"', chart)[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")
    )
    x = float(re.search(r'class="pin error"><title>.*?</title><line x1="([\d.]+)"', chart)[1])
    legend = html[html.index('<ol class="pins">') :]

    assert x == pytest.approx(data["start"] + 300 / data["high"] * (data["end"] - data["start"]), abs=0.1)
    assert "<title>loss.spike: the &lt;loss&gt; leaps to 9.0</title>" in chart
    assert chart.count('<g class="pin') == 2
    assert html.count('<g class="pin') == 2 * 4  # on every chart of the training
    assert "<code>loss.spike</code> at update 300, epoch 2: the &lt;loss&gt; leaps to 9.0" in legend
    assert data["pins"][0] == [300.0, "1", "error", "loss.spike: the <loss> leaps to 9.0"]


def test_marks_at_one_place_do_not_hide_each_other(make_run):
    html = page(found_in(make_run(), (300, SPIKE), (301, SPIKE), (302, SPIKE)))
    chart = html[html.index("<figcaption>Loss") : html.index("<figcaption>Score")]

    places = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="7.5"/>', chart)

    assert len(places) == len(set(places)) == 4


def test_of_many_the_gravest_are_marked_and_the_rest_counted(make_run):
    notes = [(step, Finding(fault="a.b", severity="note", message="x")) for step in range(1, 21)]
    run = found_in(make_run(), *notes, (1799, SPIKE))

    kept = pinned(gather(run))

    assert len(kept) == MOST
    assert {"loss.spike", OVERFIT.fault} <= {one.found.fault for one in kept}
    assert f"{22 - MOST} more findings of lesser weight, among the findings." in page(run)

"""The page of a search: what is on it, what is left out, how large it may grow."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tunesmith.records import Trial
from tunesmith.reports.study_page import study_page, trials_page
from tunesmith.search import Choice, Int, Ordinal, Real, Space
from tunesmith.search.ask import Search

SPACE = Space(
    {
        "lr": Real(1e-5, 1, log=True),
        "name": Choice(["<sgd>", "adam"]),
        "momentum": Real(0, 0.99, when=("name", "<sgd>")),
        "batch": Ordinal([16, 32, 64]),
        "layers": Int(1, 9),
    }
)


def some(count, units=6, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for id in range(count):
        config = SPACE.sample(rng)
        state = ("done", "stopped", "paused", "failed")[id % 4 if id % 3 == 0 else 0]
        end = abs(math.log10(config["lr"])) + rng.normal() * 0.1
        spent = units if state == "done" else units // 2
        records = [{"score": end + 1 / (unit + 1), "seconds": 0.1 * config["layers"]} for unit in range(spent)]
        if state == "failed":
            records[-1]["score"] = math.nan
        reason = {"failed": "the score is nan & so on", "stopped": "no better than the median"}.get(state, "")
        found.append(
            Trial(id=id, change=config, records=tuple(records), state=state, reason=reason, spent=float(spent))
        )
    return found


class Whole(HTMLParser):
    """Tags that were opened and never closed, and the sections."""

    EMPTY = ("meta", "img", "br", "line", "path", "rect", "circle", "input", "hr")

    def __init__(self, page):
        super().__init__()
        self.open, self.sections, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "section":
            self.sections.append(dict(attributes)["id"])

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_every_part_is_there_and_the_markup_is_whole():
    page = trials_page(SPACE, some(60), title="digits", settings={"sampler": "tpe", "total": None})

    read = Whole(page)

    assert read.open == []
    assert read.sections == ["findings", "best", "curves", "importance", "isolation", "parallel", "front", "endings"]
    words = " ".join(read.texts)
    assert "sampler tpe" in words
    assert "total" not in words.split("Best trials")[0].split("digits")[1][:40]
    assert "the upper end of its range" in words  # lr wants to be larger than 1
    assert "the score is nan & so on" in words
    assert "no better than the median" in words
    assert "<sgd>" in words
    assert "<sgd>" not in page.replace("&lt;sgd&gt;", "")


def test_the_best_trial_stands_first():
    trials = some(40)
    best = min((t for t in trials if t.state != "failed"), key=lambda t: min(r["score"] for r in t.records))

    page = trials_page(SPACE, trials)

    first = re.search(r"<tbody><tr><td[^>]*>(\d+)</td><td[^>]*><b>([^<]+)</b>", page[page.index('id="best"') :])
    assert int(first[1]) == best.id
    assert float(first[2]) == pytest.approx(min(r["score"] for r in best.records), abs=1e-4)


@pytest.mark.parametrize("count", [0, 1, 3, 12])
def test_few_trials_have_a_page_too(count):
    read = Whole(trials_page(SPACE, some(count)))

    assert read.open == []
    assert ("No trial has a score yet." in read.texts) == (count == 0)


def test_where_all_failed():
    failed = [
        Trial(id=i, change={"lr": 0.1, "name": "adam", "batch": 16, "layers": 1}, state="failed", reason="x")
        for i in range(12)
    ]

    read = Whole(trials_page(SPACE, failed))

    assert read.sections == ["findings", "endings"]  # all are one configuration


def test_one_unit_and_one_parameter():
    trials = [Trial(id=i, change={"x": i / 20}, records=({"score": i / 20},), state="done") for i in range(20)]

    read = Whole(trials_page({"x": Real(0, 1)}, trials))

    assert "parallel" not in read.sections
    assert "curves" in read.sections


def test_many_trials_stay_a_page_of_reasonable_size():
    page = trials_page(SPACE, some(3000, units=27))

    assert len(page) < 500_000
    assert len(trials_page(SPACE, some(3000, units=27)[:600])) > 0.6 * len(page)  # it grows no more


def test_a_study_in_a_folder(tmp_path):
    from tunesmith.search.study import Study

    with Search(SPACE, 3, total=24, sampler="random", budget="full", folder=tmp_path / "first", seed=4) as search:
        for _ in range(8):
            proposal = search.ask()
            search.tell(proposal.trial, [{"score": proposal.config["layers"] + 1 / unit} for unit in (1, 2, 3)])

    page = study_page(Study(tmp_path / "first"))

    assert "<h1>first</h1>" in page
    assert "sampler random" in page
    assert "max budget 3" in page


def test_nothing_is_fetched():
    page = trials_page(SPACE, some(30))

    assert not re.search(r"(src|href)=\"(https?:)?//", page)

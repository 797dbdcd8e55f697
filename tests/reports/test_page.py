"""The page of a run."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from tunesmith.records import Recipe
from tunesmith.reports.page import page, runs_page
from tunesmith.runs import Run

MakeRun = Callable[..., Run]
VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = "<script>alert('x')</script>\"&"


class Balanced(HTMLParser):
    """Fails where an element is closed that is not open; keeps what stands in the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("multiclass", None), ("binary", ["no", "yes"]), ("regression", []), ("multiclass", [f"k{i}" for i in range(45)])],
)
def test_the_page_is_whole_and_fetches_nothing(make_run: MakeRun, kind: str, labels: list[str] | None) -> None:
    html = page(make_run(kind, labels))

    found = parsed(html)
    addresses = [value or "" for name, value in found.attributes if name in ("src", "href", "data", "action")]
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in addresses)
    assert "url(http" not in html
    assert "@import" not in html
    assert "nan" not in re.findall(r' d="([^"]*)"', html)


def test_every_drawing_is_well_formed(make_run: MakeRun) -> None:
    html = page(make_run("binary", ["no", "yes"]))

    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) >= 7
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert not re.search(r'(?:d|x|y|cx|cy|x1|y1|width|height)="[^"]*(?:nan|inf)[^"]*"', drawing)


def test_the_headline_tells_the_test_score_its_interval_and_the_baseline(make_run: MakeRun) -> None:
    run = make_run()

    words = " ".join(parsed(page(run)).words)

    judged = (run.scores or {})["parts"]["test"]
    assert f"{judged['scores']['accuracy']:.4f}" in words
    assert f"{judged['intervals']['accuracy'][0]:.4f} to {judged['intervals']['accuracy'][1]:.4f}" in words
    assert "baseline 0.1000" in words
    assert "2,000 test rows" in words


def test_settings_are_told_with_their_source_and_equation(make_run: MakeRun) -> None:
    words = " ".join(parsed(page(make_run(**{"optim.momentum": 0.8}))).words)

    assert "command line" in words
    assert "derived: 2 ** round(log2(34189 / 250))" in words
    assert "file: my.toml:3" in words
    assert "derived: train.batch_size x train.accumulate = 128 x 1" in words


def test_what_the_user_brought_is_escaped_everywhere(make_run: MakeRun) -> None:
    run = make_run("multiclass", [EVIL, "b", "c"])
    with run.writer() as writer:
        writer.set_status("finished", title=EVIL, command=["tunesmith", "fit", EVIL])
        item = {
            "row": 1,
            "truth": EVIL,
            "prediction": EVIL,
            "probability": 0.5,
            "loss": 1.0,
            "name": EVIL,
            "text": EVIL,
        }
        writer.write_json("samples/test", {"kind": "text", "items": [item]})
        column = {"name": EVIL, "kind": EVIL, "missing": 0, "values": EVIL, "encoding": EVIL}
        writer.write_json("data/columns", [column])
        writer.traceback(EVIL)

    html = page(run)

    assert "<script>alert" not in html
    assert parsed(html).seen.count("script") == 1


def test_pictures_travel_inside_the_page(make_run: MakeRun) -> None:
    html = page(make_run())

    assert html.count("data:image/png;base64,iVBOR") == 12


def test_a_picture_outside_the_run_is_not_read(make_run: MakeRun, tmp_path: Any) -> None:
    run = make_run()
    (tmp_path / "secret.png").write_bytes(b"\x89PNG secret")
    item = {"row": 1, "truth": "a", "prediction": "b", "probability": 0.5, "loss": 1.0, "picture": "../secret.png"}
    with run.writer() as writer:
        writer.write_json("samples/test", {"kind": "pictures", "items": [item]})

    html = page(run)

    assert "no picture" in html
    assert "data:image/png;base64," not in html.replace("img-src data:", "")


def test_table_rows_show_their_values(make_run: MakeRun) -> None:
    words = parsed(page(make_run("regression"))).words

    assert "<b>Köln</b>" in words
    assert "30.5" in words


def test_a_run_that_failed_before_anything_still_has_a_page(tmp_path: Any) -> None:
    run = Run.create(tmp_path / "early", recipe=Recipe())
    with run.writer() as writer:
        writer.traceback("Traceback\nDataError: the file is empty")
        writer.set_status("failed")

    words = " ".join(parsed(page(run)).words)

    assert "DataError: the file is empty" in words
    assert "there are no scores" in words


def test_a_run_with_infinite_and_missing_numbers_has_a_page(make_run: MakeRun) -> None:
    run = make_run()
    with run.writer() as writer:
        writer.begin_attempt(1800)
        writer.add("loss", np.arange(1801, 1901), np.where(np.arange(100) % 3 == 0, np.inf, np.nan))
        writer.evaluation({"epoch": 13, "step": 1950, "train_loss": float("nan"), "val_loss": None, "metric": None})
        scores = run.scores or {}
        scores["parts"]["test"]["scores"]["log_loss"] = None
        scores["parts"]["test"]["intervals"]["accuracy"] = [None, None]
        writer.write_json("scores", scores)

    html = page(run)

    assert not re.search(r' (?:d|points|x|y)="[^"]*nan', html)


def test_a_constant_curve_and_a_single_evaluation_are_drawn(tmp_path: Any) -> None:
    run = Run.create(tmp_path / "short", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("lr", np.arange(1, 9), np.full(8, 1e-3))
        writer.add("loss", [1], [0.0])
        writer.evaluation({"epoch": 1, "step": 8, "train_loss": 0.5, "val_loss": 0.5, "best": True, "lr": 1e-3})

    html = page(run)

    for drawing in re.findall(r"<svg.*?</svg>", html, re.S):
        assert "nan" not in drawing


def test_many_classes_are_a_picture_with_the_worst_pairs(make_run: MakeRun) -> None:
    html = page(make_run("multiclass", [f"k{i}" for i in range(45)]))

    assert 'class="matrix"' in html
    assert html.count('class="hit"') >= 40
    assert 'class="confusion"' not in html


def test_the_confusion_matrix_has_counts_and_shares_of_the_row(make_run: MakeRun) -> None:
    run = make_run("multiclass", ["a", "b"])
    with run.writer() as writer:
        scores = run.scores or {}
        scores["parts"]["test"]["confusion"] = [[30, 10], [0, 50]]
        writer.write_json("scores", scores)

    found = parsed(page(run)).words

    assert found[found.index("30") + 1] == "75.0 %"
    assert found[found.index("10") + 1] == "25.0 %"


def test_runs_beside_each_other_show_what_differs(make_run: MakeRun) -> None:
    runs = [make_run(name="one"), make_run(name="two", **{"model.width": 64})]

    words = parsed(runs_page(runs)).words

    assert {"one", "two", "model.width", "64", "auto"} <= set(words)
    assert "train.precision" not in words


def test_the_same_run_gives_the_same_page(make_run: MakeRun) -> None:
    run = make_run()

    assert page(run) == page(run)

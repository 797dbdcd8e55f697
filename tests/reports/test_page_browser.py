"""Pages in a browser: findings at the pointer and on paper, nothing cut off in print, readable on a telephone."""

import pytest

from tests.reports.test_pins import SPIKE, found_in
from tests.reports.test_tuned_page import searched, written
from tests.reports.test_tuned_page_browser import browser, pytestmark  # noqa: F401
from tunesmith.reports.page import page as page_of
from tunesmith.reports.tuned_page import tuned_page
from tunesmith.runs.tuning import read_tuning

A4 = 718  # pixels between margins of 1 cm
SAID = "loss.spike: the <loss> leaps to 9.0"


@pytest.fixture
def run_page(make_run, tmp_path):
    file = tmp_path / "run.html"
    file.write_text(page_of(found_in(make_run(), (1799, SPIKE))), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def tuning_page(tmp_path):
    written(tmp_path)
    searched(tmp_path / "steps" / "search-1", seed=1)
    file = tmp_path / "tuning.html"
    file.write_text(tuned_page(read_tuning(tmp_path)), encoding="utf-8")
    return file.as_uri()


def test_a_finding_is_told_where_the_pointer_meets_its_mark(browser, run_page):  # noqa: F811
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(run_page)
    chart = page.locator("figure", has=page.locator("figcaption:text-is('Loss')"))
    disc = chart.locator(".pin.error circle")
    page.evaluate("(one) => one.scrollIntoView({block: 'center'})", disc.element_handle())
    box = disc.bounding_box()

    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    near = chart.locator(".tip").inner_text()
    page.mouse.move(box["x"] + 200, box["y"] - 40)
    away = chart.locator(".tip").inner_text()

    assert f"1 {SAID}" in near
    assert SAID not in away
    page.close()


def test_without_a_script_the_legend_and_the_title_tell_it(browser, run_page):  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(run_page)

    assert "loss.spike at update 300, epoch 2: the <loss> leaps to 9.0" in page.locator(".pins").inner_text()
    assert page.locator(".pin.error title").first.text_content() == SAID
    context.close()


@pytest.mark.parametrize("which", ["run_page", "tuning_page"])
def test_nothing_is_cut_off_on_paper_and_dark_becomes_light(which, browser, request):  # noqa: F811
    context = browser.new_context(viewport={"width": A4, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.goto(request.getfixturevalue(which))
    page.emulate_media(media="print", color_scheme="dark")

    ends = page.evaluate(
        "[...document.querySelectorAll('table, figure, .finding, p, pre, .wide, .pins')]"
        ".filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().right)"
    )

    assert max(ends) <= A4 + 1
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.c1')).color") == "rgb(47, 98, 201)"
    assert not page.locator("nav").is_visible()
    assert len(page.pdf(format="A4")) > 20_000
    context.close()


def test_on_a_telephone_the_words_of_a_chart_can_be_read_and_the_widest_one_is_moved(browser, tuning_page):  # noqa: F811
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(tuning_page)

    shown = page.evaluate(
        "(() => { const chart = document.querySelector('#search .chart');"
        " return 15 * chart.getBoundingClientRect().width / chart.viewBox.baseVal.width; })()"
    )
    wide = page.locator(".scroll > .wide")

    assert page.evaluate("getComputedStyle(document.querySelector('#search .chart .tick')).fontSize") == "15px"
    assert shown >= 9  # pixels
    assert wide.bounding_box()["width"] >= 800
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()

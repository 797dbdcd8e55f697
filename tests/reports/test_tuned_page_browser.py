"""The page of a tuning in a browser: nothing sticks out at 1280 and at 400 pixels, and the first screen has the answers."""

import shutil

import pytest

from tests.reports.test_tuned_page import QUESTIONS, written
from tunesmith.reports.tuned_page import tuned_page
from tunesmith.runs.tuning import read_tuning

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is not installed")
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]
QUIET = ("--no-sandbox", "--disable-gpu")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("script", [True, False])
def test_it_fits_and_answers_with_and_without_the_script(width, script, browser, tmp_path):
    written(tmp_path)
    (tmp_path / "page.html").write_text(tuned_page(read_tuning(tmp_path)), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto((tmp_path / "page.html").as_uri())
    picture = page.screenshot(path=str(tmp_path / f"page-{width}.png"))

    wide = [
        box["x"] + box["width"]
        for box in map(_box, page.locator("header, .verdict, .tile, .questions div, section").all())
    ]
    assert max(wide) <= width
    assert all(page.get_by_text(question).is_visible() for question in QUESTIONS)
    assert page.locator(".verdict").bounding_box()["y"] < 300
    assert len(picture) > 10_000
    assert errors == []
    context.close()


def _box(element):
    return element.bounding_box()


def test_dark_and_light_differ_and_both_can_be_read(browser, tmp_path):
    written(tmp_path)
    (tmp_path / "page.html").write_text(tuned_page(read_tuning(tmp_path)), encoding="utf-8")
    seen = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        seen[scheme] = [
            page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
        ]
        context.close()

    assert seen["light"] != seen["dark"]
    assert all(colour != ground for colour, ground in seen.values())

"""The page in a browser, while a real training goes on in another process: what a person sees and presses."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.reports.live.conftest import filled, searched, serving
from tunesmith.runs import Run
from tunesmith.search.study import Study

pytest.importorskip("starlette", reason="the extra `ui` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is not installed")
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")]
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")

PROGRAM = """
    import sys, time
    import torch
    from torch import nn
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay
    from tunesmith.training.guards import Action, Guard

    X = torch.randn(800, 8, generator=torch.Generator().manual_seed(0))
    y = (X[:, 0] > X[:, 1]).long()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))

        def forward(self, x):
            if self.training:
                time.sleep(0.01)
            return self.layers(x)

    task = ts.Task(Net(), (X[:600], y[:600]), val=(X[600:700], y[600:700]), test=(X[700:], y[700:]), loss=nn.CrossEntropyLoss())

    class Late(Guard):
        told = False  # it finds something once the page has had time to open

        def after_evaluation(self, state, row):
            if self.told or state.step < 1200:
                return None
            self.told = True
            found = ts.Finding(fault="loss.spike", severity="warning", message="loss {peak}", values={"peak": 9.0})
            return Action(kind="continue", finding=found, because="a test")

    recipe = {"train.epochs": 2000, "train.batch_size": 16, "optim.lr": 0.02, "train.patience": None}
    ts.fit(task, recipe, folder=sys.argv[1], display=QuietDisplay(), guards=[Late()])
"""


SLOW_NET = """
    import os, time
    import torch
    from torch import nn
    import tunesmith as ts

    X = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    y = (X[:, 0] > X[:, 1]).long()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))

        def forward(self, x):
            if self.training:
                time.sleep(float(os.environ.get("PAUSE", 0)))
            return self.layers(x)

    def task():
        return ts.Task(Net, (X[:200], y[:200]), val=(X[200:250], y[200:250]), test=(X[250:], y[250:]), kind="binary")

    task = task()
"""


@pytest.fixture
def training(folder: Path) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A training in a process of its own, and its run folder."""
    place = folder / "alive"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(PROGRAM), str(place)], env=environment) as process:
        try:
            awaited(lambda: (place / "run.json").exists() and bool(Run(place).evaluations), 90)
            yield place, process
        finally:
            process.kill()


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a browser; whatever it complains of fails the test."""
    complaints: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        made = browser.new_page(viewport={"width": 1280, "height": 900})
        made.set_default_timeout(30_000)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        made.complaints = complaints
        yield made
        browser.close()


def awaited(true: Callable[[], Any], seconds: float = 30) -> Any:
    ends = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.2)
    return found


def steps_drawn(page: Any) -> int:
    """The last update that the chart of the loss holds."""
    return int(page.evaluate('shown.charts()[0].curves.get(\'["loss",""]\').steps.at(-1)'))


def test_curves_grow_a_finding_appears_and_the_button_stops_the_training(training: Any, page: Any) -> None:
    place, process = training
    with serving(place.parent, control=True) as asked:
        page.goto(f"{asked.url}/#/at/alive")
        page.wait_for_selector(".uplot canvas")
        page.wait_for_selector("h1 .status.running")
        first = steps_drawn(page)

        awaited(lambda: steps_drawn(page) > first + 20)
        page.wait_for_selector(".finding.new.warning code:text('loss.spike')")
        rows = page.locator("section:has(h2:text('Evaluations')) tbody tr").count()
        drawn = page.evaluate('shown.charts()[0].curves.get(\'["loss",""]\').steps')
        page.get_by_role("button", name="Save and stop").click()

        process.wait(30)
        page.wait_for_selector("h1 .status.interrupted")
        assert page.get_by_role("button", name="Save and stop").count() == 0

    run = Run(place)
    assert run.info["ending"] == "interrupted"
    assert (place / "checkpoints" / "last.json").exists()
    assert rows >= 1
    assert drawn == sorted(drawn)
    assert page.complaints == []


def started(work: Path, *words: str, pause: float) -> "subprocess.Popen[bytes]":
    """A command on the net of SLOW_NET, which sleeps at each step."""
    (work / "slow_net.py").write_text(textwrap.dedent(SLOW_NET))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PAUSE": str(pause)}
    environment["PYTHONPATH"] = os.pathsep.join([str(work), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tunesmith.cli", *words]
    return subprocess.Popen(command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_the_button_stops_a_search_which_then_goes_on_to_its_end(tmp_path: Path, page: Any) -> None:
    place = tmp_path / "studies" / "first"
    words = (
        "search",
        "--task",
        "slow_net:task",
        "--folder",
        str(place),
        "--budget",
        "24 epochs",
        "--epochs",
        "4",
        "--confirm",
        "0",
    )
    with started(tmp_path, *words, pause=0.05) as process:
        try:
            awaited(lambda: (place / "study.json").exists() and Study(place).trials.spent > 0, 90)
            with serving(place.parent, control=True) as asked:
                page.goto(f"{asked.url}/#/at/first")
                page.wait_for_selector("h1 .status.running")
                page.get_by_role("button", name="Stop the search").click()

                process.wait(60)
                page.wait_for_selector("h1 .status.interrupted")
                assert page.get_by_role("button", name="Stop the search").count() == 0
        finally:
            process.kill()
    assert process.returncode == 130
    assert not (place / "stop").exists()
    before = Study(place).trials

    with started(tmp_path, *words, "--resume", pause=0) as process:
        said, _ = process.communicate(timeout=240)

    after = Study(place).trials
    assert process.returncode == 0, said
    assert 0 < before.spent < after.spent == 24
    assert [one.change for one in after][: len(before)] == [one.change for one in before]
    assert page.complaints == []


def test_the_button_stops_the_search_of_a_tuning_which_then_goes_on(tmp_path: Path, page: Any) -> None:
    place = tmp_path / "tuned" / "slow"
    words = ("tune", "--task", "slow_net:task", "--folder", str(place), "--budget", "40 epochs")
    words += ("--set", "train.epochs=3", "--set", "train.threads=1")
    study = place / "steps" / "search-1"
    with started(tmp_path, *words, pause=0.05) as process:
        try:
            awaited(lambda: (study / "study.json").exists() and Study(study).trials.spent > 0, 200)
            with serving(place, control=True) as asked:
                page.goto(f"{asked.url}/#/at/{quote('steps/search-1', safe='')}")
                page.get_by_role("button", name="Stop the search").click()

                said, _ = process.communicate(timeout=60)
                page.wait_for_selector("h1 .status.interrupted")
        finally:
            process.kill()
    assert process.returncode == 130, said
    before = Study(study).trials.spent

    with started(tmp_path, "tune", "--folder", str(place), "--resume", pause=0) as process:
        said, _ = process.communicate(timeout=400)

    assert process.returncode == 0, said
    assert Study(study).trials.spent > before
    assert "handed over" in (place / "report.html").read_text()
    assert page.complaints == []


def test_a_finding_comes_up_while_the_page_is_open(folder: Path, page: Any) -> None:
    from tests.reports.live.conftest import LEAP, going_on

    run = Run(folder / "first")
    with going_on(run) as writer, serving(folder) as asked:
        page.goto(f"{asked.url}/#/at/first")
        page.wait_for_selector(".finding")
        before = page.locator(".finding").count()
        writer.finding(LEAP, 99)

        page.wait_for_selector(".finding.new")

        assert page.locator(".finding").count() == before + 1
        assert page.locator(".finding p").first.inner_text() == "<b>loss</b> 9 at step 40, recent level 1"
        assert page.title().startswith("(2) ")
        assert page.get_by_role("button", name="Save and stop").count() == 0  # it only looks
    assert page.complaints == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_the_window(folder: Path, page: Any, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    with serving(folder) as asked:
        for path, wanted in (("#/", "table.rows tr"), ("#/at/first", ".uplot canvas"), ("#/at/study", ".uplot canvas")):
            page.goto(f"{asked.url}/{path}")
            page.wait_for_selector(wanted)
            page.wait_for_selector(".line-state.live")

            assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []


def test_dragging_looks_closer_and_the_whole_comes_back(folder: Path, page: Any) -> None:
    filled(folder / "long", steps=5000)
    with serving(folder) as asked:
        page.goto(f"{asked.url}/#/at/long")
        box = page.locator(".uplot .u-over").first.bounding_box()
        assert page.evaluate('shown.charts()[0].curves.get(\'["loss",""]\').exact') is False
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 50, steps=5)
        page.mouse.up()

        awaited(lambda: page.evaluate("shown.charts()[0].zoomed !== null"))

        first, last = page.evaluate("shown.charts()[0].zoomed")
        curve = page.evaluate('shown.charts()[0].curves.get(\'["loss",""]\')')
        assert 2400 < first < last < 2850
        assert curve["exact"]
        assert curve["steps"] == list(range(curve["steps"][0], curve["steps"][-1] + 1))
        page.get_by_role("button", name="whole").first.click()
        awaited(lambda: page.evaluate("shown.charts()[0].zoomed === null"))
    assert page.complaints == []


def touched(page: Any, *steps: list[tuple[float, float]]) -> None:
    """Fingers that are put down, moved and lifted: each step has the places of all of them."""
    session = page.context.new_cdp_session(page)
    for number, places in enumerate(steps):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        kind = "touchStart" if number == 0 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_two_fingers_look_closer_one_moves_the_window_and_pinched_together_the_whole_comes_back(
    folder: Path, page: Any
) -> None:
    filled(folder / "long", steps=5000)
    hand = page.context.browser.new_page(viewport={"width": 400, "height": 900}, has_touch=True)
    complaints: list[str] = []
    hand.on("pageerror", lambda error: complaints.append(str(error)))
    with serving(folder) as asked:
        hand.goto(f"{asked.url}/#/at/long")
        hand.wait_for_selector(".uplot canvas")
        hand.locator(".uplot .u-over").first.scroll_into_view_if_needed()
        box = hand.locator(".uplot .u-over").first.bounding_box()
        left, wide, y = box["x"], box["width"], box["y"] + 80

        def at(*shares: float) -> list[tuple[float, float]]:
            return [(left + share * wide, y) for share in shares]

        def window() -> Any:
            return hand.evaluate("shown.charts()[0].zoomed")

        touched(
            hand, at(0.4, 0.6), at(0.3, 0.7), at(0.2, 0.8)
        )  # thrice as far apart: a third of the steps, around the middle
        awaited(lambda: hand.evaluate('shown.charts()[0].curves.get(\'["loss",""]\').steps.length') != 0 and window())
        hand.wait_for_function(
            "(() => { const [first, last] = shown.charts()[0].zoomed; return last - first < 1800; })()"
        )
        first, last = window()
        awaited(lambda: min(hand.evaluate('shown.charts()[0].curves.get(\'["loss",""]\').steps')) > 1000)

        touched(hand, at(0.8), at(0.7), at(0.5))  # to the left: what comes later
        awaited(lambda: window()[0] > first)
        later, end = window()

        touched(hand, at(0.1, 0.9), at(0.3, 0.7), at(0.45, 0.55))
        awaited(lambda: window() is None)

    assert first == pytest.approx(1667, abs=60)
    assert last == pytest.approx(3334, abs=60)
    assert later - first == pytest.approx(0.3 * (last - first), abs=40)
    assert end - later == pytest.approx(last - first, abs=3)
    assert complaints == []


def test_one_finger_on_the_whole_shows_the_values_and_moves_nothing(folder: Path, page: Any) -> None:
    hand = page.context.browser.new_page(viewport={"width": 400, "height": 900}, has_touch=True)
    with serving(folder) as asked:
        hand.goto(f"{asked.url}/#/at/first")
        hand.wait_for_selector(".uplot canvas")
        box = hand.locator(".uplot .u-over").first.bounding_box()
        latest = hand.locator(".panel .legend button span").first.inner_text()

        touched(hand, [(box["x"] + 40, box["y"] + 50)], [(box["x"] + 20, box["y"] + 50)])

        assert hand.evaluate("shown.charts()[0].zoomed") is None
        assert hand.locator(".panel .legend button span").first.inner_text() != latest


def test_a_wrong_token_is_refused_and_the_right_one_let_in(folder: Path, page: Any) -> None:
    searched(folder / "other")
    with serving(folder, host="0.0.0.0") as asked:
        page.goto(f"{asked.url}/?token=wrong-token")
        refused = page.locator("h1").inner_text()
        page.locator("input[name=token]").fill(asked.server.door.token)
        page.get_by_role("button", name="Open").click()

        page.wait_for_selector("table.rows tr")

        assert refused == "This page asks for a token"
        assert "token" not in page.url
    assert [one for one in page.complaints if "401" not in one] == []

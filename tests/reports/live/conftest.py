"""Folders with runs and searches, and a page that is served from a thread."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.records import Evidence, Finding, Recipe, Remedy, Safety
from tunesmith.runs import Run, RunWriter
from tunesmith.runs.following import place_of
from tunesmith.search import Real
from tunesmith.search.ask import Search

LEAP = Finding(
    fault="loss.spike",
    severity="warning",
    message="<b>loss</b> {peak:.3g} at step {step}, recent level {level:.3g}",
    values={"peak": 9.0, "step": 40, "level": 1.0},
    evidence=(Evidence(name="loss", value=9.0, threshold=2.0, source="a test", step=40),),
    remedies=(Remedy(title="clip the gradient norm", safety=Safety.RISKY, change={"optim.clip_norm": 1.0}),),
    confidence=0.7,
)


def filled(folder: Path, steps: int = 100, **info: Any) -> Run:
    """A run that has ended, with a curve and two evaluations."""
    run = Run.create(folder, recipe=Recipe(), info={"title": "digits", "steps": steps, "epochs": 2, **info})
    with run.writer() as writer:
        writer.begin_attempt()
        more(writer, 1, steps + 1)
        writer.evaluation(
            {"epoch": 1, "step": steps // 2, "val_loss": 0.5, "metric": "accuracy", "score": 0.8, "best": True}
        )
        writer.evaluation(
            {"epoch": 2, "step": steps, "val_loss": 0.6, "metric": "accuracy", "score": 0.7, "best": False}
        )
        writer.finding(LEAP, 40)
        writer.decision("change", "as told", {"optim.lr": 0.1}, 50)
        writer.set_status("finished", ending="finished")
    return run


@contextmanager
def going_on(run: Run) -> Iterator[RunWriter]:
    """Its writer, after all that was written."""
    row = place_of(run).row
    with run.writer() as writer:
        writer.begin_attempt(0, row)
        yield writer


def more(writer: RunWriter, start: int, stop: int) -> None:
    """Further points of the loss, on the disk."""
    steps = np.arange(start, stop)
    writer.add("loss", steps, 1 / steps)
    writer.add("grad_norm", steps, steps % 7, where="layer.0")
    writer.flush()


def searched(folder: Path, trials: int = 4) -> Path:
    """A search of a few trials: half of them whole, the last stopped."""
    with Search(
        {"x": Real(0, 1)},
        3,
        total=3 * trials,
        sampler="random",
        budget="full",
        folder=folder,
        about={"subject": "a test"},
    ) as search:
        for number in range(trials):
            proposal = search.ask()
            rows = [
                {
                    "score": -proposal.config["x"] - 0.01 * unit,
                    "metric": "accuracy",
                    "value": proposal.config["x"] + 0.01 * unit,
                }
                for unit in range(3)
            ]
            if number == trials - 1:
                rows = [*rows[:1], {**rows[1], "cause": "loss.diverging"}]
            search.tell(proposal.trial, rows)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs and a search, and what is neither."""
    root = tmp_path / "all"
    filled(root / "first")
    filled(root / "group" / "second")
    searched(root / "study")
    (root / "notes").mkdir()
    (root / "notes" / "run.json.txt").write_text("{}")
    return root


class Asked:
    """A page that is served, asked over its address."""

    def __init__(self, url: str) -> None:
        self.url = url.partition("?")[0].rstrip("/")

    def __call__(self, path: str, headers: dict[str, str] | None = None, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def stream(self, wishes: Any) -> "Stream":
        query = urllib.parse.urlencode({"wishes": json.dumps(wishes)})
        return Stream(urllib.request.urlopen(f"{self.url}/api/stream?{query}", timeout=10))


class Stream:
    """Server-sent events, read one by one."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[dict[str, Any]] = []

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self.answer.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self.answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        """The first message like this, of those that came already too."""
        for message in self.seen:
            if wanted(message):
                return message
        ends = time.monotonic() + seconds
        for message in self:
            self.seen.append(message)
            if wanted(message):
                return message
            assert time.monotonic() < ends, "no such message came"
        raise AssertionError("the stream ended")


@contextmanager
def serving(root: Path, **given: Any) -> Iterator[Any]:
    """A page at a free port; gives what asks it, with the server as `server`."""
    pytest.importorskip("starlette", reason="the extra `ui` is not installed")
    pytest.importorskip("uvicorn", reason="the extra `ui` is not installed")
    from tunesmith.reports.live.serving import server

    made = server(root, port=0, **given)
    made.hub.look_seconds = 0.1
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        asked = Asked(made.url)
        asked.server = made  # type: ignore[attr-defined]
        yield asked
    finally:
        made.end()
        thread.join(10)
        assert not thread.is_alive()

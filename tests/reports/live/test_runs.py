"""A run that is followed: its summary, and what each look finds."""

import time
from pathlib import Path

from tests.reports.live.conftest import LEAP, filled, more
from tunesmith.records import Recipe
from tunesmith.reports.live.places import Place
from tunesmith.reports.live.runs import FollowedRun, event_of
from tunesmith.runs import Run


def followed(run: Run) -> FollowedRun:
    return FollowedRun(Place("run", "run", run.folder))


def test_the_summary_says_where_a_run_stands(tmp_path: Path) -> None:
    one = followed(filled(tmp_path / "run"))

    one.look(time.time())

    told = one.summary
    assert (told["status"], told["step"], told["steps"], told["loss"]) == ("finished", 100, 100, 0.01)
    assert (told["best"]["score"], told["evaluation"]["score"], told["epoch"]) == (0.8, 0.7, 2)
    assert told["found"] == {"error": 0, "warning": 1, "note": 0}
    assert not told["obeys"]


def test_a_look_finds_what_was_written_since_the_last_one(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())
    one = followed(run)
    with run.writer() as writer:
        writer.set_status(obeys=["save", "stop"])
        writer.begin_attempt()
        first = one.look(time.time())
        more(writer, 1, 11)
        second = one.look(time.time())
        running = dict(one.summary)
        writer.finding(LEAP, 10)
        third = one.look(time.time())
        fourth = one.look(time.time())
    one.look(time.time())

    assert first is None
    assert second is not None
    assert second.points["loss", ""][0].tolist() == list(range(1, 11))
    assert (running["status"], running["obeys"], running["step"]) == ("running", True, 10)
    assert third is not None
    assert [kind for _, kind, _ in third.events] == ["finding"]
    assert fourth is None
    assert one.summary["found"]["warning"] == 1
    assert one.summary["status"] == "interrupted"  # nobody holds the lock
    assert not one.summary["obeys"]


def test_a_run_that_went_back_is_read_anew(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())
    one = followed(run)
    with run.writer() as writer:
        writer.begin_attempt()
        more(writer, 1, 11)
        mark = writer.mark()
        more(writer, 11, 31)
        one.look(time.time())
        writer.begin_attempt(10, mark)
        found = one.look(time.time())

    assert found is not None
    assert not found.whole
    assert one.summary["step"] == 10


def test_a_run_nobody_touches_is_not_opened_again(tmp_path: Path, monkeypatch) -> None:
    one = followed(filled(tmp_path / "run"))
    late = time.time() + 60
    one.look(late)
    one.look(late)  # reading makes the files beside the log anew, where they are gone
    monkeypatch.setattr(one, "_read", lambda: 1 / 0)

    assert one.look(late + 1) is None


def test_what_happened_is_text_and_never_a_missing_number() -> None:
    finding = event_of(7, "finding", LEAP.as_dict() | {"step": 40, "confidence": float("nan")})
    strange = event_of(8, "finding", {"fault": "x", "message": "of another version"})
    row = event_of(9, "evaluation", {"epoch": 1, "val_loss": float("inf"), "secret": object()})

    assert finding["because"] == "<b>loss</b> 9 at step 40, recent level 1"
    assert finding["confidence"] is None
    assert finding["remedies"] == [{"title": "clip the gradient norm", "change": {"optim.clip_norm": "1.0"}}]
    assert strange["because"] == "of another version"
    assert row == {"number": 9, "kind": "evaluation", "epoch": 1, "val_loss": None}

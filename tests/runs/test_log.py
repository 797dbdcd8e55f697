import sqlite3

import numpy as np
import pytest

from tunesmith.records import Finding, Recipe, RunError
from tunesmith.runs import MemoryWriter, Run
from tunesmith.runs.log import MANY, SMALL


@pytest.fixture(params=["folder", "memory"])
def logged(request, tmp_path):
    """A writer and the reader of the same log."""
    if request.param == "memory":
        writer = MemoryWriter()
        yield writer, writer
        return
    run = Run.create(tmp_path / "r", recipe=Recipe())
    with run.writer() as writer:
        yield writer, run


def add(writer, first, last, value, flush_every=1):
    for start in range(first, last, flush_every):
        steps = np.arange(start, min(start + flush_every, last))
        writer.add("loss", steps, np.full(len(steps), float(value)))
        writer.flush()


def test_a_replay_never_doubles_a_step(logged):
    writer, run = logged
    writer.begin_attempt()
    add(writer, 0, 100, 1)
    mark = writer.mark()
    add(writer, 100, 150, 2)
    writer.begin_attempt(100, mark)
    add(writer, 100, 130, 3)
    writer.flush()

    steps, values = run.signals.read("loss")

    assert steps.tolist() == list(range(130))
    assert values.tolist() == [1.0] * 100 + [3.0] * 30
    assert len(run.signals.read("loss", superseded=True)[0]) == 180


@pytest.mark.parametrize("size", [1, 3, 300])
def test_a_mark_cuts_between_the_parts_of_joined_chunks_and_of_buckets(logged, size):
    writer, run = logged
    writer.begin_attempt()
    add(writer, 0, 999, 1, size)
    mark = writer.mark()
    add(writer, 999, 2000, 2, size)
    writer.begin_attempt(999, mark)
    add(writer, 999, 1500, 3, size)
    writer.flush()

    steps, values = run.signals.read("loss")
    curve = run.signals.curve("loss", points=5)

    assert steps.tolist() == list(range(1500))
    assert values.tolist() == [1.0] * 999 + [3.0] * 501
    assert set(np.unique(curve.low)) | set(np.unique(curve.high)) == {1.0, 3.0}


def test_going_back_twice_keeps_to_the_earliest_mark(logged):
    writer, run = logged
    writer.begin_attempt()
    add(writer, 0, 10, 1)
    early = writer.mark()
    add(writer, 10, 20, 1)
    late = writer.mark()
    writer.begin_attempt(20, late)
    add(writer, 20, 30, 2)
    writer.begin_attempt(10, early)
    add(writer, 10, 12, 3)
    writer.flush()

    steps, values = run.signals.read("loss")

    assert steps.tolist() == list(range(12))
    assert values.tolist() == [1.0] * 10 + [3.0] * 2


def test_a_start_without_a_checkpoint_supersedes_everything(logged):
    writer, run = logged
    writer.begin_attempt()
    add(writer, 0, 10, 1)
    writer.evaluation({"step": 10, "val_loss": 1.0})
    writer.begin_attempt()

    assert run.signals.names() == []
    assert len(run.signals.read("loss")[0]) == 0
    assert len(run.signals.curve("loss").steps) == 0
    assert run.evaluations == []
    assert run.history("evaluation") == [{"step": 10, "val_loss": 1.0}]


def test_events_are_superseded_as_signals_are(logged):
    writer, run = logged
    writer.begin_attempt()
    writer.evaluation({"step": 1, "score": 0.5})
    mark = writer.mark()
    writer.evaluation({"step": 2, "score": 0.6})
    writer.finding(Finding(fault="a.b", severity="note", message="m"), 2)
    writer.decision("stop", "enough", {"optim.lr": 0.1}, 2)
    writer.begin_attempt(1, mark)
    writer.evaluation({"step": 2, "score": 0.7})

    assert [row["score"] for row in run.evaluations] == [0.5, 0.7]
    assert run.findings == []
    assert run.decisions == []
    assert [row["score"] for row in run.history("evaluation")] == [0.5, 0.6, 0.7]


def test_attempts_are_numbered_and_say_how_they_began(logged):
    writer, run = logged
    writer.begin_attempt(seed=7)
    mark = writer.mark()
    writer.begin_attempt(5, mark)

    first, second = run.attempts

    assert (first["number"], first["first_step"], first["mark"], first["seed"]) == (1, 0, 0, 7)
    assert (second["number"], second["first_step"], second["mark"]) == (2, 5, mark)
    assert first["pid"] > 0
    assert isinstance(first["command"], list)
    assert first["started"] <= second["started"]


def test_steps_only_rise_within_an_attempt_and_a_refused_flush_changes_nothing(logged):
    writer, run = logged
    writer.begin_attempt()
    add(writer, 0, 10, 1)
    writer.add("loss", [9, 5], [0.0, 0.0])

    with pytest.raises(RunError, match="goes back to step 5 after step 9"):
        writer.flush()

    writer._held.clear()
    assert len(run.signals.read("loss")[0]) == 10


def test_nothing_is_logged_before_an_attempt(logged):
    writer, _ = logged

    with pytest.raises(RunError, match="no attempt has begun"):
        writer.evaluation({"step": 1})


def test_numbers_in_events_are_exact(logged):
    writer, run = logged
    writer.begin_attempt()

    writer.evaluation({"step": np.int64(3), "val_loss": 0.1 + 0.2, "score": float("nan"), "lr": float("inf")})

    (row,) = run.evaluations
    assert row["val_loss"] == 0.1 + 0.2
    assert np.isnan(row["score"])
    assert row["lr"] == float("inf")


def test_small_chunks_are_joined(tmp_path):
    run = Run.create(tmp_path / "r", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        add(writer, 0, 3 * MANY * MANY, 1)

    with sqlite3.connect(run.path("log.sqlite")) as database:
        rows = database.execute("SELECT count FROM chunk ORDER BY id").fetchall()
    database.close()

    assert len(rows) <= 3 * MANY * MANY / SMALL + MANY
    assert run.signals.read("loss")[0].tolist() == list(range(3 * MANY * MANY))


def test_ids_go_on_after_reopening(tmp_path):
    run = Run.create(tmp_path / "r", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        add(writer, 0, 5, 1)
        mark = writer.mark()
    with run.writer() as writer:
        writer.begin_attempt(5, mark)
        add(writer, 5, 9, 2)

        assert writer.mark() > mark

    assert run.signals.read("loss")[0].tolist() == list(range(9))


def test_a_mark_beyond_the_log_hides_nothing_that_comes_later(tmp_path):
    """A power cut may take rows that a checkpoint on another disk already counted."""
    run = Run.create(tmp_path / "r", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        writer.begin_attempt(5, 1000)
        add(writer, 5, 9, 2)
        mark = writer.mark()
        assert mark > 1000
    with run.writer() as writer:
        writer.begin_attempt(9, mark)

    assert run.signals.read("loss")[0].tolist() == [5, 6, 7, 8]


def test_a_damaged_log_is_told(tmp_path):
    run = Run.create(tmp_path / "r", recipe=Recipe())
    run.path("log.sqlite").write_bytes(b"no database at all" * 500)

    with pytest.raises(RunError, match=r"log.sqlite is damaged or no log"):
        run.signals.names()
    with pytest.raises(RunError, match=r"log.sqlite is damaged or no log"):
        run.writer()
    run.path("log.sqlite").unlink()
    with pytest.raises(RunError, match=r"lost its log.sqlite"):
        _ = run.evaluations

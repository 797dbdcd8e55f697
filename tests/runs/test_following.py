"""Following a log: all that is read piece by piece is what is read at once, whatever was joined or superseded."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.records import Finding, Recipe
from tunesmith.runs import MemoryWriter, Run
from tunesmith.runs.following import Place, last_events, latest, news, place_of

FOUND = Finding(fault="loss.spike", severity="warning", message="loss {peak}", values={"peak": 9.0})


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_the_pieces_are_the_whole_also_where_small_chunks_were_joined(sizes: list[int], every: int) -> None:
    writer = MemoryWriter(Recipe())
    writer.begin_attempt()
    at, step, pieces = place_of(writer), 0, [(np.empty(0, np.int64), np.empty(0))]
    for turn, size in enumerate(sizes):
        writer.add("loss", np.arange(step, step + size), np.arange(step, step + size) / 7)
        writer.add("lr", [turn], [0.1])
        writer.flush()
        step += size
        if turn % every == 0:
            found = news(writer, at)
            pieces += [points for key, points in found.points.items() if key == ("loss", "")]
            at = found.place
    pieces += [points for key, points in news(writer, at).points.items() if key == ("loss", "")]

    steps, values = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))

    expected = writer.signals.read("loss") if step else (np.empty(0), np.empty(0))
    assert steps.tolist() == expected[0].tolist()
    assert values.tobytes() == expected[1].tobytes()


def test_another_attempt_or_too_much_is_to_be_read_anew(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        start = place_of(run)
        writer.add("loss", np.arange(100), np.ones(100))
        writer.flush()
        few, much = news(run, start), news(run, start, most=99)
        writer.begin_attempt(50, start.row)

        again = news(run, few.place)

    assert few.whole
    assert len(few.points["loss", ""][0]) == 100
    assert (much.whole, much.points) == (False, {})
    assert (again.whole, again.place.attempt) == (False, 2)


def test_events_come_with_their_kind_and_once(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        start = place_of(run)
        writer.evaluation({"step": 1, "best": True})
        writer.evaluation({"step": 2, "best": False})
        writer.finding(FOUND, 2)

        found = news(run, start)
        nothing = news(run, found.place)

    assert [(kind, body.get("step")) for _, kind, body in found.events] == [
        ("evaluation", 1),
        ("evaluation", 2),
        ("finding", 2),
    ]
    assert (nothing.points, nothing.events) == ({}, ())
    assert [body["step"] for _, body in last_events(run, "evaluation", 1)] == [2]
    assert [body["step"] for _, body in last_events(run, "evaluation", 9, "json_extract(e.body, '$.best')")] == [1]


def test_the_last_point_is_the_one_in_sight(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", [1, 2], [0.5, 0.4])
        mark = writer.mark()
        writer.add("loss", [3], [0.3])
        writer.flush()
        before = latest(run, "loss")
        writer.begin_attempt(2, mark)

        after = latest(run, "loss")

    assert (before, after) == ((3, 0.3), (2, 0.4))
    assert latest(run, "nothing") is None


def test_new_rows_are_found_without_going_through_the_old_ones() -> None:
    writer = MemoryWriter(Recipe())
    writer.begin_attempt()
    writer.add("loss", [1], [1.0])
    writer.flush()

    with writer._opened() as database:
        plan = database.execute(
            "EXPLAIN QUERY PLAN SELECT s.name FROM chunk c CROSS JOIN attempt a CROSS JOIN series s WHERE c.id > ? "
            "AND a.number = c.attempt AND s.id = c.series AND c.first_id <= a.kept_to ORDER BY c.id",
            (0,),
        ).fetchall()

    assert [row[-1].split(" USING ")[1] for row in plan] == [
        "INTEGER PRIMARY KEY (rowid>?)",
        "INTEGER PRIMARY KEY (rowid=?)",
        "INTEGER PRIMARY KEY (rowid=?)",
    ]


@pytest.mark.parametrize("after", [Place(0, 0), Place(5, 1)])
def test_a_log_with_nothing_in_it_has_no_news(tmp_path: Path, after: Place) -> None:
    run = Run.create(tmp_path / "run", recipe=Recipe())

    found = news(run, after)

    assert found.points == {}
    assert found.events == ()

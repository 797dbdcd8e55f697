"""A search that is followed: the same as the study read whole, event by event."""

from pathlib import Path

import pytest

from tests.reports.live.conftest import searched
from tunesmith.reports.live.places import Place
from tunesmith.reports.live.studies import FollowedStudy
from tunesmith.search import Real
from tunesmith.search.ask import Search
from tunesmith.search.journal import FILE
from tunesmith.search.study import Study


def followed(folder: Path) -> FollowedStudy:
    return FollowedStudy(Place("study", "study", folder))


def test_it_stands_where_the_study_does(tmp_path: Path) -> None:
    folder = searched(tmp_path / "study")
    one = followed(folder)

    changed = [one.look(), one.look()]

    study, told = Study(folder), one.details()
    assert changed == [True, False]
    assert one.summary["trials"] == len(study.trials)
    assert (one.summary["spent"], one.summary["total"]) == (study.trials.spent, 12)
    assert one.summary["states"] == {"running": 0, "paused": 0, "done": 3, "stopped": 1, "failed": 0}
    assert one.summary["best"]["score"] == pytest.approx(-study.best_score)  # an accuracy: the sign is turned back
    assert (one.summary["metric"], one.summary["higher"], one.summary["status"]) == ("accuracy", True, "interrupted")
    assert told["so_far"][-1][1] == pytest.approx(-study.best_score)
    assert told["reasons"] == [["stopped", "loss.diverging", 1]]
    assert told["parameters"] == ["x"]
    assert [row["trial"] for row in told["rows"]] == [row["trial"] for row in study.best_rows()]
    assert len(told["curves"][0]["scores"]) == 3


def test_it_grows_with_the_journal_line_by_line(tmp_path: Path) -> None:
    lines = (searched(tmp_path / "whole") / FILE).read_bytes().splitlines(keepends=True)
    folder = searched(tmp_path / "study", 1)
    (folder / FILE).write_bytes(b"")
    one = followed(folder)
    one.look()

    seen = []
    for line in lines:
        half = len(line) // 2
        with (folder / FILE).open("ab") as file:
            file.write(line[:half])
        one.look()
        with (folder / FILE).open("ab") as file:
            file.write(line[half:])
        one.look()
        seen.append((one.summary["trials"], one.summary["spent"]))

    assert seen == [(1, 0), (1, 3), (2, 3), (2, 6), (3, 6), (3, 9), (4, 9), (4, 11)]
    (folder / FILE).write_bytes(b"".join(lines[:2]))
    one.look()
    assert (one.summary["trials"], one.summary["spent"]) == (1, 3)


def test_a_search_that_runs_shows_what_is_under_way(tmp_path: Path) -> None:
    one = None
    with Search({"x": Real(0, 1)}, 3, total=6, sampler="random", budget="full", folder=tmp_path / "study") as search:
        proposal = search.ask()
        search.checkpoint(proposal.trial, [{"score": 0.5}])
        one = followed(tmp_path / "study")

        one.look()

        running = one.details()["running"]
        assert (one.summary["status"], one.summary["under_way"]) == ("running", 1)
        assert not one.summary["obeys"]  # somebody's own loop asks and tells
        assert [(row["state"], row["units"], row["upto"], row["score"]) for row in running] == [("running", 1, 3, 0.5)]
    one.look()
    assert one.summary["status"] == "interrupted"

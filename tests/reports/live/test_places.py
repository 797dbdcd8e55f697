"""What is found in a folder, and that nothing outside it is."""

from pathlib import Path

import pytest

from tests.reports.live.conftest import filled, searched
from tunesmith.records import RunError
from tunesmith.reports.live.places import Place, checked, is_inside, places, trial_place


def test_runs_and_searches_are_found_within_two_levels(folder: Path) -> None:
    filled(folder / "group" / "deeper" / "third")

    found = places(folder)

    assert {id: one.kind for id, one in found.items()} == {"first": "run", "group/second": "run", "study": "study"}
    assert list(places(folder / "first")) == ["."]
    assert list(places(folder / "study")) == ["."]


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = filled(tmp_path / "secret").folder
    (folder / "link").symlink_to(secret)
    (folder / "half").mkdir()
    (folder / "half" / "run.json").symlink_to(secret / "run.json")
    (folder / "half" / "log.sqlite").symlink_to(secret / "log.sqlite")

    found = places(folder)

    assert set(found) == {"first", "group/second", "study"}
    assert not is_inside(Place("link", "run", folder / "link"), folder)


def test_a_trial_has_a_run_only_where_its_folder_holds_one(folder: Path, tmp_path: Path) -> None:
    study = places(folder)["study"]
    filled(study.folder / "trials" / "000001" / "run")
    outside = filled(tmp_path / "outside").folder
    (study.folder / "trials" / "000002").mkdir()
    (study.folder / "trials" / "000002" / "run").symlink_to(outside)

    found = [trial_place(study, trial) for trial in (0, 1, 2)]

    assert [one and one.id for one in found] == [None, "study/trials/1", None]


def test_a_folder_that_is_none_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()

    with pytest.raises(RunError, match=r"no folder .*nothing; give"):
        checked(tmp_path / "nothing")
    with pytest.raises(RunError, match="is a file; give"):
        checked(tmp_path / "file")
    with pytest.raises(RunError, match="empty holds no run and no search, within 2 levels"):
        checked(tmp_path / "empty")


def test_a_run_of_a_later_layout_is_refused(folder: Path) -> None:
    (folder / "first" / "run.json").write_text('{"layout": 99}')

    with pytest.raises(RunError, match="layout 99"):
        checked(folder / "first")


def test_of_a_tuning_the_runs_and_searches_of_its_steps_are_found(tmp_path: Path) -> None:
    tuning = tmp_path / "tuned" / "wine-1"
    tuning.mkdir(parents=True)
    (tuning / "tune.json").write_text("{}")
    assert checked(tuning) == tuning  # it has only begun
    filled(tuning / "steps" / "plain-net" / "run")
    searched(tuning / "steps" / "search-1")
    filled(tuning / "steps" / "search-1" / "trials" / "000000" / "run")

    assert set(places(tuning)) == {"steps/plain-net/run", "steps/search-1"}
    assert set(places(tmp_path / "tuned")) == {"wine-1/steps/plain-net/run", "wine-1/steps/search-1"}

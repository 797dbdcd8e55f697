"""Steps are kept when they are done, and made again when they were not."""

import json

import pytest

from tunesmith.autopilot.decision import Decision
from tunesmith.autopilot.ledger import Ledger, read_decisions
from tunesmith.autopilot.purse import Purse
from tunesmith.records import RunError


def test_a_step_is_made_once_also_by_the_next_process(tmp_path):
    made = []

    def step():
        made.append(1)
        return {"score": 0.5, "epochs": 3}

    first = Ledger(tmp_path)
    found = first.once("a", step)
    again = Ledger(tmp_path)

    assert found == again.once("a", step) == first.once("a", step) == {"score": 0.5, "epochs": 3}
    assert made == [1]
    assert again.spent["epochs"] == 3


def test_a_step_that_broke_or_was_torn_is_made_again(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.once("a", dict)
    with pytest.raises(ValueError, match="broken"):
        ledger.once("b", lambda: (_ for _ in ()).throw(ValueError("broken")))
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"step": "c", "seco')

    after = Ledger(tmp_path)
    after.once("b", lambda: {"made": "again"})

    assert set(after.done) == {"a", "b"}
    assert set(Ledger(tmp_path).done) == {"a", "b"}  # the torn line is gone, and what came after it is whole


def test_a_damaged_line_in_the_middle_is_told(tmp_path):
    (tmp_path / "steps.jsonl").write_text('{"step": \n{"begin": "a", "at": 1.0}\n')

    with pytest.raises(RunError, match=r"line 1.*damaged"):
        Ledger(tmp_path)


def test_what_an_unfinished_step_took_until_it_was_last_heard_of_counts(tmp_path):
    (tmp_path / "steps.jsonl").write_text(json.dumps({"begin": "search/1", "at": 1000.0}) + "\n")
    place = tmp_path / "steps" / "search-1"
    place.mkdir(parents=True)
    (place / "journal").write_text("x")
    import os

    os.utime(place / "journal", (1040.0, 1040.0))
    ledger = Ledger(tmp_path)

    assert ledger.before("search/1") == 40.0
    ledger.once("search/1", dict)
    assert 40.0 <= ledger.spent["seconds"] < 50.0


def test_decisions_are_told_and_read_back(tmp_path):
    told = []
    ledger = Ledger(tmp_path, told.append)
    one = Decision(stage="look", title="t", because="b", evidence={"rows": 3}, instead={"way": "w", "accuracy": 0.5})

    ledger.decide(one)

    assert told == read_decisions(tmp_path) == [one]


def test_a_purse_counts_epochs_or_seconds_of_all_processes(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.once("a", lambda: {"epochs": 4})
    ledger.spent["seconds"] = 30.0

    epochs, seconds = Purse("epochs", 10, ledger), Purse("seconds", 100, ledger)

    assert epochs.left() == 6
    assert epochs.seconds(0.1, 30.0) == 30.0
    assert 69 < seconds.left() <= 70
    assert seconds.seconds(0.1, 30.0) == pytest.approx(10.0)

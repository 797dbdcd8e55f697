"""The journal of a study: what stands there counts, and nothing else; a resumed search goes on as if it had not stopped."""

import errno
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.searching import SPACE, carried_out, opened, records_of
from tunesmith.records import DataError, RunBusy, RunError, StorageError
from tunesmith.search import Choice, Real
from tunesmith.search.journal import FILE, Journal, read


def test_what_is_told_comes_back(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search)

    with opened(tmp_path / "s", resume=True) as again:
        assert list(again.trials) == list(search.trials)
        assert again.asked == search.asked
        assert again.left == 0
        assert again.best == search.best
        assert again.trials.memo == search.trials.memo


@pytest.mark.parametrize("stop", [0, 1, 5, 17])
def test_a_resumed_search_proposes_as_if_it_had_not_stopped(tmp_path, stop):
    undisturbed = carried_out(opened())
    with opened(tmp_path / "s") as search:
        first = carried_out(search, most=stop)

    with opened(tmp_path / "s", resume=True) as again:
        rest = carried_out(again)

    assert first + rest == undisturbed
    assert len(undisturbed) > 20


def test_what_was_out_is_handed_out_again_first_and_counts_once(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=4)
        out = [search.ask(), search.ask()]

    with opened(tmp_path / "s", resume=True) as again:
        left = again.left
        handed = [again.ask(), again.ask()]
        new = again.ask()

        assert handed == out
        assert again.asked == 7
        assert new.trial not in {one.trial for one in out}
        assert left - again.left == new.upto - new.start


def test_units_kept_by_a_checkpoint_are_not_told_twice(tmp_path):
    with opened(tmp_path / "s", budget="full") as search:
        proposal = search.ask()
        search.checkpoint(proposal.trial, records_of(proposal)[:4])
        assert search.trials[0].records == ()  # nobody decides on what is not told

    with opened(tmp_path / "s", budget="full", resume=True) as again:
        (out,) = again.again()
        again.tell(0, [*out.kept, *records_of(out.proposal)[4:]])

    events, _ = read(tmp_path / "s" / FILE)
    assert [len(event.get("records", ())) for event in events] == [0, 4, 5]
    assert list(again.trials[0].records) == records_of(proposal)
    assert again.trials.spent == 9


def test_units_trained_anew_with_another_result_take_the_place_of_those_kept(tmp_path):
    with opened(tmp_path / "s", budget="full") as search:
        search.ask()
        search.checkpoint(0, [{"score": 5.0}])

        search.tell(0, [{"score": 4.0}, {"score": 3.0}])

    with opened(tmp_path / "s", budget="full", resume=True) as again:
        assert again.trials.scores(0).tolist() == [4.0, 3.0]


def test_scores_that_are_no_numbers_come_back_as_they_were(tmp_path):
    with opened(tmp_path / "s") as search:
        for value in (math.nan, math.inf, -math.inf):
            search.tell(search.ask().trial, [{"score": value}])

    with opened(tmp_path / "s", resume=True) as again:
        assert [trial.reason for trial in again.trials] == [trial.reason for trial in search.trials]
        assert [repr(again.trials.scores(id)) for id in range(3)] == [repr(search.trials.scores(id)) for id in range(3)]


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_line_cut_short_is_dropped_and_the_rest_goes_on(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut") / "s"
    undisturbed = carried_out(opened(total=20))
    with opened(folder, total=20) as search:
        carried_out(search)
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: max(0, len(content) - cut)])

    with opened(folder, total=20, resume=True) as again:
        rest = carried_out(again)

    assert rest == undisturbed[len(undisturbed) - len(rest) :]
    assert (folder / FILE).read_bytes() == content


def test_a_last_line_whose_blocks_never_came_is_dropped(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=3)
    whole = (tmp_path / "s" / FILE).read_bytes()
    (tmp_path / "s" / FILE).write_bytes(whole + b"\0" * 50 + b"\n")

    with opened(tmp_path / "s", resume=True) as again:
        assert len(again.trials) == len(search.trials)

    assert (tmp_path / "s" / FILE).read_bytes() == whole


@pytest.mark.parametrize(
    "damage", [b'{"event": "begun", "tri', b"\0\0\0", b"[]", b'{"event": "eaten", "trial": 0}', b""]
)
def test_a_damaged_line_is_named(tmp_path, damage):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=3)
    lines = (tmp_path / "s" / FILE).read_bytes().splitlines()
    lines[2] = damage
    (tmp_path / "s" / FILE).write_bytes(b"\n".join(lines) + b"\n")

    with pytest.raises(RunError, match="damaged in line 3"):
        opened(tmp_path / "s", resume=True)


def test_an_event_that_cannot_follow_is_named(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=3)
    lines = (tmp_path / "s" / FILE).read_bytes().splitlines()
    del lines[2]  # the second trial was told of and never begun
    (tmp_path / "s" / FILE).write_bytes(b"\n".join(lines) + b"\n")

    with pytest.raises(RunError, match="damaged in line 3: trial 1 was never proposed"):
        opened(tmp_path / "s", resume=True)


def test_two_cannot_write_at_once(tmp_path):
    with opened(tmp_path / "s"), pytest.raises(RunBusy):
        opened(tmp_path / "s", resume=True)

    opened(tmp_path / "s", resume=True).close()


def test_a_search_that_is_forgotten_lets_go_of_its_folder(tmp_path):
    search = opened(tmp_path / "s")
    del search

    opened(tmp_path / "s", resume=True).close()


@pytest.mark.parametrize("written", [0, 1, 30])
def test_on_a_full_disk_nothing_is_lost_and_nothing_counts_that_was_not_written(tmp_path, monkeypatch, written):
    search = opened(tmp_path / "s")
    carried_out(search, most=5)
    before, trials = (tmp_path / "s" / FILE).read_bytes(), list(search.trials)
    proposal = search.ask()
    true = os.write

    def full(number, data):
        if written and len(data) > written:
            return true(number, data[:written])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.search.journal.os.write", full)
        if written:
            patched.setattr("tunesmith.search.journal.os.fsync", lambda number: full(number, b""))
        with pytest.raises(StorageError, match="no space left") as raised:
            search.tell(proposal.trial, records_of(proposal))
    search.tell(proposal.trial, records_of(proposal))  # space was made
    search.close()

    assert raised.value.exit_code == 3
    assert (tmp_path / "s" / FILE).read_bytes().startswith(before)
    assert list(search.trials)[: len(trials) - 1] == trials[: len(trials) - 1]
    with opened(tmp_path / "s", resume=True) as again:
        assert list(again.trials) == list(search.trials)


def test_a_proposal_that_cannot_be_written_is_not_begun(tmp_path, monkeypatch):
    with opened(tmp_path / "s") as search:
        with monkeypatch.context() as patched:
            patched.setattr(
                "tunesmith.search.journal.os.fsync", lambda number: (_ for _ in ()).throw(OSError(28, "full"))
            )
            with pytest.raises(StorageError):
                search.ask()
        assert len(search.trials) == 0

        proposal = search.ask()

    assert proposal == opened().ask()


def test_a_study_is_not_written_over(tmp_path):
    opened(tmp_path / "s").close()

    with pytest.raises(RunError, match="holds a search already"):
        opened(tmp_path / "s")


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")

    with pytest.raises(RunError, match="not empty and holds no search"):
        opened(tmp_path)


def test_there_must_be_something_to_resume(tmp_path):
    opened(tmp_path / "rates").close()

    with pytest.raises(RunError, match=r"no search in .*rate to go on with; did you mean 'rates'"):
        opened(tmp_path / "rate", resume=True)
    with pytest.raises(DataError, match="resume needs the folder"):
        opened(resume=True)


def test_a_search_cut_off_before_its_first_event_begins_anew(tmp_path):
    (tmp_path / "lock").write_text("{}", encoding="utf-8")

    with opened(tmp_path, resume=True) as search:
        assert carried_out(search) == carried_out(opened())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("space", SPACE | {"x": Real(-1, 2)}),
        ("max_budget", 10),
        ("prior", {"x": 0.5}),
        ("sampler", "random"),
        ("budget", "full"),
        ("seed", 4),
        ("workers", 2),
        ("max_trials", 7),
        ("eta", 4),
    ],
)
def test_a_resume_with_other_settings_names_the_one_that_differs(tmp_path, name, value):
    opened(tmp_path / "s").close()

    with pytest.raises(RunError, match=f"but {'options' if name == 'eta' else name} is"):
        opened(tmp_path / "s", resume=True, **{name: value})


@pytest.mark.parametrize("total", [61, None])
def test_the_total_may_grow(tmp_path, total):
    with opened(tmp_path / "s") as search:
        carried_out(search)

    with opened(tmp_path / "s", resume=True, total=total) as again:
        assert again.left > 0
        assert again.ask().trial <= len(search.trials)
    with pytest.raises(RunError, match="may have more of it, not less"):
        opened(tmp_path / "s", resume=True, total=60)


def test_a_space_with_a_function_in_it_cannot_be_written_down(tmp_path):
    with pytest.raises(DataError, match="writes its settings down"):
        opened(tmp_path / "s", space={"x": Real(-1, 1), "depth": Choice([1]), "loss": Choice([math.sin, math.cos])})


def test_the_number_of_trials_can_be_limited():
    search = opened(total=None, max_trials=5)

    carried_out(search)

    assert len(search.trials) == 5
    assert any(len(trial.records) == 3 for trial in search.trials)  # the best went on


def test_what_was_removed_stays_removed(tmp_path):
    gone = []
    with opened(tmp_path / "s") as search:
        carried_out(search, most=2)
        search.remove(1, lambda: gone.append(1))

    with opened(tmp_path / "s", resume=True) as again:
        assert again.book.removed == {1} == set(gone)


def test_every_event_is_one_line_of_json(tmp_path):
    with opened(tmp_path / "s") as search:
        carried_out(search, most=6)

    lines = (tmp_path / "s" / FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["begun", "told"] * 6


def test_a_closed_journal_takes_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.close()

    with pytest.raises(RunError, match="is closed"):
        journal.write({"event": "told", "trial": 0})

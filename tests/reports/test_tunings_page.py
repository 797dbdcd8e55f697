"""Several tunings on one page, from plain files."""

import json

import numpy as np
import pytest

from tests.reports.test_tuned_page import written
from tunesmith.records import RunError
from tunesmith.reports.tunings_page import tunings_page
from tunesmith.runs.tuning import read_tuning
from tunesmith.verbs.report import report


def judged(folder, right, *, rows=200, first=0, fingerprint="f"):
    """A tuning that is right in a share of the judged rows."""
    folder.mkdir()
    written(folder)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, rows)
    guess = np.where(np.arange(rows) < right * rows, truth, 1 - truth)
    (folder / "predictions").mkdir()
    chance = np.eye(2)[guess] * 0.8 + 0.1
    np.savez(
        folder / "predictions" / "test.npz", rows=np.arange(first, first + rows), target=truth, probabilities=chance
    )
    asked = json.loads((folder / "tune.json").read_text()) | {"fingerprint": fingerprint}
    (folder / "tune.json").write_text(json.dumps(asked))
    handed = json.loads((folder / "handed.json").read_text()) | {"kind": "binary", "positive": 1, "threshold": None}
    (folder / "handed.json").write_text(json.dumps(handed))
    return read_tuning(folder)


def test_on_the_same_rows_the_difference_is_measured_in_pairs(tmp_path):
    one, other = judged(tmp_path / "one", 0.8), judged(tmp_path / "other", 0.9)

    html = tunings_page([one, other])

    assert "All were judged on the same rows." in html
    assert "+0.1000 (" in html
    assert "better in 100\xa0%" in html
    for title in ("one", "other", "gradient boosting", "the best of the search is taken", "dropout 0.4 is left"):
        assert title in html
    assert "<wine>" not in html


def test_on_other_rows_or_data_no_difference_is_given(tmp_path):
    one = judged(tmp_path / "one", 0.8)

    moved = tunings_page([one, judged(tmp_path / "moved", 0.9, first=5)])
    strange = tunings_page([one, judged(tmp_path / "strange", 0.9, fingerprint="g")])

    assert "less the first" not in moved + strange
    assert "different rows of the same data" in moved
    assert "are no comparison" in strange


def test_one_under_way_stands_beside_one_that_is_judged(tmp_path):
    one = judged(tmp_path / "one", 0.8)
    (tmp_path / "open").mkdir()
    written(tmp_path / "open", judged=False)

    assert "not judged yet" in tunings_page([one, read_tuning(tmp_path / "open")])


def test_the_verb_takes_tunings_alone(tmp_path, make_run):
    folders = [judged(tmp_path / name, 0.8).folder for name in ("one", "other")]

    place = report(folders)

    assert place == tmp_path / "tunings.html"
    assert "2 tunings" in place.read_text()
    with pytest.raises(RunError, match=r"is a tuning and .*run-1 is none"):
        report([folders[0], make_run()])

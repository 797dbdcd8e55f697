import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import Finding, StorageError
from tunesmith.runs.files import plain, write_arrays, write_json, write_text, write_whole


def test_plain_data_are_what_json_knows():
    value = {
        "a": np.int64(3),
        2: (np.float32(0.5), np.array([[1, 2]])),
        "p": Path("x/y"),
        "s": {2, 1},
        "b": np.bool_(True),
    }

    made = plain(value)

    assert made == {"a": 3, "2": [0.5, [[1, 2]]], "p": "x/y", "s": [1, 2], "b": True}
    assert json.loads(json.dumps(made)) == made


def test_numbers_that_json_has_no_word_for_become_null_unless_they_are_asked_for():
    value = [float("nan"), np.array([np.inf, 1.0])]

    assert plain(value) == [None, [None, 1.0]]
    assert plain(value, finite=False)[1] == [float("inf"), 1.0]


def test_a_dataclass_becomes_its_fields():
    finding = Finding(fault="x", severity="note", message="m")

    assert plain(finding)["fault"] == "x"


def test_what_has_no_plain_form_is_refused_with_its_type():
    with pytest.raises(TypeError, match="no plain form of function"):
        plain({"a": plain})


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_whole(path, fail)

    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, number):
    path = tmp_path / "scores.json"
    write_json(path, {"a": 1})

    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(
        StorageError, match=r"no space left to write .*scores.json .*kept: free some space, then resume"
    ) as caught:
        write_json(path, {"a": 2})

    assert caught.value.exit_code == 3
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["scores.json"]


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "data").write_text("")

    with pytest.raises(StorageError, match="cannot write"):
        write_json(tmp_path / "data" / "a.json", {})


def test_arrays_come_back_and_objects_are_refused(tmp_path):
    path = tmp_path / "p" / "val.npz"

    write_arrays(path, {"rows": np.arange(3), "label": np.array(["a", "水"])})

    with np.load(path, allow_pickle=False) as read:
        assert read["rows"].tolist() == [0, 1, 2]
        assert read["label"].tolist() == ["a", "水"]
    with pytest.raises(TypeError, match="objects"):
        write_arrays(path, {"x": np.array([{}])})


def test_others_may_read_what_is_written(tmp_path):
    script = "import os, sys; os.umask(0o022); from pathlib import Path\n"
    script += "from tunesmith.runs.files import write_text; write_text(Path(sys.argv[1]), 'x')"

    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")], check=True)

    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644

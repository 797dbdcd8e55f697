"""`tunesmith diagnose`."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.test_check import PROGRAM
from tunesmith.cli import run
from tunesmith.cli.diagnose import roles_of
from tunesmith.records import DataError

MORE = """

def diverging():
    sick = made(2)
    sick.optimizer = torch.optim.SGD(sick.model.parameters(), lr=1e5)
    return sick
"""


@pytest.fixture
def said(capsys, monkeypatch):
    """Runs a command; gives its exit code and what it printed."""

    def answer(*words, width=80):
        monkeypatch.setenv("COLUMNS", str(width))
        code = run(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return answer


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with programs, where the user stands."""
    name = f"ours_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PROGRAM + MORE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def logs(tmp_path):
    """A CSV log of a sound run, and one of a run that diverges."""
    sound, sick = tmp_path / "sound.csv", tmp_path / "sick.csv"
    rows = [f"{i},{2.3 * 0.8**i + 0.1:.4f},{2.3 * 0.8**i + 0.2:.4f},0.001" for i in range(30)]
    sound.write_text("\n".join(["epoch,train_loss,val_loss,lr", *rows]))
    rows = [f"{i},{2.3 * 1.6**i:.4f},{2.4 * 1.6**i:.4f},0.5" for i in range(30)]
    sick.write_text("\n".join(["epoch,train_loss,val_loss,lr", *rows]))
    return sound, sick


def test_a_sound_log_exits_with_0_and_shows_what_columns_were_taken_for(said, logs):
    code, out, _ = said("diagnose", str(logs[0]), width=120)

    assert code == 0
    assert "train_loss = train loss" in out
    assert "val_loss = val loss" in out
    assert "nothing found" in out or "note" in out


def test_a_diverging_log_exits_with_1_and_names_it(said, logs):
    code, out, _ = said("diagnose", str(logs[1]), "--json")

    found = json.loads(out)["findings"]
    assert code == 1
    assert any(one["fault"] in ("loss.diverging", "lr.too_high") for one in found)
    assert said("diagnose", str(logs[1]), "--exit-zero")[0] == 0


def test_a_log_is_answered_in_the_other_language_too(said, logs):
    code, out, _ = said("diagnose", str(logs[1]), "--lang", "zh")

    assert code == 1
    assert any("\u4e00" <= letter <= "\u9fff" for letter in out)


def test_what_columns_were_taken_for_is_said_in_the_language_asked_for(said, logs):
    zh, en = (" ".join(said("diagnose", str(logs[0]), "--lang", one)[1].split()) for one in ("zh", "en"))

    assert "train_loss = 训练 损失 (train loss)" in zh
    assert "read as" not in zh
    assert "another meaning" not in zh
    assert "train_loss = train loss" in en
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in en)


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(said, logs, width):
    _, out, _ = said("diagnose", str(logs[1]), width=width)

    assert max(map(len, out.splitlines())) <= width


def test_a_log_is_answered_without_torch(logs):
    program = (
        "import sys; from tunesmith.cli import run; "
        f"run(['diagnose', {str(logs[0])!r}]); sys.exit(9 if 'torch' in sys.modules else 0)"
    )

    began = os.times()
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    spent = os.times()
    seconds = spent.children_user + spent.children_system - began.children_user - began.children_system
    assert seconds < 3  # of the processor; one second of the clock on a machine of its own


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.csv"], "no file or folder nothing.csv"),
        ([], "neither a log nor a --task"),
        (["x.csv", "--task", "a:b"], "both a log and a --task"),
    ],
)
def test_wrong_use_is_one_sentence(said, words, says):
    code, _, err = said("diagnose", *words)

    assert code == 2
    assert says in " ".join(err.split())
    assert "Traceback" not in err


def test_a_role_that_is_none_is_said(said, logs):
    code, _, err = said("diagnose", str(logs[0]), "--map", "train_loss")

    assert code == 2
    assert "expected COLUMN=ROLE" in err


def test_roles_hold_columns_with_equals_signs():
    assert roles_of(["loss/a=b=val loss", "i=step"]) == {"loss/a=b": "val loss", "i": "step"}

    with pytest.raises(DataError, match="COLUMN=ROLE"):
        roles_of(["=step"])


def test_a_program_that_diverges_is_diagnosed(said, module):
    code, out, _ = said("diagnose", "--task", f"{module}:diverging", "--seconds", "200", "--json")

    found = json.loads(out)["findings"]
    assert code == 1
    assert found[0]["fault"] == "lr.too_high"
    assert found[0]["status"] == "confirmed"


def test_a_sound_program_exits_with_0(said, module):
    code, out, _ = said("diagnose", "--task", f"{module}:sound", "--seconds", "200", width=120)

    assert code == 0
    assert "error" not in out.splitlines()[-1]


def test_a_name_that_nobody_has_is_said(said, module):
    code, _, err = said("diagnose", "--task", f"{module}:sound", "--only", "rate_sweeep")

    assert code == 2
    assert "did you mean" in err

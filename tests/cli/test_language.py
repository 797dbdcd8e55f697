"""A language model from the command line: chats are known by their form, one batch is shown, mistakes are told in a sentence."""

import json
from pathlib import Path

import pytest

from tunesmith.cli import run as command

SMALL = (
    "model.width=16",
    "model.depth=1",
    "model.heads=2",
    "train.epochs=2",
    "train.batch_size=8",
    "eval.bootstrap=20",
)
TINY = [word for setting in SMALL for word in ("--set", setting)]


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"Say {n}"}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(30)
    ]
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_chats_are_fitted_without_a_word_on_their_kind(chats, tmp_path, capsys):
    code = command(["fit", str(chats), "--folder", str(tmp_path / "run"), "--json", *TINY])

    told = capsys.readouterr()
    scores = json.loads(told.out)["scores"]["test"]
    assert code == 0
    assert set(scores) == {"perplexity", "token_accuracy", "exact_match"}
    assert "batch preview: 2 of 8 rows" in told.err
    assert "⟦" in told.err
    kept = (tmp_path / "run" / "data" / "preview.txt").read_text(encoding="utf-8")
    assert max(map(len, kept.splitlines())) <= 80
    assert "<|im_end|>⟧" in kept
    assert "by_role" in (tmp_path / "run" / "scores.json").read_text(encoding="utf-8")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "perplexity" in page
    assert "<td>assistant</td>" in page


def test_a_stored_run_judges_texts(chats, tmp_path, capsys):
    command(["fit", str(chats), "--folder", str(tmp_path / "run"), "--quiet", *TINY])
    capsys.readouterr()
    code = command(["predict", str(tmp_path / "run"), str(chats), "--json"])

    told = json.loads(capsys.readouterr().out)["predictions"]
    assert code == 0
    assert len(told) == 30
    assert all(row["value"] > 0 for row in told)


def test_mistakes_end_with_two_and_one_sentence(chats, tmp_path, capsys):
    lines = chats.read_text(encoding="utf-8").splitlines()
    lines[4] = json.dumps({"messages": [{"role": "usr", "content": "x"}]})
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join(lines), encoding="utf-8")

    code = command(["fit", str(bad), "--folder", str(tmp_path / "run"), "--json", *TINY])

    error = json.loads(capsys.readouterr().out)["error"]
    assert code == 2
    assert "line 5 of bad.jsonl: turn 1 has the role 'usr'" in error
    assert "did you mean 'user'" in error
    assert not (tmp_path / "run").exists()


def test_a_check_looks_at_texts_and_at_the_training(chats, capsys):
    words = ["--only", "duplicates", "--only", "runs", "--only", "lookahead", "--only", "same_preparation"]
    code = command(["check", str(chats), "--json", "--seconds", "120", *words, *TINY])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert not [finding for finding in told["findings"] if finding["severity"] != "note"]


def test_plain_text_is_fitted_too(tmp_path, capsys):
    (tmp_path / "play.txt").write_text("".join(f"Line {n} of the play.\n" for n in range(200)), encoding="utf-8")

    code = command(
        [
            "fit",
            str(tmp_path / "play.txt"),
            "--folder",
            str(tmp_path / "run"),
            "--json",
            "--set",
            "data.max_seq_len=64",
            *TINY,
        ]
    )

    scores = json.loads(capsys.readouterr().out)["scores"]["test"]
    assert code == 0
    assert set(scores) == {"perplexity", "token_accuracy"}

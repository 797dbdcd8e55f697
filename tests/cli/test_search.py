"""`tunesmith search`: what it prints, keeps and refuses."""

import io
import json
import signal

import pytest
from typer.testing import CliRunner

from tunesmith.cli import run
from tunesmith.cli.app import app
from tunesmith.reports.search_live import PlainSearch, TerminalSearch, duration
from tunesmith.search import Real
from tunesmith.search.ask import Search

SPACE = '[x]\ntype = "float"\nlow = -1\nhigh = 1\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text("read line; echo '{\"score\": 0.5}'\n", encoding="utf-8")
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    return tmp_path


WORDS = [
    "search",
    "--command",
    "sh train.sh",
    "--space",
    "space.toml",
    "--budget",
    "3",
    "--scheme",
    "full",
    "--sampler",
    "random",
]


def told(capsys, words):
    code = run(words)
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if "--json" in words else printed.out, printed.err


def test_a_program_is_searched_and_the_answer_has_the_form_of_the_manual(place, capsys):
    code, answer, log = told(capsys, [*WORDS, "--folder", "s", "--json"])

    assert code == 0
    assert answer["best"]["score"] == 0.5
    assert set(answer["best"]["config"]) == {"x"}
    assert (answer["trials"], answer["folder"]) == (3, "s")
    assert log.count("done at 1/1") == 3
    assert (place / "s" / "study.json").is_file()


def test_without_a_folder_the_first_free_number_is_taken(place, capsys):
    for number in (1, 2):
        code, out, _ = told(capsys, WORDS)
        assert code == 0
        assert f"studies/shtrainsh-{number}: 3 trials (3 done)" in out


def test_status_and_export_look_at_a_study(place, capsys):
    told(capsys, [*WORDS, "--folder", "s", "--quiet"])

    _, status, _ = told(capsys, ["search", "status", "s", "--json"])
    _, table, _ = told(capsys, ["search", "export", "s"])
    _, file, _ = told(capsys, ["search", "export", "s", "--output", "t.json", "--json"])

    assert status["status"]["done"] == 3
    assert table.splitlines()[0] == "trial,state,reason,units,score,unit,parent,x"
    assert len(table.splitlines()) == 4
    assert file == {"file": "t.json", "trials": 3}
    assert len(json.loads((place / "t.json").read_text(encoding="utf-8"))["trials"]) == 3


def test_resume_alone_goes_on_with_the_study_as_it_was_begun(place, capsys, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is deaf to it
    (place / "train.sh").write_text("read line; kill -INT $PPID; sleep 5\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["tunesmith", *WORDS, "--folder", "s"])
    code, _, _ = told(capsys, [*WORDS, "--folder", "s"])
    signal.signal(signal.SIGINT, before)
    (place / "train.sh").write_text("read line; echo '{\"score\": 0.25}'\n", encoding="utf-8")

    again, answer, _ = told(capsys, ["search", "--folder", "s", "--resume", "--json"])

    assert (code, again) == (130, 0)
    assert (answer["best"]["score"], answer["trials"]) == (0.25, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "--command", "sh train.sh"], "give --space FILE.toml"),
        (["search", "--command", "sh train.sh", "data.csv"], "give one of them"),
        (["search"], "no data were given"),
        (["search", "status"], "needs the folder of a study"),
        (["search", "status", "nowhere"], "no search in nowhere"),
        (["search", "data.csv", "more"], "give the folder of the study as --folder"),
        ([*WORDS, "--resume"], "add --folder STUDY"),
        ([*WORDS, "--budget", "much"], "budget = 'much'"),
        ([*WORDS, "--sampler", "randon"], "did you mean 'random'"),
        ([*WORDS, "--executor", "locla"], "no executor called 'locla'"),
        ([*WORDS, "--space", "none.toml"], "cannot be read"),
    ],
)
def test_wrong_use_is_one_sentence(place, capsys, words, said):
    code, _, log = told(capsys, words)

    assert code == 2
    assert log.count("\n") == 1
    assert said in log


def test_trials_that_all_fail_end_with_their_reason(place, capsys):
    (place / "train.sh").write_text("echo no such module >&2; exit 1\n", encoding="utf-8")

    code, _, log = told(capsys, [*WORDS, "--budget", "30", "--folder", "s", "--quiet"])

    assert code == 3
    assert "the first 10 trials all failed" in log
    assert "no such module" in log


@pytest.mark.parametrize("width", [80, 120])
def test_the_help_fits(width):
    result = CliRunner().invoke(app, ["search", "--help"], env={"COLUMNS": str(width)}, terminal_width=width)

    assert result.exit_code == 0
    assert {"--json", "--debug", "--budget", "--resume"} <= set(result.output.split())
    assert max(len(line) for line in result.output.splitlines()) <= width


def shown(display):
    search = Search({"x": Real(0, 1)}, 2, total=6, sampler="random", budget="full")
    for outcome in ({"records": [{"score": 0.5}, {"score": 0.25}]}, {"records": [], "failed": "ValueError: [no] <b>"}):
        proposal = search.ask()
        display(search)
        search.tell(proposal.trial, **outcome)
        display(search)
    search.ask()
    display(search)
    display.close()


def test_a_log_has_a_line_for_each_trial_that_ends():
    stream = io.StringIO()

    shown(PlainSearch(stream))

    first, second = stream.getvalue().splitlines()
    assert first.startswith("trial 0 done at 2/2: score 0.25 · best score 0.25 (trial 0) · 2/6 units")
    assert second.startswith("trial 1 failed at 0/2 (ValueError: [no] <b>) · best score 0.25 (trial 0) · 2/6 units")


def test_a_terminal_has_a_table_of_best_running_and_reasons():
    stream = io.StringIO()

    shown(TerminalSearch(stream))

    text = stream.getvalue()
    assert "best score 0.25 (trial 0)" in text
    assert "1 done, 1 failed, 1 running" in text
    assert "0/2 units" in text
    assert "ValueError: [no] <b>" in text


def test_durations():
    assert [duration(seconds) for seconds in (0, 89, 90, 5399, 7200)] == ["0 s", "89 s", "2 min", "90 min", "2.0 h"]


def test_a_search_learns_from_an_earlier_one(place, capsys):
    told(capsys, [*WORDS, "--folder", "first", "--json"])

    code, answer, _ = told(capsys, [*WORDS, "--folder", "second", "--warm", "first", "--seed", "1", "--json"])
    _, status, _ = told(capsys, ["search", "status", "second"])

    assert (code, answer["trials"]) == (0, 3)
    assert "begun with 3 trials of earlier studies" in status
    code, _, error = told(capsys, [*WORDS, "--folder", "third", "--warm", "nowhere"])
    assert code == 2
    assert "no search in nowhere" in error

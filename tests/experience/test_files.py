"""A user's own experience goes on top and wins; what is wrong in its file is said with line, rule and field."""

from pathlib import Path

import pytest

from tunesmith.blocks import experience
from tunesmith.blocks.experience import RULES, lint, load_experience, prior, start, using
from tunesmith.records import RecipeError, UnknownName

MINE = """\
[rule."lr.adam"]
advice = "5e-4 on my data."
starts = [{path = "optim.lr", when = {optimizer = "adam-like"}, start = 5e-4, low = 1e-4, high = 1e-3, log = true, why = "mine"}]

[rule."momentum"]
bounds = [{path = "optim.momentum", above = 0.8, says = "too much for my data"}]

[rule."my.depth"]
part = "model"
about = "depth of the CNNs here"
guides = "nothing"
standing = "sound"
advice = "Three stages."
because = "measured"
source = "own runs"
marks = ["R"]
use = ["prior"]
starts = [{path = "model.depth", when = {model = "cnn"}, start = 3, low = 2, high = 4, why = "own runs"}]

[[contradiction]]
about = "Depth"
one = "deep"
other = "shallow"
condition = "By the size of the pictures."
rules = ["my.depth", "depth"]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    return file


def test_rows_that_are_given_replace_and_all_others_stay(mine: Path) -> None:
    found = load_experience(mine)

    assert found.start("optim.lr", optimizer="adamw", model="mlp") == 5e-4
    assert found.start("optim.lr", optimizer="sgd") == 0.02
    assert found.start("model.depth", model="cnn") == 3
    assert found.start("model.depth", model="mlp") == 2
    assert len(found) == len(RULES) + 1
    assert found.contradictions[-1].about == "Depth"
    assert start("optim.lr") == 3e-4  # nothing has changed for anybody else


def test_fields_that_are_left_out_stay_and_each_knows_where_it_is_from(mine: Path) -> None:
    rule = load_experience(mine)["lr.adam"]

    assert rule.advice == "5e-4 on my data."
    assert rule.standing == RULES["lr.adam"].standing
    assert rule.bounds == RULES["lr.adam"].bounds
    assert rule.origin == str(mine)
    assert rule.own == ("advice", "starts")
    assert RULES["lr.adam"].origin == ""


def test_a_prior_tells_that_it_is_from_the_users_file(mine: Path) -> None:
    with using(mine):
        changed, untouched = prior("optim.lr"), prior("optim.momentum")

    assert changed.because == f"lr.adam: mine, from your file {mine}"
    assert untouched.origin == ""  # only its bounds are the user's


def test_the_block_and_the_environment_put_it_in_force(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with using(mine) as inside:
        assert start("optim.lr") == 5e-4
        assert RULES["my.depth"] is inside["my.depth"]
        assert [note.id for note in lint({"optim.name": "sgd", "optim.momentum": 0.9})] == ["momentum"]
        with using(load_experience(mine)):
            assert start("optim.lr") == 5e-4
    assert start("optim.lr") == 3e-4

    monkeypatch.setenv("TUNESMITH_EXPERIENCE", str(mine))
    assert start("optim.lr") == 5e-4
    mine.write_text(MINE.replace("start = 5e-4", "start = 6e-4"), encoding="utf-8")
    assert start("optim.lr") == 6e-4  # read again where it has changed

    monkeypatch.setenv("TUNESMITH_EXPERIENCE", str(mine.with_name("absent.toml")))
    with pytest.raises(RecipeError, match=r"no experience file .*absent\.toml"):
        start("optim.lr")


def test_a_second_file_goes_on_top_of_the_first(mine: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.toml"
    second.write_text('[rule."lr.adam"]\nadvice = "as before"\n', encoding="utf-8")

    with using(mine), using(second):
        assert start("optim.lr") == 5e-4
        assert RULES["lr.adam"].advice == "as before"


BAD = [
    ("[rule.\"lr.adam\"\n", r"no TOML"),
    ('[rules."lr.adam"]\n', r":1: an experience file has no table 'rules'; did you mean 'rule'"),
    ('["lr.adam"]\nadvice = "x"\n', r':1: an experience file has no table \'lr\.adam\'; write \[rule\."lr\.adam"\]'),
    ("rule = 3\n", r":1: rule is no table of rules"),
    ('[rule]\n"lr.adam" = 3e-4\n', r":2: rule 'lr\.adam' is no table"),
    ('[rule."lr.adam"]\n\nadvise = "x"\n', r":3: rule 'lr\.adam': there is no field 'advise'; did you mean 'advice'"),
    ('[rule."lr.adam"]\nstanding = "good"\n', r":2: rule 'lr\.adam': standing: 'good': .*'sound'"),
    ('[rule."lr.adm"]\nadvice = "x"\n', r":1: rule 'lr\.adm': \w+ is missing; did you mean 'lr\.adam'"),
    ('[rule."my.own"]\nadvice = "x"\n', r"rule 'my\.own': \w+ is missing; a rule of your own needs every field"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = "big"}]\n', r":2: .*start = 'big' is a word"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lrr", start = 1.0}]\n', r"no recipe field called 'optim\.lrr'; did you mean"),
    ('[rule."lr.adam"]\nstarts = [{path = "lr", start = 1.0}]\n', r"'lr' is no path; expected a recipe field"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = 1.0, low = 2.0, high = 3.0}]\n', r"start = 1\.0 lies outside the range"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = 1.0, low = 3.0, high = 2.0}]\n', r"low must be below high"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = 1.0, low = 0.0}]\n', r"a range needs both ends"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = 0.0, low = 0.0, high = 1.0, log = true}]\n', r"no logarithm at its end"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = nan}]\n', r"finite"),
    ('[rule."lr.adam"]\nstarts = [{path = "optim.lr", start = true}]\n', r"starts\.1\.start"),
    ('[rule."lr.adam"]\nwhen = {optimiser = "sgd"}\n', r":2: .*called 'optimiser'; did you mean 'optimizer'"),
    ('[rule."lr.adam"]\nwhen = {model = "mpl"}\n', r"no kind of network is called 'mpl'; did you mean 'mlp'"),
    ('[rule."lr.adam"]\nwhen = {rows = 100}\n', r"rows = 100: a table of limits"),
    ('[rule."lr.adam"]\nwhen = {batch_norm = "yes"}\n', r"batch_norm = 'yes': true or false"),
    ('[rule."lr.adam"]\nbounds = [{path = "optim.lr", says = "x"}]\n', r"a bound needs below, above"),
    ('[rule."arch.copy"]\nbounds = [{path = "optim.lr", above = 1.0, says = "x"}]\n', r"neither 'lint' nor 'check' is among its uses"),
    ('[[contradiction]]\nabout = "x"\n', r":1: contradiction 1: one is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_mistake_in_a_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(RecipeError, match=words) as told:
        load_experience(file)

    assert str(told.value).startswith(str(file))
    assert "\n" not in str(told.value)


def test_the_line_is_that_of_the_table_of_the_mistake(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    start = 'path = "optim.lr"\nstart = 1.0\nlow = 0.1\n'
    file.write_text(
        f'[rule."lr.adam"]\n[[rule."lr.adam".starts]]\n{start}high = 2.0\n[[rule."lr.adam".starts]]\n{start}hihg = 2.0\n',
        encoding="utf-8",
    )

    with pytest.raises(
        RecipeError, match=r"bad\.toml:11: rule 'lr\.adam': there is no field 'starts\.2\.hihg'; did you mean 'high'"
    ):
        load_experience(file)


def test_the_line_in_a_list_is_that_of_the_entry(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    entry = '    {path = "optim.lr", start = 1.0, low = 0.1, high = 2.0},\n'
    file.write_text(f'[rule."lr.adam"]\nstarts = [\n{entry}{entry.replace("0.1", "9.0")}]\n', encoding="utf-8")

    with pytest.raises(RecipeError, match=r"bad\.toml:4: .*low must be below high"):
        load_experience(file)


def test_a_contradiction_of_an_unknown_rule_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(MINE.replace('rules = ["my.depth", "depth"]', 'rules = ["my.dept"]'), encoding="utf-8")

    with pytest.raises(UnknownName, match=r"'my\.dept'; did you mean 'my\.depth'"):
        load_experience(file)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "picture.toml").write_bytes(b"\xff\xd8\xff\xe0")

    with pytest.raises(RecipeError, match="is not UTF-8"):
        load_experience(tmp_path / "picture.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_experience(tmp_path)
    assert experience.start("optim.lr") == 3e-4

"""`tunesmith repair`: what it prints, writes and refuses; the mending itself is tried in tests/repair."""

import json

import pytest

from tunesmith.cli import run
from tunesmith.doctor.repair import Attempt, Repair
from tunesmith.records import Finding, Findings, Program, Recipe, Remedy, Safety, Task, revise

KEPT = Attempt(
    change="rate × 0.1",
    surgery="rate",
    fault="lr.too_high",
    recipe={"optim.lr": 0.01},
    lines=('optimizer.param_groups[0]["lr"] = 0.01  # was 0.1',),
    before=(0.5, 0.52),
    after=(0.8, 0.81),
    noise=0.02,
    steps=40,
    kept=True,
    why="repair.kept",
)
VAIN = Attempt(change="a warm-up", surgery="warm_up", before=(0.5,), after=(0.51,), noise=0.02, steps=40)
LEFT = Finding(
    fault="data.label_noise",
    severity="warning",
    message="labels are wrong",
    remedies=(Remedy(title="look at the rows", safety=Safety.ADVICE),),
)


def of_task():
    recipe = revise(Recipe(), {"optim.lr": 0.01})
    return Repair(
        task=Task(train="rows.csv"),
        recipe=recipe,
        changes=[KEPT],
        tried=[VAIN],
        before=0.5,
        after=0.9,
        chance=0.1,
        learns=True,
    )


def of_program():
    program = Program(None, None, None, None, batch_size=1, epochs=1)
    left = Findings([LEFT])
    return Repair(program=program, changes=[KEPT], tried=[VAIN], left=left, before=0.5, after=0.9, chance=0.1)


@pytest.fixture
def said(capsys, monkeypatch, tmp_path):
    """Runs the command with a repair that is ready; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n", encoding="utf-8")

    def answer(told, *words):
        monkeypatch.setattr("tunesmith.verbs.repair.repair", lambda *given, **named: told)
        code = run(["repair", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return answer


def test_of_a_task_the_recipe_changes_are_shown_and_nothing_is_written(said, tmp_path):
    code, out, _ = said(of_task(), "rows.csv", "--target", "b")

    assert code == 0
    assert "mended: validation score 0.500 before, 0.900 after" in out
    assert "optim.lr = 0.01" in out
    assert "0.800 instead of 0.500" in out
    assert "tried in vain: a warm-up" in out
    assert "--apply" in out
    assert not (tmp_path / "recipe.toml").exists()


def test_apply_writes_the_new_recipe(said, tmp_path):
    code, out, _ = said(of_task(), "rows.csv", "--target", "b", "--apply")

    assert code == 0
    assert "lr = 0.01" in (tmp_path / "recipe.toml").read_text(encoding="utf-8")
    assert "recipe.toml" in out


def test_of_a_program_the_lines_to_make_are_printed(said):
    code, out, _ = said(of_program(), "rows.csv", "--target", "b")

    assert code == 0
    assert 'optimizer.param_groups[0]["lr"] = 0.01' in out
    assert "what is left: data.label_noise" in out
    assert "for a person to do: look at the rows" in out


def test_a_program_has_no_recipe_to_write(said):
    code, _, err = said(of_program(), "rows.csv", "--target", "b", "--apply")

    assert code == 2
    assert "a Program has none" in err


def test_json_is_one_object(said):
    code, out, _ = said(of_task(), "rows.csv", "--target", "b", "--json")

    told = json.loads(out)
    assert code == 0
    assert told["before"] == 0.5
    assert told["after"] == 0.9
    assert told["changes"][0]["recipe"] == {"optim.lr": 0.01}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_speaks_both_languages(said, language):
    code, out, _ = said(of_program(), "rows.csv", "--target", "b", "--lang", language)

    assert code == 0
    assert "{" not in out
    assert ("验证得分" in out) == (language == "zh")


def test_what_is_sound_is_left_alone(said):
    sound = Repair(recipe=Recipe(), task=Task(train="rows.csv"), before=0.9, after=0.9, chance=0.1)

    code, out, _ = said(sound, "rows.csv", "--target", "b")

    assert code == 0
    assert "left alone: validation score 0.900" in out


GAME = """
from torch import nn
import tunesmith as ts
from tunesmith.generative import mixture, ring

def narrow():
    layer = nn.Linear(4, 2)
    nn.init.constant_(layer.weight, 1e-3)
    return layer

game = ts.Gan(
    generator=narrow,
    discriminator=lambda: nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)),
    data=mixture(ring(8, 2.0), 0.05, 800),
    latent=4,
)
"""


def test_of_a_game_what_was_tried_is_listed_and_a_folder_is_gone_on_with(capsys, monkeypatch, tmp_path):
    """All samples near one point, and two passes over the rows: a collapse, and hardly anything that may be tried."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_game.py").write_text(GAME, encoding="utf-8")
    words = ["repair", "--task", "my_game:game", "--set", "train.steps=24", "--set", "train.batch_size=32"]
    words += ["--epochs", "2", "--updates", "12", "--folder", "kept"]

    code = run(words)
    out = capsys.readouterr().out
    again = run([*words, "--resume", "--json"])
    told = json.loads(capsys.readouterr().out)

    assert (code, again) == (0, 0)
    assert "not mended: lost mass" in out
    assert "the budget did not reach: " in out
    assert "✗ packing (2 samples judged together)" in out
    assert [one["fault"] for one in told["findings"]] == ["collapse.mode"]
    assert told["changes"] == []
    assert told["tried"][0]["remedy"] == "packing"
    assert len((tmp_path / "kept" / "twins.jsonl").read_text(encoding="utf-8").splitlines()) == 1 + len(told["tried"])


def test_of_embeddings_the_run_that_told_it_brings_the_recipe(capsys, monkeypatch, tmp_path):
    import tunesmith as ts
    from tests.generative.test_mending_embeddings import RECIPE, SICK, task
    from tunesmith.reports import QuietDisplay

    ts.train_embedding(
        task(**SICK), RECIPE | {"train.steps": 160, "eval.every": 20}, folder=tmp_path / "run", display=QuietDisplay()
    )

    words = ["repair", "--task", "tests.generative.test_mending_embeddings:sick", "--run", str(tmp_path / "run")]
    code = run([*words, "--epochs", "0.1", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert "budget was spent" in told["notices"][-1]
    assert told["measure"] == "embedding_spread_normalised"


def test_words_for_a_game_need_one(said):
    code, _, err = said(of_task(), "rows.csv", "--target", "b", "--updates", "12")

    assert code == 2
    assert "--updates came without a Gan or an Embedding" in err

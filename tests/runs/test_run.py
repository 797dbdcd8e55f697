import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from tunesmith.records import Recipe, RunError, Source, revise
from tunesmith.runs import LAYOUT, Run


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "first", recipe=Recipe(), info={"command": ["tunesmith", "fit"], "fingerprint": "abc"})


def test_a_new_run_knows_its_recipe_and_what_was_told(tmp_path):
    recipe = revise(
        Recipe(), {"optim.lr": 0.25, "train.patience": None, "optim.extra": {"rho": 0.9}, "run.exporters": ["wandb"]}
    )
    recipe = revise(recipe, {"model.width": 64}, Source("derived", "2 × 32"))

    run = Run.create(tmp_path / "a" / "b", recipe=recipe, info={"fingerprint": "abc"})

    assert run.recipe == recipe
    assert run.recipe.sources() == recipe.sources()
    assert run.info["layout"] == LAYOUT
    assert run.info["fingerprint"] == "abc"
    assert run.id == run.info["id"]
    assert sorted(os.listdir(run.folder)) == ["log.sqlite", "recipe.toml", "run.json", "sources.json"]
    assert (run.evaluations, run.findings, run.decisions, run.attempts, run.signals.names()) == ([], [], [], [], [])
    assert (run.scores, run.columns, run.layers, run.parent, run.children) == (None, [], [], None, [])


def test_an_existing_run_is_never_overwritten(run):
    with pytest.raises(RunError, match="already holds a run; resume it, or choose another folder"):
        Run.create(run.folder, recipe=Recipe())

    assert Run(run.folder).info["fingerprint"] == "abc"


def test_a_foreign_folder_is_left_as_it_is(tmp_path):
    (tmp_path / "recipe.toml").write_text("mine")

    with pytest.raises(RunError, match="not empty and holds no run"):
        Run.create(tmp_path, recipe=Recipe())

    assert (tmp_path / "recipe.toml").read_text() == "mine"
    with pytest.raises(RunError, match="is a file"):
        Run.create(tmp_path / "recipe.toml", recipe=Recipe())


def test_an_empty_folder_will_do(tmp_path):
    assert Run.create(tmp_path, recipe=Recipe()).folder == tmp_path


@pytest.mark.parametrize("survivors", [0, 1, 2, 3])
def test_a_creation_cut_short_leaves_no_run_and_can_be_repeated(tmp_path, monkeypatch, survivors):
    moved = []

    def replace(source, target, real=os.replace):
        if (
            ".creating-" in str(source)
            and str(target).startswith(str(tmp_path / "r"))
            and ".creating-" not in str(target)
        ):
            if len(moved) == survivors:
                raise KeyboardInterrupt
            moved.append(target)
        real(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace)
        Run.create(tmp_path / "r", recipe=Recipe())
    with pytest.raises(RunError, match=r"holds no run.json"):
        Run(tmp_path / "r")

    run = Run.create(tmp_path / "r", recipe=Recipe())

    assert run.recipe == Recipe()
    assert len(os.listdir(run.folder)) == 4


def test_a_missing_folder_names_the_nearest_run(run):
    with pytest.raises(RunError, match=r"no run folder .*frist; did you mean 'first'\?"):
        Run(run.folder.with_name("frist"))


def test_a_folder_of_runs_names_them(run):
    with pytest.raises(RunError, match=r"is no run folder: it holds no run.json; runs inside: first"):
        Run(run.folder.parent)
    with pytest.raises(RunError, match="is a file, not a run folder"):
        Run(run.folder / "run.json")


def test_a_newer_layout_is_told(run):
    run.path("run.json").write_text(json.dumps(run.info | {"layout": LAYOUT + 1}))

    with pytest.raises(RunError, match=rf"has layout {LAYOUT + 1}, this version reads up to {LAYOUT}; `pip install -U"):
        Run(run.folder)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"id": "x"}', "\x00\x01"])
def test_a_damaged_run_json_is_told(run, content):
    run.path("run.json").write_text(content)

    with pytest.raises(RunError, match=r"run.json is damaged"):
        Run(run.folder)


@pytest.mark.parametrize(
    ("name", "content"), [("recipe.toml", "= 3"), ("sources.json", "{"), ("sources.json", "[1]"), ("recipe.toml", None)]
)
def test_a_damaged_recipe_is_told(run, name, content):
    run.path(name).unlink() if content is None else run.path(name).write_text(content)

    with pytest.raises(RunError, match="has no readable recipe"):
        _ = run.recipe


def test_damaged_scores_and_predictions_are_told(run):
    run.path("scores.json").write_text("{")
    run.path("predictions").mkdir()
    run.path("predictions/val.npz").write_bytes(b"PK\x03\x04 cut short")

    with pytest.raises(RunError, match=r"scores.json is damaged"):
        _ = run.scores
    with pytest.raises(RunError, match=r"val.npz is damaged"):
        run.predictions("val")


def test_parents_and_children_find_each_other_after_a_move(run, tmp_path):
    child = Run.create(tmp_path / "trials" / "1", recipe=Recipe(), parent=run)
    other = Run.create(tmp_path / "trials" / "2", recipe=Recipe(), parent=run)
    assert child.parent == run.folder
    assert run.children == [child.folder, other.folder]
    shutil.copytree(tmp_path, tmp_path.with_name("moved"), dirs_exist_ok=True)
    shutil.rmtree(other.folder)

    moved = Run(tmp_path.with_name("moved") / "first")

    assert moved.children == [moved.folder.parent / "trials" / name for name in "12"]
    assert Run(moved.children[0]).parent == moved.folder
    assert run.children == [child.folder]


def test_the_model_is_read_only_after_it_was_set(run):
    with pytest.raises(RunError, match=r"model of run .*first is not loaded; tunesmith.load\(folder\)"):
        _ = run.model

    run.model = "a model"

    assert run.model == "a model"


READ = """
import os, sys
from tunesmith.runs import Run  # before: the rights to read Python itself may be lost
os.setuid(65534)
run = Run(sys.argv[1])
print(len(run.signals.read("loss")[0]), run.status)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only an administrator can become somebody else"
)
@pytest.mark.parametrize("killed", [False, True])
def test_somebody_without_the_right_to_write_can_read(run, tmp_path, killed):
    script = "import os, sys; from tunesmith.runs import Run\n"
    script += "w = Run(sys.argv[1]).writer(); w.begin_attempt(); w.add('loss', range(9), range(9)); w.flush()"
    ending = "; os.kill(os.getpid(), 9)" if killed else "; w.__exit__(None, None, None)"
    subprocess.run([sys.executable, "-c", script + ending, str(run.folder)], check=not killed)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    if killed:
        (run.folder / "log.sqlite-shm").unlink()

    done = subprocess.run([sys.executable, "-c", READ, str(run.folder)], capture_output=True, text=True, check=False)

    assert done.stdout == "9 interrupted\n", done.stderr


def test_a_run_shows_itself(run):
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", range(10), np.linspace(1, 0, 10))
        writer.evaluation({"epoch": 1, "step": 10, "val_loss": 0.5, "metric": "accuracy", "score": 0.75, "best": True})
        writer.write_json("scores.json", {"metric": "accuracy", "test": {"accuracy": 0.7421, "confusion": [[1, 2]]}})
        writer.set_status("finished", title="<b>")

    text, page = repr(run), run._repr_html_()

    assert "finished" in text
    assert "accuracy 0.75 at step 10" in text
    assert "test accuracy 0.7421" in text
    assert "<td>accuracy 0.7421</td>" in page
    console = Console(width=100, file=io.StringIO())
    console.print(run)
    assert "epoch 1, step 10" in console.file.getvalue()


def test_without_matplotlib_the_extra_is_named(run, monkeypatch):
    from tunesmith.records import MissingExtra

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[plots\]'"):
        run.plot()


def test_the_plot_has_the_curves(run):
    pytest.importorskip("matplotlib", reason="the extra plots is not installed")
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", range(1000), np.linspace(1, 0, 1000))
        for epoch in (1, 2):
            writer.evaluation(
                {
                    "epoch": epoch,
                    "step": 500 * epoch,
                    "val_loss": 1 / epoch,
                    "metric": "accuracy",
                    "score": epoch / 4,
                    "best": True,
                }
            )

    figure = run.plot()

    losses, scores = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training loss, step by step", "validation loss"]
    assert losses.lines[0].get_ydata()[0] == pytest.approx(1, abs=2e-3)
    assert list(scores.lines[0].get_ydata()) == [0.25, 0.5]

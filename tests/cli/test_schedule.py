"""`tunesmith schedule`."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.blocks.schedules import SCHEDULES, WARMUPS, build, rates
from tunesmith.cli import run
from tunesmith.records import Recipe, RecipeError, revise

NEEDS_MORE = ("lambda",)  # a function of yours
DRAWN = [name for name in SCHEDULES if name not in NEEDS_MORE]


@pytest.fixture
def said(capsys, monkeypatch):
    """Runs the command at a width; gives its exit code and what it printed."""

    def answer(*words: str, width: int = 80) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", str(width))
        code = run(["schedule", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return answer


@pytest.mark.parametrize("width", [80, 120])
def test_every_schedule_is_drawn_at_every_width(said, width):
    code, text, _ = said(*DRAWN, "--steps", "300", "--warmup", "0", width=width)

    assert code == 0
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text  # no terminal, no colours
    for name in DRAWN:
        assert f"\n{name}\n" in f"\n{text}"
    assert text.count("updates made") == text.count("┬─") * 0 + text.count("\nrate / peak rate") + text.count(
        "\nmomentum"
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_has_a_curve_for_each(said, width):
    code, text, _ = said(width=width)
    _, told, _ = said("--json")

    rows = {line.split()[0]: line for line in text.splitlines()[3:]}
    assert code == 0
    assert list(rows) == list(SCHEDULES) == json.loads(told)["schedules"]
    assert all("█" in rows[name] for name in DRAWN)
    assert max(map(len, text.splitlines())) <= width


def test_the_numbers_are_those_of_the_recipe(said):
    recipe = revise(
        Recipe(),
        {
            "schedule.name": "multi_step",
            "schedule.floor": 0.02,
            "schedule.extra": {"gamma": 0.5, "milestones": [300, 600]},
        },
    )
    expected = 0.3 * rates(build(recipe.schedule, 1000, 100), 1000)

    _, told, _ = said(
        "multi_step",
        "--warmup",
        "0.1dur",
        "--peak",
        "0.3",
        "--floor",
        "0.02",
        "--set",
        "gamma=0.5",
        "--set",
        "milestones=[300,600]",
        "--json",
    )

    answer = json.loads(told)
    assert (answer["name"], answer["steps"], answer["warmup"], answer["file"]) == ("multi_step", 1000, 100, None)
    assert answer["first"] == pytest.approx(0.003)
    assert (answer["peak"], answer["peak_at"]) == (pytest.approx(0.3), 99)
    assert answer["last"] == pytest.approx(0.075)
    steps, found = zip(*answer["rates"], strict=True)
    np.testing.assert_allclose(found, expected[list(steps)], rtol=1e-12)
    assert {0, 99, 999} <= set(steps)
    assert {399, 400, 699, 700} <= set(steps)  # both sides of a drop
    assert len(steps) < 250


def test_words_tell_the_same(said):
    _, text, _ = said("cosine", "--steps", "1000", "--warmup", "100", "--peak", "0.1", width=120)

    assert "first 0.001 · peak 0.1 after 99 updates" in text
    assert "1,000 updates · warm-up 100" in text
    assert "warm-up ends" in text


def test_restarts_are_marked_and_named(said):
    _, text, _ = said("cosine_restarts", "--steps", "700", "--set", "first=100", width=120)
    _, told, _ = said("cosine_restarts", "--steps", "700", "--set", "first=100", "--json")
    _, cycles, _ = said("cyclic", "step", "one_cycle", "--steps", "700", "--json")

    assert "restarts at 100, 300" in text
    assert "restart" in text.splitlines()[4]
    assert json.loads(told)["restarts"] == [100, 300]
    assert all(one["restarts"] == [] for one in json.loads(cycles)["schedules"])


def test_a_schedule_that_moves_the_momentum_shows_it(said):
    _, text, _ = said("one_cycle")
    _, told, _ = said("one_cycle", "--json")
    _, still, _ = said("one_cycle", "--set", "schedule.cycle_momentum=false")

    assert "\nmomentum\n" in text
    assert json.loads(told)["momentum"][0] == [0, 0.95]
    assert "\nmomentum\n" not in still


def test_lengths_in_epochs_need_the_updates_of_one(said):
    _, told, _ = said("step", "--epochs", "10", "--per-epoch", "50", "--warmup", "2ep", "--set", "every=3ep", "--json")
    code, _, error = said("step", "--warmup", "2ep")
    both, _, why = said("step", "--steps", "10", "--epochs", "2", "--per-epoch", "5")

    answer = json.loads(told)
    assert (answer["steps"], answer["warmup"]) == (500, 100)
    assert dict(map(tuple, answer["rates"]))[249] == 1.0
    assert min(step for step, rate in answer["rates"] if step >= 100 and rate < 1) == 250
    assert (code, both) == (2, 2)
    assert "how many updates an epoch has" in error
    assert "steps alone" in why


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (("multi_step", "--set", "milestones=[300,1200]"), "milestones: 1,200 never comes"),
        (("multi_step", "--warmup", "500", "--set", "milestones=[300,600,800]"), "milestones: 600, 800 never come"),
        (("piecewise", "--set", "boundaries=[300,1200]"), "boundaries: 1,200 never comes"),
        (("step", "--set", "every=5000"), "every = 5,000 is longer than the schedule"),
        (("cosine", "--warmup", "2000"), "the warm-up of 2,000 updates is not over"),
    ],
)
def test_what_lies_beyond_the_end_is_told(said, words, warning):
    code, text, _ = said(*words, width=120)

    assert code == 0
    assert f"warning: {warning}" in text
    assert "warning" not in said(words[0], width=120)[1]


def test_one_that_listens_says_what_it_was_told(said):
    code, text, _ = said("plateau", "--steps", "400", width=120)
    _, until, _ = said("cosine", "--steps", "400", "--warmup", "200", "--warmup-kind", "until", "--json")

    assert code == 0
    assert "note: it listens to val_loss: drawn for 40 evaluations that improve" in text
    assert "warning" not in text
    assert json.loads(until)["warmup"] == 40  # the third of 40 evaluations, 10 updates apart, with an error below 0.8


def test_the_join_and_the_kind_of_the_warm_up_are_used(said):
    found = {
        how: dict(
            map(
                tuple,
                json.loads(
                    said(
                        "cosine",
                        "--steps",
                        "100",
                        "--warmup",
                        "20",
                        "--join",
                        how,
                        "--warmup-kind",
                        "cosine",
                        "--warmup-start",
                        "0.5",
                        "--json",
                    )[1]
                )["rates"],
            )
        )
        for how in ("after", "over", "product", "composite")
    }

    assert found["after"][0] == found["product"][0] == 0.5
    assert found["after"][20] == 1.0
    assert found["over"][20] == pytest.approx((1 + np.cos(np.pi * 0.2)) / 2)
    assert set(WARMUPS) >= {"linear", "cosine"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("cosin",), "no schedule called 'cosin'; did you mean 'cosine'?"),
        (("cosine", "--warmup", "5", "--warmup-kind", "linaer"), "did you mean 'linear'"),
        (("step", "--set", "gama=1"), "step takes no 'gama'; did you mean 'gamma'?"),
        (("step", "--set", "gamma"), "expected NAME=VALUE"),
        (("lambda",), "a recipe cannot hold one"),
        (("cosine", "--steps", "0"), "1 update or more was expected"),
        (("cosine", "--out", "rate.pdf"), "written as .svg or .png"),
        (("cosine", "--join", "beside"), "beside"),
    ],
)
def test_wrong_use_is_one_sentence(said, words, sentence):
    code, text, error = said(*words)

    assert code == 2
    assert text == ""
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_a_picture_needs_no_package(said, tmp_path):
    file = tmp_path / "new" / "rate.svg"

    code, told, _ = said("cosine", "one_cycle", "--warmup", "100", "--peak", "0.1", "--out", str(file), "--json")

    root = ElementTree.parse(file).getroot()
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert code == 0
    assert json.loads(told)["file"] == str(file)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"cosine", "one_cycle", "rate", "momentum", "updates made", "warm-up ends", "1,000"} <= set(words)
    assert (
        sum("line" in (element.get("class") or "").split() for element in root.iter()) == 3
    )  # two rates, one momentum
    assert file.stat().st_size < 60_000


def test_a_png_is_drawn_or_names_the_extra(said, tmp_path):
    file = tmp_path / "rate.png"

    code, _, error = said("one_cycle", "--out", str(file))

    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert code == 2
        assert "pip install 'tunesmith[plots]'" in error
        assert not file.exists()
    else:
        assert code == 0
        assert file.read_bytes().startswith(b"\x89PNG")


def test_a_recipe_file_has_its_schedule_drawn(said, tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('[schedule]\nname = "step"\nwarmup = 10\nextra = {every = 50}\n')

    _, told, _ = said("--recipe", str(file), "--steps", "200", "--json")

    answer = json.loads(told)
    assert (answer["name"], answer["warmup"]) == ("step", 10)
    assert dict(map(tuple, answer["rates"]))[60] == pytest.approx(0.1)


def test_letters_that_an_encoding_has_not_are_not_used():
    program = "import sys\nfrom tunesmith.cli import run\nsys.exit(run(['schedule', 'cosine', 'plateau']))"

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "COLUMNS": "80"},
    )

    assert b"*****" in done.stdout
    assert done.stdout.isascii()


def test_it_starts_without_torch():
    program = "import sys\nfrom tunesmith.cli import run\nrun(['schedule', 'one_cycle', '--json'])\nsys.exit('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_from_python_the_arguments_of_a_schedule_are_plain_names():
    shown = ts.schedule("step", 90, every=30, gamma=0.5, peak=0.2)

    assert shown.rates[[0, 29, 30, 89]].tolist() == pytest.approx([0.2, 0.2, 0.1, 0.05])
    with pytest.raises(RecipeError, match="takes no 'evry'"):
        ts.schedule("step", 90, evry=30)

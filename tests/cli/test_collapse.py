"""`tunesmith collapse`."""

import json
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.cli import run


@pytest.fixture
def said(capsys):
    def answer(*words: str) -> tuple[int, str, str]:
        code = run(["collapse", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return answer


@pytest.mark.parametrize("model", ["gaussian", "regression", "categorical"])
def test_a_table_with_theory_beside_it(said: Any, model: str) -> None:
    code, text, _ = said("simulate", "--model", model, "--n", "40", "--generations", "15", "--replicates", "300")

    assert code == 0
    assert text.startswith(f"{model}, replace: 15 generations of 40, 300 replicates, seed 0")
    assert "theory" in text.splitlines()[1]
    assert "standard errors of theory" in text.splitlines()[-1]
    assert max(map(len, text.splitlines())) <= 80


def test_several_regimes_a_picture_and_the_same_from_python(said: Any, tmp_path: Path) -> None:
    words = "simulate --regime accumulate --regime mix --share 0.25 --generations 4 --n 20 --replicates 50 --seed 7"
    folder = tmp_path / "runs"

    code, text, _ = said(*words.split(), "--set", "estimator=mle", "--set", "variance=2", "--folder", str(folder))
    _, again, _ = said(*words.split(), "--set", "estimator=mle", "--set", "variance=2", "--json")

    assert code == 0
    assert "gaussian, mix (25% real)" in text
    assert text.splitlines()[-2:] == [f"{folder / name} written" for name in ("collapse.json", "collapse.svg")]
    assert json.loads(again)["simulations"] == json.loads((folder / "collapse.json").read_text())["simulations"]
    assert (folder / "collapse.svg").read_text().startswith("<svg ")
    one, _ = ts.collapse(
        regime=["accumulate", "mix"],
        share=0.25,
        generations=4,
        n=20,
        replicates=50,
        seed=7,
        estimator="mle",
        variance=2,
    )
    assert json.loads(again)["simulations"][0]["measures"]["variance"]["mean"] == one.mean("variance").tolist()


def test_a_text_and_going_on(said: Any, tmp_path: Path) -> None:
    file, folder = tmp_path / "text.txt", tmp_path / "runs"
    file.write_text("a bell tolls and the sea goes on\n" * 200)
    small = ["--n", "2000", "--replicates", "1", "--set", "updates=10", "--set", "width=16"]
    words = ["simulate", "--model", "letters", "--text", str(file), *small, "--folder", str(folder)]

    first = said(*words, "--generations", "1")
    refused = said(*words, "--generations", "2")
    grown = said(*words, "--generations", "2", "--resume")

    assert (first[0], refused[0], grown[0]) == (0, 2, 0)
    assert "resume it (--resume)" in refused[2]
    assert "perplexity" in grown[1]
    assert len((folder / "replace" / "generations.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["simulat"], "did you mean 'simulate'"),
        (["simulate", "--model", "gausian"], "did you mean 'gaussian'"),
        (["simulate", "--regime", "replac"], "did you mean 'replace'"),
        (["simulate", "--regime", "mix", "--regime", "mix"], "several different ones"),
        (["simulate", "--set", "estimator"], "expected NAME=VALUE"),
        (["simulate", "--set", "sigma=1"], "no setting 'sigma'"),
        (["simulate", "--set", "variance=wide"], "variance = 'wide'"),
        (["simulate", "--set", "estimator=[1]"], "unbiased or mle"),
        (["simulate", "--model", "regression", "--set", "noise=much"], "noise = 'much'"),
        (["simulate", "--model", "categorical", "--set", "shares=even"], "sum to 1"),
        (["simulate", "--model", "mixture", "--set", "data=rows.csv"], "expected (N, D)"),
        (["simulate", "--model", "letters"], "--text FILE"),
        (["simulate", "--model", "gaussian", "--text", "a.txt"], "no setting 'text'"),
        (["simulate", "--n", "0"], "n = 0"),
    ],
)
def test_bad_input_is_one_sentence(said: Any, words: list[str], told: str) -> None:
    code, text, error = said(*words)

    assert (code, text) == (2, "")
    assert told in error
    assert len(error.strip().splitlines()) == 1

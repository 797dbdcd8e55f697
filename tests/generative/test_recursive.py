"""Generations trained on each other's output: closed forms, regimes, seeds, stops, models of one's own."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.generative import ring
from tunesmith.generative.recursive import MODELS, REGIMES, Subject, measures_against, simulate
from tunesmith.generative.recursive.models.letters import letters
from tunesmith.records import DataError, RecipeError, RunBusy, RunError, UnknownName
from tunesmith.runs.lock import FolderLock

FAR = 5  # standard errors


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_a_gaussian_follows_the_closed_forms(regime: str, estimator: str) -> None:
    found = simulate(
        "gaussian",
        regime=regime,
        generations=12,
        n=10,
        replicates=4000,
        share=0.3,
        estimator=estimator,
        variance=3.0,
        seed=1,
    )

    compared = ["log_variance"] if regime == "replace" else ["variance", "mean_square"]
    assert list(found.expected) == compared
    assert all((found.apart(name) or np.inf) < FAR for name in compared)


@pytest.mark.parametrize(
    ("regime", "designs"), [("replace", "fresh"), ("accumulate", "fresh"), ("accumulate", "shared"), ("keep", "shared")]
)
def test_a_regression_follows_the_closed_forms(regime: str, designs: str) -> None:
    found = simulate(
        "regression",
        regime=regime,
        generations=6,
        n=20,
        replicates=3000,
        features=5,
        noise=2.0,
        designs=designs,
        seed=2,
    )

    assert (found.apart("excess_error") or np.inf) < FAR
    np.testing.assert_allclose(found.values["test_error"], found.values["excess_error"] + 2.0)


def test_the_designs_can_be_told_apart() -> None:
    shared, fresh = (
        simulate("regression", regime="accumulate", generations=6, n=12, replicates=6000, features=5, designs=one)
        for one in ("shared", "fresh")
    )

    error = shared.error("excess_error")[-1]
    assert shared.mean("excess_error")[-1] - fresh.expected["excess_error"][-1] > FAR * error


def test_more_weights_than_rows_without_noise() -> None:
    found = simulate("regression", generations=5, n=10, replicates=2000, features=20, noise=0.0)

    assert (found.apart("excess_error") or np.inf) < FAR
    assert found.mean("excess_error")[-1] > 0.95


def test_regressions_without_a_closed_form_are_not_compared() -> None:
    for settings in ({"regime": "mix"}, {"regime": "keep"}, {"n": 6, "features": 5}, {"n": 3, "features": 5}):
        asked: dict[str, Any] = {"n": 30, "generations": 2, "replicates": 20, **settings}
        assert simulate("regression", **asked).apart("excess_error") is None
    with pytest.raises(RecipeError, match="take fresh designs"):
        simulate("regression", regime="mix", n=30, designs="shared", replicates=2)


@pytest.mark.parametrize("regime", REGIMES)
def test_classes_follow_the_closed_forms_and_lose_the_rare(regime: str) -> None:
    found = simulate("categorical", regime=regime, generations=10, n=50, replicates=3000, share=0.3, seed=3)

    assert (found.apart("heterozygosity") or np.inf) < FAR
    assert (found.apart("support") or np.inf) < FAR
    seen = found.mean("support")
    if regime == "replace":
        assert seen[-1] < 0.4 * seen[0]
    else:
        assert seen[-1] > 0.75 * seen[0]
    assert found.mean("tail")[-1] == pytest.approx(1.0, abs=FAR * found.error("tail")[-1])  # a martingale


def test_shares_of_ones_own() -> None:
    found = simulate("categorical", generations=1, n=4, replicates=4000, shares=[0.25] * 4)

    assert found.expected["support"][0] == pytest.approx(2.734375)
    assert (found.apart("support") or np.inf) < FAR


def test_a_wrong_closed_form_would_be_seen() -> None:
    found = simulate("gaussian", regime="accumulate", generations=12, n=10, replicates=4000)

    found.expected["variance"][:] = simulate(  # type: ignore[index]
        "gaussian", regime="accumulate", generations=12, n=10, replicates=1, estimator="mle"
    ).expected["variance"]

    assert (found.apart("variance") or 0) > FAR


@pytest.mark.parametrize(("model", "n"), [("gaussian", 10), ("regression", 30), ("categorical", 20), ("mixture", 60)])
def test_the_same_seed_gives_the_same_numbers(model: str, n: int) -> None:
    runs = [simulate(model, regime="accumulate", generations=3, n=n, replicates=3, seed=seed) for seed in (4, 4, 5)]

    for name, values in runs[0].values.items():
        np.testing.assert_array_equal(values, runs[1].values[name])
    assert any((values != runs[2].values[name]).any() for name, values in runs[0].values.items())


def test_regimes_begin_alike() -> None:
    first = [
        simulate("gaussian", regime=regime, generations=2, n=10, replicates=5).values["variance"][:, 0]
        for regime in REGIMES
    ]

    for one in first[1:]:
        np.testing.assert_array_equal(one, first[0])


class Counted:
    """A model that remembers what it was fitted to."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def sample(self, n: int, seed: int) -> np.ndarray:
        return np.full(n, self.rows.max() + 1)


def counted(seen: list[list[int]]) -> Subject:
    def fit(rows: np.ndarray, seed: int) -> Counted:
        seen.append(rows.astype(int).tolist())
        return Counted(rows)

    return Subject(
        name="counted",
        fit=fit,
        real=lambda n, seed: np.zeros(n),
        measure=lambda model, seed: {"rows": float(len(model.rows))},
    )


@pytest.mark.parametrize(
    ("regime", "third"),
    [
        ("replace", [2, 2, 2, 2]),
        ("accumulate", [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        ("mix", [0, 2, 2, 2]),
        ("keep", [0, 0, 0, 0, 2, 2, 2, 2]),
    ],
)
def test_what_a_generation_of_a_model_of_ones_own_is_fitted_to(regime: str, third: list[int]) -> None:
    seen: list[list[int]] = []

    simulate(counted(seen), regime=regime, generations=3, n=4, share=0.25, replicates=1)

    assert seen[0] == [0, 0, 0, 0]
    assert seen[2] == third


class Stop(Exception):
    pass


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_simulation_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path, regime: str, after: int) -> None:
    asked: dict[str, Any] = {"regime": regime, "generations": 3, "n": 60, "replicates": 2, "components": 3, "seed": 6}
    whole = simulate("mixture", **asked)
    steps = itertools.count(1)

    def stop(text: str) -> None:
        if next(steps) == after:
            raise Stop

    with pytest.raises(Stop):
        simulate("mixture", **asked, folder=tmp_path, step=stop)
    with (tmp_path / "generations.jsonl").open("a") as file:
        file.write('{"replicate": 1, "gener')  # cut short in the middle of a line
    told: list[str] = []
    again = simulate("mixture", **asked, folder=tmp_path, resume=True, step=told.append)

    assert len(told) == 6 - after
    for name, values in whole.values.items():
        np.testing.assert_array_equal(values, again.values[name])
    assert len((tmp_path / "generations.jsonl").read_text().splitlines()) == 6


def test_a_folder_may_grow_and_is_not_mistaken(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"n": 60, "components": 2, "replicates": 1}
    simulate("mixture", generations=2, **asked, folder=tmp_path)

    longer = simulate("mixture", generations=4, **asked, folder=tmp_path, resume=True)

    np.testing.assert_array_equal(
        longer.values["log_variance"], simulate("mixture", generations=4, **asked).values["log_variance"]
    )
    with pytest.raises(RunError, match="--resume"):
        simulate("mixture", generations=4, **asked, folder=tmp_path)
    with pytest.raises(RunError, match="with other n, seed"):
        simulate("mixture", generations=4, **asked | {"n": 61}, seed=1, folder=tmp_path, resume=True)


def test_a_folder_has_one_writer_and_whole_lines(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"generations": 2, "n": 60, "components": 2, "replicates": 1, "folder": tmp_path}
    simulate("mixture", **asked)

    lock = FolderLock(tmp_path)
    with pytest.raises(RunBusy):
        simulate("mixture", **asked, resume=True)
    lock.release()
    (tmp_path / "generations.jsonl").write_text('{"replicate": 0}\n')
    for _ in range(2):  # an error gives the folder back
        with pytest.raises(RunError, match="line 1 of"):
            simulate("mixture", **asked, resume=True)
    with pytest.raises(RunError, match="with other settings"):
        simulate("mixture", **asked | {"components": 3}, resume=True)


def test_what_is_infinite_is_so_after_a_stop(tmp_path: Path) -> None:
    subject = Subject(
        name="lost",
        fit=lambda rows, seed: Counted(rows),
        real=lambda n, seed: np.zeros(n),
        measure=lambda model, seed: {"log": -np.inf, "none": np.nan},
    )
    simulate(subject, generations=1, n=3, replicates=1, folder=tmp_path)

    again = simulate(subject, generations=1, n=3, replicates=1, folder=tmp_path, resume=True)

    assert again.values["log"].tolist() == [[-np.inf]]
    assert np.isnan(again.values["none"]).all()


def test_data_that_cannot_be_written_are_not_kept(tmp_path: Path) -> None:
    class Odd(Counted):
        def sample(self, n: int, seed: int) -> Any:
            return [object()] * n

    subject = Subject(
        name="odd",
        fit=lambda rows, seed: Odd(np.zeros(1)),
        real=lambda n, seed: np.zeros(n),
        measure=lambda model, seed: {"one": 1.0},
    )

    with pytest.raises(RunError, match="expected text or an array"):
        simulate(subject, generations=2, n=3, folder=tmp_path)


def test_a_mixture_that_is_replaced_drifts_off_and_one_that_accumulates_does_not() -> None:
    ends = {
        regime: simulate("mixture", regime=regime, generations=8, n=100, replicates=3).mean("test_error")
        for regime in ("replace", "accumulate")
    }

    assert ends["replace"][-1] - ends["replace"][0] > 1.0
    assert ends["accumulate"][-1] - ends["accumulate"][0] < 0.5


def test_rows_of_ones_own() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 3))

    found = simulate("mixture", generations=2, n=200, replicates=2, components=1, data=rows)

    assert "modes" not in found.values
    assert found.mean("test_error")[0] == pytest.approx(1.5 * np.log(2 * np.pi * np.e), abs=0.3)
    with pytest.raises(DataError, match="320 rows beside the 80"):
        simulate("mixture", n=321, data=rows)
    with pytest.raises(DataError, match="100 rows or more"):
        simulate("mixture", data=rows[:50])


def test_measures_of_a_model_of_ones_own() -> None:
    real = np.random.default_rng(0).normal(size=(1000, 2))
    measure = measures_against(real)

    class Drawn:
        def __init__(self, deviation: float) -> None:
            self.deviation = deviation

        def sample(self, n: int, seed: int) -> np.ndarray:
            return np.random.default_rng(seed).normal(0, self.deviation, (n, 2))

    sound, narrow, point = (measure(Drawn(deviation), 7) for deviation in (1.0, 0.5, 0.0))

    assert abs(sound["log_variance"]) < 0.1
    assert 0.5 < sound["tail"] < 1.6
    assert sound["support"] > 0.9
    assert narrow["log_variance"] == pytest.approx(2 * np.log(0.5), abs=0.1)
    assert narrow["tail"] < 0.1
    assert narrow["support"] < 0.9 * sound["support"]
    assert point["log_variance"] == -np.inf
    with pytest.raises(DataError, match="20 or more"):
        measures_against(real[:5])


def test_an_autoencoder_is_trained_on_itself(tmp_path: Path) -> None:
    found = simulate(
        "autoencoder", generations=2, n=400, replicates=1, updates=300, width=48, latent=2, folder=tmp_path
    )

    assert found.mean("modes")[0] == 8
    assert found.mean("test_error")[0] < 2.14  # of one normal law: log(2 π e / 2), its variances 1/2 and a little
    assert (tmp_path / "drawn" / "0-2.npy").exists()
    drawn = np.load(tmp_path / "drawn" / "0-2.npy")
    assert drawn.shape == (400, 2)
    assert np.linalg.norm(drawn[:, None] - ring(8), axis=2).min(axis=1).mean() < 0.4


WORDS = [
    "the",
    "king",
    "and",
    "queen",
    "of",
    "the",
    "long",
    "night",
    "went",
    "down",
    "to",
    "the",
    "old",
    "sea",
    "with",
    "seven",
    "grey",
    "ships",
    "and",
    "a",
    "bell",
]


def verses(count: int = 900) -> str:
    draw = np.random.default_rng(0)
    return "".join(" ".join(draw.choice(WORDS, 6)) + "\n" for _ in range(count))


def test_a_language_model_is_trained_on_itself_and_goes_on(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"n": 6000, "replicates": 1, "text": verses(), "width": 24, "updates": 60, "seed": 3}
    whole = simulate("letters", generations=2, **asked)
    simulate("letters", generations=1, **asked, folder=tmp_path)
    again = simulate("letters", generations=2, **asked, folder=tmp_path, resume=True)

    for name, values in whole.values.items():
        np.testing.assert_array_equal(values, again.values[name])
    assert len((tmp_path / "drawn" / "0-2.txt").read_text()) == 6000
    assert 1 < whole.mean("perplexity")[0] < 10  # of 18 letters, equally likely, 18
    assert set(whole.values) == {"perplexity", "words", "tail"}


@pytest.mark.slow
def test_a_language_model_forgets_where_it_is_replaced() -> None:
    lost = {
        regime: simulate("letters", regime=regime, generations=6, n=8000, replicates=2, text=verses(), width=48)
        for regime in ("replace", "accumulate")
    }

    grown = {regime: found.mean("perplexity")[-1] / found.mean("perplexity")[0] for regime, found in lost.items()}
    assert grown["replace"] > 1.1
    assert grown["accumulate"] - 1 < (grown["replace"] - 1) / 2


def test_texts_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "no.gz").write_bytes(b"no archive")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1") * 3000)
    (tmp_path / "short.txt").write_text("too short\n")

    for text, said in (
        (None, "needs a text"),
        (tmp_path / "none.txt", "no file"),
        (tmp_path / "no.gz", "no text in UTF-8"),
        (tmp_path / "latin.txt", "no text in UTF-8"),
        (tmp_path / "short.txt", "10 letters; expected 2000 or more"),
        ("short.txt", "no file"),
    ):
        with pytest.raises(DataError, match=said):
            letters(text)
    with pytest.raises(DataError, match="beside the held-out tenth"):
        simulate("letters", n=10**6, text=verses())
    with pytest.raises(RecipeError, match="more than 64 letters"):
        simulate("letters", n=64, text=verses())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"generations": 0}, "generations = 0"),
        ({"n": 2.5}, "n = 2.5"),
        ({"replicates": True}, "replicates = True"),
        ({"seed": -1}, "seed = -1"),
        ({"share": 2}, "share = 2"),
        ({"n": 1}, "2 draws or more"),
        ({"n": 1, "regime": "mix"}, "2 draws or more"),
        ({"colour": "red"}, "no setting 'colour'; there are estimator, variance"),
        ({"estimator": "bayes"}, "unbiased or mle"),
        ({"variance": 0}, "above 0"),
        ({"model": "regression", "features": 0}, "features = 0"),
        ({"model": "regression", "noise": -1}, "noise = -1"),
        ({"model": "regression", "designs": "new"}, "fresh or shared"),
        ({"model": "mixture", "components": 0}, "components = 0"),
        ({"model": "mixture", "components": 30, "n": 20}, "as many rows or more"),
        ({"model": "autoencoder", "updates": 0}, "updates = 0"),
        ({"model": "letters", "text": "a\n" * 2000, "width": 1}, "width = 1"),
        ({"model": counted([]), "width": 1}, "put them into it"),
    ],
)
def test_bad_input_is_one_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        simulate(**{"model": "gaussian", "generations": 2, **asked})


@pytest.mark.parametrize("shares", [[0.5, 0.6], [1.0], [1.5, -0.5], "even", [[0.5, 0.5]], [np.nan, 1.0]])
def test_shares_that_are_none(shares: Any) -> None:
    with pytest.raises(DataError, match="sum to 1"):
        simulate("categorical", shares=shares)


def test_names() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gaussian'"):
        simulate("gausian")
    with pytest.raises(UnknownName, match="no measure called 'varianze'; did you mean 'variance'"):
        simulate("gaussian", generations=1, replicates=2).mean("varianze")
    assert list(MODELS) == ["autoencoder", "categorical", "gaussian", "letters", "mixture", "regression"]

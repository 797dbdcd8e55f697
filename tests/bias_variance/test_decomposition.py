import json

import numpy as np
import pytest

from tunesmith.doctor.bias_variance import decomposed, equal_units
from tunesmith.records import DataError


def means(seed, refits=10, rows=30, judged=100, noise=1.0):
    """Refits of the mean of y = 2 x + noise, x on a grid of 20: predictions, targets, inputs."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 20, judged) / 10 - 1
    train = rng.integers(0, 20, (refits, rows)) / 10 - 1
    level = (2 * train + noise * rng.normal(size=train.shape)).mean(axis=1)
    return np.repeat(level[:, None], judged, axis=1), 2 * x + noise * rng.normal(size=judged), x


GRID = np.arange(20) / 10 - 1
TRUE = {"bias2": 4 * GRID.var(), "variance": (4 * GRID.var() + 1) / 30, "noise": 1.0}
TRUE |= {"bias2_and_noise": TRUE["bias2"] + 1, "error": TRUE["bias2"] + 1 + TRUE["variance"]}


def test_intervals_hold_the_closed_form_and_the_mean_hits_it():
    repeats = 150
    held, values = dict.fromkeys(TRUE, 0), {name: [] for name in TRUE}

    for seed in range(repeats):
        f, y, x = means(seed)
        parts = decomposed(f, y, loss="squared", units=equal_units(x[:, None])).parts
        for name, true in TRUE.items():
            held[name] += parts[name].low <= true <= parts[name].high
            values[name].append(parts[name].value)

    for name, true in TRUE.items():
        error = np.std(values[name]) / np.sqrt(repeats)
        assert abs(np.mean(values[name]) - true) < 4 * error, name
        assert held[name] / repeats > 0.86, name  # of 95 %; the variance of ten refits of one number is the hardest


def test_parts_add_up_and_noise_comes_off_the_bias():
    f, y, x = means(0)

    found = decomposed(f, y, loss="squared", units=equal_units(x[:, None]))

    assert found.error == pytest.approx(found.bias2_and_noise + found.variance)
    assert found.bias2_and_noise == pytest.approx(found.bias2 + found.noise)
    assert "the noise is that of 99 of 100 rows, in 19 groups" in str(found)


def test_without_replicates_bias_and_noise_stay_together():
    f, y, _ = means(0)

    found = decomposed(f, y, loss="squared")

    assert list(found.parts) == ["error", "bias2_and_noise", "variance"]
    assert "too few rows have equal inputs" in str(found)
    with pytest.raises(AttributeError, match="no part called 'noise'; there are error, bias2_and_noise, variance"):
        _ = found.noise


def test_a_known_noise_is_taken_at_its_word():
    f, y, _ = means(0)

    found = decomposed(f, y, loss="squared", noise=1.0)

    assert found.noise == 1.0
    assert found.bias2 == pytest.approx(found.bias2_and_noise - 1.0)


def test_noise_can_be_left_in_the_bias():
    f, y, x = means(0)

    found = decomposed(f, y, loss="squared", units=equal_units(x[:, None]), noise=None)

    assert "noise" not in found.parts
    assert found.notices() == ["bias² and noise are told together, as asked"]


def votes(seed, refits, rows=200, judges=21):
    """Majority votes of noisy labels in ten cells: answers, labels, cells; and the flip rates."""
    flips = np.random.default_rng(0).uniform(0.05, 0.45, 10)
    rng = np.random.default_rng(1000 + seed)
    cell = rng.integers(0, 10, rows)
    answers = (rng.random((refits, 10, judges)) < flips[:, None]).sum(axis=-1) > judges / 2
    return answers.astype(int)[:, cell], (rng.random(rows) < flips[cell]).astype(int), cell


def test_the_parts_of_the_zero_one_loss_hit_the_closed_form():
    from scipy.stats import binom

    flips = np.random.default_rng(0).uniform(0.05, 0.45, 10)
    wrong = 1 - binom.cdf(10, 21, flips)  # P(the vote is not the usual one)
    true = {
        "error": (flips * (1 - wrong) + (1 - flips) * wrong).mean(),
        "bias": flips.mean(),
        "variance": wrong.mean(),
        "net_variance": ((1 - 2 * flips) * wrong).mean(),
        "added_bias2": ((flips - wrong) ** 2).mean(),
        "added_variance": (wrong * (1 - wrong)).mean(),
        "added_noise": (flips * (1 - flips)).mean(),
    }
    repeats = 60
    held, values = dict.fromkeys(true, 0), {name: [] for name in true}

    for seed in range(repeats):
        answers, y, cell = votes(seed, refits=20)
        parts = decomposed(answers, y, loss="zero_one", units=cell).parts
        for name in true:
            held[name] += parts[name].low <= true[name] <= parts[name].high
            values[name].append(parts[name].value)

    for name in true:
        error = np.std(values[name]) / np.sqrt(repeats)
        assert abs(np.mean(values[name]) - true[name]) < 4 * error, name
        assert held[name] / repeats > 0.85, name


def test_words_are_labels_too():
    answers, y, cell = votes(0, refits=5)
    words = np.array(["no", "yes"])

    plain = decomposed(answers, y, loss="zero_one", units=cell)
    worded = decomposed(words[answers], words[y], loss="zero_one", units=cell)

    assert {name: part.value for name, part in worded.parts.items()} == {
        name: part.value for name, part in plain.parts.items()
    }
    assert set(worded.rows["main"]) <= {"no", "yes"}


def test_two_refits_have_a_value_and_no_interval_of_the_variance():
    f, y, _ = means(0, refits=2)

    found = decomposed(f, y, loss="squared")

    assert np.isfinite(found.variance)
    assert np.isnan(found.parts["variance"].low)
    assert "2 refits are few" in str(found)


def test_one_refit_and_other_shapes_are_refused():
    f, y, _ = means(0)

    with pytest.raises(DataError, match="1 refit has no variance"):
        decomposed(f[:1], y, loss="squared")
    with pytest.raises(DataError, match=r"the shape \(100,\) and the targets \(99,\)"):
        decomposed(f, y[1:], loss="squared")


def test_it_is_plain_data_and_reads_in_both_languages():
    answers, y, cell = votes(0, refits=5)
    found = decomposed(answers, y, loss="zero_one", units=cell, how="bootstrap", rows_per_fit=21)

    assert json.loads(json.dumps(found.as_dict()))["parts"]["bias"]["value"] == found.bias
    assert "bias: the usual answer is wrong" in found.text("en")
    assert "偏差：通常的答案是错的" in found.text("zh")

"""Functions as the thing that is searched."""

import pickle
import random
from functools import partial

import numpy as np
import pytest
import torch

from tunesmith.records import DataError
from tunesmith.search.subject import discard_all, record_of
from tunesmith.search.subjects import Function, subject_of


def trained(subject, start, upto, config=None, **given):
    about = {"folder": None, "seed": 5, "copy_from": None} | given
    return list(subject.train(config or {"x": 2.0}, start=start, upto=upto, **about))


def test_a_score_is_one_unit():
    assert trained(Function(lambda config: config["x"] ** 2), 0, 1) == [{"score": 4.0}]


def test_a_record_keeps_what_else_was_measured():
    assert trained(Function(lambda config: {"score": 1, "loss": 2}), 0, 1) == [{"score": 1.0, "loss": 2}]


def test_a_generator_goes_on_where_it_stopped():
    runs = []

    def curve(config):
        runs.append(1)
        yield from (config["x"] + unit for unit in range(1, 10))

    subject = Function(curve)

    scores = [record["score"] for start, upto in ((0, 1), (1, 3), (3, 9)) for record in trained(subject, start, upto)]

    assert scores == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert runs == [1]


def test_a_generator_that_was_lost_is_run_again_without_counting():
    def curve(config):
        yield from (config["x"] + unit for unit in range(1, 10))

    subject = pickle.loads(pickle.dumps(Function(_curve)))

    assert trained(Function(curve), 3, 5) == [None, None, None, {"score": 6.0}, {"score": 7.0}]
    assert trained(subject, 1, 2) == [None, {"score": 0.5}]


def _curve(config):
    yield from (1 / unit for unit in range(1, 10))


def test_each_trial_has_a_generator_of_its_own():
    subject = Function(_curve)

    first = trained(subject, 0, 1, seed=1)
    other = trained(subject, 0, 2, seed=2)
    again = trained(subject, 1, 2, seed=1)

    assert [*first, *again] == other


@pytest.mark.parametrize(
    "function",
    [
        lambda config, budget: [1 / unit for unit in range(1, budget + 1)],
        lambda config, epochs: [1 / unit for unit in range(1, epochs + 1)],
        partial(lambda scale, config, budget: [scale / unit for unit in range(1, budget + 1)], 1.0),
    ],
)
def test_a_function_of_the_budget_returns_a_score_a_unit(function):
    assert trained(Function(function), 1, 3) == [{"score": 0.5}, {"score": 1 / 3}]


def test_the_last_score_alone_stands_for_the_units_before_it():
    assert trained(Function(lambda config, budget: 1 / budget), 2, 4) == [{"score": 0.25}, {"score": 0.25}]


def test_what_a_function_asks_for_by_name_it_gets(tmp_path):
    seen = {}

    def asking(config, *, seed, folder, start=0, other=7):
        seen.update(seed=seed, folder=folder, start=start, other=other)
        return 0.0

    subject = Function(asking)

    trained(subject, 0, 1, folder=tmp_path)

    assert subject.wants_folder
    assert seen == {"seed": 5, "folder": tmp_path, "start": 0, "other": 7}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda config: "good", "gave 'good' for a score"),
        (lambda config: None, "gave None for a score"),
        (lambda config: {"loss": 1}, "gave a record with 'loss'; expected a 'score'"),
        (lambda config: object(), "gave a object for a score"),
        (lambda config: True, "gave True for a score"),
    ],
)
def test_what_is_no_score_is_said(function, said):
    with pytest.raises(DataError, match=said):
        trained(Function(function), 0, 1)


def test_one_score_for_many_units_is_refused():
    with pytest.raises(DataError, match="returned one score, and 3 units"):
        trained(Function(lambda config: 1.0), 0, 3)
    with pytest.raises(DataError, match="returned 2 scores of 3 units"):
        trained(Function(lambda config, budget: [1.0, 2.0]), 0, 3)


def test_a_function_that_takes_too_much_is_refused():
    with pytest.raises(DataError, match="takes no configuration"):
        Function(lambda: 1.0)
    with pytest.raises(DataError, match="also takes more"):
        Function(lambda config, budget, more: 1.0)


def test_weights_cannot_be_taken_over(tmp_path):
    with pytest.raises(DataError, match="cannot take over another trial's weights"):
        trained(Function(_curve), 1, 2, copy_from=tmp_path)


def test_what_cannot_be_searched_is_said():
    with pytest.raises(DataError, match="a int was to be searched"):
        subject_of(3)


def test_numbers_of_numpy_are_scores():
    import numpy as np

    assert record_of(np.float32(0.5), "f") == {"score": 0.5}
    assert record_of(np.array(0.25), "f") == {"score": 0.25}


def test_texts_of_a_removed_trial_stay(tmp_path):
    for name in ("state.bin", "notes.txt", "command.log"):
        (tmp_path / "a" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).touch()
    (tmp_path / "b").mkdir()

    for name in ("a", "b", "c"):
        discard_all(tmp_path / name)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "command.log", "notes.txt"]


def test_a_generator_that_pauses_without_gradients_leaves_the_others_theirs():
    torch = pytest.importorskip("torch")
    seen = []

    def curve(config):
        weight = torch.ones(1, requires_grad=True)
        while True:
            (weight * 2).sum().backward()
            seen.append(torch.is_grad_enabled())
            with torch.no_grad():
                yield float(weight)
                seen.append(torch.is_grad_enabled())  # its own mode goes on

    subject = Function(curve)
    trained(subject, 0, 1, {"x": 1.0})
    assert torch.is_grad_enabled()
    trained(subject, 0, 1, {"x": 2.0})
    trained(subject, 1, 2, {"x": 1.0})

    assert torch.is_grad_enabled()
    assert seen == [True, True, False, True]


def _drawn(config):
    for _ in range(9):
        yield random.random() + float(np.random.uniform()) + float(torch.rand(()))


def test_what_a_trial_draws_from_the_global_random_numbers_is_its_own():
    alone = trained(Function(_drawn), 0, 6, seed=3)
    subject = Function(_drawn)

    first = trained(subject, 0, 2, seed=3)
    other = trained(subject, 0, 4, seed=4)
    random.seed(0)
    torch.rand(3)
    rest = trained(subject, 2, 6, seed=3)

    assert first + rest == alone
    assert other != alone[:4]


def test_the_global_random_numbers_of_the_caller_go_on_as_if_nothing_was_trained():
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    expected = random.random(), np.random.uniform(), torch.rand(()).item()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)

    trained(Function(_drawn), 0, 3)
    trained(Function(lambda config: float(torch.rand(()) + np.random.uniform() + random.random())), 0, 1)

    assert (random.random(), np.random.uniform(), torch.rand(()).item()) == expected


def test_a_function_that_draws_gives_a_trial_the_same_score_each_time():
    subject = Function(lambda config: float(torch.rand(()) + np.random.uniform() + random.random()))

    assert trained(subject, 0, 1, seed=1) == trained(subject, 0, 1, seed=1) != trained(subject, 0, 1, seed=2)

"""Distillation: the paper's formulas, a loss that a task trains with, and a student that gains from its teachers."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.ensembles.digits import TEST, chances, digits, net, predicted
from tunesmith import Task, fit, load
from tunesmith.blocks import metrics
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import EnsembleDistillation, average, blended, measure, softened
from tunesmith.records import DataError, ModelError, RecipeError

LOGITS = np.random.default_rng(0).normal(scale=2, size=(3, 6, 4))  # three teachers, six rows, four classes
TEACHERS = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)
LABELS = np.array([0, 1, 2, 3, 0, 1])


@given(st.floats(0.3, 30), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_softened_probabilities_are_the_softmax_of_logits_over_the_temperature(temperature: float, seed: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(scale=2, size=(5, 4)))

    found = softened(logits.softmax(1).numpy(), temperature)

    assert np.allclose(found, (logits / temperature).softmax(1).numpy(), rtol=1e-5, atol=1e-9)  # eq. 1


@given(st.floats(0.5, 20), st.lists(st.floats(0.01, 5), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_the_target_holds_the_label_and_the_mean_of_the_softened_teachers(temperature: float, weights: Any) -> None:
    loss = EnsembleDistillation(temperature=temperature)

    target = loss.targets(LABELS, TEACHERS, weights)

    mean = np.tensordot(np.array(weights) / sum(weights), softened(TEACHERS, temperature), axes=1)
    assert target.dtype == np.float32
    assert target[:, 0].tolist() == LABELS.tolist()
    assert np.allclose(torch.from_numpy(target[:, 1:] / temperature).softmax(1), mean, atol=1e-4)


def test_the_loss_is_the_papers_sum() -> None:
    T, alpha = 3.0, 0.7
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = EnsembleDistillation(temperature=T, alpha=alpha)

    value = loss(z, torch.from_numpy(loss.targets(LABELS, TEACHERS))).value

    soft = torch.from_numpy(softened(TEACHERS, T).mean(axis=0))
    apart = functional.kl_div((z / T).log_softmax(1), soft, reduction="batchmean")
    right = functional.cross_entropy(z, torch.from_numpy(LABELS))
    assert float(value) == pytest.approx(float(alpha * T**2 * apart + (1 - alpha) * right), rel=1e-5)


def test_at_a_high_temperature_the_gradient_is_that_of_matched_logits() -> None:
    z = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = EnsembleDistillation(temperature=200.0, alpha=1.0)

    (gradient,) = torch.autograd.grad(loss(z, torch.from_numpy(loss.targets(LABELS, TEACHERS[:1]))).sum, z)

    t, s = (torch.from_numpy(LOGITS[0]), z.detach())
    matched = ((s - s.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True))) / 4  # eq. 4, times T²
    assert torch.allclose(gradient, matched, atol=0.05)


def test_weights_of_rows_and_parts_of_a_batch_add_up() -> None:
    loss = EnsembleDistillation()
    z, target = torch.randn(6, 4), torch.from_numpy(loss.targets(LABELS, TEACHERS))

    whole, parts = loss(z, target), [loss(z[rows], target[rows]) for rows in (slice(0, 2), slice(2, 6))]
    weighed = loss(z, target, torch.tensor([0.0, 0, 2, 2, 0, 0]))

    assert float(sum(part.sum for part in parts)) == pytest.approx(float(whole.sum), rel=1e-5)
    assert float(weighed.value) == pytest.approx(float(loss(z[2:4], target[2:4]).value), rel=1e-5)
    assert "temperature=2.0" in repr(loss)


def test_teachers_that_are_certain_and_one_column_of_two_classes_are_taken() -> None:
    loss = EnsembleDistillation(temperature=2.0)

    certain = loss.targets([0], [[[1.0, 0.0]]])
    column = loss.targets([1, 0], [[0.9, 0.2]])

    assert np.isfinite(certain).all()
    assert math.isfinite(float(loss(torch.zeros(1, 2), torch.from_numpy(certain)).value))
    assert np.allclose(column, loss.targets([1, 0], [[[0.1, 0.9], [0.8, 0.2]]]))


@pytest.mark.parametrize(
    ("labels", "teachers", "says"),
    [
        ([0, 4], TEACHERS[:, :2], "2 whole numbers from 0 to 3 were expected"),
        ([0, 0.5], TEACHERS[:, :2], "2 whole numbers from 0 to 3"),
        ([0], TEACHERS[:, :2], "the labels have the shape (1,)"),
        ([0, 1], LOGITS[:, :2], "take the softmax or the sigmoid of logits first"),
    ],
)
def test_labels_and_teachers_that_do_not_fit_get_a_sentence(labels: Any, teachers: Array, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        EnsembleDistillation().targets(labels, teachers)


def test_settings_and_outputs_that_do_not_fit_get_a_sentence() -> None:
    with pytest.raises(RecipeError, match="temperature"):
        EnsembleDistillation(temperature=0)
    with pytest.raises(RecipeError, match="alpha"):
        EnsembleDistillation(alpha=1.5)
    with pytest.raises(RecipeError, match="usually 2 to 20"):
        softened(TEACHERS, -1.0)
    with pytest.raises(ModelError, match="equal"):
        EnsembleDistillation()(torch.zeros(6, 3), torch.from_numpy(EnsembleDistillation().targets(LABELS, TEACHERS)))


@given(st.floats(0, 1), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_a_blended_target_has_the_gradient_of_both_squared_errors(alpha: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth, teachers = generator.normal(size=(5, 2)), generator.normal(size=(3, 5, 2))
    f = torch.from_numpy(generator.normal(size=(5, 2))).requires_grad_()
    mean = torch.from_numpy(average(teachers, kind="multi_regression"))

    both = alpha * (mean - f).square().sum() + (1 - alpha) * (torch.from_numpy(truth) - f).square().sum()
    one = (torch.from_numpy(blended(truth, teachers, alpha)) - f).square().sum()

    first, second = (torch.autograd.grad(value, f)[0] for value in (both, one))
    assert torch.allclose(first, second, atol=1e-12)


def test_rows_without_an_answer_take_the_teachers_and_nonsense_gets_a_sentence() -> None:
    assert blended([math.nan, 2.0], [[1.0, 1.0], [3.0, 3.0]], 0.0, [3, 1]).tolist() == [1.5, 2.0]
    with pytest.raises(RecipeError, match="alpha = 2"):
        blended([0.0], [[0.0]], 2)
    with pytest.raises(DataError, match="there are no predictions"):
        blended([0.0], [])
    with pytest.raises(DataError, match="there are no predictions"):
        EnsembleDistillation().targets([0], [])
    with pytest.raises(DataError, match=r"the truth has the shape \(2,\) and the teachers \(1,\)"):
        blended([0.0, 1.0], [[0.0]])


QUICK = {"train.batch_size": 32, "train.epochs": 60, "optim.lr": 0.01, "eval.bootstrap": 0, "data.split": "random"}


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small net taught by labels alone, and one by eight teachers that saw other rows: (labels, run, its folder)."""
    X, y = digits()
    rows = slice(300, 500)
    loss = EnsembleDistillation(temperature=3.0, alpha=0.9)
    taught = loss.targets(y[rows].numpy(), predicted()[:, rows])
    alone = fit(Task(net(0, 12), (X[rows].numpy(), y[rows].numpy()), kind="multiclass"), QUICK)
    task = Task(net(0, 12), (X[rows].numpy(), taught), kind="multi_regression", loss=loss, metric=loss.accuracy)
    folder = tmp_path_factory.mktemp("distilled") / "run"
    return alone, fit(task, QUICK, folder=folder), folder


def test_a_task_trains_with_the_loss_and_is_judged_by_the_true_labels(students: Any) -> None:
    _, run, _ = students

    rows = run.evaluations

    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert rows[-1]["metric"] == "accuracy"
    assert rows[-1]["score"] > 0.8


def test_on_digits_a_distilled_net_beats_the_same_net_taught_by_labels(students: Any) -> None:
    alone, taught, _ = students
    y, judge = digits().y[TEST].numpy(), measure("log_loss", kind="multiclass")

    losses = [judge(y, chances(run.model, TEST)) for run in (alone, taught)]
    teachers = judge(y, average(predicted()[:, TEST], kind="multiclass"))

    assert losses[1] < 0.8 * losses[0]
    assert teachers < losses[1]


def test_the_student_predicts_from_its_folder_as_logits(students: Any) -> None:
    _, run, folder = students
    X = digits().X[TEST].numpy()

    values = load(folder, model=net(1, 12)).predict(X).values

    assert values is not None
    assert np.allclose(metrics.probabilities("multiclass", values), chances(run.model, TEST), atol=1e-5)


def test_a_state_dict_of_the_loss_is_empty_so_nothing_of_the_teachers_is_kept(students: Any) -> None:
    _, run, _ = students

    assert not EnsembleDistillation().state_dict()
    assert sum(one.numel() for one in run.model.parameters()) == 64 * 12 + 12 + 12 * 10 + 10

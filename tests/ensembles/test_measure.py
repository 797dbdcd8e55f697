"""Metrics of an ensemble: the project's by name, others as functions with their direction."""

import numpy as np
import pytest
from sklearn import metrics

from tunesmith.ensembles import measure
from tunesmith.records import RecipeError, UnknownName

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 2, 200)
CHANCES = np.clip(0.3 * TRUTH + 0.7 * RANDOM.random(200), 0, 1)


@pytest.mark.parametrize(("name", "better"), [("roc_auc", "max"), ("log_loss", "min"), ("average_precision", "max")])
def test_a_metric_by_name_is_the_catalogues_with_its_direction(name: str, better: str) -> None:
    by_name = measure(name, kind="binary")
    theirs = {
        "roc_auc": metrics.roc_auc_score,
        "log_loss": metrics.log_loss,
        "average_precision": metrics.average_precision_score,
    }[name]

    assert by_name(TRUTH, CHANCES) == pytest.approx(theirs(TRUTH, CHANCES), rel=1e-9)
    assert by_name.better == better


def test_a_function_sees_a_row_as_often_as_it_is_taken_like_a_metric_by_name() -> None:
    counts = RANDOM.multinomial(200, np.full(200, 1 / 200))
    own = measure(metrics.roc_auc_score, kind="binary", better="max")

    repeated = own.weighted(TRUTH, CHANCES)(counts)
    weighed = measure("roc_auc", kind="binary").weighted(TRUTH, CHANCES)(counts)

    assert repeated == pytest.approx(weighed, rel=1e-9)
    assert own.name == "roc_auc_score"


def test_the_positive_class_may_be_the_first() -> None:
    first = measure("f1", kind="binary", positive=0)

    assert first(TRUTH, CHANCES) == pytest.approx(metrics.f1_score(TRUTH, CHANCES >= 0.5, pos_label=0))
    assert measure(first, kind="binary") is first


def test_a_gain_is_above_nought_where_the_score_is_better() -> None:
    assert measure("accuracy", kind="multiclass").gain(0.75, over=0.5) == 0.25
    assert measure("log_loss", kind="multiclass").gain(0.75, over=0.5) == -0.25


def test_a_direction_is_needed_once_and_may_not_contradict() -> None:
    with pytest.raises(RecipeError, match="which way is better"):
        measure(metrics.r2_score, kind="regression")
    with pytest.raises(RecipeError, match=r"rmse is best at its min; leave better out"):
        measure("rmse", kind="regression", better="max")
    with pytest.raises(RecipeError, match="does not fit a regression task"):
        measure("accuracy", kind="regression")
    with pytest.raises(UnknownName, match="did you mean 'rmse'"):
        measure("rmsee", kind="regression")

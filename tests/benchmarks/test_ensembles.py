"""What ensembles bring: the rows keep apart, and the table tells the gain over the single net."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("data", ["digits", "clothes"])
def test_no_row_trains_chooses_and_judges(benchmark: Load, data: str) -> None:
    X, y, train, held, test = benchmark("ensembles").parts({"data": data, "held": 30, "seed": 1})

    together = np.concatenate([train, held, test])
    assert len(X) == len(y)
    assert len(np.unique(together)) == len(together)
    assert len(held) == 30
    assert float(X.min()) == 0
    assert float(X.max()) == 1


def test_every_method_predicts_probabilities(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    ensembles = benchmark("ensembles")
    monkeypatch.setattr(ensembles, "EPOCHS", 2)
    monkeypatch.setattr(ensembles, "NETS", 2)

    measured = ensembles.measure({"data": "digits", "held": 30, "seed": 0})

    assert list(measured) == list(ensembles.METHODS)
    assert all(0.1 < told["accuracy"] <= 1 for told in measured.values())


def test_a_gain_is_above_nought_where_the_method_is_better(benchmark: Load) -> None:
    single = {"accuracy": 0.5, "log_loss": 0.5}
    rows = [{"single": single, "soup": {"accuracy": right, "log_loss": 0.4}} for right in (0.7, 0.5)]

    cells = benchmark("ensembles").line("soup", 1, rows)

    assert cells == ["soup", "1", "0.6000", "+0.1000 ± 0.1414", "0.4000", "+0.1000 ± 0.0000"]

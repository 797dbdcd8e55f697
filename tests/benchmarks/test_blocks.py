import itertools
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tests.benchmarks.test_accumulation import row

Load = Callable[[str], ModuleType]


def rows_of(experiment: str, number: str, found: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    return [
        row({"experiment": experiment, "arm": arm, "seed": seed}, {number: value})
        for arm, values in found.items()
        for seed, value in enumerate(values)
    ]


def test_a_case_is_an_arm_and_a_seed(benchmark: Load) -> None:
    blocks = benchmark("blocks")

    cases = blocks.cases()

    assert len(cases) == 5 * sum(len(experiment.arms) for experiment in blocks.EXPERIMENTS.values())
    for experiment in blocks.EXPERIMENTS.values():
        assert {arm for claim in experiment.claims for arm in (claim.one, claim.other)} <= set(experiment.arms)


@pytest.mark.parametrize(
    ("other", "verdict"), [(0.5, "as the paper says"), (0.05, "contrary"), (None, "as the paper says")]
)
def test_the_verdict_is_the_sign_of_the_median_pair(benchmark: Load, other: float | None, verdict: str) -> None:
    found = {"he_normal": [0.1, 0.2, 0.3], "xavier_normal": [other] * 3}  # None is a loss without bound

    page = benchmark("tables").render(benchmark("blocks"), rows_of("init", "training loss", found))

    assert "he_normal - xavier_normal | below 0 |" in page
    assert f"| {verdict} |" in page


def test_equal_means_within_the_margin(benchmark: Load) -> None:
    table = benchmark("blocks").table
    near = {"batch x 5": [0.815, 0.82], "rate / 5": [0.82, 0.818]}
    far = {"batch x 5": [0.75, 0.76], "rate / 5": [0.82, 0.818]}

    assert "| within 0.01 | -0.0015 (-0.005 to 0.002) | 2 of 2 | as the paper says |" in table(
        rows_of("batch_growth", "test accuracy", near)
    )
    assert "| 0 of 2 | contrary |" in table(rows_of("batch_growth", "test accuracy", far))


def test_equal_numbers_are_no_effect(benchmark: Load) -> None:
    found = {"he_normal": [2.3, 2.3], "xavier_normal": [2.3, 2.3]}

    assert "| 0 of 2 | contrary |" in benchmark("blocks").table(rows_of("init", "training loss", found))


def test_stalled_runs_are_counted(benchmark: Load) -> None:
    measured = {"last 25 losses": 3.5, "stalled": 1.0}
    rows = [
        row({"experiment": "warm_up", "arm": arm, "seed": seed}, measured | {"stalled": float(seed < 2)})
        for arm in ("warm-up", "none")
        for seed in range(5)
    ]

    assert "| 2 of 5 |" in benchmark("blocks").table(rows)


def test_an_epoch_has_every_row_once_and_batches_grow(benchmark: Load) -> None:
    order = benchmark("blocks").order(10, 0, 2, growth=3, every=1)

    first, second = [list(itertools.islice(order, count)) for count in (5, 2)]

    assert torch.cat(first).sort().values.tolist() == list(range(10))
    assert [len(batch) for batch in second] == [6, 4]


def test_the_loop_is_plain_gradient_descent_along_the_schedule(benchmark: Load) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    x, y = torch.ones(1, 1), torch.zeros(1, 1)  # f = w², so w <- w (1 - 2 rate)

    losses = benchmark("blocks").train(
        model,
        benchmark("blocks").LOSSES["mse"](),
        torch.optim.SGD(model.parameters(), lr=0.1),
        lambda step: 1.0 if step < 1 else 0.5,
        itertools.repeat((x, y)),
        2,
    )

    assert losses == pytest.approx([1.0, 0.64])
    assert model.weight.item() == pytest.approx(0.8 * 0.9)


def test_the_loop_ends_where_the_loss_does(benchmark: Load) -> None:
    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield torch.ones(1, 1), torch.ones(1, 1)
        yield torch.full((1, 1), math.inf), torch.ones(1, 1)
        raise AssertionError("a third batch")

    model = nn.Linear(1, 1)
    blocks = benchmark("blocks")

    losses = blocks.train(model, blocks.LOSSES["mse"](), blocks.sgd(model, 0.1), lambda step: 1.0, batches(), 9)

    assert len(losses) == 2


def test_an_experiment_repeats_by_its_seed(benchmark: Load) -> None:
    measure = benchmark("blocks").measure
    case = {"experiment": "dropout", "arm": "dropout", "seed": 3}

    assert measure(case) == measure(case) != measure(case | {"seed": 4})


def test_the_characters_see_nothing_ahead(benchmark: Load) -> None:
    torch.manual_seed(0)
    net = benchmark("blocks").Characters(9, 16, 2, 8)
    text = torch.randint(9, (1, 8))
    changed = text.clone()
    changed[0, 5:] = (changed[0, 5:] + 1) % 9

    with torch.no_grad():
        before, after = net(text), net(changed)

    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)


def test_the_pictures_are_standardised_by_the_training_part(benchmark: Load) -> None:
    data = benchmark("blocks").pictures()

    assert (len(data.labels), len(data.test_labels)) == (6000, 2000)
    assert data.inputs.mean().item() == pytest.approx(0, abs=1e-4)
    assert data.inputs.std().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("arm", ["log odds", "0"])
def test_the_bias_sets_the_first_loss(benchmark: Load, shared: Any, monkeypatch: pytest.MonkeyPatch, arm: str) -> None:
    monkeypatch.setenv("TUNESMITH_SHARED", str(shared))

    found = benchmark("blocks").measure({"experiment": "bias", "arm": arm, "seed": 0})

    assert (found["test loss at start"] < 0.2) is (arm == "log odds")  # ln 2 = 0.69; the entropy of 2.3 % is 0.11

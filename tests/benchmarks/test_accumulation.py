from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn import functional

Load = Callable[[str], ModuleType]
MACHINE = {"cpu": "a cpu", "cores": 2, "system": "Linux", "python": "3.11", "torch": "2", "threads": "1"}


def row(case: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    return {"case": case, "measured": measured, "pair": 0, "machine": MACHINE, "date": "2026-01-01", "commit": "abc"}


@pytest.mark.parametrize("loss", ["mean", "class weights", "sample weights", "smoothing and class weights"])
@pytest.mark.parametrize(("cut", "feed"), [("partial", "memory"), ("uneven", "loader")])
def test_fit_gives_the_update_of_the_big_batch(benchmark: Load, loss: str, cut: str, feed: str) -> None:
    accumulation = benchmark("accumulation")

    measured = accumulation.compared({"row": "tunesmith", "loss": loss, "cut": cut, "feed": feed})

    assert measured["updates"] == measured["due"] == 2
    assert measured["error"] < accumulation.BAR


def test_a_loss_that_couples_samples_is_told(benchmark: Load) -> None:
    measured = benchmark("accumulation").measure(
        {"row": "tunesmith", "loss": "contrastive", "cut": "partial", "feed": "memory"}
    )

    assert measured == {"told": True}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_exact_losses_are_those_of_torch(benchmark: Load, smoothing: float) -> None:
    accumulation = benchmark("accumulation")
    outputs = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.arange(12) % 3
    weights = accumulation.CLASS_WEIGHTS
    name = "smoothing and class weights" if smoothing else "class weights"

    mine = accumulation.whole_loss(name, outputs, target, None)

    assert torch.allclose(mine, functional.cross_entropy(outputs, target, weight=weights, label_smoothing=smoothing))


def test_the_error_counts_what_is_missing_and_what_is_wrong(benchmark: Load) -> None:
    error = benchmark("accumulation").largest_error
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])

    assert error([one, two], [one, two]) == 0
    assert error([one, 1.5 * two], [one, two]) == pytest.approx(0.5)
    assert error([one], [one, two]) == 1
    assert error([one, two, two], [one, two]) == float("inf")


def test_dividing_by_the_number_of_micro_batches_is_not_exact(benchmark: Load) -> None:
    accumulation = benchmark("accumulation")
    case = {"row": "by hand", "loss": "mean", "cut": "partial"}
    rows = accumulation.made_rows("mean", 50)
    model = accumulation.Watched()
    start = model.weights()
    optimizer = torch.optim.SGD(model.parameters(), lr=accumulation.RATE)
    for place, (inputs, target) in enumerate(accumulation.plain_loader(rows)):
        (accumulation.usual_loss(model(inputs), target) / 4).backward()
        if place % 4 == 3 or place == 6:
            optimizer.step()
            optimizer.zero_grad()

    error = accumulation.largest_error(
        accumulation.updates([start, *model.seen, model.weights()]),
        accumulation.updates(accumulation.exact_weights(case, rows)),
    )

    assert error > 0.1


def test_the_table_says_what_is_exact(benchmark: Load) -> None:
    ours, exact = {"row": "tunesmith", "loss": "mean"}, {"error": 3e-16, "updates": 2, "due": 2}
    rows = [
        row(ours, {"even, memory": exact, "even, loader": exact}),
        row({"row": "other", "loss": "mean"}, {"even, loader": {"error": 1.0, "updates": 1, "due": 2}}),
        row(ours | {"loss": "contrastive"}, {"told": True}),
    ]

    page = benchmark("tables").render(benchmark("accumulation"), rows)

    assert "| mean | 3e-16, exact | 3e-16, exact |" in page
    assert "| tunesmith | 3e-16, exact |" in page
    assert "| other | 1 (1 of 2 updates) |" in page
    assert "| contrastive | told at the start |" in page

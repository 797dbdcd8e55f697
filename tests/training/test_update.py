"""An update over micro-batches equals that of the big batch, exactly."""

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from tunesmith.blocks import losses
from tunesmith.blocks.losses import Loss
from tunesmith.records.state import State
from tunesmith.training.batch import Batch
from tunesmith.training.precision import Precision
from tunesmith.training.update import Gradient, Update

CLASS_WEIGHTS = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)


def permit(state: State, gradient: Gradient) -> bool:
    return True


def made(model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer | None = None) -> tuple[Update, State]:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    return Update(model, optimizer, loss, Precision("fp64", torch.device("cpu"))), State(
        model=model, optimizer=optimizer
    )


def classes(rows: int) -> Tensor:
    return torch.arange(rows) % 3


def token_weighted(outputs: Tensor, target: Tensor) -> Tensor:
    """(N, L, C) against (N, L): the mean over tokens that are not ignored."""
    return nn.functional.cross_entropy(outputs.flatten(0, 1), target.flatten(), ignore_index=-100)


CASES: dict[str, tuple[Loss, Tensor]] = {
    "cross entropy": (losses.build("cross_entropy", kind="multiclass"), classes(50)),
    "class weights": (losses.build("cross_entropy", kind="multiclass", class_weights=CLASS_WEIGHTS), classes(50)),
    "label smoothing": (losses.build("cross_entropy", kind="multiclass", label_smoothing=0.1), classes(50)),
    "torch's own with class weights": (losses.adopt(nn.CrossEntropyLoss(weight=CLASS_WEIGHTS)), classes(50)),
    "ignored targets": (losses.adopt(nn.CrossEntropyLoss(ignore_index=1)), classes(50)),
    "sum": (losses.adopt(nn.CrossEntropyLoss(reduction="sum")), classes(50)),
    "opaque mean": (losses.adopt(lambda outputs, target: nn.functional.cross_entropy(outputs, target)), classes(50)),
    "squares": (losses.adopt(nn.MSELoss()), torch.linspace(-1, 1, 150, dtype=torch.float64).reshape(50, 3)),
    "binary": (
        losses.adopt(nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHTS)),
        (torch.arange(150).reshape(50, 3) % 2).double(),
    ),
    "sum and weight": (
        losses.adopt(lambda o, t: (nn.functional.cross_entropy(o, t, reduction="sum"), len(t))),
        classes(50),
    ),
}
CUTS = {"equal": [16, 16, 16, 2], "uneven": [5, 1, 30, 14], "partial window": [8, 8, 2, 32], "one": [50]}


def windows(inputs: Tensor, target: Tensor, cut: list[int], weight: Tensor | None = None) -> list[Batch]:
    bounds = list(itertools.accumulate([0, *cut]))
    return [
        Batch(inputs[a:b], target[a:b], None if weight is None else weight[a:b], b - a)
        for a, b in itertools.pairwise(bounds)
    ]


def step_taken(window: list[Batch], loss: Loss, outputs: int = 3) -> Tensor:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, outputs)).double()
    before = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    update, state = made(model, loss)
    update(state, window, permit)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]) - before


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "sample weights"])
@pytest.mark.parametrize("case", CASES)
def test_micro_batches_give_the_update_of_the_big_batch(case: str, weighted: bool, cut: str) -> None:
    loss, target = CASES[case]
    if weighted and (loss.opaque or case == "sum and weight"):
        pytest.skip("a loss that takes no sample weights")
    inputs = torch.randn(50, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = torch.linspace(0, 2, 50, dtype=torch.float64) if weighted else None

    big = step_taken(windows(inputs, target, [50], weight), loss)
    small = step_taken(windows(inputs, target, CUTS[cut], weight), loss)

    assert big.norm() > 0
    assert (small - big).norm() / big.norm() < 1e-12


def test_tokens_weigh_alike_whatever_micro_batch_they_lie_in() -> None:
    inputs = torch.randn(12, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.arange(72).reshape(12, 6) % 3
    target[:4, 1:] = -100  # the first micro-batch has few tokens
    loss = losses.build("cross_entropy", kind="language")
    opaque = losses.adopt(token_weighted)

    big = step_taken(windows(inputs, target, [12]), opaque)
    small = step_taken(windows(inputs, target, [4, 4, 4]), loss)

    assert (small - big).norm() / big.norm() < 1e-12


def test_a_batch_whose_tokens_are_all_ignored_moves_nothing() -> None:
    inputs = torch.randn(4, 5, dtype=torch.float64)
    loss = losses.adopt(nn.CrossEntropyLoss())

    moved = step_taken(windows(inputs, torch.full((4,), -100), [4]), loss)

    assert moved.norm() == 0


def test_the_norm_is_that_before_clipping_and_the_step_that_after() -> None:
    model = nn.Linear(2, 1, bias=False).double()
    update, state = made(model, losses.adopt(nn.MSELoss()))
    update.clip_norm = 0.5
    before = model.weight.detach().clone()
    batch = Batch(
        torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.tensor([[100.0]], dtype=torch.float64), None, 1
    )

    gradient, _ = update(state, [batch], permit)

    assert gradient.norm.item() > 100
    assert torch.allclose((model.weight - before).norm(), torch.tensor(0.05, dtype=torch.float64), rtol=1e-5)


def test_entries_are_clipped_by_value() -> None:
    model = nn.Linear(2, 1, bias=False).double()
    update, state = made(model, losses.adopt(nn.MSELoss()))
    update.clip_value = 0.25
    before = model.weight.detach().clone()

    update(
        state,
        [
            Batch(
                torch.tensor([[3.0, -4.0]], dtype=torch.float64), torch.tensor([[100.0]], dtype=torch.float64), None, 1
            )
        ],
        permit,
    )

    assert torch.allclose((model.weight - before).abs(), torch.full((1, 2), 0.025, dtype=torch.float64))


def test_a_refused_update_leaves_the_weights_alone() -> None:
    model = nn.Linear(2, 1)
    update, state = made(model, losses.adopt(nn.MSELoss()))
    before = copy.deepcopy(model.state_dict())

    _, stepped = update(state, [Batch(torch.ones(3, 2), torch.ones(3, 1), None, 3)], lambda state, gradient: False)

    assert not stepped
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_lbfgs_through_micro_batches_is_lbfgs_on_the_big_batch() -> None:
    inputs = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = inputs @ torch.tensor([[1.0], [2.0], [-1.0]], dtype=torch.float64)
    found = []

    for cut in ([20], [7, 7, 6]):
        torch.manual_seed(0)
        model = nn.Linear(3, 1).double()
        update, state = made(model, losses.adopt(nn.MSELoss()), torch.optim.LBFGS(model.parameters(), max_iter=5))
        update(state, windows(inputs, target, cut), permit)
        found.append(model.weight.detach().clone())

    assert torch.allclose(found[0], found[1], rtol=1e-9)
    assert not torch.allclose(found[0], torch.zeros_like(found[0]))


def test_a_closure_sees_the_same_dropout_each_time() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.0, max_iter=3)
    seen = []
    model[1].register_forward_hook(lambda module, inputs, output: seen.append(output == 0))
    update, state = made(model, losses.adopt(nn.MSELoss()), optimizer)

    update(state, [Batch(torch.randn(16, 4), torch.randn(16, 1), None, 16)], permit)

    assert len(seen) > 1
    assert all(torch.equal(mask, seen[0]) for mask in seen)


@pytest.mark.parametrize("implementation", ["fused", "foreach", "forloop"])
def test_an_overflow_before_the_first_step_leaves_no_momentum(implementation: str) -> None:
    def trained(kernel: str) -> list[Tensor]:
        torch.manual_seed(0)
        model, loss = nn.Linear(4, 1), losses.build("mse", kind="regression")
        switches = {name: name == kernel for name in ("fused", "foreach")}
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, **switches)
        precision = Precision("fp16", torch.device("cpu"))
        update = Update(model, optimizer, loss, precision)
        state = State(model=model, optimizer=optimizer, scaler=precision.scaler)
        inputs = torch.randn(20, 4)
        target = 30 * inputs[:, :1]
        outcomes = [update(state, (Batch(inputs, target, None, 20),), permit)[1] for _ in range(12)]
        assert outcomes == sorted(outcomes)  # skipped until the scale fits, then made
        assert not outcomes[0]
        assert outcomes[-1]
        return [parameter.detach().clone() for parameter in model.parameters()]

    junk = [torch.full((size,), 7e5) for size in (1, 4) for _ in range(100)]
    del junk  # what torch's fused kernel would take for a momentum

    for one, plain in zip(trained(implementation), trained("forloop"), strict=True):
        torch.testing.assert_close(one, plain)

"""Clipping by a percentile of past norms, and unit by unit."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.test_update import permit
from tunesmith.blocks import losses
from tunesmith.records import Recipe, RecipeError, revise
from tunesmith.records.state import State
from tunesmith.training.batch import Batch
from tunesmith.training.clipping import Adaptive, Clipping, percentile, unit_norms
from tunesmith.training.precision import Precision
from tunesmith.training.update import Update

F64 = torch.float64


def updating(**changes: object) -> tuple[Update, State]:
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    update = Update(model, optimizer, losses.adopt(nn.MSELoss()), Precision("fp64", torch.device("cpu")))
    recipe = revise(Recipe(), {f"optim.{name}": value for name, value in changes.items()})
    update.clipping = Clipping.of(recipe, model)
    return update, State(model=model, optimizer=optimizer)


def batch(norm: float) -> list[Batch]:
    """One row whose gradient at weight 0 has this norm: d/dw (w - t)² = -2 t."""
    return [Batch(torch.ones(1, 1, dtype=F64), torch.tensor([[norm / 2]], dtype=F64), None, 1)]


def stepped(update: Update, state: State, norms: list[float]) -> list[float]:
    """The norms of what reached the optimizer."""
    reached = []
    for norm in norms:
        gradient, _ = update(state, batch(norm), permit)
        assert gradient.norm.item() == pytest.approx(norm, rel=1e-6)  # what is logged is unclipped
        reached.append(update.model.weight.grad.norm().item())
    return reached


@pytest.mark.parametrize("share", [0.5, 10, 37.5, 50, 90, 99.9])
@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_the_percentile_is_numpys(share: float, count: int) -> None:
    values = np.random.default_rng(count).exponential(size=count)

    assert percentile(values.tolist(), share) == pytest.approx(np.percentile(values, share), rel=1e-12)


def test_the_first_window_is_not_clipped_and_later_ones_by_the_window_before() -> None:
    update, state = updating(clip_percentile=50.0, clip_window=3)
    norms = [1.0, 5.0, 3.0, 9.0, 2.0, 8.0, 1.0]

    reached = stepped(update, state, norms)

    limits = [float("inf")] * 3 + [float(np.percentile(norms[at - 3 : at], 50)) for at in range(3, 7)]
    assert reached == pytest.approx([min(norm, limit) for norm, limit in zip(norms, limits, strict=True)], rel=1e-5)
    assert state.progress["clipping"]["norms"] == pytest.approx(norms[-3:], rel=1e-6)
    assert update.clipping.told(state) == pytest.approx({"clip_share": 2 / 7, "clip_threshold": 2.0}, rel=1e-6)


def test_a_fixed_limit_holds_beside_the_learnt_one() -> None:
    update, state = updating(clip_percentile=50.0, clip_window=2, clip_norm=2.5)

    assert stepped(update, state, [1.0, 3.0, 9.0, 9.0]) == pytest.approx([1.0, 2.5, 2.0, 2.5], rel=1e-5)


def test_the_history_is_in_the_state_and_copied_with_it() -> None:
    update, state = updating(clip_percentile=50.0, clip_window=3)
    stepped(update, state, [1.0, 5.0, 3.0, 2.0])
    snapshot = copy.deepcopy(state.snapshot())
    expected = stepped(update, state, [9.0, 9.0])

    state.restore(snapshot)

    assert stepped(update, state, [9.0, 9.0]) == expected


def test_updates_that_are_refused_and_norms_that_are_no_number_do_not_count() -> None:
    update, state = updating(clip_percentile=50.0, clip_window=2)

    update(state, batch(4.0), lambda state, gradient: False)
    update.clipping.note(state, torch.tensor(float("nan")))

    assert state.progress["clipping"]["norms"] == []
    assert state.progress["clipping"]["updates"] == 1


def test_too_much_clipping_is_said_once_and_not_too_early() -> None:
    update, state = updating(clip_norm=0.1)

    stepped(update, state, [1.0] * 19)
    early = update.clipping.warning(state)
    stepped(update, state, [1.0] * 6 + [0.01])
    first, second = update.clipping.warning(state), update.clipping.warning(state)
    calm, quiet = updating(clip_norm=10.0)
    stepped(calm, quiet, [1.0] * 30)

    assert early == second == calm.clipping.warning(quiet) == ""
    assert first.startswith("96% of the 26 updates so far were clipped")


def units_by_hand(weight: Tensor, unit: int, groups: int = 1) -> Tensor:
    """The norm of each unit, one after the other."""
    if groups > 1:
        parts = weight.chunk(groups, 0)
        return torch.stack([torch.stack([part[:, out].norm() for out in range(part.shape[1])]) for part in parts])
    return torch.stack([weight.select(unit, place).norm() for place in range(weight.shape[unit])])


@pytest.mark.parametrize(
    ("layer", "unit", "groups"),
    [
        (nn.Linear(3, 5), 0, 1),
        (nn.Conv2d(4, 6, 3, groups=2), 0, 1),
        (nn.ConvTranspose2d(4, 6, 3), 1, 1),
        (nn.ConvTranspose1d(4, 6, 3, groups=2), 1, 2),
        (nn.Embedding(7, 3), 0, 1),
    ],
)
def test_units_are_those_of_the_output_in_every_kind_of_layer(layer: nn.Module, unit: int, groups: int) -> None:
    norms = unit_norms(layer.weight, unit, groups)

    expected = units_by_hand(layer.weight, unit, groups)
    if groups > 1:
        for place in range(layer.weight.shape[0]):
            assert torch.allclose(norms[place].flatten(), expected[place // (layer.weight.shape[0] // groups)])
    else:
        assert torch.allclose(norms.flatten(), expected)
    assert torch.broadcast_shapes(norms.shape, layer.weight.shape) == layer.weight.shape


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_units_are_clipped_to_a_share_of_their_weight_and_the_last_layer_is_not(share: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(4, 2)).double()
    nn.init.zeros_(model[0].weight[1])
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    before = {name: weight.grad.clone() for name, weight in model.named_parameters()}

    Adaptive(model, share)()

    now = {name: weight.grad for name, weight in model.named_parameters()}
    assert all(torch.equal(now[name], before[name]) for name in ("3.weight", "3.bias"))
    for name, unit in (("0.weight", 0), ("1.weight", 1)):
        largest = units_by_hand(dict(model.named_parameters())[name].detach(), unit).clamp(min=1e-3) * share  # eq. 3
        norm = units_by_hand(before[name], unit)
        assert torch.allclose(units_by_hand(now[name], unit), torch.minimum(norm, largest))
        assert torch.allclose(
            nn.functional.cosine_similarity(now[name].flatten(), before[name].flatten(), 0) > 0, torch.tensor(True)
        )
    assert now["0.bias"].norm().item() == pytest.approx(
        min(before["0.bias"].norm().item(), share * model[0].bias.norm().item())
    )


def test_what_adaptive_clipping_cannot_do_is_said() -> None:
    table = nn.Sequential(nn.Embedding(4, 3, sparse=True), nn.Linear(3, 1))
    table(torch.tensor([1])).sum().backward()

    with pytest.raises(RecipeError, match="nothing to clip"):
        Adaptive(nn.Linear(2, 2), 0.01)
    with pytest.raises(RecipeError, match="sparse gradients"):
        Adaptive(table, 0.01)()


class Scaler:
    """As the loss scaler of fp16, where a CPU has none: the gradients come scaled by 1024."""

    def scale(self, value: Tensor) -> Tensor:
        return value * 1024

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad /= 1024

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.step()

    def update(self) -> None: ...


def test_under_a_loss_scaler_the_unscaled_norms_are_learnt() -> None:
    update, state = updating(clip_percentile=50.0, clip_window=2)
    update.precision.scaler = Scaler()

    assert stepped(update, state, [1.0, 3.0, 9.0]) == pytest.approx([1.0, 3.0, 2.0], rel=1e-5)

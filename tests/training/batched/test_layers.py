import copy

import pytest
import torch
from torch import Tensor, nn

from tests.training.batched.alone import compared
from tunesmith.blocks import models
from tunesmith.records import DataError, ModelError, Recipe, revise
from tunesmith.training.batched import BatchedTrial, train_batched

TRIALS = [BatchedTrial(id=k, lr=0.03 * (k + 1), seed=10 + k, weight_decay=0.02 * k, momentum=0.3 * k) for k in range(3)]
ROWS = 40
# 20 updates; not by adam, which makes steps of the rounding errors that are the gradient of a bias before a batch norm
SETTINGS = {"batch_size": 8, "epochs": 4, "optimizer": "sgd"}


def numbers(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def labels(classes: int = 3) -> Tensor:
    return torch.randint(classes, (ROWS,), generator=torch.Generator().manual_seed(6))


def vectors(*between: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), *between, nn.Linear(8, 3)).double()


def pictures(*layers: nn.Module, features: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3)).double()


ACTIVATIONS = (
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.ELU(0.7),
    nn.SELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Hardswish(),
    nn.Softplus(2.0, 3.0),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Identity(),
)

NETS = {
    **{f"activation {one}": lambda one=one: vectors(copy.copy(one)) for one in ACTIVATIONS},
    "softmax": lambda: nn.Linear(6, 3).double(),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 3, bias=False)).double(),
    "nested": lambda: vectors(nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.ReLU(), nn.Dropout(0.2)))),
    "dropout": lambda: vectors(nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.1)),
    "dropout of all": lambda: vectors(nn.Dropout(1.0)),
    "layer norm": lambda: vectors(nn.LayerNorm(8), nn.ReLU()),
    "layer norm first": lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 3)).double(),
    "layer norm, no affine": lambda: vectors(nn.LayerNorm(8, elementwise_affine=False)),
    "layer norm, no bias": lambda: vectors(nn.LayerNorm(8, bias=False)),
    "batch norm": lambda: vectors(nn.BatchNorm1d(8), nn.ReLU()),
    "batch norm, no affine": lambda: vectors(nn.BatchNorm1d(8, affine=False)),
    "batch norm, no averages": lambda: vectors(nn.BatchNorm1d(8, track_running_stats=False)),
    "batch norm, cumulative": lambda: vectors(nn.BatchNorm1d(8, momentum=None)),
    "vmap: group norm": lambda: vectors(nn.GroupNorm(2, 8), nn.ReLU()),
    "vmap: prelu, first and last": lambda: nn.Sequential(nn.PReLU(6), nn.Linear(6, 3), nn.PReLU(3)).double(),
}
CONVOLUTIONS = {
    "one": lambda: pictures(nn.Conv2d(2, 4, 3), nn.ReLU(), features=4 * 16),
    "stride, dilation, no bias": lambda: pictures(nn.Conv2d(2, 4, 3, 2, 2, 2, bias=False), features=4 * 9),
    "groups": lambda: pictures(nn.Conv2d(2, 4, 3, padding="same", groups=2), features=4 * 36),
    "valid": lambda: pictures(nn.Conv2d(2, 4, 3, padding="valid"), features=4 * 16),
    "two": lambda: pictures(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Dropout2d(0.3), features=80
    ),
    "max pooling": lambda: pictures(nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), features=36),
    "max pooling, overlapping": lambda: pictures(
        nn.Conv2d(2, 4, 1), nn.MaxPool2d(3, 2, 1, ceil_mode=True), features=64
    ),
    "average pooling": lambda: pictures(nn.Conv2d(2, 4, 1), nn.AvgPool2d(4, 2, 1, True, False), features=36),
    "adaptive pooling": lambda: pictures(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d((1, None)), features=16),
}


@pytest.mark.parametrize("name", NETS)
def test_a_stack_of_vectors_trains_as_its_nets_alone(name):
    found, _ = compared(NETS[name], TRIALS, numbers(6), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS)

    assert max(found) < 1e-12


@pytest.mark.parametrize("largest_grouped", [0, 10_000], ids=["trial after trial", "grouped"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_stack_of_pictures_trains_as_its_nets_alone(name, largest_grouped, monkeypatch):
    from tunesmith.training.batched.layers import convolution

    monkeypatch.setattr(convolution, "LARGEST_GROUPED_MAP", largest_grouped)

    found, _ = compared(CONVOLUTIONS[name], TRIALS, numbers(2, 6, 6), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS)

    assert max(found) < 1e-12


def test_a_stack_of_sequences_trains_as_its_nets_alone():
    def net() -> nn.Module:
        middle = (nn.LayerNorm((5, 4)), nn.Linear(4, 6), nn.GELU(), nn.Conv1d(5, 2, 3), nn.BatchNorm1d(2))
        return nn.Sequential(nn.Embedding(9, 4, padding_idx=0), *middle, nn.Flatten(1, -1), nn.Linear(8, 3)).double()

    tokens = torch.randint(9, (ROWS, 5), generator=torch.Generator().manual_seed(7))

    found, _ = compared(net, TRIALS, tokens, labels(), loss=nn.CrossEntropyLoss(), **SETTINGS)

    assert max(found) < 1e-12


def built(name: str, changes: dict[str, object], shape: tuple[int, ...], kind: str = "multiclass") -> nn.Module:
    from tunesmith.data.spec import Plain

    recipe = revise(Recipe(), changes)
    return models.build(name, recipe, {"x": Plain(shape)}, 1 if kind == "regression" else 3, kind).double()


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("residual", [False, True])
def test_the_builtin_mlp_trains_as_alone(norm, residual):
    changes = {"model.width": 8, "model.norm": norm, "model.residual": residual, "model.dropout": 0.2}

    found, group = compared(
        lambda: built("mlp", changes, (2, 3)), TRIALS, numbers(2, 3), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS
    )

    assert max(found) < 1e-12
    assert not group.net.mapped


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_builtin_cnn_trains_as_alone(norm):
    changes = {"model.width": 4, "model.depth": 2, "model.norm": norm, "model.dropout": 0.2}

    found, group = compared(
        lambda: built("cnn", changes, (26, 6)), TRIALS, numbers(26, 6), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS
    )

    assert max(found) < 1e-12
    assert not group.net.mapped


def test_a_builtin_net_for_a_regression_gives_one_number_a_row():
    target = numbers()

    found, _ = compared(
        lambda: built("mlp", {"model.width": 8}, (6,), "regression"),
        TRIALS,
        numbers(6),
        target,
        loss=nn.HuberLoss(),
        **SETTINGS,
    )

    assert max(found) < 1e-12


def test_each_trial_may_have_its_own_dropout_rate():
    trials = [
        BatchedTrial(id=rate, lr=1e-3, seed=3, model=lambda rate=rate: vectors(nn.ReLU(), nn.Dropout(rate)))
        for rate in (0.0, 0.5, 1.0)
    ]

    found, _ = compared(vectors, trials, numbers(6), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS)

    assert max(found) < 1e-12


def test_frozen_weights_stay():
    def net() -> nn.Module:
        made = vectors(nn.ReLU())
        made[0].weight.requires_grad_(False)
        return made

    found, group = compared(net, TRIALS, numbers(6), labels(), loss=nn.CrossEntropyLoss(), **SETTINGS)

    torch.manual_seed(10)
    assert torch.equal(group.unstack(0)["0.weight"], net()[0].weight)
    assert max(found) < 1e-12


class Noisy(nn.Module):
    """Draws random numbers of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Branching(nn.Module):
    """Decides by the values of its input, which vmap cannot."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Wrapped(nn.Module):
    """A net of its own kind around a layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.inner = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).sin()


def hooked() -> nn.Module:
    layer = nn.ReLU()
    layer.register_forward_hook(lambda module, inputs, output: None)
    return layer


class Idle(nn.Module):
    """Has a layer that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


REFUSED = {
    "weights not used": (Idle, r"layer 1 \(Idle\).*idle.weight takes no part"),
    "random numbers": (Noisy, r"layer 1 \(Noisy\)"),
    "a branch": (Branching, r"layer 1 \(Branching\)"),
    "dropout inside": (lambda: Wrapped(nn.Dropout(0.1)), r"layer 1.inner \(Dropout\)"),
    "averages inside": (lambda: Wrapped(nn.BatchNorm1d(8)), r"layer 1.inner \(BatchNorm1d\)"),
    "random slopes": (nn.RReLU, r"layer 1 \(RReLU\)"),
    "hooks": (hooked, r"layer 1 \(ReLU\).*hooks"),
    "joined rows": (lambda: nn.Flatten(0), r"layer 1 \(Flatten\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_stacked_is_refused_by_its_name(name):
    layer, says = REFUSED[name]

    with pytest.raises(ModelError, match=says):
        train_batched(
            lambda: vectors(layer()), TRIALS, numbers(6), labels(), loss="cross_entropy", batch_size=8, epochs=1
        )


def test_an_own_module_is_computed_by_vmap():
    found, group = compared(
        lambda: nn.Sequential(Wrapped(nn.Linear(6, 8)), nn.Dropout(0.2), nn.Linear(8, 3)).double(),
        TRIALS,
        numbers(6),
        labels(),
        loss=nn.CrossEntropyLoss(),
        **SETTINGS,
    )

    assert group.net.mapped
    assert max(found) < 1e-12


def test_nets_that_differ_are_refused():
    def group(*nets: nn.Module) -> None:
        trials = [BatchedTrial(id=k, lr=1e-3, model=lambda net=net: net) for k, net in enumerate(nets)]
        train_batched(vectors, trials, numbers(6), labels(), loss="cross_entropy", batch_size=8, epochs=1)

    with pytest.raises(ModelError, match=r"trial 1 has 0.weight of shape \(9, 6\)"):
        group(vectors(), nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 3)).double())
    with pytest.raises(ModelError, match=r"layer 1 \(ReLU\) is ReLU and Tanh"):
        group(vectors(nn.ReLU()), vectors(nn.Tanh()))
    with pytest.raises(ModelError, match=r"negative_slope = 0.1, 0.2"):
        group(vectors(nn.LeakyReLU(0.1)), vectors(nn.LeakyReLU(0.2)))
    with pytest.raises(ModelError, match=r"float32.*float64|float64.*float32"):
        group(vectors(), vectors().float())


def test_nets_of_several_types_are_refused():
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8).double(), nn.Linear(8, 3))

    with pytest.raises(ModelError, match=r"float32 and torch.float64"):
        train_batched(net, TRIALS, numbers(6), labels(), loss="cross_entropy", batch_size=8, epochs=1)


def test_shared_weights_are_refused():
    def net() -> nn.Module:
        layer = nn.Linear(6, 6)
        return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(6, 3)).double()

    with pytest.raises(ModelError, match=r"2.weight is the same tensor as 0.weight"):
        train_batched(net, TRIALS, numbers(6), labels(), loss="cross_entropy", batch_size=8, epochs=1)


def test_a_batch_norm_wants_more_than_one_row():
    group = train_batched(
        lambda: vectors(nn.BatchNorm1d(8)),
        TRIALS,
        numbers(6)[:9],
        labels()[:9],
        loss="cross_entropy",
        batch_size=8,
        epochs=1,
    )

    with pytest.raises(DataError, match="drop_last"):
        group.train_epoch()


def test_rows_that_the_net_cannot_take_are_refused():
    with pytest.raises(DataError, match=r"rows of shape \(7,\)"):
        train_batched(vectors, TRIALS, numbers(7), labels(), loss="cross_entropy", batch_size=8, epochs=1)

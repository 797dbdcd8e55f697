import pytest
import torch
from torch import nn

from tests.training.batched.alone import compared, distance, relative
from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.records import RecipeError, UnknownName
from tunesmith.training.batched import BatchedTrial, train_batched

OPTIMIZERS = ("sgd", "nesterov", "adam", "adamw", "rmsprop")
EPOCHS = 29  # of 7 updates: 203


def falling(step: int) -> float:
    return 0.99**step


def warming(step: int) -> float:
    return min((step + 1) / 50, 1.0)


TRIALS = (
    BatchedTrial(id="decayed", lr=3e-3, seed=1, weight_decay=0.1, momentum=0.5, beta1=0.8, schedule=falling),
    BatchedTrial(
        id="clipped", lr=2e-3, seed=2, weight_decay=0.01, beta2=0.99, eps=1e-6, clip_norm=0.3, schedule=warming
    ),
    BatchedTrial(id="memory", lr=5e-4, seed=0, momentum=0.9, alpha=0.9, clip_norm=100.0),
)


def clusters(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of ten classes that can be told apart, 50 of them wrongly labelled: losses stay off 0."""
    generator = torch.Generator().manual_seed(3)
    y = torch.randint(10, (200,), generator=generator)
    centres = torch.randn(10, 16, generator=generator, dtype=torch.float64)
    X = centres[y] + torch.randn(200, 16, generator=generator, dtype=torch.float64)
    y[:50] = torch.randint(10, (50,), generator=generator)
    return X.to(dtype), y


def net(dtype: torch.dtype) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 10)).to(dtype)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("dtype", "measure", "bar"),
    [(torch.float64, distance, 1e-9), (torch.float32, relative, 1e-5)],
    ids=["double", "single"],
)
def test_two_hundred_updates_end_where_each_trial_alone_ends(optimizer, dtype, measure, bar):
    X, y = clusters(dtype)

    found, group = compared(
        lambda: net(dtype),
        TRIALS,
        X,
        y,
        loss=nn.CrossEntropyLoss(),
        measure=measure,
        batch_size=32,
        epochs=EPOCHS,
        optimizer=optimizer,
    )

    assert group.step == 203
    assert max(found) < bar


def test_a_schedule_of_the_catalogue_is_a_factor():
    schedule = SCHEDULES["cosine"](40)
    trials = [BatchedTrial(id=0, lr=0.05, schedule=schedule), BatchedTrial(id=1, lr=0.05)]
    X, y = clusters(torch.float64)

    found, group = compared(
        lambda: net(torch.float64), trials, X, y, loss=nn.CrossEntropyLoss(), batch_size=40, epochs=8, optimizer="sgd"
    )

    assert max(found) < 1e-12
    assert distance(group.unstack(0), group.unstack(1)) > 1e-3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_named_parameters_alone_decay(optimizer):
    X, y = clusters(torch.float64)
    trial = BatchedTrial(id=0, lr=1e-2, weight_decay=0.1)
    group = train_batched(
        lambda: nn.Linear(16, 10).double(),
        [trial, BatchedTrial(id=1, lr=1e-3)],
        X,
        y,
        loss="cross_entropy",
        batch_size=32,
        epochs=3,
        optimizer=optimizer,
        decays=["weight"],
    )
    torch.manual_seed(0)
    alone = nn.Linear(16, 10).double()
    kind = {"sgd": "SGD", "nesterov": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}[optimizer]
    parts = [{"params": [alone.weight]}, {"params": [alone.bias], "weight_decay": 0.0}]
    stepper = getattr(torch.optim, kind)(parts, lr=1e-2, weight_decay=0.1)
    orders = torch.Generator().manual_seed(0)

    for _ in group:
        for index in torch.randperm(len(X), generator=orders).split(32):
            stepper.zero_grad()
            nn.functional.cross_entropy(alone(X[index]), y[index]).backward()
            stepper.step()

    assert distance(group.unstack(0), alone.state_dict()) < 1e-12


def test_wrong_settings_are_refused():
    X, y = clusters(torch.float64)

    def group(**settings: object) -> None:
        given = {"loss": "cross_entropy", "batch_size": 32, "epochs": 1} | settings
        train_batched(lambda: net(torch.float64), TRIALS, X, y, **given)

    with pytest.raises(UnknownName, match="did you mean 'adam"):
        group(optimizer="adamm")
    with pytest.raises(UnknownName, match=r"no trained parameter called '0\.weights'"):
        group(decays=["0.weights"])
    with pytest.raises(RecipeError, match="trial 'x' has lr = -1"):
        BatchedTrial(id="x", lr=-1)
    with pytest.raises(RecipeError, match="beta2 = 1"):
        BatchedTrial(id="x", lr=1, beta2=1.0)
    with pytest.raises(RecipeError, match="momentum = nan"):
        BatchedTrial(id="x", lr=1, momentum=float("nan"))
    with pytest.raises(RecipeError, match="epochs is 1 and steps is 2"):
        group(steps=2)
    with pytest.raises(RecipeError, match="batch_size is 0"):
        group(batch_size=0)
    with pytest.raises(RecipeError, match="has 0 updates"):
        group(epochs=0)

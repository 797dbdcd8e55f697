"""Programs that learn from tables."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from tunesmith.records import Program
from tunesmith.testing.healthy.catalogue import healthy
from tunesmith.testing.healthy.data import (
    adult,
    adult_features,
    arm,
    labelled_many,
    parted,
    rare,
    standardised,
    standardised_target,
    surface,
    table,
)
from tunesmith.testing.healthy.pictures import loaded


def mlp(features: int, outputs: int, width: int = 32) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


@healthy("adult_one_logit", data="adult")
def adult_one_logit(seed: int) -> Program:
    """One logit, class weights in the loss, an own step with clipping."""
    x, y = adult_features()
    train, val, test = standardised(parted(x, y.float()[:, None], seed))
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)

    return Program(
        model,
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0])),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=10,
        step=clipped_step,
        metric="roc_auc",
    )


def clipped_step(
    model: nn.Module, loss_fn: nn.Module, optimizer: torch.optim.Optimizer, xb: Tensor, yb: Tensor
) -> float:
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.item())


class EmbeddedTable(nn.Module):
    """Numbers beside embedded categories; batch norm first, so that the numbers need no scaling."""

    def __init__(self, numbers: int, categories: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(numbers)
        self.embeddings = nn.ModuleList(nn.Embedding(12, 4) for _ in range(categories))
        self.hidden = nn.Linear(numbers + 4 * categories, 32)
        self.out = nn.Linear(32, 2)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        numbers, categories = inputs
        embedded = [embed(column) for embed, column in zip(self.embeddings, categories.T, strict=True)]
        h = torch.cat([self.norm(numbers), *embedded], 1)
        return self.out(torch.relu(self.hidden(h)))  # type: ignore[no-any-return]


@healthy("adult_embedded_two_logits", data="adult")
def adult_embedded_two_logits(seed: int) -> Program:
    numbers, categories, labels = adult()
    numbers = numbers.sign() * numbers.abs().log1p()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    train, val, test = (
        ((numbers[rows], categories[rows]), labels[rows]) for rows in (order[:1200], order[1200:1600], order[1600:])
    )
    model = EmbeddedTable(numbers.shape[1], categories.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=8,
        metric="roc_auc",
        num_classes=2,
    )


@healthy("iris_mlp", data="iris")
def iris_mlp(seed: int) -> Program:
    train, val, test = standardised(parted(*table("iris"), seed))
    model = mlp(4, 3, width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=16,
        epochs=40,
        metric="accuracy",
        num_classes=3,
    )


@healthy("wine_lbfgs", data="wine")
def wine_lbfgs(seed: int) -> Program:
    """The whole set at once, with an optimizer made for that."""
    train, val, test = standardised(parted(*table("wine"), seed))
    model = nn.Sequential(nn.Linear(13, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=200,
        epochs=8,
        metric="accuracy",
        num_classes=3,
    )


@healthy("wine_batch_norm_first", data="wine")
def wine_batch_norm_first(seed: int) -> Program:
    """Columns of very different size, which the first layer takes care of."""
    train, val, test = parted(*table("wine"), seed)
    model = nn.Sequential(nn.BatchNorm1d(13), nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=40,
        metric="accuracy",
        num_classes=3,
    )


@healthy("cancer_sigmoid_probabilities", data="breast_cancer")
def cancer_sigmoid_probabilities(seed: int) -> Program:
    """Probabilities out of the model, and the loss that takes them."""
    x, y = table("breast_cancer")
    train, val, test = standardised(parted(x, y.float(), seed))
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid(), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    return Program(
        model,
        nn.BCELoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=15,
        predict=lambda probabilities: probabilities > 0.5,
        metric="accuracy",
    )


def train_in_double(program: Program, epochs: int) -> None:
    """A loop of their own: double precision, an average of the weights at the end."""
    model, data = program.model, program.train
    for _ in range(epochs):
        model.train()
        for xb, yb in data:
            program.optimizer.zero_grad()
            loss = program.loss_fn(model(xb), yb)
            loss.backward()
            program.optimizer.step()
        program.scheduler.step()
    model.eval()


@healthy("cancer_own_loop_double", data="breast_cancer")
def cancer_own_loop_double(seed: int) -> Program:
    x, y = table("breast_cancer")
    train, val, test = standardised(parted(x.double(), y, seed))
    model = mlp(30, 2, width=24).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        loaded(train, 32, seed),
        val,
        test=test,
        batch_size=32,
        epochs=12,
        loop=train_in_double,
        scheduler=CosineAnnealingLR(optimizer, T_max=12),
        metric="accuracy",
        num_classes=2,
    )


@healthy("diabetes_mse", data="diabetes")
def diabetes_mse(seed: int) -> Program:
    x, y = table("diabetes")
    train, val, test = standardised_target(standardised(parted(x, y[:, None], seed, (0.6, 0.15))))
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-3)
    return Program(model, nn.MSELoss(), optimizer, train, val, test=test, batch_size=32, epochs=25, metric="r2")


@healthy("linnerud_three_targets", data="linnerud")
def linnerud_three_targets(seed: int) -> Program:
    """Twenty people measured three ways; more rows are made by the body's own proportions with noise around them."""
    x, y = table("linnerud")
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(x), (600,), generator=draw)
    x = x[rows] * (1 + 0.3 * torch.randn(600, 3, generator=draw))
    mixed = torch.log(x.clamp(min=1.0)) @ torch.tensor([[1.0, 0.5, -0.3], [0.4, -1.0, 0.5], [-0.2, 0.6, 1.0]])
    y = torch.tanh(mixed - mixed.mean(0)) + 0.2 * torch.randn(600, 3, generator=draw)
    train, val, test = standardised_target(standardised(parted(x, y, seed)))
    model = mlp(3, 3, width=24)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(model, nn.HuberLoss(), optimizer, train, val, test=test, batch_size=32, epochs=20, metric="r2")


def warm_cosine(optimizer: torch.optim.Optimizer, warm: int, steps: int) -> LambdaLR:
    """A straight warm-up, then half a cosine; counted in updates."""

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / (steps - warm))))

    return LambdaLR(optimizer, factor)


@healthy("surface_l1_warm_cosine", data="surface")
def surface_l1_warm_cosine(seed: int) -> Program:
    train, val, test = standardised_target(standardised(parted(*surface(1500, seed), seed)))
    model = mlp(10, 1, width=48)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return Program(
        model,
        nn.L1Loss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=15,
        scheduler=warm_cosine(optimizer, 30, 15 * 29),
        schedule_unit="step",
        metric="mae",
    )


class MeanAndSpread(nn.Module):
    """A mean and a positive variance for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        mean, spread = self.head(self.body(x)).chunk(2, 1)
        return torch.cat([mean, functional.softplus(spread) + 1e-3], 1)


def gaussian(outputs: Tensor, target: Tensor) -> Tensor:
    return functional.gaussian_nll_loss(outputs[:, :1], target, outputs[:, 1:])


@healthy("surface_gaussian_nll", data="surface")
def surface_gaussian_nll(seed: int) -> Program:
    train, val, test = standardised_target(standardised(parted(*surface(1500, seed), seed)))
    model = MeanAndSpread()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(
        model,
        gaussian,
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=25,
        predict=lambda outputs: outputs[:, :1],
        metric="r2",
    )


@healthy("surface_softplus_positive", data="surface")
def surface_softplus_positive(seed: int) -> Program:
    """Targets that are always positive, and an output that is too."""
    x, y = surface(1500, seed)
    train, val, test = standardised(parted(x, y.clamp(min=0.1) / 15, seed))
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softplus())
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(model, nn.MSELoss(), optimizer, train, val, test=test, batch_size=64, epochs=20, metric="r2")


class StartsAtMean(nn.Module):
    """The mean of the targets is a fixed part of the output, what is left is learnt."""

    mean: Tensor

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.net = mlp(10, 1, width=32)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.net(x)  # type: ignore[no-any-return]


@healthy("surface_fixed_mean", data="surface")
def surface_fixed_mean(seed: int) -> Program:
    train, val, test = standardised(parted(*surface(1200, seed), seed))
    model = StartsAtMean(train[1].mean(0))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    return Program(model, nn.SmoothL1Loss(), optimizer, train, val, test=test, batch_size=32, epochs=12, metric="r2")


@healthy("many_labels", data="many_labels")
def many_labels(seed: int) -> Program:
    train, val, test = parted(*labelled_many(1500, seed), seed)
    model = nn.Sequential(nn.Linear(8, 48), nn.LayerNorm(48), nn.GELU(), nn.Linear(48, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.BCEWithLogitsLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=12,
        metric="accuracy",
    )


@healthy("rare_weighted", data="rare")
def rare_weighted(seed: int) -> Program:
    """One row in twelve is of the second class; the loss is weighted for it."""
    train, val, test = parted(*rare(2000, seed), seed)
    model = mlp(6, 2, width=16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Program(
        model,
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 11.0])),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=12,
        metric="balanced_accuracy",
        num_classes=2,
    )


class Ordered(nn.Module):
    """Classes with an order: one score, and thresholds that it passes."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1))
        self.steps = nn.Parameter(torch.tensor([-1.0, 0.7, 0.7]))

    def forward(self, x: Tensor) -> Tensor:
        thresholds = torch.cat([self.steps[:1], self.steps[:1] + functional.softplus(self.steps[1:]).cumsum(0)])
        return self.score(x) - thresholds  # type: ignore[no-any-return]


def passed(outputs: Tensor, target: Tensor) -> Tensor:
    """Whether the class lies above each threshold."""
    above = (target[:, None] > torch.arange(outputs.shape[1])).float()
    return functional.binary_cross_entropy_with_logits(outputs, above)


@healthy("surface_ordinal", data="surface")
def surface_ordinal(seed: int) -> Program:
    x, y = surface(1500, seed)
    quartile = torch.bucketize(y[:, 0], torch.quantile(y[:, 0], torch.tensor([0.25, 0.5, 0.75])))
    train, val, test = standardised(parted(x, quartile, seed))
    model = Ordered()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        passed,
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=15,
        predict=lambda outputs: (outputs > 0).sum(1),
        metric="accuracy",
        num_classes=4,
    )


@healthy("arm_two_targets", data="arm")
def arm_two_targets(seed: int) -> Program:
    train, val, test = standardised(parted(*arm(1500, seed), seed))
    model = mlp(4, 2, width=48)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(
        model,
        nn.MSELoss(),
        optimizer,
        loaded(train, 32, seed),
        loaded(val, 128, seed, shuffle=False),
        test=test,
        batch_size=32,
        epochs=15,
        scheduler=CosineAnnealingLR(optimizer, T_max=15),
        metric="r2",
    )

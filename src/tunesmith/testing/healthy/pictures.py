"""Programs that look at pictures."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.records import Program
from tunesmith.testing.healthy.catalogue import healthy
from tunesmith.testing.healthy.data import Pair, Parts, digits, drawn, fashion, parted


def clothes(seed: int, rows: int = 4000) -> Parts:
    """Pictures of clothes at half size, in 0 … 1 around their mean."""
    x, y = drawn(*fashion(), rows, seed)
    return parted((functional.avg_pool2d(x, 2) / 255 - 0.286) / 0.32, y, seed)  # mean and spread of these pictures


def loaded(pair: Pair, batch_size: int, seed: int, *, shuffle: bool = True) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(TensorDataset(*pair), batch_size=batch_size, shuffle=shuffle, generator=generator)


def small_cnn(channels: int = 1, classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(3),
        nn.Flatten(),
        nn.Linear(216, classes),
    )


@healthy("clothes_cnn", data="fashion")
def clothes_cnn(seed: int) -> Program:
    train, val, test = clothes(seed)
    model = small_cnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=14,
        metric="accuracy",
        num_classes=10,
    )


class NormedNet(nn.Module):
    """Convolutions, each followed by batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 2)
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(self.drop(functional.adaptive_avg_pool2d(x, 2).flatten(1)))  # type: ignore[no-any-return]


@healthy("clothes_batch_norm_loader", data="fashion")
def clothes_batch_norm_loader(seed: int) -> Program:
    train, val, test = clothes(seed)
    model = NormedNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    scheduler = CosineAnnealingLR(optimizer, T_max=12)
    return Program(
        model,
        nn.CrossEntropyLoss(label_smoothing=0.05),
        optimizer,
        loaded(train, 64, seed),
        loaded(val, 256, seed, shuffle=False),
        test=test,
        batch_size=64,
        epochs=12,
        scheduler=scheduler,
        metric="accuracy",
        num_classes=10,
    )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(4, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(4, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(functional.gelu(self.norm1(x)))
        return x + self.conv2(functional.gelu(self.norm2(h)))  # type: ignore[no-any-return]


@healthy("clothes_residual_one_cycle", data="fashion")
def clothes_residual_one_cycle(seed: int) -> Program:
    train, val, test = clothes(seed, rows=3000)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        Residual(16),
        Residual(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    epochs, batch_size = 10, 32
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    steps = epochs * -(-len(train[1]) // batch_size)
    scheduler = OneCycleLR(optimizer, max_lr=0.01, total_steps=steps + 1)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=batch_size,
        epochs=epochs,
        scheduler=scheduler,
        schedule_unit="step",
        metric="accuracy",
        num_classes=10,
    )


class ByteNet(nn.Module):
    """Takes bytes and scales them itself."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU()
        )
        self.classifier = nn.Linear(24 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = (x.float() / 255.0 - 0.5) * 2
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]


@healthy("clothes_bytes_scaled_inside", data="fashion")
def clothes_bytes_scaled_inside(seed: int) -> Program:
    x, y = drawn(*fashion(), 3600, seed)
    small = functional.avg_pool2d(x, 2).round().to(torch.uint8)
    train, val, test = parted(small, y, seed)
    model = ByteNet()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=8,
        metric="accuracy",
        num_classes=10,
    )


@healthy("digits_mlp", data="digits")
def digits_mlp(seed: int) -> Program:
    x, y = digits()
    train, val, test = parted((x.flatten(1) - 4.9) / 6.0, y, seed)  # mean and spread of these pictures
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=12,
        metric="accuracy",
        num_classes=10,
    )


@healthy("digits_log_softmax_steps", data="digits")
def digits_log_softmax_steps(seed: int) -> Program:
    """Log probabilities with the loss that takes them; a step schedule; micro-batches added up."""
    x, y = digits()
    train, val, test = parted(x.flatten(1) / 16, y, seed)
    model = nn.Sequential(
        nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 10), nn.LogSoftmax(dim=1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.NLLLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=16,
        epochs=12,
        accumulate=2,
        scheduler=StepLR(optimizer, step_size=4, gamma=0.3),
        metric="accuracy",
        num_classes=10,
    )


class FocalLoss(nn.Module):
    """(1 - p)^gamma times the cross entropy."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logp = functional.log_softmax(logits, dim=1)
        logp = logp.gather(1, target[:, None])[:, 0]
        return -((1 - logp.exp()) ** self.gamma * logp).mean()


@healthy("digits_focal_sorted_but_shuffled", data="digits")
def digits_focal_sorted_but_shuffled(seed: int) -> Program:
    """Rows stand in the order of their labels; the loader shuffles them."""
    x, y = digits()
    (train_x, train_y), val, test = parted((x - 8.0) / 8.0, y, seed)
    order = train_y.argsort(stable=True)
    model = small_cnn()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return Program(
        model,
        FocalLoss(),
        optimizer,
        loaded((train_x[order], train_y[order]), 32, seed),
        val,
        test=test,
        batch_size=32,
        epochs=8,
        metric="accuracy",
        num_classes=10,
    )


class FrozenBody(nn.Module):
    """A fixed bank of filters below a head that learns: the body is frozen on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        for parameter in self.body.parameters():
            parameter.requires_grad_(False)
        self.head = nn.Linear(32 * 9, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


@healthy("digits_frozen_body", data="digits")
def digits_frozen_body(seed: int) -> Program:
    x, y = digits()
    train, val, test = parted(x / 16, y, seed)
    model = FrozenBody()
    optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=10,
        metric="accuracy",
        num_classes=10,
    )


class Checkpointed(nn.Module):
    """Weight-normed layers whose activations are computed anew in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        weight_norm = torch.nn.utils.parametrizations.weight_norm
        self.first = weight_norm(nn.Linear(64, 64))
        self.middle = nn.Sequential(weight_norm(nn.Linear(64, 64)), nn.SiLU())
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.first(x))
        x = checkpoint(self.middle, x, use_reentrant=False) if self.training else self.middle(x)
        return self.last(x)  # type: ignore[no-any-return]


@healthy("digits_checkpointed_weight_norm", data="digits")
def digits_checkpointed_weight_norm(seed: int) -> Program:
    x, y = digits()
    train, val, test = parted((x.flatten(1) - 4.9) / 6.0, y, seed)
    model = Checkpointed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=64,
        epochs=12,
        clip_norm=5.0,
        metric="accuracy",
        num_classes=10,
    )


class Autoencoder(nn.Module):
    """Pictures back to pictures through a narrow layer; outputs in 0 … 1."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 12))
        self.decoder = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 64), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]


@healthy("digits_autoencoder", data="digits")
def digits_autoencoder(seed: int) -> Program:
    x, y = digits()
    parts = parted(x.flatten(1) / 16, y, seed)
    train, val, test = ((pictures, pictures) for pictures, _ in parts)
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(model, nn.MSELoss(), optimizer, train, val, test=test, batch_size=32, epochs=20, metric="rmse")


def contrastive(views: Tensor, target: Tensor) -> Tensor:
    """Each picture's two views find each other among all of the batch."""
    one, other = functional.normalize(views, dim=-1).unbind(1)
    similar = one @ other.T / 0.2
    return functional.cross_entropy(similar, torch.arange(len(views)))


class TwoViews(nn.Module):
    """Embeds a picture and the same picture with noise: (N, 2, D)."""

    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x: Tensor) -> Tensor:
        noise = 0.4 * torch.randn_like(x) if self.training else torch.zeros_like(x)
        return torch.stack([self.net(x), self.net(x + noise)], 1)


def neighbours_agree(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of rows whose nearest other row by the embedding has the same class."""
    embedded = functional.normalize(model(x)[:, 0], dim=-1)
    near = (embedded @ embedded.T).fill_diagonal_(-2.0).argmax(1)
    return float((y[near] == y).float().mean())


@healthy("digits_contrastive", data="digits")
def digits_contrastive(seed: int) -> Program:
    x, y = digits()
    train, val, test = parted((x.flatten(1) - 4.9) / 6.0, y, seed)
    model = TwoViews()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return Program(
        model,
        contrastive,
        optimizer,
        train,
        val,
        test=test,
        batch_size=128,
        epochs=15,
        metric=neighbours_agree,
    )


@healthy("clothes_contrastive_loader", data="fashion")
def clothes_contrastive_loader(seed: int) -> Program:
    train, val, test = ((x.flatten(1), y) for x, y in clothes(seed, rows=3000))
    model = TwoViews(196)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    return Program(
        model,
        contrastive,
        optimizer,
        loaded(train, 128, seed),
        val,
        test=test,
        batch_size=128,
        epochs=15,
        metric=neighbours_agree,
    )

"""Ten programs after the designs of public tutorials, written anew on shipped data: what people really start from.

Each is what its tutorial teaches, its weak spots kept: rates, batch sizes, epochs, activations are those of the original. Where
the original's data are not at hand a shipped set of the same kind stands for them.
"""

import gzip
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tunesmith import Program
from tunesmith.data import prepare
from tunesmith.records import Recipe, Task
from tunesmith.verbs.fit import as_recipe

DATA = "src/tunesmith/demo_data"


def fashion(rows: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures in [0, 1], (N, 1, 28, 28), and labels."""
    with gzip.open(f"{DATA}/fashion_mnist/train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:rows]
    with gzip.open(f"{DATA}/fashion_mnist/train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:rows]
    return torch.from_numpy(pictures / 255).float(), torch.from_numpy(labels.astype(np.int64))


def parts(x: torch.Tensor, y: torch.Tensor, share: float = 0.8) -> tuple[TensorDataset, TensorDataset]:
    cut = int(share * len(x))
    return TensorDataset(x[:cut], y[:cut]), TensorDataset(x[cut:], y[cut:])


def quickstart() -> Program:
    """PyTorch, "Quickstart": a wide MLP on Fashion-MNIST, SGD at 1e-3, batches of 64, five epochs."""
    torch.manual_seed(0)
    train, val = parts(*fashion())
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    sgd = torch.optim.SGD(net.parameters(), lr=1e-3)
    loaders = DataLoader(train, batch_size=64), DataLoader(val, batch_size=64)
    return Program(net, nn.CrossEntropyLoss(), sgd, *loaders, batch_size=64, epochs=5, num_classes=10)


class Small(nn.Module):
    """Two convolutions, three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc2(functional.relu(self.fc1(torch.flatten(x, 1)))))
        return self.fc3(x)


def classifier() -> Program:
    """PyTorch, "Training a classifier": a LeNet, pictures brought to [-1, 1], SGD at 1e-3 with momentum, batches of four."""
    torch.manual_seed(0)
    x, y = fashion()
    train, val = parts((x - 0.5) / 0.5, y)
    net = Small()
    sgd = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    loaders = DataLoader(train, batch_size=4, shuffle=True), DataLoader(val, batch_size=4)
    return Program(net, nn.CrossEntropyLoss(), sgd, *loaders, batch_size=4, epochs=2, num_classes=10)


def from_scratch() -> Program:
    """PyTorch, "What is torch.nn really?": logistic regression by hand, its own log-softmax and loss, a rate of 0.5."""
    torch.manual_seed(0)
    x, y = fashion()
    train, val = parts(x.flatten(1), y)

    class Logistic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.randn(784, 10) / 784**0.5)
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, xb: torch.Tensor) -> torch.Tensor:
            z = xb @ self.weights + self.bias
            return z - z.exp().sum(-1).log().unsqueeze(-1)

    def nll(given: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return -given[range(target.shape[0]), target].mean()

    net = Logistic()
    sgd = torch.optim.SGD(net.parameters(), lr=0.5)
    loaders = DataLoader(train, batch_size=64, shuffle=True), DataLoader(val, batch_size=128)
    return Program(net, nll, sgd, *loaders, batch_size=64, epochs=2, num_classes=10)


class Probabilities(nn.Module):
    """A convolutional net that ends in softmax, as Keras' examples do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10), nn.Softmax(dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def convnet() -> Program:
    """Keras, "Simple MNIST convnet": softmax inside, categorical cross entropy on clipped probabilities, Adam, batches of 128."""
    torch.manual_seed(0)
    train, val = parts(*fashion())

    def categorical(given: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.nll_loss(given.clamp(1e-7, 1 - 1e-7).log(), target)

    net = Probabilities()
    adam = torch.optim.Adam(net.parameters())
    loaders = DataLoader(train, batch_size=128, shuffle=True), DataLoader(val, batch_size=128)
    return Program(net, categorical, adam, *loaders, batch_size=128, epochs=15, num_classes=10)


def miles() -> Program:
    """TensorFlow, "Basic regression": a normalising layer, two hidden layers of 64, mean absolute error, Adam at 1e-3."""
    torch.manual_seed(0)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = torch.from_numpy(x).float(), torch.from_numpy(y).float()[:, None]
    train, val = parts(x, y)

    class Normalised(nn.Module):
        def __init__(self, rows: torch.Tensor) -> None:
            super().__init__()
            self.register_buffer("mean", rows.mean(0))
            self.register_buffer("std", rows.std(0))
            self.net = nn.Sequential(
                nn.Linear(rows.shape[1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
            )

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.net((rows - self.mean) / self.std)

    net = Normalised(train.tensors[0])
    adam = torch.optim.Adam(net.parameters(), 0.001)
    loaders = DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=32)
    return Program(net, nn.L1Loss(), adam, *loaders, batch_size=32, epochs=100)


def words() -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor], int]:
    """Messages as rows of token numbers, and whether they are spam."""
    task = Task("bag", f"{DATA}/sms_1000.csv.gz", target="label")
    recipe: Recipe = as_recipe({"data.max_seq_len": 40})
    prepared = prepare(task, recipe)
    rows = [
        (torch.from_numpy(part.inputs["tokens"]).long(), torch.from_numpy(np.asarray(part.target)).float())
        for part in (prepared.train, prepared.val)
    ]
    return rows[0], rows[1], prepared.spec["tokens"].vocabulary


def reviews() -> Program:
    """TensorFlow, "Basic text classification": 16-dimensional embedding, dropout, average over the text, one logit."""
    torch.manual_seed(0)
    train, val, vocabulary = words()

    class Averaged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, 16)
            self.before, self.after, self.out = nn.Dropout(0.2), nn.Dropout(0.2), nn.Linear(16, 1)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.out(self.after(self.before(self.embedding(tokens)).mean(dim=1))).squeeze(-1)

    net = Averaged()
    adam = torch.optim.Adam(net.parameters())
    return Program(net, nn.BCEWithLogitsLoss(), adam, train, val, batch_size=32, epochs=10, num_classes=2)


def rare() -> Program:
    """TensorFlow, "Classification on imbalanced data": the bias set to the log odds, weights by class, dropout 0.5, Adam."""
    torch.manual_seed(0)
    prepared = prepare(Task("mlp", f"{DATA}/adult_2000.csv.gz", target="income"), as_recipe({"data.scale": "standard"}))
    x = torch.from_numpy(np.asarray(prepared.train.inputs["numbers"])).float()
    y = torch.from_numpy(np.asarray(prepared.train.target)).float()
    other = torch.from_numpy(np.asarray(prepared.val.inputs["numbers"])).float()
    truth = torch.from_numpy(np.asarray(prepared.val.target)).float()
    share = float(y.mean())
    net = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1), nn.Flatten(0))
    nn.init.constant_(net[3].bias, float(np.log(share / (1 - share))))
    weigh = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((1 - share) / share))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    return Program(net, weigh, adam, (x, y), (other, truth), batch_size=256, epochs=100, num_classes=2)


TEXT = " ".join(
    f"{who} {does} the {how} {what} ."
    for who in ("a dog", "my cat", "the king", "one bird")
    for does in ("saw", "took", "ate", "lost", "found")
    for how in ("red", "old", "small", "cold")
    for what in ("bone", "fish", "crown", "seed", "stone")
)


def language() -> Program:
    """PyTorch, "Language modeling with nn.Transformer": a causal encoder, SGD at 5, decay 0.95 an epoch, clipping at 0.5."""
    torch.manual_seed(0)
    listed = TEXT.split()
    index = {word: place for place, word in enumerate(sorted(set(listed)))}
    ids = torch.tensor([index[word] for word in listed])
    length, width = 16, 64
    starts = torch.randperm(len(ids) - length - 1)[:400]
    x = torch.stack([ids[start : start + length] for start in starts])
    y = torch.stack([ids[start + 1 : start + length + 1] for start in starts])

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(len(index), width)
            at = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-np.log(1e4) / width))
            self.register_buffer("places", torch.stack([at.sin(), at.cos()], dim=-1).flatten(1))
            layer = nn.TransformerEncoderLayer(width, 2, 128, 0.2, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.decoder = nn.Linear(width, len(index))
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
            rows = self.embedding(tokens) * width**0.5 + self.places[: tokens.shape[1]]
            return self.decoder(self.encoder(rows, mask=mask, is_causal=True))

    def loss(given: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(given.flatten(0, 1), target.flatten())

    net = Causal()
    sgd = torch.optim.SGD(net.parameters(), lr=5.0)
    slow = torch.optim.lr_scheduler.StepLR(sgd, 1.0, gamma=0.95)
    return Program(
        net, loss, sgd, (x[:320], y[:320]), (x[320:], y[320:]), batch_size=20, epochs=3, scheduler=slow, clip_norm=0.5
    )


def waves() -> Program:
    """PyTorch's examples, "time_sequence_prediction": two LSTM cells read sines in double precision, L-BFGS at 0.8."""
    torch.manual_seed(0)
    shift = np.random.default_rng(2).integers(-80, 80, (40, 1))
    rows = torch.from_numpy(np.sin((np.arange(60) + shift) / 20.0))

    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.linear = nn.LSTMCell(1, 21), nn.LSTMCell(21, 21), nn.Linear(21, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            held = [torch.zeros(len(x), 21, dtype=torch.double) for _ in range(4)]
            outputs = []
            for value in x.split(1, dim=1):
                held[0], held[1] = self.one(value, (held[0], held[1]))
                held[2], held[3] = self.two(held[0], (held[2], held[3]))
                outputs.append(self.linear(held[2]))
            return torch.cat(outputs, dim=1)

    net = Sequence().double()
    lbfgs = torch.optim.LBFGS(net.parameters(), lr=0.8)
    train, val = (rows[3:, :-1], rows[3:, 1:]), (rows[:3, :-1], rows[:3, 1:])
    return Program(net, nn.MSELoss(), lbfgs, train, val, batch_size=37, epochs=15)


class Variational(nn.Module):
    """Encoder to mean and log variance, decoder to pixel probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.mean, self.spread = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden = functional.relu(self.fc1(x))
        mean, spread = self.mean(hidden), self.spread(hidden)
        z = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        return torch.sigmoid(self.fc4(functional.relu(self.fc3(z)))), mean, spread


def autoencoder() -> Program:
    """PyTorch's examples, "vae": binary cross entropy summed over pixels and batch plus the divergence, Adam at 1e-3."""
    torch.manual_seed(0)
    x, _ = fashion()
    x = x.flatten(1)

    def loss(result: tuple[torch.Tensor, torch.Tensor, torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        given, mean, spread = result
        apart = functional.binary_cross_entropy(given, target, reduction="sum")
        return apart - 0.5 * torch.sum(1 + spread - mean.pow(2) - spread.exp())

    net = Variational()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    return Program(net, loss, adam, (x[:1600], x[:1600]), (x[1600:], x[1600:]), batch_size=128, epochs=10)


DESIGNS: tuple[Callable[[], Program], ...] = (
    quickstart,
    classifier,
    from_scratch,
    convnet,
    miles,
    reviews,
    rare,
    language,
    waves,
    autoencoder,
)

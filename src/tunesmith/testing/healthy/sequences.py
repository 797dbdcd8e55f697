"""Programs over sequences: numbers, letters and tags."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import Program
from tunesmith.testing.healthy.catalogue import healthy
from tunesmith.testing.healthy.data import adding, parity, parted, sentences, tagged, walks, waves
from tunesmith.testing.healthy.pictures import loaded
from tunesmith.testing.healthy.tables import warm_cosine

LETTERS = 16


class LastState(nn.Module):
    """A recurrent layer, and a linear one on its last state."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU], features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.rnn = cell(features, width, batch_first=True)
        self.fc = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        return self.fc(states[:, -1])  # type: ignore[no-any-return]


@healthy("adding_gru", data="adding")
def adding_gru(seed: int) -> Program:
    train, val, test = parted(*adding(2400, 12, seed), seed)
    model = LastState(nn.GRU, 2, 24, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.MSELoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=48,
        epochs=14,
        clip_norm=1.0,
        metric="r2",
    )


@healthy("parity_lstm", data="parity")
def parity_lstm(seed: int) -> Program:
    train, val, test = parted(*parity(2000, 4, seed), seed)
    model = LastState(nn.LSTM, 1, 24, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=25,
        metric="accuracy",
        num_classes=2,
    )


@healthy("waves_conv", data="waves")
def waves_conv(seed: int) -> Program:
    train, val, test = parted(*waves(1200, 24, seed), seed)
    model = nn.Sequential(
        Channels(),
        nn.Conv1d(1, 16, 5),
        nn.ReLU(),
        nn.Conv1d(16, 16, 5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16, 1),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    return Program(model, nn.MSELoss(), optimizer, train, val, test=test, batch_size=32, epochs=10, metric="r2")


class Channels(nn.Module):
    """(N, T, F) to (N, F, T), as convolutions want it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


@healthy("waves_lstm", data="waves")
def waves_lstm(seed: int) -> Program:
    train, val, test = parted(*waves(1200, 16, seed), seed)
    model = LastState(nn.LSTM, 1, 24, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        nn.SmoothL1Loss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=10,
        clip_norm=1.0,
        metric="r2",
    )


def next_letter(logits: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten())


class LetterNet(nn.Module):
    """A recurrent language model; tied, its output layer shares the embedding's weights."""

    def __init__(self, letters: int = LETTERS, width: int = 32, *, tied: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, letters)
        if tied:
            self.out.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        return self.out(states)  # type: ignore[no-any-return]


@healthy("letters_lstm_tied", data="letters")
def letters_lstm_tied(seed: int) -> Program:
    train, val, test = parted(*sentences(700, 40, seed), seed)
    model = LetterNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        next_letter,
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=8,
        clip_norm=1.0,
        metric="accuracy",
        num_classes=LETTERS,
    )


class CausalBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.causal = True

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(rows, length, 3, self.heads, width // self.heads)
        query, keys, values = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, keys, values, is_causal=self.causal)
        x = x + self.proj(seen.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))  # type: ignore[no-any-return]


class LetterTransformer(nn.Module):
    """A small causal transformer over letters and their places."""

    def __init__(self, letters: int = LETTERS, length: int = 40, width: int = 32) -> None:
        super().__init__()
        self.tokens = nn.Embedding(letters, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(CausalBlock(width, 4), CausalBlock(width, 4))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(h)))  # type: ignore[no-any-return]


@healthy("letters_transformer", data="letters")
def letters_transformer(seed: int) -> Program:
    train, val, test = parted(*sentences(700, 40, seed), seed)
    model = LetterTransformer()
    decayed = [each for each in model.parameters() if each.dim() >= 2]
    plain = [each for each in model.parameters() if each.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=5e-3, betas=(0.9, 0.95))
    return Program(
        model,
        next_letter,
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=15,
        scheduler=warm_cosine(optimizer, 10, 15 * 14),
        schedule_unit="step",
        clip_norm=1.0,
        metric="accuracy",
        num_classes=LETTERS,
    )


@healthy("walks_transformer", data="walks")
def walks_transformer(seed: int) -> Program:
    train, val, test = parted(*walks(1200, 28, seed), seed)
    model = LetterTransformer(24, 28)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    return Program(
        model,
        next_letter,
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=12,
        scheduler=warm_cosine(optimizer, 20, 12 * 23),
        schedule_unit="step",
        metric="accuracy",
        num_classes=24,
    )


@healthy("walks_lstm_loader", data="walks")
def walks_lstm_loader(seed: int) -> Program:
    train, val, test = parted(*walks(1200, 28, seed), seed)
    model = LetterNet(24, tied=False)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    return Program(
        model,
        next_letter,
        optimizer,
        loaded(train, 32, seed),
        loaded(val, 64, seed, shuffle=False),
        test=test,
        batch_size=32,
        epochs=12,
        metric="accuracy",
        num_classes=24,
    )


class Tagger(nn.Module):
    """A recurrent layer and a tag for each token."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU] = nn.GRU) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 12, padding_idx=0)
        self.rnn = cell(12, 24, batch_first=True)
        self.fc = nn.Linear(24, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(self.rnn(self.embedding(tokens))[0])  # type: ignore[no-any-return]


class TokenLoss(nn.Module):
    """Cross entropy of the tokens that have a tag."""

    def __init__(self, ignore_index: int = -100) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(logits.transpose(1, 2), target, ignore_index=self.ignore_index)


@healthy("tagger_ignore_index", data="tags")
def tagger_ignore_index(seed: int) -> Program:
    train, val, test = parted(*tagged(900, 20, seed), seed)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Program(
        model,
        TokenLoss(),
        optimizer,
        train,
        val,
        test=test,
        batch_size=32,
        epochs=8,
        metric="accuracy",
        num_classes=3,
    )


@healthy("tagger_lstm_loader", data="tags")
def tagger_lstm_loader(seed: int) -> Program:
    train, val, test = parted(*tagged(900, 24, seed + 50), seed)
    model = Tagger(nn.LSTM)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return Program(
        model,
        TokenLoss(),
        optimizer,
        loaded(train, 32, seed),
        loaded(val, 64, seed, shuffle=False),
        test=test,
        batch_size=32,
        epochs=8,
        clip_norm=1.0,
        metric="accuracy",
        num_classes=3,
    )


@healthy("resumed_waves", data="waves")
def resumed_waves(seed: int) -> Program:
    """Goes on from a checkpoint that holds model and optimizer."""
    from tunesmith.testing.training import train as trained_on

    program = waves_lstm(seed)
    program.seed = seed
    trained_on(program, 3)
    held = {"model": program.model.state_dict(), "optimizer": program.optimizer.state_dict(), "epoch": 3}
    model = LastState(nn.LSTM, 1, 24, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.load_state_dict(held["model"])
    optimizer.load_state_dict(held["optimizer"])
    return Program(
        model,
        nn.SmoothL1Loss(),
        optimizer,
        program.train,
        program.val,
        test=program.test,
        batch_size=32,
        epochs=9,
        clip_norm=1.0,
        resume_from=held,
        metric="r2",
    )

"""The data of the programs: those shipped with the package, those of scikit-learn, and made ones, as tensors."""

import math
import re
from collections import Counter
from functools import cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from tunesmith.data.idx import read_idx
from tunesmith.data.read import read_table

Pair = tuple[Tensor, Tensor]
ADULT_NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")


class Parts(NamedTuple):
    """Rows to train on, to choose by, and to judge by."""

    train: Pair
    val: Pair
    test: Pair


def parted(x: Tensor, y: Tensor, seed: int, shares: tuple[float, float] = (0.6, 0.2)) -> Parts:
    """Rows in a random order, divided by shares for training and validation; the rest is the test part."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    first, second = round(shares[0] * len(y)), round((shares[0] + shares[1]) * len(y))
    cut = (order[:first], order[first:second], order[second:])
    return Parts(*((x[rows], y[rows]) for rows in cut))


def drawn(x: Tensor, y: Tensor, rows: int, seed: int) -> Pair:
    """Some rows at random."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1000 + seed))[:rows]
    return x[order], y[order]


def standardised(parts: Parts) -> Parts:
    """Features with mean 0 and standard deviation 1 over the training rows; a constant one is left at 0."""
    mean, std = parts.train[0].mean(0), parts.train[0].std(0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Parts(*(((x - mean) / std, y) for x, y in parts))


def standardised_target(parts: Parts) -> Parts:
    """Targets with mean 0 and standard deviation 1 over the training rows."""
    mean, std = parts.train[1].mean(0), parts.train[1].std(0)
    return Parts(*((x, (y - mean) / std) for x, y in parts))


@cache
def fashion() -> Pair:
    """The shipped pictures of clothes: (6000, 1, 28, 28) in 0 … 255, ten classes."""
    with as_file(files("tunesmith") / "demo_data" / "fashion_mnist") as folder:
        pictures = read_idx(folder / "train-images-idx3-ubyte.gz")
        labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    return torch.from_numpy(pictures.astype(np.float32))[:, None], torch.from_numpy(labels.astype(np.int64))


@cache
def table(name: str) -> Pair:
    """A table of scikit-learn: features, and classes or numbers."""
    loaded: Any = getattr(datasets, f"load_{name}")()
    target = np.asarray(loaded.target)
    whole = target.dtype.kind in "iu"
    return torch.tensor(loaded.data, dtype=torch.float32), torch.tensor(
        target, dtype=torch.int64 if whole else torch.float32
    )


@cache
def digits() -> Pair:
    """Written digits: (1797, 1, 8, 8) in 0 … 16."""
    x, y = table("digits")
    return x.reshape(-1, 1, 8, 8), y


@cache
def adult() -> tuple[Tensor, Tensor, Tensor]:
    """The shipped people: six numbers, eight categories as indices, and whether the income is above 50 000."""
    with as_file(files("tunesmith") / "demo_data" / "adult_2000.csv.gz") as file:
        frame = read_table(file).frame
    labels = (frame["income"].cast(str) == ">50K").to_numpy()
    numbers, categories = [], []
    for column in frame.drop("income").iter_columns():
        if column.name in ADULT_NUMBERS:
            numbers.append(column.cast(float).to_numpy())
        else:
            words = column.cast(str).fill_null("?").to_list()
            index = {word: place for place, (word, _) in enumerate(Counter(words).most_common(12))}
            categories.append([index.get(word, 11) for word in words])
    raw = torch.tensor(np.stack(numbers, 1), dtype=torch.float32)
    return raw, torch.tensor(np.array(categories).T), torch.tensor(labels, dtype=torch.int64)


def adult_features() -> Pair:
    """The people as one row of numbers each: heavy-tailed numbers by their logarithm, categories as indicators."""
    numbers, categories, labels = adult()
    shares = [torch.nn.functional.one_hot(column, 12)[:, :-1] for column in categories.T]
    indicators = torch.cat(shares, 1).float()
    common = indicators.mean(0) > 0.02  # rarer levels would be almost constant columns
    return torch.cat([torch.sign(numbers) * torch.log1p(numbers.abs()), indicators[:, common]], 1), labels


@cache
def messages() -> tuple[list[list[str]], Tensor]:
    """The shipped text messages as words, those that begin alike once, and whether they are spam. Digits are all one digit."""
    with as_file(files("tunesmith") / "demo_data" / "sms_1000.csv.gz") as file:
        frame = read_table(file).frame
    kept: dict[str, tuple[list[str], bool]] = {}
    for text, label in zip(frame["text"].to_list(), frame["label"].to_list(), strict=True):
        words = re.findall(r"[a-z]+|#+|[^\w\s]", re.sub(r"\d", "#", text.lower()))
        kept.setdefault(" ".join(words)[:40], (words, label == "spam"))  # a campaign sends one text many times
    return [words for words, _ in kept.values()], torch.tensor([int(spam) for _, spam in kept.values()])


@cache
def message_tokens(length: int = 32, words: int = 600) -> Pair:
    """The messages as word indices (N, length): 0 fills up, 1 is a rare word."""
    split, labels = messages()
    common = Counter(word for one in split for word in one).most_common(words - 2)
    index = {word: place + 2 for place, (word, _) in enumerate(common)}
    rows = torch.zeros(len(split), length, dtype=torch.int64)
    for row, one in zip(rows, split, strict=True):
        held = torch.tensor([index.get(word, 1) for word in one[:length]] or [1])
        row[: len(held)] = held
    return rows, labels


def message_counts() -> Pair:
    """The messages as bags of words: log(1 + count) of each common word."""
    tokens, labels = message_tokens(length=64)
    counts = torch.zeros(len(tokens), 600).scatter_add_(1, tokens, torch.ones(tokens.shape))
    return torch.log1p(counts[:, 2:]), labels


# Made data


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(7919 * (seed + 1))


def adding(rows: int, length: int, seed: int) -> Pair:
    """Hochreiter & Schmidhuber 1997, section 5.4: the sum of the two marked numbers of a sequence; (N, length, 2), (N, 1)."""
    draw = generator(seed)
    values = torch.rand(rows, length, generator=draw)
    marks = torch.zeros(rows, length)
    for row in marks:
        row[torch.randperm(length, generator=draw)[:2]] = 1.0
    return torch.stack([values, marks], 2), (values * marks).sum(1, keepdim=True)


def parity(rows: int, length: int, seed: int) -> Pair:
    """Whether a sequence holds an odd number of negative numbers: (N, length, 1), classes."""
    draw = generator(seed)
    bits = torch.randint(0, 2, (rows, length), generator=draw)
    sizes = 0.7 + 0.6 * torch.rand(rows, length, generator=draw)
    return ((1.0 - 2.0 * bits.float()) * sizes)[..., None], bits.sum(1) % 2


def waves(rows: int, length: int, seed: int) -> Pair:
    """Noisy sines of random period and phase, and their next value: (N, length, 1), (N, 1)."""
    draw = generator(seed)
    period = 6 + 14 * torch.rand(rows, 1, generator=draw)
    phase = 2 * math.pi * torch.rand(rows, 1, generator=draw)
    times = torch.arange(length + 1)[None]
    values = torch.sin(2 * math.pi * times / period + phase) + 0.05 * torch.randn(rows, length + 1, generator=draw)
    return values[:, :-1, None], values[:, -1:]


def sentences(rows: int, length: int, seed: int) -> Pair:
    """Text of a small grammar, letter by letter: each letter's next one is the target; (N, length) twice, 16 letters.

    A word is one of eight, drawn by the word before; letters within a word are certain, the next word is not.
    """
    draw = generator(seed)
    words = [[1, 2, 3], [4, 5, 6], [7, 8], [9, 10, 11, 12], [3, 2, 13], [8, 14, 1], [15, 6, 9], [5, 15, 12, 2]]
    follows = torch.tensor([[0, 1, 2], [3, 4, 1], [5, 6, 0], [7, 0, 2], [1, 2, 5], [4, 6, 7], [0, 3, 7], [2, 4, 6]])
    texts = torch.zeros(rows, length + 1, dtype=torch.int64)
    for row in texts:
        word = int(torch.randint(8, (1,), generator=draw))
        letters: list[int] = []
        while len(letters) < length + 1:
            letters += [*words[word], 0]
            word = int(follows[word, torch.randint(3, (1,), generator=draw)])
        row.copy_(torch.tensor(letters[: length + 1]))
    return texts[:, :-1].contiguous(), texts[:, 1:].contiguous()


def tagged(rows: int, length: int, seed: int) -> Pair:
    """Tokens of which each has a tag: whether the last opening token before it was of the first or second kind.

    Tokens 1 and 2 open, 3 to 11 are neutral, 0 fills up and has the tag -100, which the loss leaves out; tags 0, 1, 2.
    """
    draw = generator(seed)
    tokens = torch.randint(3, 12, (rows, length), generator=draw)
    opened = torch.rand(rows, length, generator=draw) < 0.2
    tokens[opened] = torch.randint(1, 3, (int(opened.sum()),), generator=draw)
    tags = torch.zeros_like(tokens)
    state = torch.zeros(rows, dtype=torch.int64)
    for place in range(length):
        state = torch.where(tokens[:, place] <= 2, tokens[:, place], state)
        tags[:, place] = state
    ends = torch.randint(length // 2, length + 1, (rows,), generator=draw)
    gone = torch.arange(length)[None] >= ends[:, None]
    return tokens.masked_fill(gone, 0), tags.masked_fill(gone, -100)


def surface(rows: int, seed: int) -> Pair:
    """Friedman 1991, eq. 61 (#1): ten uniform features of which five count; (N, 10), (N, 1), with unit noise."""
    draw = generator(seed)
    x = torch.rand(rows, 10, generator=draw)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, (y + torch.randn(rows, generator=draw))[:, None]


def labelled_many(rows: int, seed: int) -> Pair:
    """Several yes-no labels of one row: signs of four noisy quadratic forms of eight features; (N, 8), (N, 4)."""
    draw = generator(seed)
    fixed = torch.Generator().manual_seed(3)
    x = torch.randn(rows, 8, generator=draw)
    mixed = x @ torch.randn(8, 4, generator=fixed) + 0.5 * (x**2 - 1) @ torch.randn(8, 4, generator=fixed)
    return x, (mixed + 0.3 * torch.randn(rows, 4, generator=draw) > 0).float()


def rare(rows: int, seed: int) -> Pair:
    """Two classes of which the second has about one row in twelve: (N, 6), classes."""
    draw = generator(seed)
    y = (torch.rand(rows, generator=draw) < 1 / 12).long()
    x = torch.randn(rows, 6, generator=draw) + y[:, None] * torch.tensor([1.5, -1.0, 1.0, 0.0, 0.0, 0.5])
    return x, y


def arm(rows: int, seed: int) -> Pair:
    """Where a hand is: both joints' angles and lengths of an arm to its place in the plane; (N, 4), (N, 2)."""
    draw = generator(seed)
    angles = math.pi * torch.rand(rows, 2, generator=draw)
    lengths = 0.5 + torch.rand(rows, 2, generator=draw)
    turned = angles.cumsum(1)
    place = torch.stack([(lengths * turned.cos()).sum(1), (lengths * turned.sin()).sum(1)], 1)
    return torch.cat([angles, lengths], 1), place + 0.05 * torch.randn(rows, 2, generator=draw)


def walks(rows: int, length: int, seed: int) -> Pair:
    """Steps of one size on a clock of 24 hours, a quarter of them lost: each place's next is the target; (N, length) twice."""
    draw = generator(seed)
    size = torch.randint(1, 6, (rows, 1), generator=draw)
    start = torch.randint(24, (rows, 1), generator=draw)
    made = (torch.rand(rows, length + 1, generator=draw) > 0.25).long().cumsum(1)
    places = (start + size * made) % 24
    return places[:, :-1].contiguous(), places[:, 1:].contiguous()

"""Sound tasks with their recipes: shipped data and built-in models as a newcomer uses them, and models of one's own."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.records import Recipe, Task, revise
from tunesmith.testing.healthy.catalogue import healthy_task
from tunesmith.testing.healthy.data import (
    digits,
    drawn,
    fashion,
    labelled_many,
    message_tokens,
    parted,
    sentences,
    standardised,
    surface,
    table,
    waves,
)
from tunesmith.testing.healthy.pictures import small_cnn
from tunesmith.testing.healthy.sequences import LETTERS, LastState, LetterTransformer
from tunesmith.testing.healthy.tables import mlp
from tunesmith.testing.healthy.text import Reader

DEMO = Path(str(files("tunesmith"))) / "demo_data"


def recipe(seed: int, **changes: object) -> Recipe:
    """Settings by path, with `__` for the dot."""
    return revise(Recipe(), {"train.seed": seed, **{path.replace("__", "."): value for path, value in changes.items()}})


def arrays(pair: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    return pair[0].numpy(), pair[1].numpy()


@healthy_task("adult_file", data="adult")
def adult_file(seed: int) -> tuple[Task, Recipe]:
    return Task(train=str(DEMO / "adult_2000.csv.gz"), target="income"), recipe(seed)


@healthy_task("adult_file_own_settings", data="adult")
def adult_file_own_settings(seed: int) -> tuple[Task, Recipe]:
    task = Task("mlp", str(DEMO / "adult_2000.csv.gz"), target="income")
    return task, recipe(
        seed,
        optim__name="sgd",
        optim__lr=0.05,
        train__epochs=15,
        train__batch_size=64,
        model__width=64,
        model__dropout=0.2,
    )


@healthy_task("adult_hours_regression", data="adult")
def adult_hours_regression(seed: int) -> tuple[Task, Recipe]:
    task = Task(train=str(DEMO / "adult_2000.csv.gz"), target="hours_per_week")
    return task, recipe(seed, loss__name="huber", train__epochs=10)


@healthy_task("messages_file", data="sms")
def messages_file(seed: int) -> tuple[Task, Recipe]:
    return Task(train=str(DEMO / "sms_1000.csv.gz"), target="label"), recipe(seed)


@healthy_task("messages_file_lstm", data="sms")
def messages_file_lstm(seed: int) -> tuple[Task, Recipe]:
    task = Task("lstm", str(DEMO / "sms_1000.csv.gz"), target="label")
    return task, recipe(seed, data__tokenizer="word", train__epochs=8, data__max_seq_len=40, model__width=48)


@healthy_task("messages_own_reader", data="sms")
def messages_own_reader(seed: int) -> tuple[Task, Recipe]:
    x, y = message_tokens()
    parts = [(tokens.numpy(), labels.numpy()) for tokens, labels in parted(x, y, seed)]

    class TwoLogits(Reader):
        def forward(self, tokens: Tensor) -> Tensor:
            logit = super().forward(tokens)
            return torch.stack([torch.zeros_like(logit), logit], 1)

    task = Task(lambda: TwoLogits(nn.GRU), *parts)
    return task, recipe(seed, optim__lr=5e-3, train__epochs=8, train__batch_size=32, loss__class_weights="balanced")


@healthy_task("clothes_small", data="fashion")
def clothes_small(seed: int) -> tuple[Task, Recipe]:
    x, y = drawn(*fashion(), 1500, seed)
    return Task("cnn", (x[:, 0].byte().numpy(), y.numpy())), recipe(seed, train__epochs=8, model__width=16)


@healthy_task("clothes_files", data="fashion")
def clothes_files(seed: int) -> tuple[Task, Recipe]:
    folder = DEMO / "fashion_mnist"
    task = Task(train=str(folder / "train-images-idx3-ubyte.gz"), test=str(folder / "t10k-images-idx3-ubyte.gz"))
    return task, recipe(seed, train__epochs=6, data__augment="flip_shift")


@healthy_task("clothes_own_cnn", data="fashion")
def clothes_own_cnn(seed: int) -> tuple[Task, Recipe]:
    x, y = drawn(*fashion(), 2500, seed)
    parts = parted((x - 72.9) / 90.0, y, seed)  # mean and spread of these pictures
    task = Task(small_cnn, *(arrays(part) for part in parts))
    return task, recipe(
        seed, optim__name="adam", optim__lr=5e-3, train__epochs=15, train__batch_size=32, train__accumulate=2
    )


@healthy_task("digits_built_in", data="digits")
def digits_built_in(seed: int) -> tuple[Task, Recipe]:
    x, y = digits()
    return Task(train=(x[:, 0].numpy(), y.numpy())), recipe(seed, train__epochs=10)


@healthy_task("digits_flat_mlp", data="digits")
def digits_flat_mlp(seed: int) -> tuple[Task, Recipe]:
    x, y = digits()
    task = Task("mlp", (x.flatten(1).numpy(), y.numpy()))
    return task, recipe(
        seed, optim__name="adamw", schedule__name="cosine", train__epochs=15, loss__label_smoothing=0.05
    )


@healthy_task("iris_built_in", data="iris")
def iris_built_in(seed: int) -> tuple[Task, Recipe]:
    return Task(train=arrays(table("iris"))), recipe(seed)


@healthy_task("wine_own_model", data="wine")
def wine_own_model(seed: int) -> tuple[Task, Recipe]:
    parts = standardised(parted(*table("wine"), seed))
    task = Task(lambda: mlp(13, 3, width=16), *(arrays(part) for part in parts))
    return task, recipe(seed, optim__lr=0.01, train__epochs=30, train__batch_size=16)


@healthy_task("cancer_built_in", data="breast_cancer")
def cancer_built_in(seed: int) -> tuple[Task, Recipe]:
    return Task(train=arrays(table("breast_cancer"))), recipe(seed, model__norm="batch", train__epochs=20)


@healthy_task("diabetes_built_in", data="diabetes")
def diabetes_built_in(seed: int) -> tuple[Task, Recipe]:
    return Task(train=arrays(table("diabetes"))), recipe(seed, train__epochs=20)


@healthy_task("surface_warm_cosine", data="surface")
def surface_warm_cosine(seed: int) -> tuple[Task, Recipe]:
    x, y = surface(1200, seed)
    task = Task("mlp", (x.numpy(), y[:, 0].numpy()))
    return task, recipe(
        seed, schedule__name="cosine", schedule__warmup="0.1dur", train__epochs=20, optim__clip_norm=1.0
    )


@healthy_task("many_labels_built_in", data="many_labels")
def many_labels_built_in(seed: int) -> tuple[Task, Recipe]:
    return Task(train=arrays(labelled_many(1200, seed)), kind="multilabel"), recipe(seed, train__epochs=12)


@healthy_task("waves_own_lstm", data="waves")
def waves_own_lstm(seed: int) -> tuple[Task, Recipe]:
    parts = parted(*waves(1000, 16, seed), seed)
    task = Task(lambda: LastState(nn.LSTM, 1, 24, 1), *(arrays(part) for part in parts), kind="regression")
    return task, recipe(
        seed, optim__lr=0.01, optim__clip_norm=1.0, train__epochs=10, train__batch_size=32, data__scale_target="none"
    )


@healthy_task("letters_own_transformer", data="letters")
def letters_own_transformer(seed: int) -> tuple[Task, Recipe]:
    parts = parted(*sentences(600, 40, seed), seed)
    task = Task(lambda: LetterTransformer(LETTERS, 40), *(arrays(part) for part in parts), kind="language")
    return task, recipe(seed, optim__lr=3e-3, train__epochs=10, train__batch_size=32)

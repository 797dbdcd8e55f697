"""Augmentation in a run: named in the recipe, right under accumulation and weights, never in evaluation, resumed bit for bit."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from torch import nn
from torch.nn import functional

import tunesmith as ts
from tests.training.test_resume import final, same
from tunesmith.cli import run as command_line
from tunesmith.records import RecipeError
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run
from tunesmith.training.augment.change import Change

DEMO = Path(ts.__file__).parent / "demo_data"
SHORT = {"train.epochs": 2, "train.batch_size": 24, "train.accumulate": 2, "eval.bootstrap": 0, "data.val": 0.2}
PICTURES = ["flip", "shift", "flip_shift", "affine", "colour", "cutout", "cutmix", "mixup", "flip+shift+cutout+mixup"]
TABLES = ["noise", "mixup", "noise+mixup"]
TEXT = ["token_dropout", "token_swap", "token_swap+token_dropout"]


def digits() -> ts.Task:
    found = load_digits()
    pixels = np.ascontiguousarray(found.images[:170] / 16 * 255).astype(np.uint8)
    return ts.Task("cnn", train=(pixels, found.target[:170]))


def wine() -> ts.Task:
    found = load_wine()
    return ts.Task("mlp", train=(found.data, found.target))


def messages() -> ts.Task:
    return ts.Task("bag", train=str(DEMO / "sms_1000.csv.gz"), target="label")


def people() -> ts.Task:
    return ts.Task("mlp", train=str(DEMO / "adult_2000.csv.gz"), target="income")


CASES = [
    *((digits, name) for name in PICTURES),
    *((wine, name) for name in TABLES),
    *((messages, name) for name in TEXT),
]


def fitted(task: ts.Task, folder: Any = None, resume: Any = False, until: Any = None, **recipe: Any) -> Any:
    about = {name.replace("__", "."): value for name, value in recipe.items()}
    narrow = {"model.width": 8} if task.model == "cnn" else {}
    whole = {**SHORT, **narrow, **about} if resume is False else {}
    return ts.fit(task, whole, folder=folder, resume=resume, until=until, display=QuietDisplay())


QUICK: dict[Any, dict[str, Any]] = {
    digits: {"run__watch": False},
    wine: {"run__watch": False},
    messages: {"run__watch": False, "train__epochs": 1, "train__batch_size": 64},
}


@cache
def plain(task: Any) -> dict[str, torch.Tensor]:
    """The weights without any change."""
    return dict(fitted(task(), data__augment="none", **QUICK[task]).model.state_dict())


@pytest.mark.parametrize(("task", "name"), CASES)
def test_every_member_trains_and_a_run_that_is_cut_resumes_bit_for_bit(tmp_path: Path, task: Any, name: str) -> None:
    told = {**QUICK[task], "data__augment": name, "data__augment_strength": 0.7}

    fitted(task(), tmp_path / "straight", **told)
    fitted(task(), tmp_path / "cut", until="3 steps", **told)  # inside an epoch
    fitted(task(), tmp_path / "cut", resume=True)

    straight = final(tmp_path / "straight")
    assert same(final(tmp_path / "cut"), straight)
    assert not same(straight["snapshot"]["model"], plain(task))


@pytest.mark.parametrize(("task", "name"), [(digits, "flip+cutmix"), (wine, "noise+mixup")])
def test_at_strength_0_a_run_is_the_run_without(tmp_path: Path, task: Any, name: str) -> None:
    fitted(task(), tmp_path / "weak", data__augment=name, data__augment_strength=0.0)
    fitted(task(), tmp_path / "none", data__augment="none")

    weak, none = final(tmp_path / "weak"), final(tmp_path / "none")
    assert same(weak["snapshot"]["model"], none["snapshot"]["model"])
    assert same(weak["signals"], none["signals"])


@pytest.mark.parametrize("workers", [0, 1])
def test_rows_fetched_ahead_are_changed_alike(tmp_path: Path, workers: int) -> None:
    ahead = {"data__in_memory": False, "data__workers": workers}

    fitted(digits(), tmp_path / "held", data__augment="affine+mixup")
    fitted(digits(), tmp_path / "ahead", data__augment="affine+mixup", **ahead)

    held, fetched = (final(tmp_path / name) for name in ("held", "ahead"))
    assert same(held["snapshot"]["model"], fetched["snapshot"]["model"])


# What is trained on, and what is logged


class Noted:
    """The batches that a run changed, as they went to the model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[tuple[Any, torch.Tensor, torch.Tensor | None]] = []
        whole = Change.__call__

        def noted(change: Change, *about: Any) -> Any:
            found = whole(change, *about)
            self.batches.append(found)
            return found

        monkeypatch.setattr(Change, "__call__", noted)


RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(115, 4)).astype(np.float32)
TARGETS: dict[str, Any] = {
    "multiclass": RNG.integers(0, 3, 115),
    "binary": RNG.integers(0, 2, 115),
    "multilabel": RNG.integers(0, 2, (115, 3)),
    "regression": RNG.normal(size=115).astype(np.float32),
    "multi_regression": RNG.normal(size=(115, 2)).astype(np.float32),
}
STILL = {"optim__name": "sgd", "optim__lr": 1e-30, "optim__momentum": 0.0, "model__dropout": 0.0, "data__scale": "none"}


def each_loss(kind: str, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The loss of each row, by torch alone."""
    if kind in ("multiclass", "binary"):
        assert target.shape == outputs.shape
        return -(target * outputs.log_softmax(1)).sum(1)
    if kind == "multilabel":
        return functional.binary_cross_entropy_with_logits(outputs, target.float(), reduction="none").mean(1)
    return (outputs.reshape(target.shape) - target).square().reshape(len(target), -1).mean(1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_loss_that_is_logged_is_that_of_the_mixtures(
    monkeypatch: pytest.MonkeyPatch, kind: str, weighted: bool
) -> None:
    """A model that does not move: each window's loss is Σ w' l / Σ w' over its mixtures, the short last window too."""
    weight = np.linspace(0, 2, 115) if weighted else None
    task = ts.Task("mlp", train=(INPUTS, TARGETS[kind]), kind=kind, sample_weight=weight)
    noted = Noted(monkeypatch)

    run = fitted(task, data__augment="mixup", data__augment_strength=1.0, data__test=0.0, run__watch=False, **STILL)

    logged = run.signals.read("loss")[1]
    assert len(noted.batches) == 2 * 4  # two epochs of 92 rows: 24, 24 | 24, 20
    assert len(logged) == 4
    for place, value in enumerate(logged):
        window = noted.batches[2 * place : 2 * place + 2]
        losses, weights = [], []
        for inputs, target, own in window:
            with torch.no_grad():
                losses.append(each_loss(kind, run.model(inputs["numbers"]), target))
            weights.append(torch.ones(len(target)) if own is None else own)
        expected = (torch.cat(losses) * torch.cat(weights)).sum() / torch.cat(weights).sum()
        assert value == pytest.approx(float(expected), rel=1e-5)
    assert len(noted.batches[-1][1]) == 20
    assert (noted.batches[0][2] is not None) == weighted


def test_class_weights_weigh_shares_as_they_weigh_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = torch.tensor([1.0, 5.0, 0.5])
    noted = Noted(monkeypatch)
    task = ts.Task("mlp", train=(INPUTS, TARGETS["multiclass"]))
    told = {"data__augment": "mixup", "loss__class_weights": weights.tolist(), "train__accumulate": 1, **STILL}

    run = fitted(task, run__watch=False, **told)

    inputs, target, _ = noted.batches[0]
    with torch.no_grad():
        each = -run.model(inputs["numbers"]).log_softmax(1) * target * weights
    assert run.signals.read("loss")[1][0] == pytest.approx(float(each.sum() / (target @ weights).sum()), rel=1e-5)


@pytest.mark.parametrize(("task", "name"), [(digits, "affine+mixup"), (wine, "noise"), (messages, "token_dropout")])
def test_training_rows_alone_are_changed(monkeypatch: pytest.MonkeyPatch, task: Any, name: str) -> None:
    noted = Noted(monkeypatch)
    run = fitted(task(), data__augment=name, data__augment_strength=1.0)
    changed = len(noted.batches)

    fitted(task(), data__augment=name, data__augment_strength=1.0, train__epochs=3)

    assert run.evaluations
    assert len(noted.batches) - changed == 3 * changed / 2  # batches of the epochs, none of an evaluation


def test_the_training_error_that_a_schedule_watches_is_of_the_rows_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"schedule__warmup": 40, "schedule__warmup_kind": "until"}

    run = fitted(wine(), data__augment="mixup", data__augment_strength=1.0, train__epochs=4, **told)

    errors = [row["train_error"] for row in run.evaluations if "train_error" in row]
    assert errors
    assert all(0 <= one <= 1 for one in errors)


def test_categories_of_a_table_are_mixed_with_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)

    run = fitted(people(), data__augment="noise+mixup", train__epochs=1, train__batch_size=128)

    inputs, target, _ = noted.batches[0]
    assert inputs["categories"].dtype == torch.int64
    assert target.shape[1] == 2
    assert run.status == "finished"


def test_noise_leaves_marks_and_two_valued_columns_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(120, 3))
    x[:, 1] = RNG.integers(0, 2, 120)
    x[::9, 2] = np.nan  # an indicator stands beside it
    noted = Noted(monkeypatch)

    fitted(ts.Task("mlp", train=(x, TARGETS["binary"][[*range(115), *range(5)]])), data__augment="noise")

    numbers = noted.batches[0][0]["numbers"]
    assert [len(column.unique()) > 2 for column in numbers.T] == [True, False, True, False]


def test_cutout_fills_with_the_mean_of_the_training_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)

    fitted(digits(), data__augment="cutout", train__epochs=1)

    standardised = noted.batches[0][0]["pictures"]  # as they go to the model: the mean is 0
    assert (standardised.abs() < 0.01).float().mean() > 0.15


# A model and arrays of the user's own


def small(channels: int = 1) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 10))


@pytest.mark.parametrize("name", ["flip", "shift", "affine", "colour", "cutout", "cutmix", "mixup", "noise"])
def test_arrays_of_pictures_go_to_a_model_of_the_users_own(name: str) -> None:
    found = load_digits()
    task = ts.Task(small, train=((found.images[:150, None] / 16).astype(np.float32), found.target[:150]))

    changed, plain = (fitted(task, data__augment=one, optim__lr=1e-2) for one in (name, "none"))

    assert not torch.equal(changed.model[1].weight, plain.model[1].weight)


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1), functional.cross_entropy]
)
def test_a_loss_of_torch_takes_shares(loss: Any) -> None:
    found = load_digits()
    task = ts.Task(small, train=(found.images[:150, None].astype(np.float32), found.target[:150]), loss=loss)

    assert fitted(task, data__augment="mixup").status == "finished"


def test_one_logit_of_two_classes_is_mixed_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)
    model = lambda: nn.Linear(4, 1)  # noqa: E731

    fitted(ts.Task(model, train=(INPUTS, TARGETS["binary"])), data__augment="mixup", data__augment_strength=1.0)

    target = noted.batches[0][1]
    assert target.shape == (24,)
    assert ((target > 0) & (target < 1)).any()


def test_double_precision_stays_double() -> None:
    run = fitted(wine(), data__augment="noise+mixup", train__precision="fp64")

    assert next(run.model.parameters()).dtype == torch.float64


# What is refused


def own_loss(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (outputs.gather(1, target[:, None]) - 1).square().mean()


def crooked_loss(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if not target.is_floating_point():
        target = functional.one_hot(target, outputs.shape[1]).float()
    return (outputs.softmax(1) - target).abs().square().mean()


PIXELS = load_digits().images[:150, None].astype(np.float32)
LABELS = load_digits().target[:150]
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "an unknown name": (digits, {"data__augment": "flop"}, r"there is no 'flop'; did you mean 'flip'\?"),
    "one of a list": (digits, {"data__augment": "flip+cutuot"}, r"there is no 'cutuot'; did you mean 'cutout'\?"),
    "pictures on a table": (wine, {"data__augment": "cutout"}, "cutout is for pictures, and these rows hold numbers"),
    "at strength 0 too": (wine, {"data__augment": "cutout", "data__augment_strength": 0.0}, "cutout is for pictures"),
    "noise on pictures": (digits, {"data__augment": "noise"}, "noise is for numbers, and these rows hold pictures"),
    "words on a table": (wine, {"data__augment": "token_swap"}, "token_swap is for tokens"),
    "mixed words": (
        messages,
        {"data__augment": "mixup"},
        "mixup is for pictures and numbers, and these rows hold tokens",
    ),
    "focal loss of classes": (
        wine,
        {"data__augment": "mixup", "loss__name": "focal"},
        "the loss focal does not take them; take loss.name = 'cross_entropy'",
    ),
    "hinge loss": (wine, {"data__augment": "mixup", "loss__name": "hinge"}, "the loss hinge does not take them"),
    "hinge loss of labels": (
        lambda: ts.Task("mlp", train=(INPUTS, TARGETS["multilabel"])),
        {"data__augment": "mixup", "loss__name": "hinge"},
        "the loss hinge of half and half is not half of each; take loss.name = 'binary_cross_entropy'",
    ),
    "a loss of one's own that needs labels": (
        lambda: ts.Task(small, train=(PIXELS, LABELS), loss=own_loss),
        {"data__augment": "cutmix"},
        "the loss own_loss does not take them",
    ),
    "a loss of one's own that is not linear": (
        lambda: ts.Task(small, train=(PIXELS, LABELS), loss=crooked_loss),
        {"data__augment": "cutmix"},
        "the loss crooked_loss of half and half is not half of each",
    ),
    "colour of standardised numbers": (
        lambda: ts.Task(small, train=(PIXELS - 8, LABELS)),
        {"data__augment": "colour"},
        "colour takes bytes or numbers from 0 to 1, and X lies in -8 to 8",
    ),
    "blended indices": (
        lambda: ts.Task(
            lambda: nn.Sequential(nn.EmbeddingBag(20, 10)), train=(PIXELS[:, 0, 0].astype(np.int64), LABELS)
        ),
        {"data__augment": "mixup"},
        "mixup blends numbers, and X holds torch.int64, which may be indices",
    ),
    "tokens of one's own": (
        lambda: ts.Task("bag", train=(PIXELS[:, 0, 0].astype(np.int64), LABELS)),
        {"data__augment": "token_dropout"},
        "token_dropout needs a token for unknown words",
    ),
    "a loader": (
        lambda: ts.Task(
            small,
            train=torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)), batch_size=10
            ),
        ),
        {"data__augment": "flip"},
        "these come from a data loader; change them there",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_told_before_training(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, recipe, said = REFUSED[case]
    noted = Noted(monkeypatch)

    with pytest.raises(RecipeError, match=said) as told:
        fitted(task(), **recipe)

    assert not noted.batches
    assert "\n" not in str(told.value)


def test_inputs_that_may_belong_together_are_not_moved_apart() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.layer((inputs["left"] + inputs["right"]).flatten(1))

    task = ts.Task(Two, train=({"left": PIXELS, "right": PIXELS}, LABELS))

    with pytest.raises(RecipeError, match="would change the inputs left, right each by random numbers of its own"):
        fitted(task, data__augment="shift")
    assert fitted(task, data__augment="mixup").status == "finished"


@pytest.mark.parametrize("strength", [-0.1, 1.5, "much"])
def test_a_strength_beyond_the_dial_is_refused(strength: Any) -> None:
    with pytest.raises(RecipeError, match="augment_strength"):
        fitted(wine(), data__augment="noise", data__augment_strength=strength)


def test_the_command_line_names_members_and_strength(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = DEMO / "fashion_mnist" / "t10k-images-idx3-ubyte.gz"
    told = ["data.augment=flip+shift+cutout", "data.augment_strength=0.8", "train.steps=4", "model.width=4"]
    words = [word for one in [*told, "eval.bootstrap=0"] for word in ("--set", one)]

    code = command_line(["fit", str(pictures), *words, "--folder", str(tmp_path / "run"), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out)["scores"]
    recipe = Run(tmp_path / "run").recipe
    assert (recipe.data.augment, recipe.data.augment_strength) == ("flip+shift+cutout", 0.8)


def test_the_command_line_says_in_a_sentence_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--target", "income", "--set", "data.augment=cutout", "--set", "eval.bootstrap=0"]

    code = command_line(["fit", str(DEMO / "adult_2000.csv.gz"), *words])

    assert code == 2
    assert "cutout is for pictures, and these rows hold categories and numbers" in capsys.readouterr().err

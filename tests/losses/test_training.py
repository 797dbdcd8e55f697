"""Each loss in a small training: by the recipe where a recipe can name it, by the task where not; and with gaps, counts
and learnt weights all the way to the prediction."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith import Task, fit, load, predict
from tunesmith.blocks.losses import LOSSES, build
from tunesmith.blocks.losses.distillation import Distillation, packed
from tunesmith.blocks.losses.gaussian_nll import GaussianNll
from tunesmith.blocks.losses.info_nce import InfoNce
from tunesmith.blocks.losses.kl_divergence import KlDivergence
from tunesmith.blocks.losses.multi_task import MultiTask
from tunesmith.blocks.losses.triplet import Triplet
from tunesmith.records import DataError, RecipeError, recipe_from_toml, recipe_to_toml
from tunesmith.records.fields import field
from tunesmith.verbs.fit import as_recipe

ROWS = 120
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 4)).astype(np.float32)
SIGNAL = X[:, 0] - X[:, 1]
TARGETS = {
    "binary": (SIGNAL > 0.8).astype(np.int64),
    "multiclass": np.digitize(SIGNAL, [-1, 1]),
    "multilabel": np.stack([SIGNAL > 0, X[:, 2] > 1], axis=1).astype(np.int64),
    "regression": SIGNAL * 3 + 7,
    "multi_regression": np.stack([SIGNAL, 2 * X[:, 2] + 5], axis=1),
}
QUICK = {
    "train.epochs": 3,
    "train.batch_size": 32,
    "optim.lr": 0.02,
    "eval.bootstrap": 0,
    "train.device": "cpu",
    "model.width": 8,
    "model.depth": 1,
}
BY_RECIPE = [
    (name, kind)
    for name in LOSSES
    for kind in LOSSES[name].kinds
    if kind != "language" and name not in ("cross_entropy", "mse")
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)  # nets of one's own draw their weights before a training seeds


def trained(target, changes=None, kind="auto", model="mlp", **about):
    task = Task(model=model, train=(X, target), kind=kind, **about)
    return fit(task, {**QUICK, **(changes or {})})


def losses_of(run):
    return [row["train_loss"] for row in run.evaluations]


@pytest.mark.parametrize(("name", "kind"), BY_RECIPE)
def test_a_recipe_trains_with_it(name, kind):
    target = TARGETS[kind] if name != "poisson_nll" else np.round(np.exp(TARGETS[kind] / 4)).clip(0)

    run = trained(target, {"loss.name": name}, kind)

    values = losses_of(run)
    assert all(map(math.isfinite, values))
    assert values[-1] < values[0]
    assert run.scores["loss"] == name


def test_the_name_of_the_field_lists_members_that_a_recipe_can_name():
    listed = [word.strip(",;") for word in field("loss.name").description.split() if word.strip(",;") in LOSSES]

    assert {name for name, _ in BY_RECIPE} | {"cross_entropy", "mse"} == set(listed)


@pytest.mark.parametrize(
    ("name", "kind", "extra"),
    [
        ("focal", "binary", {"gamma": 1.0, "alpha": 0.75}),
        ("focal", "multiclass", {"alpha": [0.5, 1.0, 2.0]}),
        ("focal", "multilabel", {"normalise": "positives"}),
        ("huber", "regression", {"delta": 0.1}),
        ("smooth_l1", "regression", {"beta": 0.1}),
        ("quantile", "regression", {"quantile": 0.9}),
        ("hinge", "multiclass", {"power": 2}),
        ("masked_huber", "multi_regression", {"delta": 0.1}),
        ("binary_cross_entropy", "multilabel", {"pos_weight": [1.0, 3.0]}),
    ],
)
def test_the_arguments_of_the_recipe_reach_the_loss(name, kind, extra):
    plain, changed = (
        trained(TARGETS[kind], {"loss.name": name, "loss.extra": given, "train.epochs": 1}, kind)
        for given in ({}, extra)
    )

    assert changed.recipe.loss.extra == extra
    assert losses_of(changed) != losses_of(plain)


def test_arguments_that_do_not_fit_get_a_sentence():
    with pytest.raises(RecipeError, match=r"'focal' takes no gama \(did you mean 'gamma'\?\)"):
        trained(TARGETS["binary"], {"loss.name": "focal", "loss.extra": {"gama": 1.0}})
    with pytest.raises(RecipeError, match=r"focal got gamma = '2', a number at least 0"):
        trained(TARGETS["binary"], {"loss.name": "focal", "loss.extra": {"gamma": "2"}})
    with pytest.raises(RecipeError, match=r"the task brings its own"):
        trained(TARGETS["regression"], {"loss.extra": {"delta": 1.0}}, model=nn.Linear(4, 1), loss=nn.HuberLoss())
    with pytest.raises(RecipeError, match=r"loss\.class_weights"):
        trained(TARGETS["multiclass"], {"loss.extra": {"class_weights": [1.0, 1.0, 1.0]}})
    with pytest.raises(RecipeError, match=r"pass an instance, loss=InfoNce"):
        trained(TARGETS["multiclass"], {"loss.name": "info_nce"})


def test_one_logit_of_the_users_own_net_trains_with_focal_and_hinge():
    target = TARGETS["binary"].astype(np.float32)
    for name in ("focal", "hinge"):
        run = trained(target, {"loss.class_weights": "none"}, "binary", nn.Linear(4, 1), loss=name)

        assert losses_of(run)[-1] < losses_of(run)[0]
        assert run.scores["parts"]["test"]["scores"]["roc_auc"] > 0.5


def gapped():
    target = TARGETS["multi_regression"].copy()
    target[::3, 0] = np.nan
    target[1::5, 1] = np.nan
    target[:4] = np.nan
    return target


@pytest.mark.parametrize("name", ["masked_mse", "masked_mae", "masked_huber"])
def test_rows_with_some_of_their_targets_are_trained_on_and_judged(name):
    run = trained(gapped(), {"loss.name": name, "train.epochs": 30}, "multi_regression")

    parts = run.scores["parts"]
    gone = int(np.isnan(gapped()).all(axis=1).sum())
    assert sum(part["rows"] for part in parts.values()) + run.info["rows"]["train"] == ROWS - gone
    assert parts["test"]["scores"]["r2"] > 0.6
    assert math.isfinite(parts["test"]["scores"]["mae"])
    assert any(f"{gone} of 120 rows" in finding.because for finding in run.findings)
    assert np.isfinite(predict(run, X).values).all()


def test_with_another_loss_such_rows_are_left_out_and_told():
    run = trained(gapped(), {"loss.name": "mse"}, kind="multi_regression")

    told = [finding.because for finding in run.findings if finding.fault == "data.missing"]
    assert len(told) == 1
    assert run.info["rows"]["train"] < ROWS / 2


def test_where_no_loss_is_named_such_rows_are_trained_on_by_what_they_have():
    asked, chosen = (trained(gapped(), {"loss.name": name}, kind="multi_regression") for name in ("masked_mse", "auto"))

    assert chosen.info["rows"] == asked.info["rows"]
    assert losses_of(chosen) == losses_of(asked)
    assert np.isfinite(losses_of(chosen)).all()


def test_gaps_in_a_file_and_in_the_arrays_of_ones_own_net(tmp_path):
    target = gapped()
    lines = ["a,b,c,d,one,two"]
    for row, pair in zip(X, target, strict=True):
        lines.append(",".join([*(f"{value:.4f}" for value in row), *("" if v != v else f"{v:.4f}" for v in pair)]))
    file = tmp_path / "some.csv"
    file.write_text("\n".join(lines))

    run = fit(file, {**QUICK, "loss.name": "masked_mse"}, target=("one", "two"), folder=tmp_path / "run")
    own = trained(target.astype(np.float32), kind="multi_regression", model=nn.Linear(4, 2), loss="masked_mse")

    assert run.info["rows"] == own.info["rows"]
    again = load(tmp_path / "run")
    assert np.isfinite(again.predict(file).values).all()
    assert math.isfinite(own.scores["parts"]["test"]["scores"]["r2"])


def test_gaps_do_not_reach_the_scale_of_the_others():
    target = np.where(np.arange(ROWS)[:, None] % 2 == [0, 1], np.nan, TARGETS["multi_regression"] * [1.0, 100.0])

    run = trained(target, {"loss.name": "masked_mse", "data.val": 0.0, "data.test": 0.0}, "multi_regression")

    first = losses_of(run)[0]
    assert 0.2 < first < 2.0  # of a standardised target, not of one filled with zeros


def test_counts_come_back_as_rates():
    rate = np.exp(0.8 * X[:, 0] + 1)
    counts = np.random.default_rng(1).poisson(rate)

    run = trained(counts, {"loss.name": "poisson_nll", "train.epochs": 40}, "regression")
    predicted = predict(run, X).values

    assert (predicted > 0).all()
    assert np.corrcoef(np.log(predicted), np.log(rate))[0, 1] > 0.8
    assert abs(predicted.mean() / counts.mean() - 1) < 0.25
    assert run.scores["parts"]["test"]["scores"]["r2"] > 0.3
    with pytest.raises(DataError, match="counts and rates of 0 or more"):
        trained(TARGETS["regression"] - 20, {"loss.name": "poisson_nll"}, "regression")
    with pytest.raises(RecipeError, match="scale_target"):
        trained(counts, {"loss.name": "poisson_nll", "data.scale_target": "standard"}, "regression")


class Pair(nn.Module):
    """Two embeddings of two noisy looks at each row."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 6)

    def forward(self, x):
        return self.body(x), self.body(x + 0.1)


def test_info_nce_trains_and_is_told_as_coupled_under_accumulation():
    def run(accumulate):
        return trained(
            SIGNAL, {"train.accumulate": accumulate, "train.epochs": 4}, "regression", Pair(), loss=InfoNce()
        )

    plain, parts = run(1), run(2)

    assert losses_of(plain)[-1] < losses_of(plain)[0]
    assert losses_of(parts)[-1] < losses_of(parts)[0]
    assert [f.fault for f in parts.findings if f.fault == "batch.coupled_loss"]
    assert not [f for f in plain.findings if f.fault == "batch.coupled_loss"]
    assert plain.evaluations[-1]["metric"] == "loss"


def test_accumulated_info_nce_is_not_that_of_the_big_batch():
    """The measurement of the guides' advice: 8 × 8 against 64, loss and gradient."""
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(64, 16, dtype=torch.float64, generator=generator)
    other = one + torch.randn(64, 16, dtype=torch.float64, generator=generator)
    loss = InfoNce()
    one.requires_grad_()

    big = loss((one, other), None).value
    parts = [loss(pair, None) for pair in zip(one.split(8), other.split(8), strict=True)]
    small = sum(part.sum for part in parts) / sum(part.weight for part in parts)
    gradients = [torch.autograd.grad(value, one)[0].flatten() for value in (big, small)]

    assert small < 0.5 * big
    assert functional.cosine_similarity(*gradients, dim=0) < 0.9


class Triple(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return tuple(self.body(each) for each in (x, x + 0.1, x.roll(1, 0)))


def test_triplets_train():
    run = trained(SIGNAL, {"train.accumulate": 2, "train.batch_size": 16}, "regression", Triple(), loss=Triplet())

    assert losses_of(run)[-1] < losses_of(run)[0]


class Student(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.net, self.teacher = nn.Linear(4, 3), teacher.requires_grad_(False)

    def forward(self, x):
        return self.net(x), self.teacher(x)


def test_a_student_learns_from_a_teacher_beside_it_and_is_judged_as_usual():
    teacher = nn.Linear(4, 3)

    run = trained(
        TARGETS["multiclass"],
        {"train.accumulate": 2, "train.batch_size": 16},
        "multiclass",
        Student(teacher),
        loss=Distillation(temperature=4.0),
    )

    assert losses_of(run)[-1] < losses_of(run)[0]
    assert "accuracy" in run.scores["parts"]["test"]["scores"]
    assert not [f for f in run.findings if f.fault == "batch.coupled_loss"]


def test_a_teachers_logits_may_stand_in_the_target():
    labels = torch.from_numpy(TARGETS["multiclass"])
    target = packed(labels, functional.one_hot(labels).float() * 3)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X), target), batch_size=32)

    run = fit(Task(nn.Linear(4, 3), data, loss=Distillation(alpha=0.9), kind="language"), QUICK)

    assert losses_of(run)[-1] < losses_of(run)[0]


def test_whole_distributions_train():
    target = np.exp(X[:, :3]) / np.exp(X[:, :3]).sum(1, keepdims=True)

    run = trained(target, {"train.accumulate": 2}, "multi_regression", nn.Linear(4, 3), loss=KlDivergence())

    assert losses_of(run)[-1] < losses_of(run)[0]


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.spread = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x):
        return self.mean(x).squeeze(1), self.spread(x).squeeze(1)


def test_a_mean_with_its_variance_trains_and_the_mean_is_judged():
    run = trained(
        SIGNAL.astype(np.float32), {"train.accumulate": 2, "train.epochs": 30}, "regression", Both(), loss=GaussianNll()
    )

    assert losses_of(run)[-1] < losses_of(run)[0]
    assert run.scores["parts"]["test"]["scores"]["r2"] > 0.5


def several(**settings):
    parts = {"price": build("mse", kind="regression"), "sold": nn.BCEWithLogitsLoss(), "class": nn.CrossEntropyLoss()}
    return MultiTask(parts, widths={"class": 3}, **settings)


SEVERAL = np.stack([100 * SIGNAL, SIGNAL > 0, TARGETS["multiclass"]], axis=1).astype(np.float32)


@pytest.mark.parametrize("balance", ["fixed", "start", "uncertainty"])
def test_several_losses_train_and_are_told_apart(balance):
    loss = several(balance=balance)

    run = trained(SEVERAL, {"train.accumulate": 2, "train.epochs": 5}, "multi_regression", nn.Linear(4, 5), loss=loss)

    assert losses_of(run)[-1] < losses_of(run)[0]
    for name in ("price", "sold", "class"):
        steps, values = run.signals.read("loss.part", name)
        assert len(steps) == len(values) > 3
        assert all(map(math.isfinite, values))
    assert bool([f for f in run.findings if f.fault == "loss.unbalanced_tasks"]) == (balance != "start")
    assert loss.latest is None  # the task's own is left as it was


def test_learnt_weights_reach_the_optimizer_and_a_resumed_run_goes_on_with_them(tmp_path):
    def run(folder, **about):
        torch.manual_seed(0)
        loss = several(balance="uncertainty")
        net = nn.Linear(4, 5)
        nn.init.zeros_(net.weight)
        task = Task(net, (X, SEVERAL), kind="multi_regression", loss=loss)
        return fit(task, {**QUICK, "train.epochs": 4, "optim.weight_decay": 0.1}, folder=folder, **about)

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", until="2 epochs")
    resumed = run(tmp_path / "parts", resume=True)

    assert losses_of(resumed) == losses_of(whole)
    weighted, part = (whole.signals.read(name, "sold")[1] for name in ("loss.weighted", "loss.part"))
    assert weighted[0] == pytest.approx(part[0], rel=0.1)
    assert weighted[-1] != pytest.approx(part[-1], rel=0.01)  # exp(-s) has moved


def test_the_parameters_of_any_loss_module_are_trained():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(()))

        def forward(self, outputs, target):
            return (outputs.squeeze(1) + self.bias - target).square().mean()

    frozen = nn.Linear(4, 1)
    nn.init.zeros_(frozen.weight)
    frozen.bias.requires_grad_(False)

    run = trained(
        TARGETS["regression"].astype(np.float32),
        {"optim.lr": 1.0, "train.epochs": 20},
        "regression",
        frozen,
        loss=Scaled(),
    )

    assert losses_of(run)[-1] < 2.0  # the mean of 7 lies in the loss alone


def test_a_recipe_with_arguments_comes_back_from_its_text():
    recipe = as_recipe({"loss.name": "focal", "loss.extra": {"gamma": 1.5, "alpha": [0.5, 1.0, 2.0]}})

    assert recipe_from_toml(recipe_to_toml(recipe)).loss == recipe.loss


def test_a_quantile_is_chosen_by_its_loss_unless_a_metric_is_named():
    def run(**changes):
        settings = {"loss.name": "quantile", "loss.extra": {"quantile": 0.9}, "train.epochs": 60}
        return trained(SIGNAL + X[:, 3], {**settings, **changes}, "regression")

    plain, named = run(), run(**{"eval.metric": "r2", "train.epochs": 1})

    assert plain.evaluations[-1]["metric"] == "loss"
    assert named.evaluations[-1]["metric"] == "r2"
    part = plain.predictions("test")
    assert (part["target"] < part["values"]).mean() > 0.6


@pytest.mark.parametrize("name", ["focal", "hinge", "cross_entropy"])
@pytest.mark.parametrize("weights", ["balanced", [1.0, 3.0]])
def test_weights_of_the_classes_reach_it(name, weights):
    plain, weighed = (
        trained(TARGETS["binary"], {"loss.name": name, "loss.class_weights": given, "train.epochs": 1})
        for given in ("none", weights)
    )

    assert losses_of(plain) != losses_of(weighed)


def test_gaps_in_a_loader_of_ones_own():
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(gapped()[:, :]).float())
    train, val = (
        torch.utils.data.DataLoader(torch.utils.data.Subset(data, rows), 16) for rows in (range(80), range(80, 120))
    )

    run = fit(Task(nn.Linear(4, 2), train, val, loss="masked_mse", kind="multi_regression"), QUICK)

    assert all(map(math.isfinite, losses_of(run)))
    assert math.isfinite(run.evaluations[-1]["score"])


class Reader(nn.Module):
    """Logits (N, L, 6) of tokens (N, L)."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(6, 6)

    def forward(self, tokens):
        return self.table(tokens)


def test_focal_trains_on_tokens():
    tokens = np.random.default_rng(0).integers(0, 6, (64, 5))
    target = np.where(np.arange(5) == 4, -100, (tokens + 1) % 6)

    run = fit(Task(Reader(), (tokens, target), loss="focal", kind="language"), QUICK)

    assert losses_of(run)[-1] < losses_of(run)[0]

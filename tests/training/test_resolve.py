"""Start values: measured defaults of the built-in models, else the rules of thumb, and a user's own rules above both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.blocks import experience, models
from tunesmith.data.prepare import prepare
from tunesmith.records import Recipe, revise
from tunesmith.reports import QuietDisplay
from tunesmith.training.kinds import about
from tunesmith.training.resolve import resolve

DEMO = Path(ts.__file__).parent / "demo_data"
MINE = """\
[rule."lr.adam"]
starts = [{path = "optim.lr", when = {optimizer = "adam-like"}, start = 7e-4, low = 1e-4, high = 1e-2, log = true, why = "mine"}]
[rule."momentum"]
starts = [{path = "optim.momentum", start = 0.8, low = 0.7, high = 0.9, why = "mine"}]
"""


class Heard(QuietDisplay):
    """Keeps what is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def resolved(
    changes: dict[str, Any] | None = None,
    net: nn.Module | None = None,
    name: str = "",
    rows: int = 5000,
    has_val: bool = True,
    spec: Any = None,
) -> Recipe:
    known = {"model": experience.kind_of(name)} if net is None else about(net)
    return resolve(
        revise(Recipe(), changes or {}),
        kind="binary",
        rows=rows,
        defaults=models.defaults(name, spec or {"numbers": None}, rows) if name else {},
        origin=f"default of {name}",
        has_val=has_val,
        about=known,
    )


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def normed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))


class Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 2))


NETS: list[tuple[Callable[[], nn.Module], str, bool]] = [
    (linear, "mlp", False),
    (lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.PReLU(), nn.Linear(8, 2)), "mlp", True),
    (lambda: nn.EmbeddingBag(10, 4), "mlp", False),
    (normed, "cnn", True),
    (lambda: nn.LazyConv1d(3, 3), "cnn", False),
    (lambda: nn.LSTM(4, 8, num_layers=3), "rnn", False),
    (lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.GRUCell(4, 8)), "rnn", False),
    (lambda: nn.TransformerEncoderLayer(8, 2), "transformer", False),
    (Strange, "own", False),
    (nn.ReLU, "own", False),
]


@pytest.mark.parametrize(("make", "kind", "batch_norm"), NETS)
def test_the_kind_of_a_network_goes_by_its_layers(make: Callable[[], nn.Module], kind: str, batch_norm: bool) -> None:
    found = about(make())

    assert (found["model"], found["batch_norm"]) == (kind, batch_norm)


RATES: list[tuple[Callable[[], nn.Module], dict[str, Any], float, str]] = [
    (linear, {}, 1e-3, "lr.adam"),
    (Strange, {}, 3e-4, "lr.adam"),
    (lambda: nn.TransformerEncoderLayer(8, 2), {}, 3e-4, "lr.adam"),
    (lambda: nn.LSTM(4, 8, num_layers=3), {}, 1e-4, "lr.adam"),
    (linear, {"optim.name": "sgd"}, 0.02, "lr.sgd"),
    (normed, {"optim.name": "sgd"}, 0.1, "lr.sgd"),
    (normed, {"optim.name": "sgd", "optim.momentum": 0.0}, 0.3, "lr.sgd"),
    (linear, {"optim.name": "sam"}, 0.02, "lr.sgd"),
    (linear, {"optim.name": "lookahead", "optim.extra": {"base": "adamw"}}, 1e-3, "lr.adam"),
    (linear, {"optim.name": "adadelta"}, 1.0, "lr.adaptive"),
    (linear, {"optim.name": "rprop"}, 1e-3, "no rule of thumb for rprop"),
]


@pytest.mark.parametrize(("make", "changes", "rate", "rule"), RATES)
def test_the_rate_of_an_own_network_is_the_rules_and_names_it(
    make: Callable[[], nn.Module], changes: dict[str, Any], rate: float, rule: str
) -> None:
    recipe = resolved(changes, make())

    assert recipe.optim.lr == pytest.approx(rate)
    assert recipe.source("optim.lr").kind == "derived"
    assert str(recipe.source("optim.lr").detail).startswith(rule)


def test_what_the_rules_give_beside_the_rate() -> None:
    small, large = resolved(net=linear()), resolved(net=linear(), rows=10_001)

    assert (small.train.batch_size, large.train.batch_size) == (32, 128)
    assert (small.optim.name, small.optim.weight_decay, small.schedule.name) == ("adamw", 0.01, "cosine")
    assert (small.schedule.warmup, small.optim.clip_norm) == (0, None)
    assert resolved({"optim.name": "sgd"}, linear()).optim.weight_decay == 5e-4
    assert resolved({"optim.name": "adam"}, linear()).optim.weight_decay == 0.0


def test_transformers_and_recurrent_nets_get_a_bound_and_transformers_a_warm_up() -> None:
    transformer, recurrent = resolved(net=nn.TransformerEncoderLayer(8, 2)), resolved(net=nn.GRU(4, 8))

    assert (transformer.optim.clip_norm, transformer.schedule.warmup) == (1.0, "0.05dur")
    assert recurrent.optim.clip_norm == 1.0
    assert str(recurrent.source("optim.clip_norm").detail).startswith("reg.clip: ")
    assert resolved(name="lstm").optim.clip_norm == 1.0
    for own in ({"optim.clip_norm": 3.0}, {"optim.clip_norm": None}, {"optim.clip_value": 0.5}):
        kept = resolved(own, nn.GRU(4, 8))
        assert kept.optim.clip_norm == own.get("optim.clip_norm")
    assert resolved({"schedule.name": "constant"}, nn.TransformerEncoderLayer(8, 2)).schedule.warmup == 0


def test_measured_defaults_of_a_built_in_model_stay_with_their_optimizer() -> None:
    table = resolved(name="mlp")
    plain = resolved({"optim.name": "sgd"}, name="mlp")

    assert (table.optim.lr, table.optim.weight_decay) == (2e-3, 0.01)  # measured: docs/log.md
    assert str(table.source("optim.lr")) == "derived (default of mlp)"
    assert (plain.optim.lr, plain.optim.weight_decay) == (0.02, 5e-4)  # 2e-3 was measured with AdamW
    assert resolved({"optim.name": "sgd", "model.norm": "batch"}, name="mlp").optim.lr == 0.1


@pytest.mark.parametrize(
    ("changes", "patience"),
    [
        ({"schedule.name": "constant"}, 5),  # a tenth of 20 epochs is 2
        ({"schedule.name": "constant", "train.epochs": 90}, 9),
        ({"schedule.name": "constant", "train.epochs": 91}, 10),
        ({"schedule.name": "constant", "train.steps": 1000, "eval.every": 10}, 10),
        ({"schedule.name": "constant", "train.patience": 3, "train.epochs": 90}, 3),
        ({"schedule.name": "cosine", "train.epochs": 90}, None),
    ],
)
def test_patience_is_five_evaluations_or_a_tenth_of_them(changes: dict[str, Any], patience: int | None) -> None:
    assert resolved(changes, linear()).train.patience == patience


def test_a_users_own_rule_wins_over_rule_and_measured_default_but_not_over_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")

    with experience.using(file):
        own, built_in = resolved(net=linear()), resolved(name="mlp")
        said = resolved({"optim.lr": 0.5, "optim.momentum": 0.95}, name="mlp")
        plain = resolved({"optim.name": "sgd"}, net=linear())

    assert (own.optim.lr, own.optim.momentum) == (7e-4, 0.8)
    assert (built_in.optim.lr, built_in.model.width) == (7e-4, 256)
    assert str(built_in.source("optim.lr")) == f"derived (lr.adam: mine, from your file {file})"
    assert (said.optim.lr, said.optim.momentum) == (0.5, 0.95)
    assert (plain.optim.lr, plain.optim.momentum) == (0.02, 0.8)


def test_a_run_that_goes_on_is_not_moved_by_rules_that_came_later(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    for net in (linear(), nn.GRU(4, 8)):
        begun = resolved(net=net)

        with experience.using(file):
            again = resolve(begun, kind="binary", rows=5000, defaults={}, origin="", has_val=True, about=about(net))

        assert again == begun


def test_fit_starts_from_the_users_own_experience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("TUNESMITH_EXPERIENCE", str(file))
    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 4)).astype(np.float32), np.arange(64) % 2

    run = ts.fit(ts.Task(linear, data), {"train.epochs": 1, "eval.bootstrap": 0}, display=QuietDisplay())

    assert run.recipe.optim.lr == 7e-4
    assert next(iter(run.signals.read("lr")[1])) == pytest.approx(7e-4)


def test_fit_remarks_on_a_wild_value_and_trains_all_the_same() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 4)).astype(np.float32), np.arange(64) % 2
    wild = {"train.epochs": 1, "eval.bootstrap": 0, "optim.name": "adamw", "optim.weight_decay": 2.0}

    heard, calm = Heard(), Heard()
    run = ts.fit(ts.Task(linear, data), wild, display=heard)
    ts.fit(ts.Task(linear, data), {**wild, "optim.weight_decay": 0.1}, display=calm)

    (remark,) = [one for one in heard.notices if "experience." in one]
    assert remark.startswith("optim.weight_decay = 2: ")
    assert run.info["ending"] == "finished"
    assert not [one for one in calm.notices if "experience." in one]


@pytest.mark.parametrize(
    ("file", "target", "name"),
    [
        ("adult_2000.csv.gz", "income", "mlp"),
        ("sms_1000.csv.gz", "label", "bag"),
        ("sms_1000.csv.gz", "label", "lstm"),
        ("sms_1000.csv.gz", "label", "transformer"),
        ("fashion_mnist/train-images-idx3-ubyte.gz", None, "cnn"),
    ],
)
def test_lint_is_silent_on_what_fit_resolves_for_the_demo_data(file: str, target: str | None, name: str) -> None:
    prepared = prepare(ts.Task(train=DEMO / file, **({"target": target} if target else {})), Recipe())
    rows = len(prepared.train)

    recipe = resolved(name=name, rows=rows, spec=prepared.spec)

    assert experience.lint(recipe, model=experience.kind_of(name), rows=rows) == []


@pytest.mark.parametrize("make", [one[0] for one in NETS])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("rows", [1000, 50_000])
def test_lint_is_silent_on_what_fit_resolves_for_own_networks(
    make: Callable[[], nn.Module], optimizer: str, rows: int
) -> None:
    net = make()

    recipe = resolved({"optim.name": optimizer}, net, rows=rows)

    assert experience.lint(recipe, rows=rows, **about(net)) == []

"""Embeddings in the loop of every training: what they learn, every rule and option, exact resume, refusals, the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tests.generative import embedding_target
from tests.generative.killing import killed
from tests.generative.test_train_gan import final
from tests.training.test_resume import same
from tunesmith.generative import embed, linear_probe, simsiam
from tunesmith.generative.embedding.plan import planned
from tunesmith.generative.embedding.task import RULES
from tunesmith.generative.embedding.views import view_of
from tunesmith.records import DataError, ModelError, Recipe, RecipeError, TrainingFailed, revise
from tunesmith.reports import QuietDisplay
from tunesmith.training.session import seeded

SHORT = {"train.steps": 4, "train.batch_size": 32, "eval.every": 2}


def short(recipe: dict[str, Any] | None = None, **rules: Any) -> Any:
    return ts.train_embedding(embedding_target.task(**rules), SHORT | (recipe or {}), display=QuietDisplay())


def weights(run: Any) -> dict[str, Tensor]:
    return dict(run.model.state_dict())


def test_one_update_is_that_of_the_rule_written_out() -> None:
    """Adam on simsiam, with the same random numbers."""
    recipe = revise(Recipe(), {"train.steps": 3, "train.batch_size": 32, "schedule.name": "constant", "optim.lr": 1e-2})
    with seeded(0):
        plain: dict[str, Any] = {"rule": "simsiam", "norm": "none", "encoder": lambda: nn.Linear(6, 16)}
        plan = planned(embedding_target.task(view=lambda rows: rows + torch.randn_like(rows), **plain), recipe)
        learner, other = plan.state.model, planned(embedding_target.task(**plain), recipe).state.model
        other.load_state_dict(learner.state_dict())
        optimizer = torch.optim.Adam(other.parameters(), lr=1e-2)
        rows, before = plan.feed.rows, torch.get_rng_state()
        for _ in range(3):
            batch = rows[torch.randint(0, len(rows), (32,))]
            views = [batch + torch.randn_like(batch) for _ in range(2)]
            one, two = (other.online(view) for view in views)
            optimizer.zero_grad()
            simsiam((other.predictor(one), other.predictor(two)), (one, two)).backward()
            optimizer.step()
        torch.set_rng_state(before)
        for _ in range(3):
            plan.rates.set(plan.state.step)
            _, stepped = plan.update(plan.state, plan.feed.window(plan.state), lambda state, gradient: True)
            assert stepped

    for name, value in other.state_dict().items():
        torch.testing.assert_close(learner.state_dict()[name], value, rtol=1e-5, atol=1e-7)


def test_a_collapse_is_told_within_the_first_tenth_and_the_same_with_a_stop_gradient_is_not() -> None:
    rows = torch.randn(2000, 20, generator=torch.Generator().manual_seed(1))

    def trained(stop: bool) -> Any:
        task = ts.Embedding(
            encoder=lambda: nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32)),
            data=rows,
            view=lambda given: given + 0.3 * torch.randn_like(given),
            width=0,
            norm="none",
            stop_gradient=stop,
        )
        recipe = {"train.steps": 600, "optim.name": "sgd", "optim.momentum": 0.9, "optim.lr": 0.05}
        return ts.train_embedding(task, recipe, display=QuietDisplay())

    free, stopped = trained(False), trained(True)

    assert {finding.fault for finding in free.findings} == {"collapse.representation"}
    assert next(step for step, _ in free.found_at) <= 60
    assert stopped.findings == []
    assert stopped.evaluations[-1]["score"] < free.evaluations[-1]["score"]
    assert [row["step"] for row in free.evaluations[:3]] == [5, 10, 15]  # 120 looks


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_trains_and_embeds(rule: str) -> None:
    run = short(rule=rule)

    assert run.status == "finished"
    assert run.model(torch.zeros(3, 6)).shape == (3, 16)
    assert all(bool(value.isfinite().all()) for value in weights(run).values())
    assert set(run.scores["parts"]["val"]["scores"]) >= {"alignment_uniformity", "embedding_rank"}


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"momentum": 0.5}),
    ({}, {"predictor": False}),
    ({}, {"norm": "none"}),
    ({}, {"norm": "hidden"}),
    ({}, {"width": 0}),
    ({}, {"hidden": 5}),
    ({}, {"strength": 0.2}),
    ({}, {"view": lambda rows: rows * (1 + torch.rand(len(rows), 1))}),
    ({}, {"held": embedding_target.rows(100, seed=5)}),
    ({"rule": "simsiam"}, {"stop_gradient": False}),
    ({"rule": "info_nce"}, {"settings": {"temperature": 0.5}}),
    ({"rule": "vicreg"}, {"settings": {"covariance": 25.0}}),
    ({}, {"rule": lambda one, other: (one - other).square().mean()}),
]


@pytest.mark.parametrize(("base", "change"), CHANGES, ids=lambda one: "+".join(one))
def test_every_option_is_listened_to(base: dict[str, Any], change: dict[str, Any]) -> None:
    run, plain = short(**base | change), short(**base)

    assert run.status == "finished"
    assert not same(weights(run), weights(plain))


SETTINGS: list[dict[str, Any]] = [
    {"optim.clip_value": 1e-5},
    {"optim.clip_norm": 1e-3},
    {"optim.name": "sgd", "optim.momentum": 0.5},
    {"optim.weight_decay": 5.0},
    {"schedule.name": "linear"},
    {"train.batch_size": 16},
    {"train.seed": 1},
    {"data.val": 0.4},
]


@pytest.mark.parametrize("change", SETTINGS, ids=lambda change: "+".join(change))
def test_the_recipe_is_listened_to(change: dict[str, Any]) -> None:
    assert not same(weights(short(change)), weights(short()))


def test_an_own_rule_says_what_it_does_not_see() -> None:
    recipe = revise(Recipe(), SHORT)
    pairs = embedding_target.task(rule=lambda one, other: (one - other).square().mean(), blind=("offset",))

    with seeded(0):
        assert planned(pairs, recipe).judge.sight.blind == ("offset",)


def test_a_paused_run_goes_on_as_the_one_that_never_stopped(tmp_path: Path) -> None:
    embedding_target.train(str(tmp_path / "whole"), False)
    embedding_target.train(str(tmp_path / "parts"), False, until="23 steps")
    embedding_target.train(str(tmp_path / "parts"), True, until="40 steps")
    embedding_target.train(str(tmp_path / "parts"), True)

    whole, parts = final(tmp_path / "whole"), final(tmp_path / "parts")

    assert whole["snapshot"]["step"] == embedding_target.STEPS
    assert all(same(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_several_moments_is_the_run_that_was_not(tmp_path: Path, seed: int) -> None:
    embedding_target.train(str(tmp_path / "whole"), False)
    hit = killed(embedding_target.__file__, tmp_path / "killed", seed)

    whole, other = final(tmp_path / "whole"), final(tmp_path / "killed")

    assert hit >= 3
    assert all(same(whole[name], other[name]) for name in whole)


def test_the_page_draws_health_projection_and_neighbours(tmp_path: Path) -> None:
    pictures = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    task = ts.Embedding(encoder=encoder, data=pictures, width=4)
    ts.train_embedding(task, SHORT, folder=tmp_path / "run", display=QuietDisplay())

    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    for words in ("Effective rank", "Uniformity", "principal components", "Nearest neighbours", "train_embedding(task"):
        assert words in page
    assert page.count("data:image/png;base64,") == 1
    assert ts.diagnose(tmp_path / "run").found == []


def test_a_run_that_collapsed_is_diagnosed(tmp_path: Path) -> None:
    """Only agreement, and a net without norms."""
    task = embedding_target.task(
        rule="simsiam", stop_gradient=False, norm="none", encoder=lambda: nn.Linear(6, 16), predictor=False
    )
    recipe = {"train.steps": 300, "train.batch_size": 64, "optim.lr": 1e-2, "eval.every": 10}
    ts.train_embedding(task, recipe, folder=tmp_path / "run", display=QuietDisplay())

    assert [one.fault for one in ts.diagnose(tmp_path / "run")] == ["collapse.representation"]


def test_views_by_name_are_random_and_are_those_of_the_global_generator() -> None:
    rows = embedding_target.rows()
    view = view_of("auto", rows, 1.0)

    with seeded(0):
        first, second = view(rows), view(rows)
    with seeded(0):
        again = view(rows)

    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert (first - rows).std().item() == pytest.approx(0.2 * rows.std().item(), rel=0.1)


@pytest.mark.parametrize(
    ("rules", "recipe", "kind", "says"),
    [
        ({"rule": "simsam"}, {}, RecipeError, "did you mean 'simsiam'"),
        ({"width": -1}, {}, RecipeError, "width = -1"),
        ({"momentum": 2}, {}, RecipeError, "momentum = 2"),
        ({"stop_gradient": False}, {}, RecipeError, "stop_gradient = False is for simsiam"),
        ({"blind": ("length",)}, {}, RecipeError, "a rule of your own"),
        ({"rule": len, "blind": ("colour",)}, {}, RecipeError, "some of length, offset"),
        ({"rule": "vicreg", "settings": {"temperature": 1}}, {}, RecipeError, "tunesmith explain cure.vicreg"),
        ({"view": "cutout"}, {}, RecipeError, "cutout makes no view of rows"),
        ({"view": "mixup"}, {}, RecipeError, "mixup makes no view"),
        ({"view": lambda rows: rows[:1]}, {}, DataError, "one view for each row"),
        ({"norm": "some"}, {}, ModelError, "norm = 'some'"),
        ({"encoder": lambda: 3}, {}, ModelError, "expected an nn.Module"),
        ({"encoder": lambda: nn.Flatten(0)}, {}, ModelError, r"a tensor \(N, D\)"),
        ({}, {"train.accumulate": 2}, RecipeError, "train.accumulate = 2 is set"),
        ({}, {"optim.name": "lbfgs"}, RecipeError, "take adam or sgd"),
        ({}, {"schedule.name": "plateau"}, RecipeError, "listens to a loss"),
        ({}, {"train.batch_size": 1}, RecipeError, "train.batch_size = 1"),
        ({"data": embedding_target.rows(100)}, {}, DataError, "a look needs 32"),
        ({"data": np.full((400, 6), np.nan)}, {}, DataError, "NaN"),
    ],
)
def test_what_cannot_train_is_said_in_one_sentence(rules: Any, recipe: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        short(recipe, **rules)


def test_a_resume_refuses_other_rules_and_other_data(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ts.train_embedding(embedding_target.task(), SHORT, folder=folder, until="2 steps", display=QuietDisplay())

    with pytest.raises(RecipeError, match=r"momentum is 0\.5 here and 0\.996 in the run"):
        ts.train_embedding(embedding_target.task(momentum=0.5), folder=folder, resume=True, display=QuietDisplay())
    with pytest.raises(DataError, match="data differ"):
        other = embedding_target.task(data=embedding_target.rows(seed=1))
        ts.train_embedding(other, folder=folder, resume=True, display=QuietDisplay())


def test_a_loss_that_is_not_finite_stops(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="step 0"):
        short(rule=lambda one, other: (one - other).mean() * float("nan"))


def test_a_module_given_is_not_trained_itself() -> None:
    given = nn.Linear(6, 16)
    before = given.weight.clone()

    run = short(encoder=given)

    assert torch.equal(given.weight, before)
    assert not torch.equal(run.model.encoder.weight, before)


def test_embedding_rows_is_that_of_evaluation_mode_in_parts() -> None:
    net = embedding_target.encoder()
    rows = embedding_target.rows(70)

    found = embed(net, rows, batch=32)

    assert net.training
    torch.testing.assert_close(found, net.eval()(rows).detach())


def test_a_linear_probe_is_logistic_regression() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4)), rng.integers(0, 3, size=300)
    x += np.eye(3)[y] @ rng.normal(size=(3, 4))
    scaled = (x - x[:200].mean(0)) / x[:200].std(0)

    found = linear_probe(x[:200], y[:200], x[200:], y[200:], penalty=0.01)

    other = linear_model.LogisticRegression(C=1 / (0.01 * 200), tol=1e-8, max_iter=1000).fit(scaled[:200], y[:200])
    assert found.accuracy == pytest.approx(other.score(scaled[200:], y[200:]))
    assert found.trained == pytest.approx(other.score(scaled[:200], y[:200]))
    assert found.error == pytest.approx((found.accuracy * (1 - found.accuracy) / 100) ** 0.5)
    assert found.common == np.bincount(y[200:]).max() / 100


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: linear_probe(np.eye(3), [0, 1], np.eye(3), [0, 1, 0]), DataError, "3 and 3 rows with 2 and 3 labels"),
        (lambda: linear_probe(np.eye(2), [0, 0], np.eye(2), [0, 0]), DataError, "two classes or more"),
        (lambda: linear_probe(np.eye(2), [0, 1], np.eye(2), [0, 2]), DataError, "2 not among them"),
        (lambda: linear_probe(np.eye(2), [0, 1], np.eye(2), [0, 1], penalty=-1), RecipeError, "penalty = -1"),
        (lambda: embed(nn.Identity(), np.eye(2), batch=0), RecipeError, "batch = 0"),
    ],
)
def test_wrong_use_of_a_probe_is_one_sentence(call: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()

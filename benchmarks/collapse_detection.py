"""Whether collapses of generators and of embeddings are told where they are, left alone where they are not, and how early.

Games: seven sets of data, of which the parts a sample can belong to are known (mixtures with equal and with unequal shares, an arc
cut into pieces, digits by the label of the nearest one), times games that leave modes out and games that do not. The truth is counted apart
from the looks, at every look, from other samples: the share of the data whose part owns a fifth of its due or more of the
samples. A run is collapsed where that share is below a half at the end, sound where it is above 80 %, and counts for neither between.

`hits`: collapsed runs in which `collapse.mode` stands at the end. `false alarms`: sound ones in which it stands at the end.
`wrongly told`: sound or not, runs in which it was told at an update at which the truth was above 80 %. `told after`: the share of the
training after which it was told first, over the hits; `collapsed for` from there back: updates since the truth fell below a half for
good (0: told while it fell), a negative one was told before.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gan_cures import HARNESS, METHODS, net
from tables import markdown
from torch import Tensor

import tunesmith as ts
from tunesmith.generative import grid, mixture, ring
from tunesmith.generative.gan.findings import stands_at
from tunesmith.generative.gan.looks import look_of
from tunesmith.generative.gan.plan import planned
from tunesmith.records import Recipe, revise
from tunesmith.training.session import seeded

ANYWHERE = True
SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
STEPS, EVERY, ROWS, SAMPLES = 2000, 100, 10_000, 2000
LATENT = 256
PART = 0.2  # of its due: a part that owns less is left out
COLLAPSED, SOUND = 0.5, 0.8  # share of the data that is held
SEEDS = (10, 11)
GAMES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: METHODS[name] for name in ("plain", "packing of 2", "spectral norm")},
    "packing of 4": ({"critic_rate": 0.1, "pack": 4}, {"train.batch_size": 512}),
    "slow discriminator": ({"critic_rate": 0.02}, {}),
    "even rates": ({"critic_rate": 1.0}, {"optim.lr": 2e-4}),
    "gradient penalty": ({"game": "wasserstein", "penalty": "gradient_penalty", "critic_steps": 3}, METHODS["gradient penalty"][1]),
}  # fmt: skip
Array = np.ndarray[Any, Any]
Parts = Callable[[Tensor], Array]  # samples, to the part that each belongs to


def cases() -> list[dict[str, Any]]:
    return [
        {"kind": "game", "data": data, "seed": seed, "method": method}
        for seed in SEEDS
        for data in DATA
        for method in GAMES
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """What is held at each look by the truth, and what the looks said."""
    torch.set_num_threads(1)
    rows, held, parts, shares = DATA[case["data"]](case["seed"])
    rules, changes = GAMES[case["method"]]
    wide, pack = rows.shape[1], rules.get("pack", 1)
    task = ts.Gan(
        generator=lambda: net(LATENT, wide),
        discriminator=lambda: net(wide * pack, 1),
        data=rows,
        held=held,
        latent=LATENT,
        **rules,
    )
    recipe = revise(Recipe(), HARNESS | changes | {"train.steps": STEPS, "train.seed": case["seed"]})
    noise = torch.randn(SAMPLES, LATENT, generator=torch.Generator().manual_seed(case["seed"]))
    truth, looks, spent, looked = [], [], 0.0, 0.0
    with seeded(case["seed"]):
        plan = planned(task, recipe)
        state = plan.state
        for step in range(1, STEPS + 1):
            began = time.process_time()
            state.position = 0  # rows are drawn anew at each update: there is no epoch
            plan.rates.set(step - 1)
            plan.update(state, plan.feed.window(state), lambda *_: True)
            spent += time.process_time() - began
            if step % EVERY == 0:
                began = time.process_time()
                looks.append(plan.judge.sight(state.model.generator, state.model.discriminator, step))
                looked += time.process_time() - began
                truth.append([step, held_share(state.model.generator, noise, parts, shares)])
    return {"truth": truth, "looks": [one.as_dict() for one in looks], "seconds": spent, "look": looked / len(looks)}


def held_share(generator: Any, noise: Tensor, parts: Parts, shares: Array) -> float:
    """The share of the data whose part has a fifth of its due of the samples, or more."""
    with torch.no_grad():
        made = generator(noise)
    if not bool(torch.isfinite(made).all()):
        return 0.0
    counts = np.bincount(parts(made), minlength=len(shares)) / len(made)
    return float(shares[counts >= PART * shares].sum())


# Data: rows, rows held back, to which part a sample belongs, and the share of the data that is of each part


def mixed(centres: Any, sigma: float, shares: Any = None) -> Callable[[int], tuple[Array, Array, Parts, Array]]:
    """A mixture of round modes, as often as `shares` say."""
    places = np.asarray(centres, np.float32)
    weights = np.full(len(places), 1 / len(places)) if shares is None else np.asarray(shares, float) / np.sum(shares)

    def drawn(seed: int) -> tuple[Array, Array, Parts, Array]:
        if shares is None:
            rows, held = mixture(places, sigma, ROWS, seed=seed), mixture(places, sigma, 1000, seed=seed + 1000)
        else:
            rng = np.random.default_rng(seed)
            which = rng.choice(len(places), ROWS + 1000, p=weights)
            every = places[which] + sigma * rng.normal(size=(ROWS + 1000, places.shape[1]))
            rows, held = every[:ROWS].astype(np.float32), every[ROWS:].astype(np.float32)
        known = torch.as_tensor(places)
        return rows, held, lambda made: torch.cdist(made, known).argmin(1).numpy(), weights

    return drawn


def arc(seed: int) -> tuple[Array, Array, Parts, Array]:
    """A circle without modes, thin as a line; its parts are sixteen equal pieces by angle."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, ROWS + 1000)
    every = np.stack([np.cos(angle), np.sin(angle)], 1) * 2 + 0.02 * rng.normal(size=(ROWS + 1000, 2))
    rows = every.astype(np.float32)

    def piece(made: Tensor) -> Array:
        turned = np.arctan2(made[:, 1].numpy(), made[:, 0].numpy()) / (2 * np.pi) % 1.0
        return np.minimum((16 * turned).astype(int), 15)

    return rows[:ROWS], rows[ROWS:], piece, np.full(16, 1 / 16)


def digits(seed: int) -> tuple[Array, Array, Parts, Array]:
    """Handwritten digits as their first 32 principal components; a sample belongs to the class of the nearest real one."""
    with np.load(SHARED / "images" / "mnist_5k.npz") as file:
        pictures, labels = file["x"].reshape(-1, 784).astype(np.float64) / 255, file["y"].astype(int)
    order = np.random.default_rng(seed).permutation(len(labels))
    pictures, labels = pictures[order], labels[order]
    centre = pictures.mean(0)
    _, _, axes = np.linalg.svd(pictures - centre, full_matrices=False)
    found = (pictures - centre) @ axes[:32].T
    rows = (found / found.std(0).mean()).astype(np.float32)
    known, of = torch.as_tensor(rows[:4000]), labels[:4000]
    shares = np.bincount(labels, minlength=10) / len(labels)
    return rows[:4000], rows[4000:], lambda made: of[torch.cdist(made, known).argmin(1).numpy()], shares


def scattered(modes: int, wide: int) -> Array:
    """Centres on a sphere of radius 2, fixed."""
    drawn = np.random.default_rng(0).normal(size=(modes, wide))
    found: Array = 2 * drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found


DATA: dict[str, Callable[[int], tuple[Array, Array, Parts, Array]]] = {
    "ring of 12": mixed(ring(12, 2.0), 0.03),
    "grid of 16": mixed(grid(4), 0.1),
    "10 modes in 8 dimensions": mixed(scattered(10, 8), 0.1),
    "6 wide modes": mixed(ring(6, 2.0), 0.4),
    "8 modes, the rarest 1 in 37": mixed(ring(8, 2.0), 0.05, [13, 9, 6, 4, 3, 2, 1.5, 1.07]),
    "a circle": arc,
    "digits": digits,
}


def table(rows: list[dict[str, Any]]) -> str:
    """Hits, false alarms, what was told wrongly on the way, and how early; by set of data."""
    good = [row for row in rows if "error" not in row]
    games = [row for row in good if row["case"]["kind"] == "game"]
    heads = ["data", "runs", "collapsed", "hits", "sound", "false alarms", "between", "wrongly told", "told after", "collapsed for"]  # fmt: skip
    lines = [[name, *tally([row for row in games if row["case"]["data"] == name])] for name in DATA]
    lines = [one for one in lines if one[1] != "0"]
    parts = ["Games:", "", markdown(heads, [*lines, ["all", *tally(games)]]), ""]
    if games:
        cost = median(row["measured"]["look"] for row in games)
        update = median(row["measured"]["seconds"] / STEPS for row in games)
        parts += [f"A look takes as long as {cost / update:.0f} updates of such small nets (medians).", ""]
    return "\n".join(parts)


def tally(rows: list[dict[str, Any]]) -> list[str]:
    """The columns of a line."""
    told = [stands_at([look_of(look) for look in row["measured"]["looks"]]) for row in rows]
    ends = [row["measured"]["truth"][-1][1] for row in rows]
    stands = [bool(one and one[-1][1]) for one in told]
    collapsed = [place for place, end in enumerate(ends) if end < COLLAPSED]
    sound = [place for place, end in enumerate(ends) if end > SOUND]
    hits = [place for place in collapsed if stands[place]]
    wrongly = sum(
        any(said and dict(map(tuple, row["measured"]["truth"]))[step] > SOUND for step, said in events)
        for row, events in zip(rows, told, strict=True)
    )
    first = [told[place][0][0] for place in hits]
    since = [first[at] - fell(rows[place]["measured"]["truth"]) for at, place in enumerate(hits)]
    return [
        str(len(rows)),
        str(len(collapsed)),
        str(len(hits)),
        str(len(sound)),
        str(sum(stands[place] for place in sound)),
        str(len(rows) - len(collapsed) - len(sound)),
        str(wrongly),
        f"{median(first) / STEPS:.0%}" if first else "",
        f"{median(since):.0f}" if since else "",
    ]


def fell(truth: list[list[float]]) -> float:
    """The update after which the truth stayed below a half."""
    above = [step for step, share in truth if share >= COLLAPSED]
    return above[-1] + EVERY if above else 0

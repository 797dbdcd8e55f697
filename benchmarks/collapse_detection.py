"""Whether collapses of generators and of embeddings are told where they are, left alone where they are not, and how early.

Games: seven sets of data, of which the parts a sample can belong to are known (mixtures with equal and with unequal shares, an arc
cut into pieces, digits by the label of the nearest one), times games that leave modes out and games that do not. The truth is counted apart
from the looks, at every look, from other samples: the share of the data whose part owns a fifth of its due or more of the
samples. A run is collapsed where that share is below a half at the end, sound where it is above 80 %, and counts for neither between.

Embeddings: four sets of data with labels that no training sees, times losses of two views that have a constant embedding as a minimum and
nothing against it, and losses that have. The truth is measured apart from the looks, on other rows, by the definitions of the literature: a run
of the former kind is collapsed where, at the end, the spread of embeddings of length 1 is below 0.3 / √D (not asked of losses that are blind
to an offset), or their effective rank about the mean below half of the median that the guarded losses reach on the same data and seed,
or the plain spread below 0.3 of the start's; a run of the latter kind is sound where of the held rows no fewer than at the start, beyond two
standard errors, have the label of the nearest other row. All others count for neither.

`hits`: collapsed runs in which the fault stands at the end. `false alarms`: sound ones in which it stands at the end. `wrongly told`: of games,
runs in which it was told at an update at which the truth was above 80 %; of embeddings, sound runs in which it was told at any time. `told
after`: the share of the training after which it was told first, over the hits, median (largest); `late by`, of games, updates since the
truth fell below a half for good.
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
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.generative import (
    MomentumTarget,
    barlow_twins,
    byol,
    grid,
    info_nce,
    mixture,
    ring,
    simsiam,
    target_momentum,
    vicreg,
)
from tunesmith.generative.embedding.watch import EmbeddingWatch
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
ONE_WAY, FEWER, SHRUNK = 0.3, 0.5, 0.3  # of 1 / √D, of the usual rank, of the start
GAMES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: METHODS[name] for name in ("plain", "packing of 2", "spectral norm")},
    "packing of 4": ({"critic_rate": 0.1, "pack": 4}, {"train.batch_size": 512}),
    "slow discriminator": ({"critic_rate": 0.02}, {}),
    "even rates": ({"critic_rate": 1.0}, {"optim.lr": 2e-4}),
    "gradient penalty": ({"game": "wasserstein", "penalty": "gradient_penalty", "critic_steps": 3}, METHODS["gradient penalty"][1]),
}  # fmt: skip
Array = np.ndarray[Any, Any]
Views = tuple[Tensor, Tensor]
Rule = Callable[[Views, nn.Module, nn.Module, nn.Module], Tensor]  # two views, encoder, predictor, target, to a loss
WIDE, UPDATES, LOOKED = 32, 600, 10
HEADS = [
    "data",
    "runs",
    "collapsed",
    "hits",
    "sound",
    "false alarms",
    "between",
    "wrongly told",
    "told after",
    "late by",
]
Parts = Callable[[Tensor], Array]  # samples, to the part that each belongs to


def cases() -> list[dict[str, Any]]:
    games = [{"kind": "game", "data": data, "method": method} for data in DATA for method in GAMES]
    views = [{"kind": "embedding", "data": data} for data in LABELLED]  # all losses in one: their ranks are compared
    return [one | {"seed": seed} for seed in SEEDS for one in (*views, *games)]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """What the truth is at each look or at the ends, and what the looks said."""
    torch.set_num_threads(1)
    if case["kind"] == "game":
        return play(case)
    return {method: learn(case | {"method": method}) for method in (*TRIVIAL, *GUARDED)}


def play(case: dict[str, Any]) -> dict[str, Any]:
    """A game."""
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


# Embeddings: rows, labels; views are the row with noise and a fifth of its numbers left out


def learn(case: dict[str, Any]) -> dict[str, Any]:
    """A training on two views, watched."""
    rows, labels = LABELLED[case["data"]](case["seed"])
    rows = (rows - rows.mean(0)) / rows.std(0).clamp(min=0.05)
    train, known, held = rows[:-1200], slice(-1200, -600), slice(-600, None)
    torch.manual_seed(case["seed"])
    norm = not case["method"].endswith("no norm")
    encoder = layers(rows.shape[1], 128, WIDE, norm, norm)
    head = layers(WIDE, WIDE // 2, WIDE, norm, False)
    target = MomentumTarget(encoder)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.05, momentum=0.9)
    rule = {**TRIVIAL, **GUARDED}[case["method"]]
    near, ends = [agreement(encoder, rows, labels, known, held)], [shape_of(encoder, rows[known])]
    began = time.process_time()
    with EmbeddingWatch(
        encoder,
        rows[held],
        view=view,
        optimizer=optimizer,
        every=LOOKED,
        **SEEN_BY.get(case["method"].split(",")[0], {"blind": ("length",)}),
    ) as watch:
        events = []
        for step in range(UPDATES):
            batch = train[torch.randint(0, len(train), (256,))]
            views = view(batch), view(batch)
            loss = rule(views, encoder, head, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if case["method"].startswith("byol"):
                target.update(encoder, target_momentum(step, UPDATES, 0.99))
            events += [[step + 1, one.message, one.status != "refuted"] for one in watch.step(loss)]
    near.append(agreement(encoder, rows, labels, known, held))
    ends.append(shape_of(encoder, rows[known]))
    counts = np.bincount(labels[held])
    return {
        "near": near, "ends": ends, "chance": float(counts.max() / counts.sum()), "held": int(counts.sum()),
        "events": events, "seconds": time.process_time() - began, "looks": [one.as_dict() for one in watch.looks],
    }  # fmt: skip


def layers(one: int, two: int, three: int, norm: bool, last: bool) -> nn.Sequential:
    found = [nn.Linear(one, two), *([nn.BatchNorm1d(two)] if norm else []), nn.ReLU(), nn.Linear(two, three)]
    return nn.Sequential(*found, *([nn.BatchNorm1d(three)] if last else []))


def view(rows: Tensor) -> Tensor:
    return (rows + 0.3 * torch.randn_like(rows)) * (torch.rand_like(rows) > 0.2)


@torch.no_grad()
def agreement(encoder: nn.Module, rows: Tensor, labels: Array, known: slice, held: slice) -> float:
    """How many held rows have the label of the nearest known one, by the angle."""
    encoder.eval()
    found = [nn.functional.normalize(encoder(rows[part]), dim=1) for part in (known, held)]
    encoder.train()
    nearest = (found[1] @ found[0].T).argmax(1).numpy()
    return float((labels[known][nearest] == labels[held]).mean())


@torch.no_grad()
def shape_of(encoder: nn.Module, rows: Tensor) -> dict[str, float]:
    """Spread, spread at length 1 times √D, and effective rank about the mean, in NumPy."""
    encoder.eval()
    found = encoder(rows).double().numpy()
    encoder.train()
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    weights = np.linalg.svd(found - found.mean(0), compute_uv=False)
    weights = weights[weights > 0] / weights.sum()
    return {
        "spread": float(found.std(0).mean()),
        "even": float(unit.std(0).mean() * found.shape[1] ** 0.5),
        "rank": float(np.exp(-(weights * np.log(weights)).sum())),
    }


def between(loss: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    return lambda views, encoder, head, target: loss(*map(encoder, views))


def asymmetric(*, stop: bool = True, head_there: bool = True) -> Rule:
    def rule(views: Views, encoder: nn.Module, head: nn.Module, target: nn.Module) -> Tensor:
        one, other = map(encoder, views)
        predicted = (head(one), head(other)) if head_there else (one, other)
        return simsiam(predicted, (one, other), stop_gradient=stop)

    return rule


def momentum(*, head_there: bool = True) -> Rule:
    def rule(views: Views, encoder: nn.Module, head: nn.Module, target: nn.Module) -> Tensor:
        one, other = map(encoder, views)
        predicted = (head(one), head(other)) if head_there else (one, other)
        return byol(predicted, tuple(map(target, views)))

    return rule


def alone(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().mean()


def angles(one: Tensor, other: Tensor) -> Tensor:
    return -nn.functional.cosine_similarity(one, other).mean()


TRIVIAL: dict[str, Rule] = {
    "simsiam without stop-gradient": asymmetric(stop=False),
    "simsiam without stop-gradient, no norm": asymmetric(stop=False),
    "pairs alone": between(alone),
    "pairs alone, no norm": between(alone),
    "angles alone, no norm": between(angles),
    "byol without predictor, no norm": momentum(head_there=False),
    "vicreg without variance": between(lambda one, other: vicreg(one, other, variance=0.0) / 25),
    "vicreg without either term, no norm": between(
        lambda one, other: vicreg(one, other, variance=0.0, covariance=0.0) / 25
    ),
}
GUARDED: dict[str, Rule] = {
    "simsiam": asymmetric(),
    "byol": momentum(),
    "vicreg": between(lambda one, other: vicreg(one, other) / 25),
    "vicreg, no norm": between(lambda one, other: vicreg(one, other) / 25),
    "barlow twins": between(lambda one, other: barlow_twins(one, other) / WIDE),
    "info nce": between(info_nce),
    "info nce, no norm": between(info_nce),
}
SEEN_BY: dict[str, dict[str, Any]] = {  # what the watch is told of the loss, as its documentation says
    "vicreg": {"blind": ("offset",), "spread": 1.0},
    "vicreg without variance": {"blind": ("offset",)},
    "vicreg without either term": {"blind": ("offset",)},
    "barlow twins": {"blind": ("length", "offset")},
    "pairs alone": {},
}


def clusters(seed: int) -> tuple[Tensor, Array]:
    """Ten clusters in 20 dimensions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 4000)
    return torch.as_tensor(
        2 * np.random.default_rng(0).normal(size=(10, 20))[labels] + rng.normal(size=(4000, 20))
    ).float(), labels


def few_directions(seed: int) -> tuple[Tensor, Array]:
    """Four clusters in 3 of 24 dimensions, the others copies of these with noise: a low rank is sound here."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 4000)
    inside = 2 * np.random.default_rng(1).normal(size=(4, 3))[labels] + rng.normal(size=(4000, 3))
    return torch.as_tensor(
        inside @ np.random.default_rng(2).normal(size=(3, 24)) + 0.05 * rng.normal(size=(4000, 24))
    ).float(), labels


def clothes(seed: int) -> tuple[Tensor, Array]:
    """Fashion-MNIST at 14 by 14."""
    import gzip

    place = SHARED / "images" / "fashion_mnist"
    with gzip.open(place / "train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:20_000]
    with gzip.open(place / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:20_000].astype(int)
    chosen = np.random.default_rng(seed).permutation(20_000)[:4000]
    return torch.as_tensor(pictures[chosen].reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)).float(), labels[
        chosen
    ]


def written(seed: int) -> tuple[Tensor, Array]:
    rows, held, _, _ = digits(seed)
    with np.load(SHARED / "images" / "mnist_5k.npz") as file:
        labels = file["y"].astype(int)[np.random.default_rng(seed).permutation(len(file["y"]))]
    return torch.as_tensor(np.concatenate([rows, held])).float(), labels


LABELLED: dict[str, Callable[[int], tuple[Tensor, Array]]] = {
    "ten clusters": clusters,
    "three of 24 dimensions": few_directions,
    "clothes": clothes,
    "digits": written,
}


def table(rows: list[dict[str, Any]]) -> str:
    """Hits, false alarms, what was told wrongly on the way, and how early; by set of data."""
    good = [row for row in rows if "error" not in row]
    games = [row for row in good if row["case"]["kind"] == "game"]
    views = [
        {"case": row["case"] | {"method": method}, "measured": found}
        for row in good
        if row["case"]["kind"] == "embedding"
        for method, found in row["measured"].items()
    ]
    ranks = usual_ranks(views)
    parts = []
    if games:
        lines = [[name, *tally([row for row in games if row["case"]["data"] == name])] for name in DATA]
        parts += ["Games:", "", markdown(HEADS, [*(one for one in lines if one[1] != "0"), ["all", *tally(games)]]), ""]
        measured = [row["measured"] for row in games]
        cost, update = median(one["look"] for one in measured), median(one["seconds"] / STEPS for one in measured)
        parts += [f"A look at a game takes as long as {cost / update:.0f} updates of such small nets (medians).", ""]
    if views:
        lines = [
            [name, *tally_views([row for row in views if row["case"]["data"] == name], ranks)] for name in LABELLED
        ]
        lines = [*(one for one in lines if one[1] != "0"), ["all", *tally_views(views, ranks)]]
        parts += ["Embeddings:", "", markdown(HEADS[:-1], lines), ""]
        missed = [row["case"] for row in views if judged(row, ranks) == "collapsed" and not standing(row)]
        wrong = [row["case"] for row in views if judged(row, ranks) == "sound" and standing(row)]
        for title, those in (("Missed", missed), ("False alarms", wrong)):
            told = "; ".join(f"{one['method']} on {one['data']}, seed {one['seed']}" for one in those)
            parts += [f"{title} among embeddings: {told or 'none'}.", ""]
    return "\n".join(parts)


def judged(row: dict[str, Any], ranks: dict[tuple[str, int], float]) -> str:
    """collapsed, sound or "" by the truth of an embedding."""
    found, case = row["measured"], row["case"]
    if case["method"] in GUARDED:
        start, end = found["near"]
        error = (2 * start * (1 - start) / found["held"]) ** 0.5
        return "sound" if end > start - 2 * error else ""
    before, after = found["ends"]
    offset = "offset" not in SEEN_BY.get(case["method"].split(",")[0], {}).get("blind", ())
    one = offset and after["even"] < ONE_WAY
    few = after["rank"] < FEWER * ranks.get((case["data"], case["seed"]), 0.0)
    return "collapsed" if one or few or after["spread"] < SHRUNK * before["spread"] else ""


def usual_ranks(rows: list[dict[str, Any]]) -> dict[tuple[str, int], float]:
    """What the guarded losses reach, by data and seed."""
    found: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row["case"]["method"] in GUARDED:
            found.setdefault((row["case"]["data"], row["case"]["seed"]), []).append(row["measured"]["ends"][1]["rank"])
    return {key: median(ranks) for key, ranks in found.items()}


def standing(row: dict[str, Any]) -> bool:
    """Whether the fault stands at the end."""
    events = row["measured"]["events"]
    return bool(events and events[-1][2])


def tally_views(rows: list[dict[str, Any]], ranks: dict[tuple[str, int], float]) -> list[str]:
    """The columns of a line, of embeddings."""
    collapsed, sound = ([row for row in rows if judged(row, ranks) == name] for name in ("collapsed", "sound"))
    hits = [row for row in collapsed if standing(row)]
    first = [row["measured"]["events"][0][0] / UPDATES for row in hits]
    return [
        str(len(rows)),
        str(len(collapsed)),
        str(len(hits)),
        str(len(sound)),
        str(sum(map(standing, sound))),
        str(len(rows) - len(collapsed) - len(sound)),
        str(sum(any(one[2] for one in row["measured"]["events"]) for row in sound)),
        f"{median(first):.0%} ({max(first):.0%})" if first else "",
    ]


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
        f"{median(first) / STEPS:.0%} ({max(first) / STEPS:.0%})" if first else "",
        f"{median(since):.0f}" if since else "",
    ]


def fell(truth: list[list[float]]) -> float:
    """The update after which the truth stayed below a half."""
    above = [step for step, share in truth if share >= COLLAPSED]
    return above[-1] + EVERY if above else 0

"""What a watch over two players, or over embeddings, costs the training that it watches, as it comes.

One loop goes on, and in turn for some seconds with the watch and without it, the watch's clock standing still where it does not watch.
`ratio`: seconds of the processor an update with it over those without, all stretches together, for a look is rare; in brackets 95 % over
resamples of the pairs of stretches. `ratio, wall` the same of the wall, which what else runs on the machine touches more. `looks` is how many
were made, `share` what the watch says that it has taken of its time, `update ms` an update without it.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gan_cures import net
from tables import markdown
from torch import Tensor, nn

from tunesmith.generative import NonSaturating, mixture, predictor, projector, ring, simsiam
from tunesmith.generative.embedding.watch import EmbeddingWatch
from tunesmith.generative.gan.watch import GanWatch

ANYWHERE = True
PAIRS, STRETCH, WARM = 16, 3.0, 2.0  # seconds
WANTED = 1.05
Update = Callable[[], tuple[Tensor, ...]]  # makes one, and gives what the watch is told


def cases() -> list[dict[str, Any]]:
    return [{"watched": name, "stretch": STRETCH, "pairs": PAIRS} for name in LOOPS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Stretches in turn, each until its seconds are over."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    update, watch = LOOPS[case["watched"]]()
    found = []
    with watch:
        stretch(update, WARM)
        for _ in range(case["pairs"]):
            on = stretch(lambda: watch.step(*update()), case["stretch"])
            off = stretch(update, case["stretch"])
            getattr(watch, "_diary", watch)._began += off[1]  # it is asked for a share of the time in which it watches
            found.append([on, off])
        looks, share = len(watch.looks), watch.cost
    sums = np.array(found)  # pair, with and without, (updates, seconds of the wall, of the processor)
    rng = np.random.default_rng(0)
    drawn = [ratio(sums[rng.integers(0, len(sums), len(sums))], 2) for _ in range(1000)]
    return {
        "ratio": ratio(sums, 2), "interval": np.quantile(drawn, [0.025, 0.975]).tolist(), "wall": ratio(sums, 1),
        "looks": looks, "share": share, "update": float(sums[:, 1, 1].sum() / sums[:, 1, 0].sum()),
    }  # fmt: skip


def ratio(sums: np.ndarray[Any, Any], which: int) -> float:
    """What an update takes with the watch over what it takes without."""
    on, off = sums.sum(0)
    return float(on[which] / on[0] / (off[which] / off[0]))


def stretch(update: Callable[[], Any], seconds: float) -> tuple[int, float, float]:
    """Updates, and seconds of the wall and of the processor."""
    began, spent, made = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        update()
        made += 1
    return made, time.perf_counter() - began, time.process_time() - spent


def game(generator: nn.Module, discriminator: nn.Module, rows: Tensor, latent: int, batch: int) -> tuple[Update, Any]:
    """A usual loop of two players."""
    rules = NonSaturating()
    optimizers = [torch.optim.Adam(player.parameters(), 2e-4, (0.5, 0.999)) for player in (generator, discriminator)]

    def update() -> tuple[Tensor, ...]:
        real, made = rows[torch.randint(len(rows), (batch,))], generator(torch.randn(batch, latent))
        against = rules.discriminator(discriminator(real), discriminator(made.detach()))
        optimizers[1].zero_grad()
        against.backward()
        optimizers[1].step()
        wanted = rules.generator(discriminator(made))
        optimizers[0].zero_grad()
        wanted.backward()
        optimizers[0].step()
        return wanted, against

    return update, GanWatch(generator, discriminator, rows, latent, optimizers=optimizers)


def points() -> tuple[Update, Any]:
    return game(net(256, 2), net(2, 1), torch.as_tensor(mixture(ring(8, 2.0), 0.02, 20_000)).float(), 256, 128)


def pictures() -> tuple[Update, Any]:
    """Nets of strided convolutions (DCGAN's plan) on pictures of 32 by 32; what is on them does not matter here."""
    maker = nn.Sequential(
        nn.Linear(64, 128 * 4 * 4), nn.Unflatten(1, (128, 4, 4)), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    judge = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128 * 4 * 4, 1),
    )  # fmt: skip
    return game(maker, judge, torch.rand(4000, 1, 32, 32) * 2 - 1, 64, 64)


def embeddings() -> tuple[Update, Any]:
    """SimSiam on pictures of 28 by 28 through two convolutions; the watch sees projections."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), projector(256, 128, norm="all"),
    )  # fmt: skip
    head = predictor(128)
    rows = torch.rand(5000, 1, 28, 28)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.05, momentum=0.9)

    def view(some: Tensor) -> Tensor:
        return some + 0.1 * torch.randn_like(some)

    def update() -> tuple[Tensor, ...]:
        batch = rows[torch.randint(0, 4000, (128,))]
        one, other = encoder(view(batch)), encoder(view(batch))
        loss = simsiam((head(one), head(other)), (one, other))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return (loss,)

    return update, EmbeddingWatch(encoder, rows[4000:], view=view, optimizer=optimizer, blind=("length",))


LOOPS: dict[str, Callable[[], tuple[Update, Any]]] = {
    "game, nets of 128 units": points,
    "game, convolutions": pictures,
    "embeddings, convolutions": embeddings,
}


def table(rows: list[dict[str, Any]]) -> str:
    """A row a loop: the latest."""
    good = {row["case"]["watched"]: row["measured"] for row in rows if "error" not in row}
    heads = ["", "ratio", "95 %", "ratio, wall", "looks", "share", "update ms"]
    lines = [
        [
            name,
            f"{one['ratio']:.3f}",
            f"{one['interval'][0]:.3f} to {one['interval'][1]:.3f}",
            f"{one['wall']:.3f}",
            str(one["looks"]),
            f"{one['share']:.1%}",
            f"{1e3 * one['update']:.2f}",
        ]
        for name, one in good.items()
    ]
    missed = [name for name, one in good.items() if one["ratio"] > WANTED]
    held = f"Wanted: at most {WANTED} of the processor; " + (f"missed by {', '.join(missed)}." if missed else "held.")
    return "\n".join([markdown(heads, lines), "", held, ""])

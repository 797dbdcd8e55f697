"""What a member looks like, as numbers: computed from the member itself, so that a picture cannot say anything else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tunesmith.reports.picture import small_bars, small_grid, thumbnail
from tunesmith.reports.plot import Look, curve, upright
from tunesmith.verbs.catalogues import catalogue

Array: TypeAlias = np.ndarray[Any, Any]
STEPS, WARMUP = 1000, 100  # updates of the run for which a schedule, a warm-up is drawn
HEIGHT = 8  # rows in a terminal
BINS, WIDE = 48, 3.0  # of a histogram of weights, and its half width in deviations
SAMPLES, CHANNELS, SIDE = 3, 8, 2  # of the batch (N, C, H, W) on which a norm is looked at


@dataclass(frozen=True, slots=True)
class Drawing:
    """A curve, with what its axes mean; `notes` are said below."""

    x: Array
    y: Array
    labels: tuple[str, str]
    whole: bool = False  # x counts things
    notes: tuple[str, ...] = ()

    def text(self, look: Look) -> list[str]:
        low, high = float(np.nanmin(self.y)), float(np.nanmax(self.y))
        y_range = (min(low, 0.0), high if high > 0 else 1.0)
        return curve(
            self.x, self.y, labels=self.labels, look=look, height=HEIGHT, y_range=y_range, whole=self.whole
        ).splitlines()

    def small(self) -> str:
        """The same as an SVG for a table."""
        return thumbnail(self.x, self.y)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of weights in equal bins from -`WIDE` to `WIDE` deviations."""

    counts: Array
    notes: tuple[str, ...] = ()

    def text(self, look: Look) -> list[str]:
        line = "-" if look.plain else "─"
        below = f"{'-3 std':<{BINS // 2 - 2}}mean{'3 std':>{BINS - BINS // 2 - 2}}"
        return ["weights", *upright(self.counts, look=look), line * BINS, below]

    def small(self) -> str:
        """The same as an SVG for a table."""
        return small_bars(self.counts)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which entries of a batch enter the statistics of one of them: `share[n, c]` is that of the positions that do."""

    share: Array
    notes: tuple[str, ...] = ()

    def text(self, look: Look) -> list[str]:
        signs = (".", "o", "#", "@") if look.plain else ("·", "▒", "█", "◆")
        lines = [f"{'':>10}" + "".join(f"{f'c{c + 1}':>4}" for c in range(self.share.shape[1]))]
        for n, channels in enumerate(self.share):
            cells = [signs[0] if not one else signs[2] if one == 1 else signs[1] for one in channels]
            cells[0] = signs[3] if n == 0 else cells[0]
            lines.append(f"{f'sample {n + 1}':<10}" + "".join(f"{cell:>4}" for cell in cells))
        positions = "H x W" if look.plain else "H × W"
        whole = (
            f"{signs[2]} enters with all {positions} positions"
            if (self.share == 1).sum() > 1 or self.share[0, 0] == 1
            else ""
        )
        single = f"{signs[1]} with its position alone" if ((self.share > 0) & (self.share < 1)).any() else ""
        return [*lines, "", "; ".join(part for part in (f"{signs[3]} the value normed", whole, single) if part)]

    def small(self) -> str:
        """The same as an SVG for a table."""
        return small_grid(self.share)


Picture: TypeAlias = Drawing | Histogram | Grid


def drawing(family: str, name: str) -> Picture | None:
    """What there is to see of a member; None where a picture says nothing."""
    made = MAKERS.get(family)
    return made(name) if made else None


def of_schedule(name: str) -> Drawing | None:
    if name == "lambda":  # nothing without a function of yours
        return None
    from tunesmith.verbs.schedule import schedule

    shown = schedule(name, STEPS)
    return Drawing(np.arange(STEPS), shown.rates, ("updates made", "rate / peak rate"), True, shown.notes)


def of_warmup(name: str) -> Drawing:
    from tunesmith.verbs.schedule import schedule

    shown = schedule("constant", 3 * WARMUP // 2, warmup=WARMUP, warmup_kind=name)
    return Drawing(np.arange(shown.steps), shown.rates, ("updates made", "rate / peak rate"), True, shown.notes)


def of_activation(name: str) -> Drawing:
    import torch

    x = torch.linspace(-4, 4, 161, dtype=torch.float64)
    with torch.no_grad():
        return Drawing(x.numpy(), catalogue("activation")[name]()(x).numpy(), ("x", "y"))


BY_MARGIN = ("cross_entropy", "focal", "hinge")
BY_ERROR = ("huber", "log_cosh", "mae", "masked_huber", "masked_mae", "masked_mse", "mse", "quantile", "smooth_l1")


def of_loss(name: str) -> Drawing | None:
    """Of two classes, against the margin by which the true one leads; of numbers, against the error."""
    import torch

    member = catalogue("loss")[name]
    at = torch.linspace(-4, 4, 161, dtype=torch.float64)
    if name == "binary_cross_entropy":
        loss, yes = member(kind="multilabel"), torch.ones(1, 1, dtype=torch.float64)
        values = [float(loss(z.reshape(1, 1), yes).value) for z in at]
        return Drawing(at.numpy(), np.array(values), ("logit, the answer being yes", "loss"))
    if name in BY_MARGIN:
        loss = member(kind="binary")
        values = [float(loss(torch.stack([0 * z, z]).reshape(1, 2), torch.tensor([1])).value) for z in at]
        return Drawing(at.numpy(), np.array(values), ("logit of the true class - the other", "loss"))
    if name in BY_ERROR:
        loss = member(kind="regression")
        values = [float(loss(z.reshape(1), torch.zeros(1, dtype=torch.float64)).value) for z in at]
        return Drawing(at.numpy(), np.array(values), ("output - target", "loss"))
    return None


SHAPES = {"delta_orthogonal": (64, 64, 3, 3)}  # those that fill the kernel of a convolution alone


def of_init(name: str) -> Histogram:
    """The weights of a layer of 256 × 256, as drawn."""
    import torch

    from tunesmith.blocks.layers.init import INITS

    weight = torch.empty(SHAPES.get(name, (256, 256)))
    generator = torch.Generator().manual_seed(0)
    INITS[name](weight, generator=generator)
    values = weight.double().flatten()
    mean, std = float(values.mean()), float(values.std(correction=0))
    counts = torch.histc((values - mean) / (std or 1.0), bins=BINS, min=-WIDE, max=WIDE).numpy()
    shape = " × ".join(map(str, weight.shape))
    still = float((values == 0).double().mean())
    told = (
        f"measured on {shape}: std {std:.4f}, which is {std**2 * values.numel() / len(weight):.2f} / n_in as a variance"
    )
    return Histogram(counts, (told, *((f"{still:.1%} of the weights are 0",) if still > 0.01 else ())))


def of_norm(name: str) -> Grid | None:
    """Which entries of a batch move the first one: where its gradient is not 0, in training."""
    import torch

    member = catalogue("norm")[name]
    if getattr(member, "kind", "features") == "weights" or name == "none":
        return None
    options = {"groups": 2} if name == "group" else {}
    layer = member(CHANNELS, dims=2, **options).double().train()
    x = torch.randn(SAMPLES, CHANNELS, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    with torch.enable_grad():
        layer(x)[0, 0, 0, 0].backward()
    assert x.grad is not None
    share = (x.grad.abs() > 1e-12).double().mean((2, 3)).numpy()
    return Grid(share, ("G = 2 groups",) if name == "group" else ())


MAKERS: Mapping[str, Callable[[str], Picture | None]] = {
    "activation": of_activation,
    "init": of_init,
    "loss": of_loss,
    "norm": of_norm,
    "schedule": of_schedule,
    "warmup": of_warmup,
}

"""One look at two players: what the generator makes beside a fixed real sample, and how sure the discriminator is."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.generative.looking import drawn, seeded, unchanged
from tunesmith.generative.measures.lost_mass import Cells
from tunesmith.generative.measures.pairwise import pairwise_distance
from tunesmith.generative.measures.prdc import expected_coverage, prdc
from tunesmith.records import DataError

Noise = Callable[[int], Tensor]  # how many, to what the generator takes
SAMPLES = 1000  # made at a look, and at most so many real ones; assumption: 13 cells, see `count_of_cells`
K = 5  # neighbours of `prdc`, as in its paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`lost` share of the data in cells that are left out, `cells_lost` of `cells`; None where a number is undefined.

    `spread` is the mean distance of made samples over that of real ones. `sure_real` and `sure_made` are mean probabilities that
    the discriminator gives to be real. `known` is the mean score of real samples that it trains on, less that of held ones, in
    standard errors; `gap` the same as a share of what lies between real and made ones.
    """

    step: int
    samples: int
    lost: float
    cells_lost: int
    cells: int
    coverage: float
    expected_coverage: float
    precision: float
    spread: float | None
    sure_real: float | None = None
    sure_made: float | None = None
    known: float | None = None
    gap: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def signals(self) -> dict[str, float]:
        """What is defined of it, by the names of `runs/quantities.py`."""
        named = {
            "lost_mass": self.lost,
            "coverage": self.coverage,
            "made_precision": self.precision,
            "made_spread": self.spread,
            "sure_real": self.sure_real,
            "sure_made": self.sure_made,
            "known_rows": self.known,
        }
        return {name: value for name, value in named.items() if value is not None}


class NotFinite(DataError):
    """A generator made numbers that are not finite; `value` is one of them."""

    def __init__(self, value: float, step: int) -> None:
        super().__init__(
            f"the generator made {value} after step {step}; finite samples were expected: lower the rate, or clip"
        )
        self.value = value


class Sight:
    """Looks at a generator beside a fixed sample of real rows, without a trace: modes, gradients and random numbers stay.

    `features` maps samples to what they are compared by. Raises `DataError` for too few rows, or noise of the wrong form.
    """

    def __init__(
        self,
        real: Tensor,
        noise: Noise,
        *,
        held: Tensor | None = None,
        features: Callable[[Tensor], Tensor] | None = None,
        samples: int = SAMPLES,
        together: int = 1,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.together = together
        self.real, self.held = drawn(real, samples, seed), None if held is None else drawn(held, samples, seed)
        compared = (
            self.real if self.held is None else self.held
        )  # what a generator of the training rows alone would not have
        self.compared = self._seen(compared)
        with seeded(seed):
            self.noise = noise(samples)
        if len(self.noise) != samples:
            raise DataError(f"the noise was asked for {samples} rows and gave {len(self.noise)}; give one row a sample")
        self.cells = Cells(self.compared, samples, seed=seed)
        self.apart = pairwise_distance(self.compared)
        self.made: Tensor | None = None  # at the latest look

    @torch.no_grad()
    def __call__(self, generator: nn.Module, discriminator: nn.Module | None, step: int) -> Look:
        """Looks now. Raises `NotFinite` where a sample is not finite."""
        with unchanged(generator, *([] if discriminator is None else [discriminator])):
            made = self.made = generator(self.noise)
            if not torch.isfinite(made).all():
                raise NotFinite(made[~torch.isfinite(made)][0].item(), step)
            scores = {} if discriminator is None else self._scores(discriminator, made)
        seen = self._seen(made)
        lost, near = self.cells.lost(seen), prdc(self.compared, seen, k=K)
        return Look(
            step=step,
            samples=len(seen),
            lost=lost.share,
            cells_lost=lost.cells,
            cells=lost.whole,
            coverage=near.coverage,
            expected_coverage=expected_coverage(near.real, near.generated, K),
            precision=near.precision,
            spread=pairwise_distance(seen) / self.apart if self.apart > 0 else None,
            **scores,
        )

    def _seen(self, samples: Tensor) -> Tensor:
        with torch.no_grad():
            return (samples if self.features is None else self.features(samples)).flatten(1)

    def _scores(self, discriminator: nn.Module, made: Tensor) -> dict[str, float | None]:
        """How sure the discriminator is, and whether it knows its training rows."""
        real, fake = self._judged(discriminator, self.real), self._judged(discriminator, made)
        told: dict[str, float | None] = {
            "sure_real": real.sigmoid().mean().item(),
            "sure_made": fake.sigmoid().mean().item(),
        }
        if self.held is None:
            return told
        held = self._judged(discriminator, self.held)
        error = math.sqrt((real.var() / len(real) + held.var() / len(held)).item())
        apart, between = (real.mean() - held.mean()).item(), (real.mean() - fake.mean()).item()
        return told | {
            "known": apart / error if error > 0 else None,
            "gap": apart / between if between > 0 else None,
        }

    def _judged(self, discriminator: nn.Module, samples: Tensor) -> Tensor:
        whole = samples[: len(samples) // self.together * self.together]
        scores: Tensor = discriminator(whole)
        return scores.flatten().double()


def look_of(told: Mapping[str, Any]) -> Look:
    """A look from its plain data."""
    return Look(**told)


def gaussian(width: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Noise:
    """N(0, 1) noise of `width` numbers, drawn on the processor so that every device sees the same.

    >>> gaussian(3)(2).shape
    torch.Size([2, 3])
    """
    return lambda count: torch.randn(count, width).to(device, dtype)

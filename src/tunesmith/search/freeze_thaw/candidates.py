"""New configurations to choose from: some drawn evenly, most near the best seen, some near what the expert said."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.search.freeze_thaw.encoding import Encoding

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """How far candidates lie; measured: benchmarks/search.md."""

    count: int = 300
    anywhere: float = 0.2  # share drawn evenly
    expert: float = 0.2  # share near the expert's configuration
    widths: tuple[float, ...] = (0.05, 0.15, 0.3)  # standard deviations in sides of the unit cube
    shares: tuple[float, ...] = (0.0, 0.3, 0.6)  # of the parameters that are moved; 0: one and a half on average
    geometric: float = 0.4  # chance that the best is the one to be moved, then the next …


def anywhere(encoding: Encoding, count: int, rng: np.random.Generator) -> Floats:
    """(count, D) drawn evenly."""
    return rng.uniform(size=(count, len(encoding)))


def candidates(
    encoding: Encoding, best: Floats, expert: Floats | None, reach: Reach, rng: np.random.Generator
) -> Floats:
    """(N, D) units, snapped, those the constraints forbid left out. `best`: (K, D) good ones, best first; `expert`: (D,) or None."""
    kind = rng.uniform(size=reach.count)
    rows = anywhere(encoding, reach.count, rng)
    near_expert = kind > 1 - reach.expert if expert is not None else np.zeros(reach.count, dtype=bool)
    near_best = (kind > reach.anywhere) & ~near_expert
    if len(best):
        chosen = np.minimum(len(best) - 1, rng.geometric(reach.geometric, near_best.sum()) - 1)
        rows[near_best] = moved(encoding, best[chosen], expert, reach, rng)
    if expert is not None:
        rows[near_expert] = moved(encoding, np.tile(expert, (near_expert.sum(), 1)), expert, reach, rng)
    snapped = encoding.snapped(rows)
    return snapped[encoding.allowed(snapped)]


def moved(encoding: Encoding, bases: Floats, expert: Floats | None, reach: Reach, rng: np.random.Generator) -> Floats:
    """(N, D) with some parameters of each row moved: numbers by a normal step, reflected at the ends, choices drawn anew."""
    shape = bases.shape
    fresh = rng.uniform(size=shape)
    filled = fresh if expert is None else np.where(rng.uniform(size=shape) < 0.5, expert, fresh)
    whole = np.where(np.isnan(bases), filled, bases)
    width = rng.choice(reach.widths, size=(shape[0], 1))
    share = np.maximum(rng.choice(reach.shares, size=(shape[0], 1)), 1.5 / max(1, shape[1]))
    stepped = np.abs(whole + width * rng.normal(size=shape))
    stepped = np.where(stepped > 1, np.maximum(0.0, 2 - stepped), stepped)
    stepped = np.where(encoding.is_choice, rng.uniform(size=shape), stepped)
    found: Floats = np.where(rng.uniform(size=shape) < share, stepped, whole)
    return found

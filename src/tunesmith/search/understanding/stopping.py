"""Whether more of the same search is worth it: what the next trainings are expected to gain, beside what was gained.

The default search's process says of the most promising new configurations how far below the best a training is expected to come
(expected improvement, Jones et al., 1998). Its sum over the next trainings is more than they will gain, since each takes from the
others; so where even this is little, it is over. A search that still improved lately is never called done.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.freeze_thaw.candidates import Reach, candidates
from tunesmith.search.space import Space, as_space
from tunesmith.search.understanding.modelled import expected_improvement, modelled

Floats = npt.NDArray[np.float64]
LITTLE = 0.05  # of the way from the median trial to the best, beyond which more is worth it; assumption
LEAST = 20  # trials before anything is said; assumption: twice the start of a model-based search
RECENT = 0.25  # the last share of the trials, in which a new best means that it goes on; assumption
LOOKED_AT = 1000


@dataclass(frozen=True)
class Advice:
    """`gain`: what the next `trainings` are expected to gain at most, in scores; `share`: beside the way from the median trial to the
    best; `since`: trials since the best was found."""

    worth: bool
    gain: float
    share: float
    trainings: int
    since: int
    because: str


def advice(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    *,
    trainings: int = 10,
    max_budget: int | None = None,
    seed: int = 0,
) -> Advice:
    """Whether `trainings` more are worth it. With fewer than 20 trials they always are. Raises `DataError` for less than one training."""
    if trainings < 1:
        raise DataError(f"trainings is {trainings}; expected 1 or more")
    whole = as_space(space)
    scored = sum(1 for trial in trials if trial.records)
    if scored < LEAST:
        said = f"{scored} trials are too few to say; {LEAST} are the least"
        return Advice(True, math.nan, math.nan, trainings, 0, said)
    model = modelled(whole, trials, max_budget=max_budget, seed=seed)
    values = model.history.values()
    since = len(values) - 1 - int(values.argmin())
    rng = np.random.default_rng(seed)
    order = np.argsort(values, kind="stable")[:5]
    best = np.array([model.encoding.units(model.history[int(id)].change) for id in order])
    rows = candidates(model.encoding, best, None, Reach(count=LOOKED_AT), rng)
    if not len(rows):
        return Advice(False, 0.0, 0.0, trainings, since, "no configuration is left that the constraints allow")
    gains = np.sort(expected_improvement(*model.of(rows), model.best))[::-1]
    share = float(gains[:trainings].sum())
    here = model.score(np.array([model.best, model.best - share]))
    gain = float(here[0] - here[1])
    recent = since < RECENT * len(values)
    worth = share > LITTLE or recent
    return Advice(worth, gain, share, trainings, since, _because(share, trainings, since, len(values), worth, recent))


def _because(share: float, trainings: int, since: int, count: int, worth: bool, recent: bool) -> str:
    expected = f"{trainings} more trainings are expected to gain at most {100 * share:.2g} % of what lies between the median trial and the best"
    last = f"the best is {since} of {count} trials old"
    if not worth:
        return f"{expected}, and {last}: enough"
    return f"{expected}; {last}" + (": it still improves" if recent and share <= LITTLE else "")

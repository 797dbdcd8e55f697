"""A picture of what the default search believes: its mean, its band and where a training is expected to gain, over one axis or two.

All other parameters stand where the best trial has them; a parameter that is not in force there is taken from the middle of its range.
Scores far above the median are drawn together, as the search itself does (`freeze_thaw/scale.py`): beyond them the mean is flat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, Trial, UnknownName, did_you_mean
from tunesmith.search.domains import Choice, Domain, Ordinal
from tunesmith.search.space import Space, as_space, values_of
from tunesmith.search.understanding.modelled import expected_improvement, modelled

Floats = npt.NDArray[np.float64]
POINTS = 80  # of one axis; of two, 40 by 40
POINTS_OF_TWO = 40
BAND = 1.96  # 95 %


@dataclass(frozen=True)
class Picture:
    """Over the axes `names` with the values `values`: arrays (P,) or (P, Q) of `mean`, `low`, `high` in scores, and of the expected
    improvement over the best, 1 being the way from the median trial to the best. `seen`: ids, places on the axes and scores of the trials
    that have them."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    mean: Floats
    low: Floats
    high: Floats
    improvement: Floats
    seen: tuple[tuple[int, tuple[Any, ...], float], ...]


def picture(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    names: str | Sequence[str],
    *,
    max_budget: int | None = None,
    points: int | None = None,
    seed: int = 0,
) -> Picture:
    """The model of `trials` over one parameter or two, at the end of a training.

    Raises `UnknownName` for parameters the space has not, `DataError` for none or more than two of them, ones with a single value, and
    fewer than 3 trials with a score.
    """
    whole = as_space(space)
    axes = (names,) if isinstance(names, str) else tuple(names)
    for name in axes:
        if name not in whole:
            raise UnknownName(f"no parameter called {name!r} in the space{did_you_mean(name, whole)}")
    if len(axes) not in (1, 2) or len(set(axes)) != len(axes):
        raise DataError(f"a picture over {list(axes)}; expected one parameter or two")
    model = modelled(whole, trials, max_budget=max_budget, seed=seed)
    if any(name not in model.encoding.names for name in axes):
        raise DataError(
            f"{[name for name in axes if name not in model.encoding.names]} has one value; expected a searched parameter"
        )
    count = points or (POINTS if len(axes) == 1 else POINTS_OF_TWO)
    places = [_places(whole[name], count) for name in axes]
    best = model.history.best()
    assert best is not None  # modelled() found scores
    base = model.encoding.units(best.change)
    grid = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1).reshape(-1, len(axes))
    rows = np.tile(np.where(np.isnan(base), 0.5, base), (len(grid), 1))
    for column, name in enumerate(axes):
        rows[:, model.encoding.names.index(name)] = grid[:, column]
    mean, deviation = model.of(model.encoding.snapped(rows))
    shape = tuple(len(one) for one in places)
    gain = expected_improvement(mean, deviation, model.best)
    low, middle, high = (model.score(mean + way * deviation).reshape(shape) for way in (-BAND, 0.0, BAND))
    values = tuple(
        tuple(whole[name].from_unit(float(place)) for place in one) for name, one in zip(axes, places, strict=True)
    )
    seen = tuple(
        (trial.id, tuple(trial.change[name] for name in axes), model.history.value(trial.id))
        for trial in model.history
        if all(name in trial.change for name in axes) and np.isfinite(model.history.value(trial.id))
    )
    return Picture(axes, values, middle, low, high, gain.reshape(shape), seen)


def _places(domain: Domain, count: int) -> Floats:
    if isinstance(domain, Choice | Ordinal) or domain.size <= count:
        return np.array([domain.to_unit(value) for value in values_of(domain)])
    return np.linspace(0, 1, count)

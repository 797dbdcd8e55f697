"""How much each parameter has to do with a trial being good.

`ped_anova` is worked out here: of each parameter, how far its density among the best trials is from its density among all, by the
Pearson divergence. It needs nothing but NumPy, is linear in the trials, and is judged in the region that matters, where fANOVA spends its
variance on how bad the bad ones are; so it is the default. `fanova` asks Optuna's random forest for the shares of the variance.

Source: Watanabe et al., PED-ANOVA, arXiv:2304.10255, equation 12 and section 3; kernel widths by Scott's rule, as there. Hutter et al.,
An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014 (fANOVA).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from tunesmith.records import DataError, Trial, UnknownName, did_you_mean
from tunesmith.search.domains import Choice, Domain
from tunesmith.search.optuna_study import optuna_of
from tunesmith.search.samplers.observed import Observed
from tunesmith.search.space import Space, as_space
from tunesmith.search.understanding.seen import compared

Floats = npt.NDArray[np.float64]
METHODS = ("ped_anova", "fanova")
BEST_SHARE = 0.1  # gamma' of the paper
LEAST_BEST = 5  # trials among the best: with fewer the density is that of the kernels; Optuna's manual advises the same
CELLS = 50  # of a range: as the paper's code
MOST_FOREST = 1000  # trials that the forest sees: those of every n-th rank; it takes minutes of more


def importance(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    method: str = "ped_anova",
    *,
    best_share: float = BEST_SHARE,
    seed: int = 0,
) -> dict[str, float]:
    """Shares by parameter, largest first; they add up to 1, or are all 0 where nothing can be told.

    `best_share`: of the trials, what counts as good (`ped_anova`). Failed trials count as bad ones; a parameter that is not always in
    force is judged among the trials that had it, and weighs by the share of the good ones that had it. Raises `DataError` for fewer than 10
    trials that can be compared, `MissingExtra` for fanova without Optuna.

    >>> from tunesmith.search import Real
    >>> space = Space({"x": Real(0, 1), "y": Real(0, 1)})
    >>> draws = np.random.default_rng(0).uniform(size=(200, 2))
    >>> trials = [Trial(id=i, change={"x": x, "y": y}, records=({"score": (x - 0.3) ** 2},), state="done") for i, (x, y) in enumerate(draws)]
    >>> importance(space, trials)["x"] > 0.9
    True
    """
    if method not in METHODS:
        raise UnknownName(f"no way to tell importance called {method!r}{did_you_mean(method, METHODS)}")
    if not 0 < best_share < 1:
        raise DataError(f"best_share is {best_share}; expected a share in (0, 1)")
    whole = as_space(space)
    _, seen = compared(whole, trials)
    if len(seen) < 2 * LEAST_BEST:
        raise DataError(
            f"{len(seen)} trials can be compared; expected {2 * LEAST_BEST} or more to tell which parameters matter"
        )
    if not np.isfinite(seen.values).any():
        return dict.fromkeys(seen.names, 0.0)
    found = _ped_anova(whole, seen, best_share) if method == "ped_anova" else _fanova(whole, seen, seed)
    total = sum(found.values())
    shares = {name: value / total if total > 0 else 0.0 for name, value in found.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _ped_anova(space: Space, seen: Observed, best_share: float) -> dict[str, float]:
    good = max(LEAST_BEST, math.ceil(best_share * len(seen)))
    found = {}
    for column, name in enumerate(seen.names):
        units = seen.units[:, column]
        in_force = np.flatnonzero(~np.isnan(units))
        order = in_force[np.argsort(seen.ranks[in_force], kind="stable")]
        best = order[: max(LEAST_BEST, math.ceil(best_share * len(order)))]
        if len(order) <= len(best):
            found[name] = 0.0
            continue
        share = float(np.mean(~np.isnan(units[seen.order[:good]])))
        found[name] = share * divergence(units[best], units[order], space[name])
    return found


def divergence(best: Floats, every: Floats, domain: Domain) -> float:
    """Pearson's: the mean over `every` of (density of the best / density of all - 1)², equation 12. Both (n,) places in [0, 1]."""
    top, whole = density(best, domain), density(every, domain)
    return float(whole @ (top / whole - 1) ** 2)


def density(units: Floats, domain: Domain) -> Floats:
    """(cells,) masses of an estimate with one uniform observation added; they add up to 1."""
    if isinstance(domain, Choice):
        count = len(domain.choices)
        places = np.minimum(count - 1, (units * count).astype(int))
        masses: Floats = (np.bincount(places, minlength=count) + 1 / count) / (len(units) + 1)
        return masses
    cells = int(min(CELLS, domain.size))
    edges = np.linspace(0, 1, cells + 1)
    below: Floats = ndtr((edges[:, None] - units) / _scott(units, cells))
    inside = below[1:] - below[:-1]
    kernels: Floats = inside / np.maximum(inside.sum(0), 1e-12)  # cut off at the ends of the range
    smooth: Floats = (kernels.sum(1) + 1 / cells) / (len(units) + 1)
    return smooth


def _scott(units: Floats, cells: int) -> float:
    """Scott's rule with the spread that outliers do not widen; at least half a cell."""
    quarter, three = np.quantile(units, [0.25, 0.75])
    deviation = float(np.std(units, ddof=1)) if len(units) > 1 else 0.0
    spread: float = min(deviation, float(three - quarter) / 1.34) or deviation
    return float(max(1.059 * spread * len(units) ** -0.2, 0.5 / cells))


def _fanova(space: Space, seen: Observed, seed: int) -> dict[str, float]:
    optuna = optuna_of("method='fanova' asks Optuna", "take method='ped_anova'")
    order = seen.order[np.isfinite(seen.values[seen.order])]
    order = order[:: max(1, math.ceil(len(order) / MOST_FOREST))]
    known = np.where(np.isnan(seen.units), 0.5, seen.units)  # out of force: in the middle, where it weighs nothing
    distributions = {name: _distribution(optuna, space[name]) for name in seen.names}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: _value(space[name], known[row, column]) for column, name in enumerate(seen.names)},
                    distributions=distributions,
                    value=float(seen.values[row]),
                )
                for row in order
            ]
        )
        return dict(optuna.importance.FanovaImportanceEvaluator(seed=seed).evaluate(study))
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(optuna: Any, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution(list(range(len(domain.choices))))
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _value(domain: Domain, unit: float) -> float:
    count = len(domain.choices) if isinstance(domain, Choice) else 0
    return min(count - 1, int(unit * count)) if count else float(min(1.0, max(0.0, unit)))

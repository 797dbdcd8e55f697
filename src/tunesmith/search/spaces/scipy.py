"""scipy: dicts of frozen distributions and lists, as scikit-learn's RandomizedSearchCV takes them.

Reads   uniform -> Real, loguniform and reciprocal -> Real on a log scale, randint -> Int; any other -> Distributed. Lists -> Choice.
Limits  a distribution that is not one of scipy.stats has no name that could be written down: it is refused.
"""

from typing import Any

from tunesmith.records import DataError
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Domain, Fixed, Int, Real


def is_frozen(given: Any) -> bool:
    """Whether it is a frozen distribution of SciPy."""
    return all(hasattr(given, name) for name in ("dist", "args", "kwds", "ppf"))


def domain_from(given: Any) -> Domain:
    """The domain of a frozen distribution. Raises `DataError` for one without a name in scipy.stats.

    >>> from scipy.stats import randint, uniform
    >>> domain_from(uniform(1, 2)), domain_from(randint(1, 4))
    (Real(low=1.0, high=3.0, log=False, when=None, step=None), Int(low=1, high=3, log=False, when=None, step=1))
    """
    name = given.dist.name
    if name in ("uniform", "loguniform", "reciprocal"):
        low, high = (float(end) for end in given.support())
        return Real(low, high, log=name != "uniform") if low < high else Fixed(low)
    if name == "randint":
        low, high = (int(end) for end in given.support())
        return Int(low, high) if low < high else Fixed(low)
    try:
        return Distributed(name, tuple(given.args), tuple(given.kwds.items()))
    except DataError as error:
        raise DataError(f"the distribution {name!r} cannot be read: {error}") from None

"""What an expert believes before the search: a good value of each parameter, and how surely.

>>> from tunesmith.search.domains import Int, Real
>>> read_prior({"optim.lr": 1e-3, "depth": (2, "high")}, {"optim.lr": Real(1e-5, 1), "depth": Int(1, 5)}).confidence
{'optim.lr': 0.5, 'depth': 0.75}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.records import DataError, did_you_mean
from tunesmith.search.domains import Domain, Int, Real
from tunesmith.search.space import Config, as_space

CONFIDENCE = {"low": 0.25, "medium": 0.5, "high": 0.75}  # the three words of NePS, as shares


@dataclass(frozen=True)
class Prior:
    """`config`: a whole configuration believed good. `confidence`: of each parameter, in (0, 1); what nobody said anything of is left out."""

    config: Config
    confidence: Mapping[str, float]


def read_prior(given: Mapping[str, Any] | None, space: Mapping[str, Domain]) -> Prior | None:
    """The prior of `{name: value}` or `{name: (value, confidence)}`; None for None.

    A confidence is a number in (0, 1) or one of the words low, medium, high; medium where none is given. Values of parameters that are not
    in force are allowed; numbers outside their range are taken to the nearer end. What is not said stands at the middle of its domain
    and weighs nothing. Raises `DataError` for unknown names, values no choice has and confidences out of range.
    """
    if given is None:
        return None
    whole = as_space(space)
    units = dict.fromkeys(whole, 0.5)
    confidence: dict[str, float] = {}
    for name, said in given.items():
        if name not in whole:
            raise DataError(f"the prior names {name!r}, which the space has not{did_you_mean(str(name), whole)}")
        value, sure = _said(name, said, whole[name])
        units[name] = whole[name].to_unit(value)
        confidence[name] = sure
    return Prior(whole.from_units(units), confidence)


def _said(name: str, said: Any, domain: Domain) -> tuple[Any, float]:
    value: Any = said
    sure: Any = CONFIDENCE["medium"]
    if isinstance(said, tuple | list) and len(said) == 2 and not domain.holds(said):
        value, sure = said[0], CONFIDENCE.get(said[1], said[1])
    if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 < sure < 1:
        raise DataError(f"the confidence of {name} is {sure!r}; expected a number in (0, 1), or low, medium or high")
    if isinstance(domain, Real | Int):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"the prior of {name} is {value!r}; expected a number from {domain.low} to {domain.high}")
        return min(domain.high, max(domain.low, value)), float(sure)
    if not domain.holds(value):
        raise DataError(f"the prior of {name} is {value!r}; expected one of {domain}")
    return value, float(sure)

"""configspace: a `ConfigurationSpace`; ConfigSpace is needed only by whoever made it.

Reads   all kinds of hyper-parameters; equals, in, unequal, above and below conditions, and `or` of such on one parent; forbidden clauses
        and relations as constraints.
Limits  weights of choices, and the shape of a distribution over whole numbers, are not kept; an `and` of conditions is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.records import DataError
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Condition, Domain, Fixed, Int, Ordinal, Real
from tunesmith.search.space import Space, values_of
from tunesmith.search.spaces import SOURCES, is_of

COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "NotEqualsCondition": lambda one, other: bool(one != other),
    "GreaterThanCondition": lambda one, other: bool(one > other),
    "LessThanCondition": lambda one, other: bool(one < other),
}
RELATIONS = {"ForbiddenEqualsRelation": "==", "ForbiddenLessThanRelation": "<", "ForbiddenGreaterThanRelation": ">"}


@SOURCES.add("configspace")
def configspace(given: Any) -> Space | None:
    """The space. Raises `DataError` for what a space of ours cannot hold."""
    if not is_of(given, "ConfigSpace") or not hasattr(given, "conditions"):
        return None
    domains = {str(name): domain_from(parameter) for name, parameter in dict(given).items()}
    for condition in given.conditions:
        child, when = _condition(condition, domains)
        domains[child] = domains[child].under(when)
    return Space(domains, [f"not ({_clause(clause)})" for clause in given.forbidden_clauses])


def domain_from(parameter: Any) -> Domain:
    """The domain of a hyper-parameter. Raises `DataError` for kinds that are not known."""
    kind = type(parameter).__name__
    if kind == "CategoricalHyperparameter":
        return Choice(list(parameter.choices))
    if kind == "OrdinalHyperparameter":
        return Ordinal(list(parameter.sequence))
    if kind in ("Constant", "UnParametrizedHyperparameter"):
        return Fixed(parameter.value)
    if not hasattr(parameter, "lower"):
        raise DataError(
            f"{parameter.name} is a {kind}, which is not known; expected a number, a choice, an ordinal or a constant"
        )
    low, high, log = parameter.lower, parameter.upper, bool(getattr(parameter, "log", False))
    if kind == "NormalFloatHyperparameter" and not log:
        middle, deviation = float(parameter.mu), float(parameter.sigma)
        ends = ((float(low) - middle) / deviation, (float(high) - middle) / deviation)
        return Distributed("truncnorm", ends, (("loc", middle), ("scale", deviation)))
    if kind == "BetaFloatHyperparameter" and not log:
        shape = (("loc", float(low)), ("scale", float(high) - float(low)))
        return Distributed("beta", (float(parameter.alpha), float(parameter.beta)), shape)
    return Int(int(low), int(high), log) if "Integer" in kind else Real(float(low), float(high), log)


def _condition(condition: Any, domains: Mapping[str, Domain]) -> tuple[str, Condition]:
    """The child, its parent and the parent's values."""
    kind = type(condition).__name__
    if kind == "OrConjunction":
        parts = [_condition(part, domains) for part in condition.components]
        if len({(child, when[0]) for child, when in parts}) > 1:
            raise DataError(f"the condition {condition} names several parents; expected one")
        child, (parent, _) = parts[0]
        every = dict.fromkeys(value for _, when in parts for value in _listed(when[1]))
        return child, (parent, tuple(every))
    if not hasattr(condition, "parent"):
        raise DataError(f"the condition {condition} joins several; expected one parent to a parameter")
    child, parent = str(condition.child.name), str(condition.parent.name)
    if kind == "EqualsCondition":
        return child, (parent, _own(condition.value))
    if kind == "InCondition":
        return child, (parent, tuple(_own(value) for value in condition.values))
    if kind not in COMPARES:
        raise DataError(
            f"the condition {condition} is a {kind}, which is not known; expected equals, in, above or below"
        )
    values = [value for value in values_of(domains[parent]) if _met(kind, domains[parent], value, condition.value)]
    return child, (parent, tuple(values))


def _met(kind: str, parent: Domain, value: Any, limit: Any) -> bool:
    if isinstance(parent, Ordinal):  # compared by their order, whatever they are
        return COMPARES[kind](parent.index(value), parent.index(_own(limit)))
    return COMPARES[kind](value, _own(limit))


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _own(value: Any) -> Any:
    """A value in Python's own type."""
    return value.item() if is_of(value, "numpy") and hasattr(value, "item") else value


def _clause(clause: Any) -> str:
    """A forbidden clause as an expression."""
    kind = type(clause).__name__
    if kind == "ForbiddenAndConjunction":
        return " and ".join(f"({_clause(part)})" for part in clause.components)
    if kind in RELATIONS:
        return f"{clause.left.name} {RELATIONS[kind]} {clause.right.name}"
    if kind == "ForbiddenEqualsClause":
        return f"{clause.hyperparameter.name} == {_own(clause.value)!r}"
    if kind == "ForbiddenInClause":
        return f"{clause.hyperparameter.name} in {tuple(_own(value) for value in clause.values)!r}"
    raise DataError(f"the forbidden clause {clause} is a {kind}, which is not known")

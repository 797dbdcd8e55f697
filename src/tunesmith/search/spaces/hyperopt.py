"""hyperopt: expressions such as `hp.choice("name", [{…}, {…}])`; Hyperopt is needed only by whoever wrote them.

Reads   uniform, loguniform, quniform, qloguniform (steps), randint, uniformint, choice, pchoice, normal, lognormal, qnormal, qlognormal.
        Parameters are called by their labels; what stands in an option of a choice is conditional on it. An option that is a dict or a list
        is called by the text in it, where each has one of its own, else by its number.
Limits  the weights of pchoice are not kept; no arithmetic with parameters; constants in options that clash are refused.
"""

import math
from collections.abc import Sequence
from typing import Any

from tunesmith.records import DataError
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Condition, Domain, Fixed, Int, Real
from tunesmith.search.space import Space, meets
from tunesmith.search.spaces import SOURCES, is_of

CASTS = ("float", "int")
HOLDERS = ("dict", "pos_args")


@SOURCES.add("hyperopt")
def hyperopt(given: Any) -> Space | None:
    """The space of an expression. Raises `DataError` for what a space of ours cannot hold."""
    return Space(domains_from(given, "value")) if is_expression(given) else None


def is_expression(given: Any) -> bool:
    """Whether it is a node of Hyperopt's graph."""
    return is_of(given, "hyperopt") and hasattr(given, "pos_args")


def domains_from(node: Any, name: str) -> dict[str, Domain]:
    """The parameters of an expression; a constant is called `name`."""
    found: dict[str, Domain] = {}
    _walk(node, name, None, found)
    return found


def _walk(node: Any, name: str, when: Condition | None, found: dict[str, Domain], whole: bool = False) -> None:
    if not hasattr(node, "pos_args"):  # a constant of a dict that Hyperopt has not looked at
        _put(found, name, Fixed(node), when)
    elif node.name == "literal":
        _put(found, name, Fixed(node.obj), when)
    elif node.name in CASTS:
        _walk(node.pos_args[0], name, when, found, whole or node.name == "int")
    elif node.name in HOLDERS:
        for key, child in _parts(node):
            _walk(child, key if isinstance(key, str) else f"{name}.{key}", when, found)
    elif node.name == "switch":
        _choice(node, when, found)
    elif node.name == "hyperopt_param":
        label, drawn = node.pos_args[0].obj, node.pos_args[1]
        _put(found, str(label), _domain(str(label), drawn, whole), when)
    else:
        raise DataError(
            f"{name} is computed by {node.name!r}; expected parameters of hp alone, and what is computed in the training"
        )


def _parts(node: Any) -> list[tuple[Any, Any]]:
    return [*enumerate(node.pos_args), *node.named_args]


def _put(found: dict[str, Domain], name: str, domain: Domain, when: Condition | None) -> None:
    """One parameter; the same one in several options of a choice holds under all of them."""
    known = found.get(name)
    if known is None:
        found[name] = domain.under(when)
        return
    same = known.under(None)
    if same != domain or known.when is None or when is None or known.when[0] != when[0]:
        raise DataError(f"{name} stands in several options as {known} and {domain}; give each its own label")
    if not meets(known.when, when[1]):
        before = known.when[1] if isinstance(known.when[1], tuple) else (known.when[1],)
        merged = (when[0], (*before, when[1]))
        found[name] = domain.under(merged)


def _choice(node: Any, when: Condition | None, found: dict[str, Domain]) -> None:
    """A choice and, under each of its options, what stands there."""
    label, options = str(_label(node.pos_args[0])), node.pos_args[1:]
    names = _names(options)
    _put(found, label, Choice(names), when)
    for value, option in zip(names, options, strict=True):
        if option.name == "literal":
            continue
        for key, child in _parts(option) if option.name in HOLDERS else [(label, option)]:
            if getattr(child, "name", "") == "literal" and child.obj == value and isinstance(value, str):
                continue  # that is what the option is called
            _walk(child, key if isinstance(key, str) else f"{label}.{value}.{key}", (label, value), found)


def _label(node: Any) -> Any:
    while node.name in CASTS:
        node = node.pos_args[0]
    if node.name != "hyperopt_param":
        raise DataError(f"a switch on {node.name!r}; expected hp.choice or hp.pchoice")
    return node.pos_args[0].obj


def _names(options: Sequence[Any]) -> list[Any]:
    """What the options are called: their values, a text in each that is its own, or their numbers."""
    if all(option.name == "literal" for option in options):
        return [option.obj for option in options]
    texts = [_text(option) for option in options]
    return texts if None not in texts and len(set(texts)) == len(texts) else list(range(len(options)))


def _text(option: Any) -> Any:
    if option.name == "literal":
        return option.obj
    texts = [child.obj for _, child in _parts(option) if child.name == "literal" and isinstance(child.obj, str)]
    return texts[0] if len(texts) == 1 else None


def _domain(label: str, node: Any, whole: bool) -> Domain:
    """The domain of one `hp.…`."""
    kind = node.name
    values = [_number(label, child) for child in [*node.pos_args, *(child for _, child in node.named_args)]]
    if kind == "randint":
        low, high = (0, values[0]) if len(values) == 1 else values[:2]
        return _stepped(low, high - 1, 1, whole=True)
    if kind in ("uniform", "loguniform"):
        low, high = values if kind == "uniform" else map(math.exp, values)
        return Real(low, high, log=kind == "loguniform")
    if kind in ("quniform", "qloguniform"):
        low, high, step = values
        if kind == "quniform":
            return _stepped(round(low / step) * step, round(high / step) * step, step, whole)
        low, high = (max(step, round(math.exp(end) / step) * step) for end in (low, high))  # 0 is on no log scale
        return _stepped(low, high, step, whole, log=True)
    if kind in ("normal", "qnormal"):
        return Distributed("norm", tuple(values[:2]), step=values[2] if kind == "qnormal" else None)
    if kind in ("lognormal", "qlognormal"):
        scale = (("scale", math.exp(values[0])),)
        return Distributed("lognorm", (values[1],), scale, step=values[2] if kind == "qlognormal" else None)
    raise DataError(
        f"{label} is drawn by {kind!r}, which is not known; expected uniform, normal, randint, choice or their kin"
    )


def _number(label: str, node: Any) -> float:
    if getattr(node, "name", "") != "literal":
        raise DataError(f"an end of {label} is itself a parameter; expected numbers")
    return float(node.obj)


def _stepped(low: float, high: float, step: float, whole: bool, log: bool = False) -> Domain:
    if low == high:
        return Fixed(int(low) if whole else low)
    if whole and all(float(one).is_integer() for one in (low, high, step)):
        return Int(int(low), int(high), log, step=int(step))
    return Real(low, high, log, step=step)

"""Constraints over a configuration: an expression in the parameters' names, or a function.

An expression may compare and compute, with the functions abs, min, max, log and sqrt; it runs nothing else. A parameter that is not in
force leaves the constraint open: it is met.
"""

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunesmith.records import DataError, did_you_mean

FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max, "log": math.log, "sqrt": math.sqrt}
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


class Constraint:
    """Says of a configuration whether it may be tried.

    >>> narrow = constraint_of("depth * width <= 256", ["depth", "width"])
    >>> narrow({"depth": 2, "width": 128}), narrow({"depth": 3, "width": 128})
    (True, False)
    """

    def __init__(
        self, said: str, test: Callable[[Mapping[str, Any]], bool], is_text: bool, names: tuple[str, ...] = ()
    ) -> None:
        self._said, self._test, self._is_text, self._names = said, test, is_text, names

    def __reduce__(self) -> tuple[Any, ...]:
        """An expression is read again, for what it made cannot be sent to another process."""
        if self._is_text:
            return constraint_of, (self._said, self._names)
        return super().__reduce__()  # type: ignore[return-value]

    def __call__(self, config: Mapping[str, Any]) -> bool:
        return self._test(config)

    def __str__(self) -> str:
        return self._said

    def __repr__(self) -> str:
        return f"Constraint({self._said!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constraint) or self._is_text != other._is_text:
            return False
        return self._said == other._said if self._is_text else self._test is other._test

    def __hash__(self) -> int:
        return hash(self._said)

    def text(self) -> str:
        """The expression. Raises `DataError` for a function."""
        if not self._is_text:
            raise DataError(
                f"the constraint {self._said} is a function and cannot be written down; say it as an expression in quotes"
            )
        return self._said


def constraint_of(given: Any, names: Iterable[str]) -> Constraint:
    """A constraint of an expression or a function. Raises `DataError` for an expression that cannot be read or names nothing known."""
    if isinstance(given, Constraint):
        return given
    if callable(given):
        return Constraint(getattr(given, "__qualname__", repr(given)), lambda config: bool(given(dict(config))), False)
    if not isinstance(given, str):
        raise DataError(f"a constraint came as {given!r}; expected an expression such as 'depth * width <= 4096'")
    known = list(names)
    try:
        tree = ast.parse(_dotless(given, known), mode="eval").body
    except SyntaxError as error:
        raise DataError(f"the constraint {given!r} cannot be read: {error.msg}") from None
    back = {_plain_name(name): name for name in known}
    used = _check(tree, given, back)

    def test(config: Mapping[str, Any]) -> bool:
        if any(back[name] not in config for name in used):
            return True
        try:
            return bool(_value(tree, config, back))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise DataError(f"the constraint {given!r} fails on {dict(config)}: {error}") from None

    return Constraint(given, test, True, tuple(known))


def _plain_name(name: str) -> str:
    """A name that Python can read: what is no letter, digit or underscore by its number.

    >>> _plain_name("optim.lr")
    'optim__2e__lr'
    """
    spelt = re.sub(r"\W", lambda found: f"__{ord(found.group()):x}__", name)
    return spelt if spelt.isidentifier() and not keyword.iskeyword(spelt) else f"name__{spelt}"


def _dotless(text: str, names: list[str]) -> str:
    """Names of recipe fields hold dots, which Python would read as attributes."""
    for name in sorted(names, key=len, reverse=True):
        if _plain_name(name) != name:
            text = text.replace(name, _plain_name(name))
    return text


def _check(tree: ast.AST, text: str, known: Mapping[str, str]) -> set[str]:
    """The names used. Raises `DataError` for what an expression may not hold."""
    used: set[str] = set()
    allowed = (
        ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Compare, ast.Call, ast.Name,
        ast.Load, ast.Constant, ast.Tuple, ast.List, *BINARY, *COMPARE,
    )  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            raise DataError(f"the constraint {text!r} holds {type(node).__name__}; expected comparisons and arithmetic")
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
            raise DataError(f"the constraint {text!r} calls something; known: {', '.join(sorted(FUNCTIONS))}")
        if isinstance(node, ast.Name) and node.id not in FUNCTIONS:
            if node.id not in known:
                raise DataError(f"the constraint {text!r} names {node.id!r}{did_you_mean(node.id, known.values())}")
            used.add(node.id)
    return used


def _value(node: ast.AST, config: Mapping[str, Any], back: Mapping[str, str]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return config[back[name]]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(_value(part, config, back) for part in parts)
        case ast.UnaryOp(op=sign, operand=inner):
            value = _value(inner, config, back)
            return not value if isinstance(sign, ast.Not) else -value
        case ast.BinOp(left=left, op=sign, right=right):
            return BINARY[type(sign)](_value(left, config, back), _value(right, config, back))
        case ast.BoolOp(op=sign, values=parts):
            joined = all if isinstance(sign, ast.And) else any
            return joined(_value(part, config, back) for part in parts)
        case ast.Call(func=ast.Name(id=name), args=parts):
            return FUNCTIONS[name](*(_value(part, config, back) for part in parts))
        case ast.Compare(left=first, ops=signs, comparators=others):
            values = [_value(part, config, back) for part in (first, *others)]
            pairs = zip(signs, values[:-1], values[1:], strict=True)
            return all(COMPARE[type(sign)](one, other) for sign, one, other in pairs)
        case _:
            raise DataError(f"{type(node).__name__} in a constraint; expected comparisons and arithmetic")

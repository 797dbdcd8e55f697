"""Source code looked into: where a name comes from, what a piece of code needs, and its text with names replaced."""

import ast
import builtins
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import resolve_name
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from tunesmith.records import Catalog
from tunesmith.training.exporting.expressions import NoSource

KEPT = sys.stdlib_module_names | {"torch", "numpy"}  # imported by what is written; code of anything else is taken along


class Scope(NamedTuple):
    """What the names of a piece of code mean: around it, in its module, and that module."""

    around: Mapping[str, Any]
    globals: Mapping[str, Any]
    home: ModuleType | None

    def find(self, name: str) -> tuple[bool, Any]:
        for names in (self.around, self.globals):
            if name in names:
                return True, names[name]
        return False, None


class Edit(NamedTuple):
    """A stretch of text to be replaced. Lines count from 1, places in a line are bytes of UTF-8, as `ast` has them."""

    line: int
    start: int
    end_line: int
    end: int
    text: str


class Import(NamedTuple):
    """The statement that binds a name, and the same with `as`, to be followed by another name."""

    line: str
    renamed: str


@cache
def source_of(defined: Any) -> tuple[list[str], ast.stmt]:
    """The lines of a class or function, and its tree. Raises `NoSource` where Python does not know them."""
    try:
        text = textwrap.dedent(inspect.getsource(defined))
        return text.splitlines(), ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise NoSource(f"the source of {defined.__qualname__} cannot be found") from error


def scope_of(defined: Any) -> Scope:
    """The scope of a function, or of the functions of a class."""
    functions = [defined] if isinstance(defined, FunctionType) else list(_functions(defined))
    around: dict[str, Any] = {}
    for function in functions:
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        around |= {name: cell.cell_contents for name, cell in cells if name != "__class__"}
    home = sys.modules.get(defined.__module__)
    known = functions[0].__globals__ if functions else vars(home) if home is not None else {}
    return Scope(around, known, home)


def _functions(cls: type) -> Iterator[FunctionType]:
    for value in vars(cls).values():
        held: Any = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        value = inspect.unwrap(held) if callable(held) else held
        if isinstance(value, FunctionType) and value.__module__ == cls.__module__:
            yield value


def is_builtin(name: str) -> bool:
    return hasattr(builtins, name)


def root(module: str) -> str:
    return module.partition(".")[0]


def import_of(name: str, value: Any) -> Import | None:
    """How torch or Python's own library gives `value`; None for what is somebody's own."""
    if isinstance(value, ModuleType):
        return import_of_module(name, value)
    for public in (torch, nn, nn.functional):
        if getattr(public, name, None) is value and callable(value):
            return _from(public.__name__, name, name)
    module = getattr(value, "__module__", None)
    called = getattr(value, "__qualname__", None) or getattr(value, "_name", None)
    if not isinstance(module, str) or not isinstance(called, str) or root(module) not in KEPT:
        return None
    return _from(module, called, name) if getattr(sys.modules.get(module), called, None) is value else None


def _from(module: str, called: str, name: str) -> Import:
    line = f"from {module} import {called}"
    return Import(line if called == name else f"{line} as {name}", f"{line} as ")


def import_of_module(name: str, module: ModuleType) -> Import:
    above, _, last = module.__name__.rpartition(".")
    if module.__name__ == name:
        return Import(f"import {name}", f"import {name} as ")
    if last == name:
        return _from(above, last, name)
    return Import(f"import {module.__name__} as {name}", f"import {module.__name__} as ")


class Bound(NamedTuple):
    """The statement at the top of a module that gives a name its value, and that module."""

    home: ModuleType
    lines: list[str]
    node: ast.Assign | ast.AnnAssign


def assignment(home: ModuleType, name: str) -> Bound | None:
    """Where a name gets its value, followed through imports; None where no source says it."""
    try:
        lines, tree = _module_source(home)
    except (OSError, TypeError, SyntaxError):
        return None
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=found)]) | ast.AnnAssign(target=ast.Name(id=found), value=ast.expr())
            ) if found == name:
                return Bound(home, lines, node)
            case ast.ImportFrom():
                called = next((alias.name for alias in node.names if (alias.asname or alias.name) == name), None)
                there = sys.modules.get(_imported_from(node, home)) if called is not None else None
                if called is not None and there is not None:
                    return assignment(there, called)
    return None


def _imported_from(node: ast.ImportFrom, home: ModuleType) -> str:
    module = node.module or ""
    return resolve_name("." * node.level + module, home.__package__) if node.level else module


@cache
def _module_source(home: ModuleType) -> tuple[list[str], ast.Module]:
    text = inspect.getsource(home)
    return text.splitlines(), ast.parse(text)


def says(written: ast.expr | None, value: Any) -> bool:
    """Whether an expression is a literal of this very value."""
    try:
        said = ast.literal_eval(written or "")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return type(said) is type(value) and bool(said == value)


def local_names(node: ast.stmt) -> set[str]:
    """Names that the code itself binds: arguments, variables, functions inside."""
    found: set[str] = set()
    for part in ast.walk(node):
        match part:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if part is not node:
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or root(name))
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
    return found


def attributes(node: ast.stmt) -> list[ast.Attribute]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Attribute)]


def asked_for(node: ast.stmt) -> set[str]:
    """Attributes named in words: `getattr(self, "scale")`."""
    found = set()
    for part in ast.walk(node):
        match part:
            case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]):
                found.add(name)
    return found


def registrations(node: ast.stmt, scope: Scope) -> list[ast.expr]:
    """Decorators that put a member into one of our catalogues, which the code alone has no use for."""
    found: list[ast.expr] = []
    for decorator in getattr(node, "decorator_list", ()):
        match decorator:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add")) if isinstance(
                scope.find(name)[1], Catalog
            ):
                found.append(decorator)
    return found


def edited(lines: list[str], edits: list[Edit]) -> list[str]:
    """The lines with every edit made; the count of lines stays.

    >>> edited(["y = layers.positions(x)"], [Edit(1, 4, 1, 20, "positions")])
    ['y = positions(x)']
    """
    changed = [line.encode() for line in lines]
    for edit in sorted(edits, reverse=True):
        first, last = changed[edit.line - 1], changed[edit.end_line - 1]
        changed[edit.line - 1 : edit.end_line] = [first[: edit.start] + edit.text.encode() + last[edit.end :]] + [
            b""
        ] * (edit.end_line - edit.line)
    return [line.decode() for line in changed]

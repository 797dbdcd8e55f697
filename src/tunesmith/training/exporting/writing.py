"""A net as the text of one module that imports torch alone.

The classes of the net's own layers are taken from their source, but only what `forward` needs of them; their constructors
are written anew and take the finished parts, and `build()` puts the net together as it stands: layer by layer, with its
sizes. Functions and constants that the code names are taken along.
"""

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.training.exporting.expressions import (
    CONTAINERS,
    WIDTH,
    Call,
    NoSource,
    held_tensor,
    literal,
    torch_module,
)
from tunesmith.training.exporting.source import (
    KEPT,
    Edit,
    Scope,
    asked_for,
    assignment,
    attributes,
    edited,
    import_of,
    is_builtin,
    local_names,
    registrations,
    root,
    says,
    scope_of,
    source_of,
)

INSIDE = frozenset(vars(nn.Module()))  # what nn.Module itself keeps on an object


def module_text(model: nn.Module, title: str) -> str:
    """The text of a module whose `build()` gives the net, ready for its weights. Raises `NoSource`."""
    used = frozenset({"forward"})
    while True:  # until every method and attribute that kept code names is kept too
        text = _Text(used)
        built = text.module(model, "the net")
        if text.named <= used:
            return text.whole(built, title, sharing(model))
        used |= text.named


@dataclass
class _Class:
    """A class of the text. Its constructor is known once all its objects have been seen."""

    head: str
    members: list[str]
    simple: bool  # nn.Module alone is above it
    objects: list[list[str]] = field(default_factory=list)  # names of the parts of each

    def text(self) -> str:
        documented = (
            self.members[:1] if self.members and self.members[0].lstrip().startswith(('"""', "'''", 'r"""')) else []
        )
        members = [*documented, *([self._constructor()] if self.objects else []), *self.members[len(documented) :]]
        return "\n".join([self.head, "\n\n".join(members) or "    pass"])

    def _constructor(self) -> str:
        names = dict.fromkeys(name for parts in self.objects for name in parts)
        above = "super().__init__()" if self.simple else "nn.Module.__init__(self)"
        if not all(name.isidentifier() for name in names):
            loop = "        for name, part in parts.items():\n            setattr(self, name, part)"
            return f"    def __init__(self, **parts) -> None:\n        {above}\n{loop}"
        given = ["self", *(["*"] if names else [])]
        given += [name if all(name in parts for parts in self.objects) else f"{name}=None" for name in names]
        opening = f"    def __init__({', '.join(given)}) -> None:"
        if len(opening) > WIDTH:
            filled = textwrap.fill(", ".join(given), WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
            opening = f"    def __init__(\n{filled}\n    ) -> None:"
        return "\n".join([opening, f"        {above}", *(f"        self.{name} = {name}" for name in names)])


class _Text:
    """The text as it grows: imports, and definitions in the order in which they are needed."""

    def __init__(self, used: frozenset[str]) -> None:
        self.used = used
        self.named: frozenset[str] = frozenset()  # attributes that kept code reads
        self.imports: dict[str, str] = {}  # by the name they bind
        self.pieces: list[str | _Class] = []
        self.names: dict[Any, str] = {}  # of what was taken along
        self.classes: dict[type, _Class] = {}
        self.unknown = False  # a name that is not there at run time: one of an annotation

    def whole(self, built: Call, title: str, shared: list[str]) -> str:
        future = ["from __future__ import annotations\n"] if self.unknown else []
        imports = sorted(
            set(self.imports.values()),
            key=lambda line: (line.split()[1].startswith("torch"), line.startswith("from"), line),
        )
        opening = 'def build() -> nn.Module:\n    """The network, to be filled with its weights."""\n'
        if shared:
            build = "\n    ".join([f"{opening}    net = {built.text(4, 10)}", *shared, "return net"])
        else:
            build = f"{opening}    return {built.text(4, 11)}"
        pieces = [piece if isinstance(piece, str) else piece.text() for piece in self.pieces]
        return f'"""{title}"""\n\n' + "\n".join([*future, *imports]) + "\n\n\n" + "\n\n\n".join([*pieces, build]) + "\n"

    # objects

    def module(self, module: Any, where: str) -> Call:
        """The expression that makes a module or a parameter."""
        self.refer("nn", nn)
        if module is None or isinstance(module, Tensor):
            return Call("None" if module is None else held_tensor(module, self.refer), (), "")
        try:
            refuse_changed(module)
            if root(type(module).__module__) == "torch":
                return torch_module(module, self.refer, lambda name, inner: self.module(inner, f"{where}.{name}"))
            return self._of_own(module, where)
        except NoSource as error:
            raise (
                error
                if error.placed
                else NoSource(f"{where} ({type(module).__name__}) cannot be written as code: {error}", placed=True)
            ) from error

    def _of_own(self, module: nn.Module, where: str) -> Call:
        """A layer of somebody's own: its class, given its finished parts."""
        parts: dict[str, Call | str] = {
            name: self.module(value, f"{where}.{name}") for name, value in state_of(module).items()
        }
        for name in plain_names(module, self.used):
            value = getattr(module, name)
            parts[name] = (
                held_tensor(value.detach(), self.refer) if isinstance(value, Tensor) else literal(value, self.refer)
            )
        name = self._class(type(module))
        self.classes[type(module)].objects.append(list(parts))
        if all(part.isidentifier() for part in parts):
            return Call(f"{name}(", [(f"{part}=", item) for part, item in parts.items()])
        return Call(f"{name}(**{{", [(f"{part!r}: ", item) for part, item in parts.items()], "})")

    # definitions

    def refer(self, name: str, value: Any, home: ModuleType | None = None) -> str:
        """How the text names a module, class, function or constant; it is imported or taken along."""
        found = import_of(name, value)
        if found is not None:
            return self._imported(name, *found)
        key = value if isinstance(value, type | FunctionType) else (getattr(home, "__name__", ""), name)
        if key in self.names:
            return self.names[key]
        if isinstance(value, type):
            return self._class(value)
        return self._function(value) if isinstance(value, FunctionType) else self._constant(name, value, home, key)

    def _imported(self, name: str, line: str, renamed: str) -> str:
        bound = name if self.imports.get(name, line) == line and name not in self.names.values() else self._free(name)
        self.imports[bound] = line if bound == name else renamed + bound
        return bound

    def _free(self, name: str) -> str:
        taken = {*self.names.values(), *self.imports, "build"}
        return next(free for free in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if free not in taken)

    def _function(self, function: FunctionType) -> str:
        if function.__name__ == "<lambda>":
            raise NoSource("a lambda has no definition to take along; write it with def")
        lines, tree = source_of(function)
        if not isinstance(tree, ast.FunctionDef):
            raise NoSource(f"the source of {function.__qualname__} is no function definition")
        name = self.names[function] = self._free(function.__name__)
        text = self._written(tree, lines, scope_of(function))
        self.pieces.append(text.replace(f"def {function.__name__}(", f"def {name}(", 1))
        return name

    def _class(self, cls: type) -> str:
        if cls in self.names:
            return self.names[cls]
        lines, tree = source_of(cls)
        if not isinstance(tree, ast.ClassDef):
            raise NoSource(f"the source of {cls.__qualname__} is no class definition")
        name = self.names[cls] = self._free(cls.__name__)
        above = [
            base for base in cls.__bases__ if base is not object and root(base.__module__) not in ("typing", "abc")
        ]
        bases = [
            f"{self.refer('nn', nn)}.Module" if base is nn.Module else self.refer(base.__name__, base) for base in above
        ]
        scope = scope_of(cls)
        whole = issubclass(cls, torch.autograd.Function)  # torch itself calls its methods
        members = [
            self._written(node, lines, scope)
            for place, node in enumerate(tree.body)
            if whole or self._kept(node, place)
        ]
        head = f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
        piece = _Class(head, [textwrap.indent(member, "    ") for member in members], above == [nn.Module])
        self.classes[cls] = piece
        self.pieces.append(piece)
        return name

    def _kept(self, node: ast.stmt, place: int) -> bool:
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                return place == 0
            case ast.FunctionDef(name=name) if name != "__init__":
                return name in self.used or name == "__call__"
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                return name in self.used
        return False

    def _constant(self, name: str, value: Any, home: ModuleType | None, key: Any) -> str:
        """A name bound at the top of a module: its statement, where that is plain, else its value, else what makes it."""
        found = assignment(home, name) if home is not None else None
        if found is not None and says(found.node.value, value):
            text = "\n".join(found.lines[found.node.lineno - 1 : found.node.end_lineno])
        else:
            try:
                text = f"{name} = {literal(value, self.refer)}"
            except NoSource:
                if found is None or isinstance(value, nn.Module | Tensor):
                    raise
                text = self._written(found.node, found.lines, Scope({}, vars(found.home), found.home))
        free = self.names[key] = self._free(name)
        self.pieces.append(text.replace(name, free, 1))
        return free

    # code

    def _written(self, node: ast.stmt, lines: list[str], scope: Scope) -> str:
        """The source of a statement, in which the names of what was taken along are replaced."""
        reads = attributes(node)
        self.named |= {read.attr for read in reads} | asked_for(node)
        dropped = registrations(node, scope)
        skipped = {id(part) for decorator in dropped for part in ast.walk(decorator)}
        local = local_names(node)
        above = {id(read.value): read for read in reads}
        names = [
            part
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and part.id not in local and id(part) not in skipped
        ]
        changed = edited(lines, [edit for part in names for edit in self._edits(part, above, scope)])
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
        gone = {line for decorator in dropped for line in range(decorator.lineno, (decorator.end_lineno or 0) + 1)}
        return textwrap.dedent(
            "\n".join(changed[line - 1] for line in range(first, (node.end_lineno or first) + 1) if line not in gone)
        )

    def _edits(self, part: ast.Name, above: dict[int, ast.Attribute], scope: Scope) -> Iterator[Edit]:
        found, value = scope.find(part.id)
        if not found:
            self.named |= {part.id}  # an attribute of the class around, where it is no builtin
            self.unknown = self.unknown or not is_builtin(part.id)
            return
        node: ast.Name | ast.Attribute = part
        name, home = part.id, scope.home
        while isinstance(value, ModuleType) and root(value.__name__) not in KEPT and id(node) in above:
            node = above[id(node)]
            name, home, value = node.attr, value, getattr(value, node.attr)
        written = self.refer(name, value, home)
        if node is not part or written != part.id:
            yield Edit(node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0, written)


def refuse_changed(module: nn.Module) -> None:
    """Raises `NoSource` for a module whose class does not tell what it computes."""
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        raise NoSource("it is a compiled or traced module; pass the module it was made from")
    if hasattr(module, "parametrizations"):
        raise NoSource(
            "it is parametrised; make that permanent with torch.nn.utils.parametrize.remove_parametrizations"
        )
    if module._forward_hooks or module._forward_pre_hooks:
        raise NoSource("it has forward hooks, which are no part of its class; remove them, or write them into forward")
    if "forward" in vars(module):
        raise NoSource("its forward was replaced on the object; write it into the class")


def state_of(module: nn.Module) -> dict[str, Any]:
    """Modules, parameters and buffers of a module, in this order."""
    return {**module._modules, **module._parameters, **module._buffers}


def plain_names(module: nn.Module, used: frozenset[str]) -> list[str]:
    """Attributes that the code reads; those of a layer of torch below a class of somebody's own are all taken."""
    below_torch = any(
        root(base.__module__) == "torch" and base is not nn.Module and base not in CONTAINERS
        for base in type(module).__mro__
    )
    own = [name for name in vars(module) if name not in INSIDE]
    return own if below_torch else [name for name in own if name in used]


def sharing(model: nn.Module) -> list[str]:
    """Statements that make one of what is one in the model: modules used in two places, tied weights."""
    seen: dict[int, str] = {}
    found: list[str] = []
    again: list[str] = []
    for name, module in model.named_modules(remove_duplicate=False):
        first = seen.setdefault(id(module), name)
        if first != name and not _inside(name, again) and next(iter(module.state_dict()), None) is not None:
            again.append(name)
            found.append(_made_one(name, f'net.get_submodule("{first}")'))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first = seen.setdefault(id(parameter), name)
        if first != name and not _inside(name, again):
            found.append(_made_one(name, f'net.get_parameter("{first}")'))
    return found


def _inside(name: str, places: list[str]) -> bool:
    return any(name.startswith(place + ".") for place in places)


def _made_one(name: str, value: str) -> str:
    above, _, last = name.rpartition(".")
    owner = f'net.get_submodule("{above}")' if above else "net"
    return f"{owner}.{last} = {value}" if last.isidentifier() else f'setattr({owner}, "{last}", {value})'

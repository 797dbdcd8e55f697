"""Follows every operation of one pass, forward and backward, and notes where a number that is not finite is born.

An operation is a birth when its operands are finite and its result is not, or when it turns an infinity that was put there on purpose
(the fill of a mask) into NaN. Marks go from operand to result by storage, so that the births behind a loss or a gradient can be
told from those that came to nothing.
"""

import linecache
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

TORCH = os.path.dirname(torch.__file__)
HERE = os.path.dirname(__file__)

FILLS = (
    "full",
    "fill",
    "new_full",
    "full_like",
    "masked_fill",
    "scalar_tensor",
    "constant_pad_nd",
    "where",
    "index_fill",
    "lift_fresh",
)
BLANK = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "resize_")
# for numbers that are not finite, in a counterfactual: within the domain of log, root, arc sine and division; then of minus log
STAND_INS = (0.5, -0.5)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the program an operation was carried out."""

    module: str  # path in the model; "" is outside of it
    code: str = ""  # "file.py:12: the line"
    call: str = ""  # of the code: the function's name


@dataclass(frozen=True, slots=True)
class Operand:
    """What is kept of a float operand: the size of its finite numbers, and how many are 0, negative, or not finite."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    largest: float
    smallest: float
    zeros: int
    negative: int
    nans: int
    infinite: int
    maker: str = ""  # the operation that made it
    lowest: float = 0.0
    rows_void: int = 0  # slices along the last axis without any finite number


@dataclass(slots=True, kw_only=True)
class Birth:
    """One operation that gave the first number that is not finite."""

    index: int  # of the operation within the pass; -1 - n for a tensor that came in so
    op: str  # "log", "div"; "" for a tensor that came in so
    place: Place
    backward: bool = False
    node: str = ""  # in backward: the name of the autograd node
    operands: tuple[Operand, ...] = ()
    scalars: tuple[float, ...] = ()
    nans: int = 0
    infinite: int = 0
    of: int = 0  # numbers in the result
    shape: tuple[int, ...] = ()
    bad: Tensor | None = None  # (…) bool: where the result is not finite
    by_design: bool = False  # an infinity written on purpose
    after: frozenset[int] = frozenset()  # the births that it goes back to
    in_single: bool | None = None  # whether the operation alone stays finite in float32, in float64
    in_double: bool | None = None
    source: str = ""  # "input", "target", "weight", "buffer", "constant" for a tensor that came in so
    name: str = ""  # of that tensor
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True, slots=True)
class _Forward:
    """The forward operation behind an autograd node."""

    op: str
    place: Place
    operands: tuple[Any, ...] = ()


def floats(tree: Any) -> list[Tensor]:
    """The floating-point tensors of a tree of tuples, lists, dicts, dataclasses."""
    found: list[Tensor] = []
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor):
            if (leaf.is_floating_point() or leaf.is_complex()) and leaf.layout == torch.strided:
                found.append(leaf)
        elif hasattr(leaf, "__dataclass_fields__"):
            found += floats([getattr(leaf, name) for name in leaf.__dataclass_fields__])
    return found


def finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def key(values: Tensor) -> int:
    """Of the storage; two views of one storage have the same."""
    return int(values.untyped_storage()._cdata)


class Modules:
    """The stack of modules that a pass is in. A context manager: hooks on every module while it is open."""

    def __init__(self, model: nn.Module, front: str = "") -> None:
        self.root = front or type(model).__name__
        self._names = {module: name or self.root for name, module in model.named_modules(prefix=front)}
        self._stack: list[str] = []
        self._handles: list[Any] = []

    @property
    def here(self) -> str:
        return self._stack[-1] if self._stack else ""

    def __enter__(self) -> "Modules":
        for module in self._names:
            self._handles.append(module.register_forward_pre_hook(self._enter))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._stack.clear()

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._stack.append(self._names[module])

    def _leave(self, module: nn.Module, _: Any, __: Any) -> None:
        if self._stack and self._stack[-1] == self._names[module]:
            self._stack.pop()


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation while it is open. `patched` holds births whose numbers are made finite, to see what follows without them."""

    def __init__(self, modules: Modules, patched: Iterable[int] = (), stand_in: float = STAND_INS[0]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.modules = modules
        self.stand_in = stand_in
        self.patched = frozenset(patched)
        self.births: dict[int, Birth] = {}
        self.count = 0
        self._marks: dict[int, frozenset[int]] = {}
        self._makers: dict[int, str] = {}
        self._known: set[int] = set()
        self._forward: dict[int, _Forward] = {}
        self._kept: list[Tensor] = []  # what came in stays alive, so that no other storage takes its key

    def source(self, kind: str, named: Iterable[tuple[str, Tensor]]) -> None:
        """Tensors that come in: weights, buffers, inputs, target."""
        for name, values in named:
            self._kept.append(values)
            self._known.add(key(values))
            if not finite(values):
                self._born_so(kind, name, values)

    def behind(self, tensors: Iterable[Tensor]) -> list[Birth]:
        """The births that the tensors go back to, the first one first."""
        marks = frozenset[int]().union(*(self._marks.get(key(one), frozenset()) for one in tensors if not finite(one)))
        return [self.births[one] for one in sorted(marks, key=lambda index: (index >= 0, abs(index)))]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch.no_grad():
            return self._carried_out(func, args, kwargs)

    def _carried_out(self, func: Any, args: Any, kwargs: Any) -> Any:
        index = self.count
        self.count += 1
        op = func.overloadpacket.__name__ if hasattr(func, "overloadpacket") else str(func)
        given = floats((args, kwargs))
        for one in given:
            self._first_seen(one)
        mutable = _mutated(func, args, kwargs)
        before = {id(one): one.clone() for one in mutable}
        node = torch._C._current_autograd_node()
        if node is None and _sequence() > 0:
            self._noted(op, given)
        result = func(*args, **kwargs)
        made = floats(result)
        made += [one for one in mutable if not any(one is other for other in made)]
        views = bool(given) and all(any(key(one) == key(other) for other in given) for one in made) and not mutable
        if op in BLANK or not made:
            for one in made:
                self._marks.pop(key(one), None)
                self._known.add(key(one))
            return result
        if views:
            return result
        bad = [one for one in made if not finite(one)]
        if bad:
            self._marked(index, op, func, args, kwargs, given, before, made, bad, node)
        for one in made:
            self._known.add(key(one))
            self._makers[key(one)] = op
            if (
                not any(one is other for other in bad)
                and one.untyped_storage().nbytes() <= one.numel() * one.element_size()
            ):
                self._marks.pop(key(one), None)
        if index in self.patched:
            for one in bad:
                one.copy_(mended(one, self.stand_in))
                self._marks.pop(key(one), None)
        return result

    def _first_seen(self, values: Tensor) -> None:
        if key(values) in self._known:
            return
        self._known.add(key(values))
        self._kept.append(values)
        if not finite(values):
            self._born_so("constant", "", values)

    def _born_so(self, kind: str, name: str, values: Tensor) -> None:
        index = -1 - sum(one < 0 for one in self.births)
        nans = int(torch.isnan(values).sum())
        bad = ~torch.isfinite(values)
        place = Place(self.modules.here, *_code())
        self.births[index] = Birth(
            index=index,
            op="",
            place=place,
            nans=nans,
            infinite=int(bad.sum()) - nans,
            of=values.numel(),
            shape=tuple(values.shape),
            bad=bad,
            by_design=kind in ("constant", "buffer") and nans == 0,
            source=kind,
            name=name,
            dtype=values.dtype,
            operands=(_operand(values, ""),),
        )
        self._marks[key(values)] = frozenset({index})

    def _noted(self, op: str, given: list[Tensor]) -> None:
        number = _sequence() - 1
        if number not in self._forward or self._forward[number].op in ("detach", "view", "t", "expand"):
            self._forward[number] = _Forward(op, Place(self.modules.here, *_code()))

    def _marked(
        self,
        index: int,
        op: str,
        func: Any,
        args: Any,
        kwargs: Any,
        given: list[Tensor],
        before: Mapping[int, Tensor],
        made: list[Tensor],
        bad: list[Tensor],
        node: Any,
    ) -> None:
        was = [before.get(id(one), one) for one in given]
        sick = [(now, old) for now, old in zip(given, was, strict=True) if not finite(old)]
        marks = frozenset[int]()
        for now, _ in sick:
            marks |= self._marks.get(key(now), frozenset())
        fresh = not sick or not marks
        turned = False
        if not fresh and all(self.births[one].by_design for one in marks):
            turned = any(bool(torch.isnan(one).any()) for one in bad) and not any(
                bool(torch.isnan(old).any()) for _, old in sick
            )
        if fresh or turned:
            self.births[index] = self._birth(index, op, func, args, kwargs, was, bad, node, marks, before, given)
            marks = frozenset({index})
        for one in bad:
            covers = one.untyped_storage().nbytes() <= one.numel() * one.element_size()
            self._marks[key(one)] = marks if covers else marks | self._marks.get(key(one), frozenset())

    def _birth(
        self,
        index: int,
        op: str,
        func: Any,
        args: Any,
        kwargs: Any,
        was: list[Tensor],
        bad: list[Tensor],
        node: Any,
        after: frozenset[int],
        before: Mapping[int, Tensor],
        given: list[Tensor],
    ) -> Birth:
        first = bad[0]
        nans, wrong = int(torch.isnan(first).sum()), ~torch.isfinite(first)
        scalars = tuple(
            float(one)
            for one in tree_leaves((args, kwargs))
            if isinstance(one, float | int) and not isinstance(one, bool)
        )
        place, name = Place(self.modules.here, *_code()), ""
        if node is not None:
            name = node.name()
            known = self._forward.get(node._sequence_nr())
            if known is not None:
                own = place if place.code else Place(known.place.module, known.place.code, known.place.call)
                place = Place(known.place.module, own.code, own.call)
        operands = tuple(_operand(old, self._makers.get(key(now), "")) for now, old in zip(given, was, strict=True))
        fills = op.rstrip("_") in FILLS and nans == 0 and not any(one.nans or one.infinite for one in operands)
        single, double = (
            _again(func, args, kwargs, before, torch.float32),
            _again(func, args, kwargs, before, torch.float64),
        )
        return Birth(
            index=index,
            op=op,
            place=place,
            backward=node is not None,
            node=name,
            operands=operands,
            scalars=scalars,
            nans=nans,
            infinite=int(wrong.sum()) - nans,
            of=first.numel(),
            shape=tuple(first.shape),
            bad=wrong,
            by_design=fills,
            after=after,
            in_single=single,
            in_double=double,
            dtype=first.dtype,
        )


def _operand(values: Tensor, maker: str) -> Operand:
    flat = values.detach()
    if flat.is_complex():
        flat = torch.view_as_real(flat)
    good = torch.isfinite(flat)
    size = torch.where(good, flat, torch.zeros_like(flat)).double().abs()
    nonzero = size[size > 0]
    void = int((~good).all(-1).sum()) if flat.dim() else 0
    signed = flat[good].double()
    return Operand(
        shape=tuple(values.shape),
        dtype=values.dtype,
        largest=float(size.max()) if size.numel() else 0.0,
        smallest=float(nonzero.min()) if nonzero.numel() else 0.0,
        zeros=int(((flat == 0) & good).sum()),
        negative=int((flat < 0).sum()),
        nans=int(torch.isnan(flat).sum()),
        infinite=int(torch.isinf(flat).sum()),
        maker=maker,
        lowest=float(signed.min()) if signed.numel() else 0.0,
        rows_void=void,
    )


def mended(values: Tensor, stand_in: float = STAND_INS[0]) -> Tensor:
    """The values with a small number wherever they are not finite."""
    return torch.where(torch.isfinite(values), values, torch.full_like(values, stand_in))


def _mutated(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The float tensors that an operation writes into."""
    schema = getattr(func, "_schema", None)
    if schema is not None and "batch_norm" in schema.name and "backward" not in schema.name:
        return floats(args[3:5])  # running statistics: written, though the schema does not say so
    if schema is None or not schema.is_mutable:
        return []
    found: list[Tensor] = []
    for place, about in enumerate(schema.arguments):
        if about.alias_info is not None and about.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(about.name)
            found += floats(value)
    return found


def _again(func: Any, args: Any, kwargs: Any, before: Mapping[int, Tensor], wide: torch.dtype) -> bool | None:
    """Whether the operation alone stays finite in a wider type; None where it cannot be carried out so."""

    def widened(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            old = before.get(id(leaf), leaf)
            return old.to(wide) if old.is_floating_point() else old.clone() if id(leaf) in before else old
        return wide if isinstance(leaf, torch.dtype) and leaf.is_floating_point else leaf

    if not any(one.is_floating_point() and one.dtype.itemsize < wide.itemsize for one in floats((args, kwargs))):
        target = [one for one in tree_leaves(kwargs) if isinstance(one, torch.dtype)]
        if not target or all(one.itemsize >= wide.itemsize for one in target):
            return None
    try:
        result = func(*tree_map(widened, args), **tree_map(widened, kwargs))
    except (RuntimeError, TypeError, NotImplementedError):  # the operation has no kernel for this type
        return None
    return all(finite(one) for one in floats(result))


def _sequence() -> int:
    """The number that the next node of autograd gets."""
    return int(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]


def _code() -> tuple[str, str]:
    """The line of the user's program that is being carried out, and its function; nothing where only ours or torch's are."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(HERE) and not file.startswith(TORCH) and not file.startswith("<frozen"):
            line = linecache.getline(file, frame.f_lineno).strip()
            return f"{os.path.basename(file)}:{frame.f_lineno}: {line}", frame.f_code.co_name
        if frame.f_code.co_name == "_pass" and file.startswith(HERE):
            return "", ""
        frame = frame.f_back  # type: ignore[assignment]
    return "", ""

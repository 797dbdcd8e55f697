"""How much memory a loop holds from update to update, and, once that is seen to grow, what holds it.

The amount is what the allocator of a device has given out, or the memory of the process that is no file; reading it costs some
microseconds, and at most `SAMPLES` readings are kept. Only when it has grown steadily is the heap walked through, twice, some updates apart:
a container with more tensors than before, or a variable whose graph of autograd is longer than before, is the holder.
"""

import gc
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.records import Signal

SAMPLES = 64  # readings kept; then every second one is dropped, and half as many are taken
FEWEST = 16  # readings in the half of the run that is judged
RISE = 16 * 2**20  # bytes below which growth is not told from the habits of an allocator; assumption
STEADY = 0.95  # of all pairs of readings the later one is higher; assumption
GOES_ON = (
    0.5  # the pace of the last half over that of the first; a cache that fills, or an allocator, slows down; assumption
)
APART = 8  # updates between the two walks through the heap
MANY = 8  # tensors in a container that are worth a look
LONGEST = 20000  # nodes of a graph that are counted
CONTAINERS = (list, dict, deque, set)
STATM = Path("/proc/self/statm")
GROUP = Path("/sys/fs/cgroup/memory.max")
HERE = os.path.dirname(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Something that holds more from update to update."""

    kind: str  # "graphs": tensors with their graph in a container; "tensors": without; "chain": a variable whose graph grows
    type: str  # of the container or tensor
    name: str  # of the variable or attribute, "" where nothing names it
    where: str  # "train() at loop.py:12", "Logger.losses"
    count: int  # tensors in it, or nodes of its graph
    added: float  # of these, per update
    bytes: int  # of the tensors themselves; what their graphs keep is not in it
    scalar: bool = False  # the tensors are single numbers, as losses are

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Growth:
    """A steady rise."""

    per_step: float  # bytes
    rise: float  # bytes over the readings judged
    steps: int  # updates between them
    held: float  # bytes at the last one


def held_bytes(device: torch.device) -> float | None:
    """What the run holds now: on a device its allocator's account, else the memory of the process that is no file."""
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    if not STATM.exists():
        return None
    fields = STATM.read_bytes().split()
    return float((int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE"))


def capacity(device: torch.device) -> float | None:
    """All the memory there is: of the device, or of the machine or what the process may have of it."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        whole = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return None
    allowed = GROUP.read_text().strip() if GROUP.exists() else "max"
    return min(whole, float(allowed)) if allowed.isdigit() else whole


def growth(steps: Any, values: Any) -> Growth | None:
    """A rise that is steady over the last half of the readings, and no slower there than before.

    >>> growth(range(64), [1e8 + 2e6 * step for step in range(64)]).per_step
    2000000.0
    >>> growth(range(64), [1e8] * 64) is None
    True
    """
    at, held = np.asarray(steps, float), np.asarray(values, float)
    half = len(at) // 2
    if half < FEWEST or at[-1] - at[half] <= 0:
        return None
    late = held[half:]
    rise = float(late[-1] - late[0])
    first, second = np.triu_indices(len(late), 1)
    between = late[second] - late[first]
    pace, before = rise / (at[-1] - at[half]), (held[half] - held[0]) / max(at[half] - at[0], 1.0)
    if rise < RISE or float(np.mean(between > 0)) < STEADY or pace < GOES_ON * before:
        return None
    slope = float(np.median(between / (at[half:][second] - at[half:][first])))
    return Growth(slope, rise, int(at[-1] - at[half]), float(held[-1]))


class MemoryWatch:
    """An onlooker of a watcher. What it finds stands in the facts of the run as `memory`."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._held: list[float] = []
        self._every, self._next = 1, 0
        self._first: dict[int, tuple[int, int]] | None = None  # the first walk: by holder, how much it held
        self._walked = 0
        self._done = False

    def __call__(self, moment: Any) -> Iterator[Signal]:
        if self._done or moment.step < self._next:
            return
        self._next = moment.step + self._every
        device = torch.device(str(moment.facts.get("device", "cpu")))
        now = held_bytes(device)
        if now is None:
            self._done = True
            return
        if self._first is not None:
            if moment.step - self._walked >= APART:
                self._second_walk(moment, device)
            return
        self._steps.append(moment.step)
        self._held.append(now)
        if device.type == "cuda":
            yield Signal(name="live_bytes", value=now, step=moment.step)
        if len(self._steps) % FEWEST == 0 and growth(self._steps, self._held) is not None:
            self._first = {one: size for one, size, _ in _candidates(sys._getframe(1))}
            self._walked, self._next = moment.step, moment.step + APART
        elif len(self._steps) >= SAMPLES:
            self._steps, self._held, self._every = self._steps[::2], self._held[::2], 2 * self._every

    def _second_walk(self, moment: Any, device: torch.device) -> None:
        self._done = True
        before, passed = self._first or {}, moment.step - self._walked
        grown = [
            (size[0] - before.get(one, (0, 0))[0], size, found)
            for one, size, found in _candidates(sys._getframe(2))
            if size[0] - before.get(one, (0, 0))[0] >= passed // 2
        ]
        seen = growth(self._steps, self._held)
        if seen is None:
            return
        whole = capacity(device)
        told: dict[str, Any] = {
            "bytes_per_step": seen.per_step,
            "rise": seen.rise,
            "steps": seen.steps,
            "held": seen.held,
            "device": device.type,
            "step": moment.step,
        }
        if whole is not None:
            told |= {"capacity": whole, "steps_left": max(0.0, (whole - seen.held) / seen.per_step)}
        if device.type == "cuda":
            told["reserved"] = float(torch.cuda.memory_reserved(device))
        if grown:
            added, size, found = max(grown, key=lambda one: (one[2].graphs, one[1][1], one[0]))
            told["holder"] = found.holder(added / passed, size).as_dict()
        moment.facts["memory"] = told


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A container with tensors, or a variable with a graph."""

    thing: Any
    frame: FrameType
    name: str = ""
    where: str = ""
    graphs: int = 0  # tensors in it that have a graph

    def holder(self, added: float, size: tuple[int, int]) -> Holder:
        name, where = (self.name, self.where) if self.name else _named(self.thing, self.frame)
        chain = isinstance(self.thing, Tensor)
        inside = [self.thing] if chain else list(_tensors(self.thing))
        return Holder(
            kind="chain" if chain else "graphs" if self.graphs * 2 >= len(inside) else "tensors",
            type=type(self.thing).__name__,
            name=name,
            where=where,
            count=size[0],
            added=added,
            bytes=sum(one.numel() * one.element_size() for one in inside),
            scalar=all(one.numel() == 1 for one in inside),
        )


def _candidates(frame: FrameType) -> Iterator[tuple[int, tuple[int, int], _Candidate]]:
    """By identity: how much it holds (count, bytes), and the thing."""
    ours = {id(one.f_locals) for one in _frames(frame)}
    for thing in gc.get_objects():
        if type(thing) in CONTAINERS and len(thing) >= MANY and id(thing) not in ours and _may_hold(thing):
            inside = list(_tensors(thing))
            if len(inside) >= MANY and not any(isinstance(one, torch.nn.Parameter) for one in inside):
                graphs = sum(one.grad_fn is not None for one in inside)
                size = (len(inside), sum(one.numel() * one.element_size() for one in inside))
                yield id(thing), size, _Candidate(thing, frame, graphs=graphs)
    for one in _frames(frame):
        scope = f"{one.f_code.co_name}() at {os.path.basename(one.f_code.co_filename)}:{one.f_lineno}"
        for name, value in list(one.f_locals.items()):
            if isinstance(value, Tensor) and value.grad_fn is not None:
                # by name: the variable is another tensor after each update
                yield hash((one.f_code, name)), (nodes(value), 0), _Candidate(value, one, name, scope, graphs=1)


def holder_of_graphs(frame: FrameType | None, fewest: int) -> dict[str, Any] | None:
    """What holds at least `fewest` graphs of autograd, or the longest; seen from the user's functions above `frame`. One walk through the heap."""
    if frame is None:
        return None
    found = [(size, one) for _, size, one in _candidates(frame) if one.graphs and size[0] >= fewest]
    if not found:
        return None
    size, best = max(found, key=lambda each: (each[1].graphs, each[0]))
    return best.holder(0.0, size).as_dict()


def nodes(values: Tensor) -> int:
    """Nodes of the graph behind a tensor, counted to `LONGEST`."""
    waiting: list[Any] = [values.grad_fn]
    seen: set[Any] = set()
    while waiting and len(seen) < LONGEST:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(other for other, _ in node.next_functions)
    return len(seen)


def _may_hold(thing: Any) -> bool:
    """Whether its first or last entry is a tensor, or a few together."""
    values = thing.values() if isinstance(thing, dict) else thing
    last = next(reversed(values), None) if not isinstance(thing, set) else None
    return any(_is_tensor(one) or type(one) in (tuple, list) for one in (next(iter(values), None), last))


def _is_tensor(one: Any) -> bool:
    return issubclass(type(one), Tensor)  # by its type: asking some objects of torch for their class warns


def _tensors(thing: Any) -> Iterator[Tensor]:
    """Tensors in a container, also as parts of tuples or lists in it."""
    for one in list(thing.values()) if isinstance(thing, dict) else list(thing):
        if _is_tensor(one):
            yield one
        elif type(one) in (tuple, list) and len(one) <= MANY:
            yield from (each for each in one if _is_tensor(each))


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The user's functions that are being carried out."""
    inside = os.path.dirname(os.path.dirname(HERE))
    while frame is not None:
        if not frame.f_code.co_filename.startswith((inside, os.path.dirname(torch.__file__))):
            yield frame
        frame = frame.f_back


def _named(thing: Any, frame: FrameType) -> tuple[str, str]:
    """The name of a variable or attribute that is this thing, and where."""
    for one in _frames(frame):
        for name, value in list(one.f_locals.items()):
            if value is thing:
                return name, f"{one.f_code.co_name}() at {os.path.basename(one.f_code.co_filename)}:{one.f_lineno}"
    for holder in gc.get_referrers(thing):
        if isinstance(holder, dict):
            name = next((key for key, value in list(holder.items()) if value is thing and isinstance(key, str)), "")
            if name and "__name__" in holder:
                return name, f"module {holder['__name__']}"
            owner = next((one for one in gc.get_referrers(holder) if getattr(one, "__dict__", None) is holder), None)
            if name and owner is not None:
                return name, f"{type(owner).__name__}.{name}"
        elif not isinstance(holder, FrameType | list) and hasattr(holder, "__dict__"):
            name = next((key for key, value in vars(holder).items() if value is thing), "")
            if name:
                return name, f"{type(holder).__name__}.{name}"
    return "", ""

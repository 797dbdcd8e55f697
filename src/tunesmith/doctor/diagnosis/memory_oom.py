"""memory.oom: memory is exhausted, or grows from update to update.

Sees      in a watched run: memory that rises steadily (bytes an update, updates until it is full) and what holds it: a container with more
          tensors after each update, with or without their graph, or a variable whose graph of autograd grows (a sum of losses, a state that is
          carried over). In a run that ended for lack of memory: whether it was growing, reserved without being used, or too big at once.
          Graphs of autograd that outlive their updates are told however little memory they take so far.
Matters   the run ends hours later, or the machine begins to swap; a graph that is kept makes each update slower too.
Remedies  what holds it first: .item() or .detach() for losses, states and outputs. Too big at once, in this order: halve the micro-batch and
          double accumulation (the effective batch stays), lower precision, shorter sequences, activation checkpointing.
Limits    growth below 16 MB within the run is not told from the habits of an allocator, unless it is graphs that are kept; a cache that fills by
          design grows until it is full; what C++ alone holds has no name. On the processor the memory of the whole process is seen.
Source    vocabulary of memory.oom: slope of live tensors above 0. Order of remedies: the effective batch and the mathematics stay first.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

OUT_OF_MEMORY = ("OutOfMemoryError", "MemoryError")
SAID = ("out of memory", "can't allocate memory", "not enough memory", "defaultcpuallocator")
LEAKS: Mapping[str, tuple[str, ...]] = {
    "graphs": ("detach", "no_grad"),
    "chain_sum": ("item",),
    "chain_state": ("detach_state",),
    "tensors": ("to_host",),
    "": ("look_for_it",),
}
FRAGMENTED = 0.5  # memory that is reserved and not used, over what is; assumption
SIZES = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
TOLD = re.compile(r"([\d.]+) (KiB|MiB|GiB) is (allocated by PyTorch|reserved by PyTorch but unallocated)")
SOON = 2.0  # times the updates made so far: memory that lasts longer is no trouble of this run; assumption


@rule("memory.oom", needs=())
def memory_oom(history: History) -> Iterator[Finding]:
    grown, crash = _mapping(history.facts.get("memory")), _mapping(history.facts.get("crash"))
    died = crash.get("kind") in OUT_OF_MEMORY or any(word in str(crash.get("message", "")).lower() for word in SAID)
    graphs = _mapping(history.facts.get("graphs"))
    if grown:
        yield _growing(history, grown, died)
    elif graphs:
        yield _kept(graphs, died)
    elif died:
        yield _at_once(crash, history)


def _growing(history: History, grown: Mapping[str, Any], died: bool) -> Finding:
    holder = _mapping(grown.get("holder"))
    kind = str(holder.get("kind", ""))
    if kind == "chain":
        kind = "chain_sum" if holder.get("scalar") else "chain_state"
    values: dict[str, Any] = {
        "megabytes": float(grown["bytes_per_step"]) / 2**20,
        "left": float(grown.get("steps_left") or 0.0),
        "rise": float(grown["rise"]) / 2**20,
        "steps": int(grown["steps"]),
        "name": holder.get("name") or holder.get("type") or "?",
        "type": holder.get("type") or "?",
        "where": holder.get("where") or "?",
        "count": int(holder.get("count", 0)),
        "added": float(holder.get("added", 0.0)),
    }
    step = int(grown["step"])
    evidence = [
        Evidence(
            name="bytes_per_update", value=float(grown["bytes_per_step"]), threshold=0.0, source="vocabulary", step=step
        )
    ]
    if holder:
        evidence.append(
            Evidence(name="held_more_per_update", value=values["added"], threshold=0.0, where=values["name"], step=step)
        )
    if grown.get("steps_left") is not None:
        evidence.append(
            Evidence(
                name="updates_until_full", value=values["left"], threshold=SOON * step, source="assumption", step=step
            )
        )
    return Finding(
        fault="memory.oom",
        severity=_severity(grown, bool(holder), died, step),
        message=f"memory.growing_{kind}" if kind else "memory.growing",
        values=values,
        evidence=tuple(evidence),
        remedies=tuple(_remedy(name) for name in LEAKS[kind]),
        confidence=0.95 if holder else 0.6,  # both assumption: a holder that grows is seen, not concluded
        status="confirmed" if holder else "suspected",
        subject={"steps": [step], **({"variables": [holder["name"]]} if holder.get("name") else {})},
    )


def _kept(graphs: Mapping[str, Any], died: bool) -> Finding:
    """Graphs that outlive their updates, whatever memory they take by now."""
    holder, at = _mapping(graphs.get("holder")), int(graphs["at"])
    values: dict[str, Any] = {name: int(graphs[name]) for name in ("alive", "of", "span")}
    values |= {name: holder.get(name) or "?" for name in ("name", "type", "where")}
    kind = str(holder.get("kind", ""))
    kind = ("chain_sum" if holder.get("scalar") else "chain_state") if kind == "chain" else "graphs"
    return Finding(
        fault="memory.oom",
        severity="error" if died else "note" if graphs.get("freed") else "warning",
        message="memory.graphs_freed_late" if graphs.get("freed") else "memory.graphs_kept",
        values=values,
        evidence=(
            Evidence(name="graphs_alive", value=values["alive"], threshold=0.0, source="vocabulary", step=at),
            Evidence(
                name="updates_since_the_oldest", value=values["span"], threshold=8.0, source="assumption", step=at
            ),
        ),
        remedies=tuple(_remedy(name) for name in LEAKS[kind]),
        confidence=0.95,  # assumption: they are seen, not concluded
        status="confirmed",
        subject={"steps": [at], **({"variables": [holder["name"]]} if holder.get("name") else {})},
    )


def _severity(grown: Mapping[str, Any], held: bool, died: bool, step: int) -> Severity:
    if died:
        return "error"
    left = grown.get("steps_left")
    if held and (left is None or float(left) < SOON * step):
        return "error"
    return "warning" if held or (left is not None and float(left) < SOON * step) else "note"


def _at_once(crash: Mapping[str, Any], history: History) -> Finding:
    """It ended for lack of memory, and nothing was seen to grow."""
    torn, share = _torn(str(crash.get("message", ""))), 0.0
    loss = history.get("loss", "train") or history.get("loss", "")
    step = int(loss.steps[-1]) if loss is not None and history.axis == "step" else 0
    evidence = [Evidence(name="updates_before_it", value=float(step), step=step)]
    if torn is not None:
        share = torn
        evidence.append(Evidence(name="unused_over_given_out", value=share, threshold=FRAGMENTED, source="assumption"))
    broken = share > FRAGMENTED
    names = ("expandable",) if broken else ()
    return Finding(
        fault="memory.oom",
        severity="error",
        message="memory.fragmented" if broken else "memory.at_once",
        values={"step": step, "rows": int(history.facts.get("batch_size") or 0)},
        evidence=tuple(evidence),
        remedies=tuple(_remedy(name) for name in (*names, "halve_batch", "precision", "shorter", "checkpointing")),
        confidence=0.9,
        status="confirmed",
        subject={"steps": [step]},
    )


def _torn(message: str) -> float | None:
    """What torch says it has reserved and cannot use, over what is in use; None where it does not say."""
    told = {what: float(size) * SIZES[unit] for size, unit, what in TOLD.findall(message)}
    if len(told) < 2:
        return None
    return told["reserved by PyTorch but unallocated"] / max(told["allocated by PyTorch"], 1.0)


def _remedy(name: str) -> Remedy:
    safe = name in ("halve_batch", "checkpointing")  # the same mathematics but for statistics over the batch
    return Remedy(title=f"memory.do_{name}", safety=Safety.RISKY if safe else Safety.ADVICE)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

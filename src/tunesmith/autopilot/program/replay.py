"""A mended program made again in a new process: its changes are carried out by their names, and nothing is tried again.

The live objects of a program cannot be kept in a file without running what is read back; the names of the changes can.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.doctor.causes import Case
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rate_sweep import at_rate
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.crashed import Crashed
from tunesmith.doctor.repair.patient import operated
from tunesmith.doctor.repair.plan import at_once, planned
from tunesmith.records import Clock, Finding, Program
from tunesmith.records.check import Inapplicable

RATE = "rate × "
MORE = " + "  # between the names of several changes at once


def digest(program: Program) -> str:
    """A hash of a program's weights and settings, by which two mended ones are known to be the same."""
    made = hashlib.blake2b(digest_size=16)
    for name, each in program.model.state_dict().items():
        made.update(f"{name} {tuple(each.shape)}".encode())
        made.update(np.ascontiguousarray(each.detach().cpu().float().numpy()).tobytes())
    groups = [
        {name: group[name] for name in sorted(group) if name != "params"} | {"params": len(group["params"])}
        for group in program.optimizer.param_groups
    ]
    made.update(f"{type(program.optimizer).__name__} {groups}".encode())
    made.update(f"{type(program.loss_fn).__name__} {program.batch_size} {program.epochs} {program.shuffle}".encode())
    return made.hexdigest()


def replayed(
    bench: Bench, changes: Sequence[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]], wanted: str
) -> Program | None:
    """The program with the changes that a repair kept, in their order; None where the names lead to another one."""
    told = [_finding(one) for one in findings]
    for one in changes:
        with bench.guarded():
            change = _found(bench, told, str(one["change"]))
            program = None if change is None else operated(bench, change)
        if program is None:
            return None
        bench = Bench(program, kind=bench.kind)
    return bench.program if digest(bench.program) == wanted else None


def _found(bench: Bench, findings: list[Finding], name: str) -> Change | None:
    try:
        case: Any = Case(bench, Clock(), findings)
    except Inapplicable:
        case = Crashed(bench, findings)
    if name.startswith(RATE) and MORE not in name and isinstance(case, Case):
        return at_rate(case, float(name.removeprefix(RATE)), 1.0)
    known = {one.change.name: one for one in planned(case, findings, {})}
    if name in known:
        return known[name].change
    parts = name.split(MORE)
    if len(parts) < 2 or any(one not in known for one in parts):
        return None
    return at_once([known[one] for one in parts], 0.0).change


def _finding(plain: Mapping[str, Any]) -> Finding:
    """A finding as far as the plan of a repair reads it."""
    about = {
        name: plain[name] for name in ("fault", "severity", "message", "values", "confidence", "status", "subject")
    }
    return Finding(**about)

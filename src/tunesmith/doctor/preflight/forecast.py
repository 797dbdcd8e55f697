"""forecast: what the whole run will take in time and memory.

Sees      bytes of weights, gradients, optimizer state and of what autograd keeps for the backward pass of a real batch; the
          median time of an update, times their number; live tensors after each step of the program's own loop or step.
Matters   a run that will not fit, or not end, is better known now. Losses kept with their graph keep every batch's activations.
Remedies  a smaller batch with accumulation; `.item()` on what is kept of a loss.
Limits    memory is the least that will be needed: fragmentation, kernels' workspaces and data workers come on top. The time is
          that of this machine as busy as it was.
Source    torch.autograd.graph.saved_tensors_hooks; the sum is exact for what it counts.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.blocks.optim import needs_closure
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import feeding, undisturbed
from tunesmith.doctor.preflight.scoring import need_step
from tunesmith.doctor.preflight.trace import own_trace, parameters_of
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS
from tunesmith.records.messages import render
from tunesmith.training.batch import Batch

STEPS = 6  # updates that are timed, the first not counted; assumption
FULL = 0.9  # of the free memory; assumption: the rest is for what is not counted
CLIMBING = 0.6  # of the updates that leave one more graph behind; assumption: lists are emptied after an epoch
FEW = 200  # updates in all; experience rule batch.tenth asks for thousands, and this is a tenth of the least

SMALLER = Remedy(title="remedy.loop_smaller_batch", safety=Safety.RISKY)
DETACH = Remedy(title="remedy.loop_detach_losses", safety=Safety.ADVICE)


@check("forecast", faults=("memory.oom", "fit.too_few_epochs"), cost=PASS)
def forecast(bench: Bench) -> Iterator[Finding]:
    need_step(bench)
    with undisturbed(bench):
        twin = bench.twin()
        feed = feeding(bench)
        window = next(feed)
        parts = memory(twin, window[0])
        seconds = []
        for _ in range(STEPS):
            began = perf_counter()
            twin.step(window)
            seconds.append(perf_counter() - began)
            window = next(feed)
        parts["optimizer"] = _state_bytes(twin.optimizer)
    each = median(seconds[1:])
    judged = _judging(bench, twin)
    whole = each * bench.updates + judged * bench.program.epochs
    total = sum(parts.values())
    free = free_bytes(bench.device)
    bench.measured["forecast"] = {"seconds": whole, "bytes": total, "seconds_per_update": each, **parts}
    if free and total > FULL * free:
        yield _too_much(parts, total, free)
    yield from _growing(bench)
    bench.notices.append(render("loop.forecast", _told(bench, each, whole, total, parts)))
    if bench.updates < FEW and not needs_closure(bench.program.optimizer):
        yield _few(bench)


def memory(twin: Twin, batch: Batch) -> dict[str, float]:
    """Bytes of weights and buffers, of gradients, of what one batch keeps for its backward pass, and of the batch."""
    weights = {id(each): each for each in (*twin.model.parameters(), *twin.model.buffers())}
    trained = parameters_of(twin)
    kept: dict[int, int] = {}
    own = {each.data_ptr() for each in weights.values()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    twin.mode(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = twin.result(batch)
        loss = twin.loss_of(result, batch)
    del result, loss
    return {
        "weights": float(sum(each.nbytes for each in weights.values())),
        "gradients": float(sum(each.nbytes for each in trained)),
        "activations": float(sum(kept.values())),
    }


def _state_bytes(optimizer: Any) -> float:
    state = getattr(optimizer, "state", {})
    return float(
        sum(value.nbytes for held in state.values() for value in held.values() if isinstance(value, Tensor))
        if isinstance(state, dict)
        else 0
    )


def _judging(bench: Bench, twin: Twin) -> float:
    """Seconds to judge the validation rows once, from one batch of them."""
    if bench.val is None:
        return 0.0
    batch = bench.batch(256, "forecast", bench.val)
    began = perf_counter()
    with suppress(RuntimeError, ValueError, IndexError):
        twin.judged(batch)
    return (perf_counter() - began) * len(bench.val) / batch.size


def free_bytes(device: torch.device) -> int:
    """Free memory of the device; of a CPU what the system says is available, 0 where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def _growing(bench: Bench) -> Iterator[Finding]:
    """Graphs of earlier batches that stay alive, one more with nearly every update of the program's own step or loop."""
    if bench.task is not None or (bench.program.step is None and bench.program.loop is None):
        return
    alive = [event.alive for event in own_trace(bench).of("update")]
    climbs = int((np.diff(alive) >= 1).sum()) if len(alive) > 2 else 0
    if climbs >= 2 and climbs >= CLIMBING * (len(alive) - 1):
        yield Finding(
            fault="memory.oom",
            severity="warning",
            message="loop.memory_grows",
            values={"most": max(alive), "steps": len(alive), "updates": bench.updates},
            evidence=(Evidence(name="graphs_alive", value=max(alive), threshold=1.0),),
            remedies=(DETACH,),
            status="confirmed",
        )


def _too_much(parts: dict[str, float], total: float, free: int) -> Finding:
    return Finding(
        fault="memory.oom",
        severity="warning",
        message="loop.memory_short",
        values={"total": _gigabytes(total), "free": _gigabytes(free), "activations": _gigabytes(parts["activations"])},
        evidence=(Evidence(name="bytes_needed", value=total, threshold=FULL * free, source="assumption"),),
        remedies=(SMALLER,),
        confidence=0.9,
        status="suspected",
    )


def _gigabytes(value: float) -> float:
    return value / 2**30


def _told(bench: Bench, each: float, whole: float, total: float, parts: dict[str, float]) -> dict[str, Any]:
    return {
        "updates": bench.updates,
        "epochs": bench.program.epochs,
        "per_epoch": bench.updates_per_epoch,
        "milliseconds": 1000 * each,
        "time": spoken(whole),
        "megabytes": total / 2**20,
        "activations": parts["activations"] / 2**20,
    }


def spoken(seconds: float) -> str:
    """Seconds as people say them.

    >>> spoken(0.4), spoken(75), spoken(4000)
    ('0.4 s', '1 min 15 s', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.2g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _few(bench: Bench) -> Finding:
    return Finding(
        fault="fit.too_few_epochs",
        severity="note",
        message="loop.few_updates",
        values={"updates": bench.updates, "epochs": bench.program.epochs, "per_epoch": bench.updates_per_epoch},
        evidence=(Evidence(name="updates", value=bench.updates, threshold=FEW, source="assumption"),),
        remedies=(Remedy(title="remedy.loop_more_updates", safety=Safety.ADVICE),),
        status="suspected",
        confidence=0.2,
    )

"""zero_grad: the gradients of earlier batches are never cleared, or cleared before they are used.

Sees      the program's own step or loop on a copy, a few batches of it: what the update used, less what this update's backward
          passes gave, equals what the update before used; or the update finds no gradient where backward had left one; or
          gradients are thrown away between two updates.
Matters   with old gradients the steps grow with the number of the batch and point into the past; with none nothing is learnt.
Remedies  clear the gradients once an update: zero_grad, forward, backward, step.
Limits    optimizers that call a closure, and programs whose loop or step is Tunesmith's own, are not looked at. Accumulation
          over several batches, clipping, and several optimizers on one model are told apart from the fault.
Source    DeepLocalize and UMLAUT take it from the source text; here it is the identity g(k) - fresh(k) = g(k - 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tunesmith.blocks.optim import needs_closure
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.trace import Event, Trace, own_trace
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

EQUAL = 0.02  # of the length of a gradient: what rounding in half precision may leave; assumption
FEWEST = 2  # updates that must show it; assumption

CLEAR = Remedy(title="remedy.loop_clear_gradients", safety=Safety.ADVICE)


@dataclass(slots=True)
class Window:
    """What happened from one update of an optimizer to the next."""

    update: Event
    fresh: Tensor  # the sum of what the backward passes gave
    last: Tensor | None  # the gradient after the last of them
    thrown: int  # backward passes whose gradient was cleared before another one, with no update between
    passes: int


@check("zero_grad", faults=("optim.missing_zero_grad",), cost=PASS)
def zero_grad(bench: Bench) -> Iterator[Finding]:
    bench.need_own_loop()
    if bench.program.step is None and bench.program.loop is None:
        raise Inapplicable("the step is the usual one, which clears the gradients")
    if needs_closure(bench.program.optimizer):
        raise Inapplicable("the optimizer calls a closure, which clears the gradients")
    trace = own_trace(bench)
    trace.need("backward", "update")
    found = windows(trace)
    yield from _kept(found)
    yield from _lost(found)
    yield from _thrown(trace)


def windows(trace: Trace) -> dict[int, list[Window]]:
    """The updates of each optimizer, and what led to each."""
    made: dict[int, list[Window]] = {}
    since: dict[int, int] = {}
    for place, event in enumerate(trace.events):
        if event.kind != "update" or event.held is None or event.before is None:
            continue
        inside = [one for one in trace.events[since.get(event.owner, 0) : place] if one.kind == "backward"]
        fresh = torch.zeros_like(event.before)
        for one in inside:
            assert one.before is not None
            assert one.after is not None
            fresh = fresh + one.after - one.before
        held = event.held
        last = inside[-1].after[held] if inside and inside[-1].after is not None else None
        made.setdefault(event.owner, []).append(Window(event, fresh[held], last, 0, len(inside)))
        since[event.owner] = place
    return made


def _kept(found: dict[int, list[Window]]) -> Iterator[Finding]:
    """g(k) - fresh(k) = g(k - 1) for update after update."""
    for each in found.values():
        shown, gaps = 0, []
        for earlier, window in pairwise(each):
            assert earlier.update.before is not None
            assert earlier.update.held is not None
            used = earlier.update.before[earlier.update.held]
            length = float(used.norm())
            if window.last is None or not length > 0 or used.shape != window.last.shape:
                continue
            gap = float((window.last - window.fresh - used).norm()) / length
            gaps.append(gap)
            shown += gap < EQUAL
        if shown >= FEWEST or (shown == 1 and len(gaps) == 1):
            first, last = each[0].update, each[-1].update
            growth = _norm(last) / max(_norm(first), 1e-300)
            yield Finding(
                fault="optim.missing_zero_grad",
                severity="error",
                message="loop.zero_grad_missing",
                values={"updates": len(each), "shown": shown, "gap": min(gaps), "growth": growth},
                evidence=(
                    Evidence(
                        name="gradient_left_over", value=min(gaps), threshold=EQUAL, source="g(k) - fresh = g(k-1)"
                    ),
                    Evidence(name="gradient_growth", value=growth),
                ),
                remedies=(CLEAR,),
                status="confirmed",
            )
            return


def _norm(event: Event) -> float:
    assert event.before is not None
    assert event.held is not None
    return float(event.before[event.held].norm())


def _lost(found: dict[int, list[Window]]) -> Iterator[Finding]:
    """Every update finds no gradient, though backward left one."""
    for each in found.values():
        given = [window for window in each if window.last is not None and float(window.last.norm()) > 0]
        if len(given) < FEWEST:
            continue
        empty = [window for window in given if _norm(window.update) == 0.0]
        if len(empty) == len(given):
            left = max(float(window.last.norm()) for window in given if window.last is not None)
            yield Finding(
                fault="optim.missing_zero_grad",
                severity="error",
                message="loop.zero_grad_misplaced",
                values={"updates": len(given), "left": left},
                evidence=(Evidence(name="gradient_at_update", value=0.0, threshold=left),),
                remedies=(CLEAR,),
                status="confirmed",
            )
            return


def _thrown(trace: Trace) -> Iterator[Finding]:
    """Gradients cleared between two updates while the weights stood still: accumulation that accumulates nothing."""
    passes = thrown = 0
    waiting: float | None = None  # the weights under which a gradient was made that no update has used
    for event in trace.events:
        if event.kind == "backward":
            assert event.before is not None
            fresh = float(event.before.norm()) == 0.0
            thrown += waiting == event.weights and fresh
            waiting = event.weights
            passes += 1
        elif event.kind == "update":
            waiting = None
    if thrown >= FEWEST and thrown >= 0.4 * passes:  # every other one at least; assumption
        yield Finding(
            fault="optim.missing_zero_grad",
            severity="warning",
            message="loop.gradient_thrown",
            values={"thrown": thrown, "passes": passes},
            evidence=(
                Evidence(name="gradients_thrown_away", value=thrown / passes, threshold=0.4, source="assumption"),
            ),
            remedies=(CLEAR,),
            confidence=0.7,
            status="confirmed",
        )

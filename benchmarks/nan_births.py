"""Where the first number that is not finite is born: 45 ways, each a small program trained under `watch` as its author would write it.

Named have to be module, direction and step; all three are compared with the truth, which is known by construction. Where it depends on
how training goes (an exploding rate), it is found beforehand by looking at all inputs, weights, results of modules, buffers, gradients
and losses in every step. `anomaly` is what torch's own `detect_anomaly(check_nan=True)` says of the same program: the node and the step
at which it stops; it looks at gradients, for NaN alone, and names no module. Births are counted as its where the step is right and the
node is that of the operation that the watch names too. The sound programs at the end hold infinities that are meant, and updates that
loss scaling leaves out: nothing may be said of them.

The last ten were written when the probe was done, and tried once before anything was mended: nine were named rightly then.

Seconds are those of the whole program, without the watch and with it (the replays of the bad batch included, imports not).
"""

import math
import re
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tables import markdown

QUIET = "quiet"


def cases() -> list[dict[str, Any]]:
    import births.later
    from births.programs import PROGRAMS
    from births.programs import QUIET as SOUND

    assert births.later.train  # it has put its programs beside the others

    return [{"program": name, "net": truth.net} for name, (_, truth) in PROGRAMS.items()] + [
        {"program": name, "net": QUIET} for name in SOUND
    ]


def measure(case: Mapping[str, Any]) -> dict[str, Any]:
    import births.later
    from births.programs import PROGRAMS
    from births.programs import QUIET as SOUND

    assert births.later.train  # it has put its programs beside the others

    sound = case["net"] == QUIET
    program = SOUND[case["program"]] if sound else PROGRAMS[case["program"]][0]
    under_watch(SOUND["norm_that_is_only_measured"])  # imports, and first calls of torch, are not measured
    timed(program, Nobody)
    plain = timed(program, Nobody)
    found, seconds, findings = under_watch(program)
    measured: dict[str, Any] = {"seconds": seconds, "plain_seconds": plain, "said": found, "findings": findings}
    if sound:
        return measured | {"right": not found}
    truth = PROGRAMS[case["program"]][1]
    seen = all_looked_at(program)
    module, direction, step = truth.module, truth.direction, truth.step
    if not module:
        module, direction, step = seen
    step = seen[2] if step is None else step
    first = found[0] if found else {}
    right = {
        "module": first.get("module") == module,
        "direction": first.get("direction") == direction,
        "step": first.get("step") == step,
    }
    return measured | {
        "truth": [module, direction, step],
        "looked_at": list(seen),
        "right": all(right.values()),
        "anomaly": anomaly(program, step, str(first.get("op"))),
        **{f"{name}_right": value for name, value in right.items()},
    }


class Nobody:
    """What a program trains under without a watch; counts updates."""

    def __init__(self, model: Any, optimizer: Any, loss_fn: Any = None) -> None:
        self.step_number = 0
        Nobody.last = self

    last: "Nobody"

    def step(self, loss: Any, **_: Any) -> None:
        self.step_number += 1

    def epoch(self, **_: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, back: TracebackType | None) -> None:
        pass


def timed(program: Any, watch: Any) -> float:
    from births.programs import seeded

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeded(program, watch)
    return time.perf_counter() - began


def under_watch(program: Any) -> tuple[list[dict[str, Any]], float, list[str]]:
    """What the watch says, the seconds, and the faults named in the end above a note."""
    from tunesmith.verbs.watch import watch

    held: list[Any] = []

    def watching(model: Any, optimizer: Any, loss_fn: Any = None) -> Any:
        held.append(watch(model, optimizer, loss_fn=loss_fn, quiet=True))
        return held[-1]

    seconds = timed(program, watching)
    told = held[-1].watcher.facts.get("nonfinite", [])
    kept = ("module", "direction", "step", "op", "why", "fault", "rows", "columns", "code", "cured")
    return [{name: one[name] for name in kept} for one in told], seconds, faults(held[-1].run)


def faults(run: Any) -> list[str]:
    from tunesmith.doctor.diagnosis import diagnosed
    from tunesmith.runs.readers.own import history_of

    return [one.fault for one in diagnosed(history_of(run)) if one.severity != "note"]


def anomaly(program: Any, step: int, op: str) -> str:
    """What torch's own says: the node, and whether step and operation are right; "" where it says nothing."""
    import torch

    try:
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            timed(program, Nobody)
    except RuntimeError as error:
        node = re.search(r"Function '(\w+)'", str(error))
        at, name = Nobody.last.step_number + 1, node.group(1) if node else "an error"
        own = at == step and name.rstrip("0123456789").removesuffix("Backward").lower() == op.lower()
        return f"{name}, step {at}{'' if own else ' ✗' if at == step else ' ✗✗'}"
    return ""


def all_looked_at(program: Any) -> tuple[str, str, int]:
    """The first thing that is not finite, by looking at everything in each step: (module, direction, step)."""
    seen: list[tuple[str, str, int]] = []

    class Everything(Nobody):
        def __init__(self, model: Any, optimizer: Any, loss_fn: Any = None) -> None:
            super().__init__(model, optimizer)
            self.model = model
            names = {module: name or type(model).__name__ for name, module in model.named_modules()}
            for module, name in names.items():
                module.register_forward_hook(self.passed(name), with_kwargs=True)
            optimizer.register_step_pre_hook(self.before)
            optimizer.register_step_post_hook(self.after)
            self.lost = False

        def note(self, module: str, direction: str, step: int) -> None:
            seen.append((module, direction, step))

        def passed(self, name: str) -> Any:
            def hook(module: Any, args: Any, kwargs: Any, result: Any) -> None:
                training = self.model.training
                at = self.step_number + training
                if not real((args, kwargs)) and module is self.model:
                    seen.insert(0, ("input", "input" if training else "evaluation", at))
                elif real((args, kwargs)) and real(list(module.parameters())) and not real(result):
                    self.note(name, "forward" if training else "evaluation", at)

            return hook

        def before(self, optimizer: Any, *_: Any) -> None:
            rates = [float(group["lr"]) for group in optimizer.param_groups]
            if not all(math.isfinite(one) for one in rates):
                self.note("rate", "update", self.step_number + 1)
            self.bad = not real([one.grad for one in self.model.parameters()])

        def after(self, *_: Any) -> None:
            for name, one in self.model.named_parameters():
                if not real(one) and not self.bad:
                    self.note(name.rpartition(".")[0], "update", self.step_number + 1)
                    break

        def step(self, loss: Any, **_: Any) -> None:
            if not real(loss):
                self.note("loss", "loss", self.step_number + 1)
            elif self.bad:
                self.note("", "backward", self.step_number + 1)
            for name, one in self.model.named_buffers():
                if not real(one):
                    self.note(name.rpartition(".")[0], "buffer", self.step_number + 1)
            super().step(loss)

    timed(program, Everything)
    return seen[0] if seen else ("", "", 0)


def real(tree: Any) -> bool:
    """All finite; minus infinity is how masks are written."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = [one.detach() for one in tree_leaves(tree) if isinstance(one, torch.Tensor) and one.is_floating_point()]
    return not any(bool((one.isnan() | (one == math.inf)).any()) for one in leaves)


def table(rows: Any) -> str:
    births = [row for row in rows if row["case"]["net"] != QUIET]
    lines = []
    for row in births:
        one, first = row["measured"], (row["measured"]["said"] or [{}])[0]
        said = f"{first.get('module')}, {first.get('direction')}, step {first.get('step')}" if first else "nothing"
        lines.append(
            {
                "program": row["case"]["program"].replace("_", " "),
                "net": row["case"]["net"],
                "truth": "{}, {}, step {}".format(*one["truth"]),
                "watch": said + ("" if one["right"] else " ✗"),
                "operation, why": f"{first.get('op') or '—'}, {first.get('why', '').replace('_', ' ')}",
                "rows": ", ".join(str(each) for each in first.get("rows", [])[:4]) or "—",
                "anomaly": one["anomaly"] or "nothing",
                "seconds": f"{one['plain_seconds']:.2f} → {one['seconds']:.2f}",
            }
        )
    right = sum(row["measured"]["right"] for row in births)
    theirs = sum(bool(row["measured"]["anomaly"]) and "✗" not in row["measured"]["anomaly"] for row in births)
    steps = sum(bool(row["measured"]["anomaly"]) and "✗✗" not in row["measured"]["anomaly"] for row in births)
    sound = [row for row in rows if row["case"]["net"] == QUIET]
    still = sum(row["measured"]["right"] for row in sound)
    parts = {name: sum(row["measured"][f"{name}_right"] for row in births) for name in ("module", "direction", "step")}
    told = (
        f"Named rightly: {right} of {len(births)} (module {parts['module']}, direction {parts['direction']}, step {parts['step']}). "
        f"detect_anomaly stops at the right step in {steps} (elsewhere ✗✗), there at the right operation in {theirs} (else ✗); it names no module. "
        f"Sound programs left alone: {still} of {len(sound)} ({', '.join(row['case']['program'].replace('_', ' ') for row in sound)})."
    )
    return told + "\n\n" + markdown(list(lines[0]), [list(line.values()) for line in lines])


if __name__ == "__main__":
    found = [{"case": case, "measured": measure(case)} for case in cases()]
    print(table(found))

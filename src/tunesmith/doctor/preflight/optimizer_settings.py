"""optimizer_settings: momentum, betas, epsilon, decay or clipping do something else than they seem to.

Sees      after some updates of a copy: the share of coordinates on which Adam's epsilon outweighs the root of the second moment; the
          decay term against the gradient; the norm of the gradient against the clipping bound; betas and momentum beyond the usual.
          Each suspicion is tried: the same short training with the one setting at its usual value.
Matters   an epsilon above the gradients turns Adam into a tiny gradient descent; a momentum of .999 swings for a thousand updates; a
          decay above the gradient pulls all weights to 0; a bound far below the gradient makes each update the same small length.
Remedies  the library's defaults, one at a time.
Limits    a warning only where the short training with the usual value comes clearly lower; else a note. What unfolds over more updates
          than are tried is not seen. A rate of 0, not finite or below 0, and a decay that overshoots 0 in one step are errors.
Source    the fault list; TheDeepChecker: decay term against data gradient above 1.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tunesmith.blocks import experience
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Course, Variation, course
from tunesmith.doctor.preflight.schedule_end import simulated
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.training.pretrained.beginning import head_over_body

USUAL = Remedy(title="remedy.outputs_usual_settings", safety=Safety.RISKY)
WEAKER = Remedy(title="remedy.outputs_weaker_decay", safety=Safety.RISKY)
STEPS = 100  # updates of a trial; assumption
SMALL = 1e-7  # epsilon: gradients are seldom below; assumption
WARM = 20  # updates after which the optimizer's memory is looked at; assumption
CLEARLY = 0.25  # of what the usual setting takes off the loss; assumption: far above the chance of one seed
LONG = 0.99  # momentum: the fault list
CUT = 0.01  # bound over norm; assumption: a hundredth of the gradient is left
UNUSUAL = "optim.bad_hyperparameters"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A setting that looks wrong, and how it is put right on a copy."""

    fault: str
    message: str
    values: dict[str, Any]
    evidence: Evidence
    mend: Callable[[Twin], None]
    steps: int = STEPS
    remedy: Remedy = USUAL


@check("optimizer_settings", faults=("optim.bad_hyperparameters", "reg.too_strong", "recipe.unusual"), cost=PASS)
def optimizer_settings(bench: Bench) -> Iterator[Finding]:
    if bench.recipe is not None:
        yield from _unusual(bench)
    groups = getattr(bench.program.optimizer, "param_groups", None)
    if not groups or any("lr" not in group for group in groups):
        raise Inapplicable("the optimizer does not show its settings")
    hard = list(_impossible(bench, groups))
    yield from hard
    if hard:
        return
    try:
        suspicions = list(_suspicions(bench))
        start = course(bench, Variation(rate=1e-12), 1) if suspicions else Course()
        tried = [_tried(bench, one, start) for one in suspicions]
    except (IndexError, RuntimeError, ValueError, TypeError) as error:
        raise Inapplicable(f"the program does not train: {type(error).__name__}: {error}"[:200]) from error
    yield from tried


def _unusual(bench: Bench) -> Iterator[Finding]:
    """Settings of a recipe far outside what the rules of thumb know: never more than a note."""
    assert bench.recipe is not None
    known = {"rows": len(bench.train), "batch": bench.program.batch_size, "updates": bench.updates}
    for note in (*experience.lint(bench.recipe, **known), *_faster_body(bench)):
        if note.id == "sched.marks":
            continue  # `schedule_end`
        shown = f"{note.value:g}" if isinstance(note.value, float) else str(note.value)
        bound = note.bound if isinstance(note.bound, int | float) and not isinstance(note.bound, bool) else None
        value = float(note.value) if isinstance(note.value, int | float) else math.nan
        yield Finding(
            fault="recipe.unusual",
            severity="note",
            message="outputs.recipe_unusual",
            values={"path": note.path, "value": shown, "says": note.text, "rule": note.id},
            evidence=(Evidence(name=note.path, value=value, threshold=bound, source=note.source),),
            remedies=(USUAL,),
            confidence=0.3,
        )


def _faster_body(bench: Bench) -> list[experience.Note]:
    """A pretrained body that learns faster than its head."""
    if bench.made is None or bench.task is None or bench.recipe is None:
        return []
    own = bench.program.optimizer if bench.task.optimizer is not None else None
    ratio = head_over_body(bench.recipe, bench.program.model, own, bench.made.beginning.fresh)
    return [] if ratio is None else experience.lint({"rates.head_over_body": ratio}, pretrained=True)


def _impossible(bench: Bench, groups: list[dict[str, Any]]) -> Iterator[Finding]:
    rates = [float(group["lr"]) for group in groups]
    bad = [rate for rate in rates if not math.isfinite(rate) or rate < 0]
    if bad:
        yield _error("outputs.rate_impossible", {"rate": bad[0]}, "rate", bad[0], 0.0)
        return
    if not any(rates) and bench.program.loop is None and bench.made is None and _never_rises(bench):
        yield _error("outputs.rate_zero", {"updates": bench.updates}, "rate", 0.0, 0.0)
    for group in groups:
        shrink = float(group["lr"]) * float(group.get("weight_decay", 0.0) or 0.0)
        if shrink >= 1.0:
            values = {"rate": float(group["lr"]), "decay": float(group["weight_decay"]), "shrink": shrink}
            yield _error("outputs.decay_overshoots", values, "rate_times_decay", shrink, 1.0, "reg.too_strong")
            return


def _never_rises(bench: Bench) -> bool:
    if bench.program.scheduler is None:
        return True
    try:
        return not float(simulated(bench, bench.program.schedule_unit)[0].max()) > 0
    except (TypeError, ValueError):  # one that wants a metric, or no step at all
        return False


def _error(
    message: str, values: dict[str, Any], name: str, value: float, bound: float, fault: str = UNUSUAL
) -> Finding:
    return Finding(
        fault=fault,
        severity="error",
        message=message,
        values=values,
        evidence=(Evidence(name=name, value=value, threshold=bound, source="arithmetic"),),
        remedies=(USUAL,),
        status="confirmed",
    )


def _suspicions(bench: Bench) -> Iterator[Suspicion]:
    groups = bench.program.optimizer.param_groups
    if any(_large_epsilon(group) or _long_decay(bench, group) for group in groups):
        twin = bench.twin()
        if course(bench, Variation(), min(WARM, bench.updates), start=twin).steps:
            yield from _epsilon(twin, twin.optimizer.param_groups[0])
            yield from _decay(bench, twin)
    yield from _clipping(bench)
    yield from _memory(bench, groups[0])


def _large_epsilon(group: dict[str, Any]) -> bool:
    return float(group.get("eps", 0.0) or 0.0) > SMALL


def _long_decay(bench: Bench, group: dict[str, Any]) -> bool:
    """Whether the decay alone would take most of a weight in the run; beside a scaled gradient that is not known."""
    decay = float(group.get("weight_decay", 0.0) or 0.0)
    scaled = "betas" in group and type(bench.program.optimizer).__name__ != "AdamW"
    return decay > 0 and (float(group["lr"]) * decay * bench.updates > 1 or (scaled and decay >= 0.01))


def _epsilon(twin: Twin, group: dict[str, Any]) -> Iterator[Suspicion]:
    """The epsilon of an adaptive optimizer against the roots of its second moments."""
    eps = float(group.get("eps", 0.0) or 0.0)
    roots = [root for root in (_root(state, group) for state in twin.optimizer.state.values()) if root is not None]
    every = torch.cat([root.reshape(-1) for root in roots]) if roots else torch.empty(0)
    every = every[every > 0]
    if not eps or not len(every):
        return
    below = float((every < eps).float().mean())
    if below > 0.5:
        usual = 1e-8  # Kingma & Ba, arXiv:1412.6980, algorithm 1
        values = {"eps": eps, "share": below, "median": float(every.median())}
        seen = Evidence(name="share_of_coordinates_below_epsilon", value=below, threshold=0.5, source="fault list")
        yield Suspicion(UNUSUAL, "outputs.epsilon", values, seen, _setting("eps", usual))


def _root(state: Any, group: dict[str, Any]) -> Tensor | None:
    held = state.get("exp_avg_sq") if isinstance(state, dict) else None
    if held is None:
        held = state.get("square_avg") if isinstance(state, dict) else None
        return None if held is None else held.float().sqrt()
    step = float(state.get("step", 1) or 1)
    second = float(group["betas"][1]) if "betas" in group else 0.999
    root: Tensor = (held.float() / max(1e-12, 1 - second**step)).sqrt()
    return root


def _decay(bench: Bench, twin: Twin) -> Iterator[Suspicion]:
    """The decay term against the gradient, or against the step of an optimizer that decays beside it."""
    decay, size, pull = 0.0, 0.0, 0.0
    apart = type(twin.optimizer).__name__ in ("AdamW", "NAdam", "RAdam") and _decoupled(twin.optimizer)
    rate = 0.0
    for group in twin.optimizer.param_groups:
        mine = float(group.get("weight_decay", 0.0) or 0.0)
        for weight in group["params"]:
            if weight.grad is None or not mine:
                continue
            decay, rate = max(decay, mine), max(rate, float(group["lr"]))
            size += float((mine * weight.detach()).pow(2).sum())
            pull += float(_pull(twin.optimizer, weight, group) if apart else weight.grad.pow(2).sum())
    if not decay or not pull > 0:
        return
    ratio = math.sqrt(size / pull)
    reach = rate * decay * bench.updates if apart or "betas" not in twin.optimizer.param_groups[0] else math.inf
    if ratio > 1 and reach > 1:
        values = {"decay": decay, "ratio": ratio}
        seen = Evidence(name="decay_term_over_gradient", value=ratio, threshold=1.0, source="TheDeepChecker")
        steps = int(min(300, max(STEPS, 3 / max(rate * decay, 1e-9))))
        yield Suspicion(
            "reg.too_strong", "outputs.decay_strong", values, seen, _setting("weight_decay", 0.0), steps, WEAKER
        )


def _decoupled(optimizer: Any) -> bool:
    group = optimizer.param_groups[0]
    return type(optimizer).__name__ == "AdamW" or bool(group.get("decoupled_weight_decay"))


def _pull(optimizer: Any, weight: Tensor, group: dict[str, Any]) -> float:
    state = optimizer.state.get(weight, {})
    root = _root(state, group)
    if root is None or "exp_avg" not in state:
        return 0.0
    return float((state["exp_avg"].float() / (root + float(group["eps"]))).pow(2).sum())


def _clipping(bench: Bench) -> Iterator[Suspicion]:
    bound = bench.program.clip_norm
    if bound is None or bench.program.step is not None or bench.program.loop is not None:
        return
    norms = []
    for place in range(3):
        twin = bench.twin()
        twin.gradient(bench.batch(bench.program.batch_size, f"clipping.{place}"))
        held = [one.grad.norm() for one in twin.model.parameters() if one.grad is not None]
        norms.append(float(torch.stack(held).norm()) if held else 0.0)
    least = min(norms)
    if least > 0 and bound / least < CUT:
        values = {"bound": bound, "norm": least}
        seen = Evidence(name="bound_over_gradient_norm", value=bound / least, threshold=CUT, source="assumption")

        def unclipped(twin: Twin) -> None:
            twin.program = replace(twin.program, clip_norm=max(1.0, bound))

        yield Suspicion(UNUSUAL, "outputs.clipped_away", values, seen, unclipped)


def _memory(bench: Bench, group: dict[str, Any]) -> Iterator[Suspicion]:
    """Momentum and betas beyond the usual."""
    momentum = float(group.get("momentum", 0.0) or 0.0)
    if momentum >= LONG:
        values = {"momentum": momentum, "updates": 1 / max(1e-9, 1 - momentum)}
        seen = Evidence(name="momentum", value=momentum, threshold=LONG, source="fault list")
        yield Suspicion(UNUSUAL, "outputs.momentum_long", values, seen, _setting("momentum", 0.9), 2 * STEPS)
    if "betas" not in group or "eps" not in group:
        return
    first, second = (float(beta) for beta in tuple(group["betas"])[:2])
    if first >= second or first >= LONG or second < 0.9:
        values = {"first": first, "second": second}
        seen = Evidence(name="beta1", value=first, threshold=second, source="Kingma & Ba: .9 and .999")
        yield Suspicion(UNUSUAL, "outputs.betas", values, seen, _setting("betas", (0.9, 0.999)), 2 * STEPS)


def _setting(name: str, value: Any) -> Callable[[Twin], None]:
    def mend(twin: Twin) -> None:
        for group in twin.optimizer.param_groups:
            if name in group:
                group[name] = value

    return mend


def _tried(bench: Bench, one: Suspicion, start: Course) -> Finding:
    """The same short training with the setting as it is, and as it usually is."""
    steps = min(one.steps, max(1, bench.updates))
    own = course(bench, Variation(), steps)
    twin = bench.twin()
    one.mend(twin)
    usual = course(bench, Variation(), steps, start=twin)
    gained = start.loss - usual.loss if usual.finite else 0.0
    worse = gained > 0.01 * abs(start.loss) and (not own.finite or own.loss > usual.loss + CLEARLY * gained)
    tried = Evidence(
        name="loss_as_it_is", value=own.loss, threshold=usual.loss, source=f"the usual value, {own.steps} updates"
    )
    return Finding(
        fault=one.fault,
        severity="warning" if worse else "note",
        message=one.message,
        values=one.values | {"own": own.loss, "usual": usual.loss, "steps": steps},
        evidence=(one.evidence, tried),
        remedies=(one.remedy,),
        status="confirmed" if worse else "suspected",
        confidence=0.85 if worse else 0.3,
    )

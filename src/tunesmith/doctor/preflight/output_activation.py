"""output_activation: the net can never give the outputs that its loss asks for.

Sees      the loss as a function of free outputs, and the set of outputs that the net reaches when its last layer's numbers are
          moved far (bounds, rows that sum to 1, one constant). Held against each other: the least loss inside the set, the least
          loss of free outputs, and the loss of the best constant outputs. Where the loss wants probabilities or their logarithms
          and the net gives any numbers, that is told; so are outputs that lie exactly at a bound, where no gradient passes.
Matters   softmax before a loss that has its own leaves cross entropy above log(1 + (C - 1) / e); a sigmoid before a logits loss
          stops at .31 and .69; ReLU, sigmoid or tanh at the end of a regression never reach targets outside their range; raw
          numbers in a negative log-likelihood have no lower end.
Remedies  a linear last layer with a loss that takes logits; for regression a linear last layer.
Limits    silent where the outputs are no single tensor, where the loss has parameters of its own or draws random numbers, and for
          a loss that cannot be told apart from one that fits. A bound that costs less than a tenth of the loss is no finding.
Source    the floor of a double softmax is derived; the ranges are measured on a copy.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.reach import Reach, reach
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

LINEAR = Remedy(title="remedy.outputs_linear_output", safety=Safety.ADVICE)
LOGITS = Remedy(title="remedy.outputs_logits_loss", safety=Safety.ADVICE)
LOST = 0.1  # share of what there is to learn (best constant to least loss) that the set of outputs costs; assumption
HALF_CUT = 0.3  # share of logits at the bound; assumption: a ReLU on even logits cuts half, one under a mean few
ONTO = "output.wrong_activation"


@check("output_activation", faults=("output.wrong_activation",), cost=CHEAP)
def output_activation(bench: Bench) -> Iterator[Finding]:
    probe = probe_of(bench)
    if probe.outputs is None or not probe.rows:
        raise Inapplicable("the outputs are not one tensor with the target's rows")
    if not probe.deterministic:
        raise Inapplicable("the loss draws random numbers")
    if own_parameters(probe.loss):
        raise Inapplicable("the loss has parameters of its own")
    found = reach(bench)
    bench.measured["outputs.lowest"], bench.measured["outputs.highest"] = found.lowest, found.highest
    if found.constant:
        yield _constant(found)
        return
    told = list(_unfit(probe, found)) or list(_costly(bench, probe, found)) or list(_shut(bench, probe, found))
    yield from told


def own_parameters(loss: object) -> bool:
    """Whether the loss learns something itself (ArcFace, a contrastive temperature): outputs alone do not decide its value."""
    held = loss if isinstance(loss, nn.Module) else getattr(loss, "__self__", None)
    return isinstance(held, nn.Module) and next(held.parameters(), None) is not None


def _constant(found: Reach) -> Finding:
    return Finding(
        fault=ONTO,
        severity="error",
        message="outputs.outputs_constant",
        values={"value": found.lowest, "layer": found.layer},
        evidence=(
            Evidence(name="output_range", value=0.0, threshold=0.0, source="one unit under a softmax is always 1"),
        ),
        remedies=(LINEAR,),
        status="confirmed",
        subject={"layers": [found.layer]},
    )


def _unfit(probe: LossProbe, found: Reach) -> Iterator[Finding]:
    """Probabilities or their logarithms are wanted, and the net gives something else."""
    outputs = probe.outputs
    assert outputs is not None
    if probe.needs == "log_probabilities" and found.normalised is None:
        axis = probe.class_axis or 0
        off = float(torch.logsumexp(outputs.float(), axis).abs().median())
        if off > 0.01:
            yield _wants("outputs.wants_log_probabilities", found, "log_sum_of_probabilities", off, 0.0)
    if probe.needs == "probabilities" and (found.lowest < -1e-3 or (found.highest > 1 + 1e-3 and probe.known.name)):
        outside = float(((outputs < 0) | (outputs > 1)).float().mean())
        yield _wants("outputs.wants_probabilities", found, "outputs_outside_0_1", outside, 0.0)


def _wants(message: str, found: Reach, name: str, value: float, bound: float) -> Finding:
    return Finding(
        fault=ONTO,
        severity="error",
        message=message,
        values={
            "value": value,
            "lowest": found.lowest,
            "highest": found.highest,
            "layer": found.layer or "the last layer",
        },
        evidence=(Evidence(name=name, value=value, threshold=bound, source="measured on the start's outputs"),),
        remedies=(LOGITS,),
        status="confirmed",
        subject={"layers": [found.layer]},
    )


def _costly(bench: Bench, probe: LossProbe, found: Reach) -> Iterator[Finding]:
    """The least loss inside the reach is far above the least loss of free outputs."""
    if found.free or found.normalised is not None or probe.needs == "log_probabilities" or probe.couples is not False:
        return
    if probe.needs == "probabilities":
        return
    free = probe.descend(_start(probe), steps=300)
    inside = probe.descend(_inside_start(probe, found), steps=300, through=found.project())
    constant = probe.descend(_start(probe), steps=300, constant=True)
    if free is None or inside is None or constant is None or free.broke or inside.broke or constant.broke:
        return
    least = min(free.loss, inside.loss)
    room = constant.loss - least
    if not room > 1e-6 * max(1.0, abs(constant.loss)):
        return
    cost = (inside.loss - least) / room
    if cost < LOST or not _asks_beyond(free.outputs, found):
        return
    values = {
        "activation": found.name or "bounded",
        "lowest": found.lowest,
        "highest": found.highest,
        "floor": inside.loss,
        "least": least,
        "constant": constant.loss,
        "unreachable": _unreachable(probe, found),
    }
    numbers = bench.kind in ("regression", "multi_regression") or probe.known.name in ("mse", "mae", "smooth_l1")
    message = "outputs.out_of_reach" if numbers else "outputs.logits_out_of_reach"
    message = "outputs.softmax_twice" if found.simplex is not None and not numbers else message
    evidence = [
        Evidence(
            name="least_loss_in_reach",
            value=inside.loss,
            threshold=least + LOST * room,
            source="the loss of free outputs",
        ),
        Evidence(name="share_of_the_loss_out_of_reach", value=cost, threshold=LOST, source="assumption"),
    ]
    if found.simplex is not None and probe.class_axis is not None:
        classes = probe.outputs.shape[found.simplex] if probe.outputs is not None else 2
        floor = math.log(1 + (classes - 1) / math.e)
        evidence.append(Evidence(name="floor_of_a_double_softmax", value=floor, source="log(1 + (C - 1) / e)"))
    yield Finding(
        fault=ONTO,
        severity="error",
        message=message,
        values=values,
        evidence=tuple(evidence),
        remedies=(LINEAR,) if numbers else (LOGITS, LINEAR),
        confidence=min(0.99, 0.6 + cost / 2),
        status="confirmed",
        subject={"layers": [found.layer]},
    )


def _start(probe: LossProbe) -> Tensor | None:
    """Free numbers begin among the targets, where they are numbers."""
    if probe.target is None or probe.outputs is None or not probe.target.is_floating_point():
        return None
    return probe.noise(99, 0.01) + float(probe.target.float().mean())


def _inside_start(probe: LossProbe, found: Reach) -> Tensor | None:
    return None if found.simplex is not None or abs(found.highest) != math.inf else _start(probe)


def _asks_beyond(wanted: Tensor, found: Reach) -> bool:
    """Whether the outputs that the loss asks for really lie outside the reach."""
    if found.simplex is not None:
        return bool(((wanted.sum(found.simplex) - 1).abs() > 0.05).any()) or bool((wanted < -0.05).any())
    slack = 0.02 * max(1.0, float(wanted.abs().max()))
    return bool(((wanted < found.lowest - slack) | (wanted > found.highest + slack)).any())


def _unreachable(probe: LossProbe, found: Reach) -> float:
    target = probe.target
    if target is None or not target.is_floating_point():
        return 0.0
    return float(((target < found.lowest) | (target > found.highest)).float().mean())


def _shut(bench: Bench, probe: LossProbe, found: Reach) -> Iterator[Finding]:
    """Logits that stand exactly at a bound: no gradient comes through them."""
    if not bench.classed or probe.needs != "logits" or found.shut < 0.1 or probe.outputs is None:
        return
    bound = found.lowest if math.isfinite(found.lowest) else found.highest
    at = probe.outputs == bound
    axis = probe.class_axis
    dead = int(at.movedim(axis, -1).reshape(-1, at.shape[axis]).all(0).sum()) if axis is not None else int(at.all())
    yield Finding(
        fault=ONTO,
        severity="error" if dead else "warning" if found.shut > HALF_CUT else "note",
        message="outputs.logits_cut",
        values={"activation": found.name or "bounded", "share": found.shut, "bound": bound, "dead": dead},
        evidence=(
            Evidence(name="share_of_outputs_at_the_bound", value=found.shut, threshold=0.1, source="assumption"),
        ),
        remedies=(LINEAR,),
        confidence=0.8,
        status="confirmed",
        subject={"layers": [found.layer]},
    )

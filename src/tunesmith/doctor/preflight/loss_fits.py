"""loss_fits: the loss does not lead the outputs to the targets.

Sees      free outputs on which the loss is minimised: whether their labels (or numbers) then are the targets', and whether they are
          so where the loss is *maximised*; whether the loss changes with the target at all; which known loss it is a multiple of,
          against what the targets are (class indices under a regression loss, 0 and 1 under the mean absolute error, rows with
          several classes under cross entropy). Class numbers that a program rounds itself: linear classes against linear numbers,
          rounded, on rows held back. A loss that raises on the targets, and takes them in another number type or shape.
Matters   a flipped sign runs away from the targets; an ignored target teaches nothing; the mean absolute error on 0 and 1 is least for
          the majority everywhere; a squared error on class indices says that class 3 lies between 2 and 4.
Remedies  the standard loss of the task.
Limits    silent for outputs that are no single tensor, for a loss that compares rows, has parameters of its own or draws random
          numbers: there outputs and targets need not look alike. Class indices under a regression loss are an error only where the
          program states how many classes there are and does not turn numbers into labels itself.
Source    the fault list; the descent is the evidence.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.loss_probe import NUMBER_LOSSES, Descent, LossProbe
from tunesmith.doctor.preflight.output_activation import own_parameters
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.seeing import Seen, look, main
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

STANDARD = Remedy(title="remedy.outputs_standard_loss", safety=Safety.ADVICE)
FLIP = Remedy(title="remedy.outputs_flip_sign", safety=Safety.ADVICE)
FITS, MISSES = 0.9, 0.5  # share of the way from chance to right that counts as fitted, and as missed; assumption
ORDER_ROWS = 2000  # that tell whether class numbers are amounts; assumption
CLEARLY = 0.1  # of accuracy; assumption
ONTO = "loss.mismatch"


@check("loss_fits", faults=("loss.mismatch",), cost=CHEAP)
def loss_fits(bench: Bench) -> Iterator[Finding]:
    refused = _refused(bench)
    if refused is not None:
        yield refused
        return
    probe = probe_of(bench)
    if probe.outputs is None or probe.target is None or not probe.rows:
        raise Inapplicable("outputs and targets are not one tensor each with the same rows")
    if own_parameters(probe.loss) or not probe.deterministic:
        raise Inapplicable("the loss has parameters of its own or draws random numbers")
    found = list(_ignored(bench, probe)) or list(_several_classes(probe)) or list(_kinds(bench, probe))
    yield from found or _direction(bench, probe)


def _refused(bench: Bench) -> Finding | None:
    """The loss raises on these targets, and takes them in another number type or shape."""
    seen = look(bench)
    probe = LossProbe(bench.twin().loss_fn, seen)
    target, outputs = probe.target, main(seen)
    if target is None or outputs is None or probe.value(seen.outputs) is not None:
        return None
    whole = bool((target == target.round()).all()) if target.is_floating_point() else True
    labels = target.is_floating_point() and whole and int(target.max()) < outputs.shape[min(1, outputs.dim() - 1)]
    for name, form in (("as long", Tensor.long), ("as float", Tensor.float)):
        if name == "as long" and not labels:
            continue
        for shape, shaped in (("", _as_it_is), (", squeezed", _squeezed), (", unsqueezed", _unsqueezed)):
            if probe.value(seen.outputs, shaped(form(target))) is not None:
                values = {"dtype": str(target.dtype).removeprefix("torch."), "shape": str(tuple(target.shape))}
                return _finding(
                    "error", "outputs.target_refused", values | {"takes": name + shape}, "losses_that_raise", 1, 0
                )
    return None


def _as_it_is(target: Tensor) -> Tensor:
    return target


def _squeezed(target: Tensor) -> Tensor:
    return target.squeeze(-1) if target.dim() > 1 else target


def _unsqueezed(target: Tensor) -> Tensor:
    return target.unsqueeze(-1)


def _ignored(bench: Bench, probe: LossProbe) -> Iterator[Finding]:
    if probe.uses_target is not False or probe.couples is not False:
        return
    assert probe.target is not None
    program = bench.program
    supervised = any(one is not None for one in (program.num_classes, program.metric, program.predict))
    severity: Severity = "error" if supervised or probe.class_axis is not None else "warning"
    distinct = len(torch.unique(probe.target, dim=0))
    yield _finding(
        severity, "outputs.target_ignored", {"targets": distinct}, "change_of_loss_with_other_targets", 0.0, 1e-6
    )


def _several_classes(probe: LossProbe) -> Iterator[Finding]:
    """Cross entropy against rows whose classes do not exclude each other."""
    target = probe.target
    assert target is not None
    if probe.known.name != "cross_entropy" or not target.is_floating_point():
        return
    sums = target.sum(1)
    several = float((sums > 1.5).float().mean())
    if several > 0:
        values = {"share": several, "most": float(sums.max())}
        yield _finding("error", "outputs.several_classes", values, "share_of_rows_with_several_classes", several, 0.0)


def _kinds(bench: Bench, probe: LossProbe) -> Iterator[Finding]:
    """A loss of numbers against targets that are classes or yes and no."""
    target, outputs = probe.target, probe.outputs
    assert target is not None
    assert outputs is not None
    if probe.known.name not in NUMBER_LOSSES or probe.known.factor < 0:
        return
    distinct = torch.unique(target)
    whole = bool((distinct == distinct.round()).all())
    if whole and distinct.tolist() == [0, 1] and _absolute(probe):
        share = float(target.float().mean())
        yield _finding("warning", "outputs.absolute_on_answers", {"share": share}, "best_constant", round(share), share)
        return
    told = bench.program.num_classes
    single = outputs[0].numel() == target[0].numel() == 1
    if not single or not whole or len(distinct) < 3 or float(distinct.min()) < 0:
        return
    if told is not None and told > 2 and bench.program.predict is None:
        values = {"loss": probe.known.name, "classes": told}
        yield _finding("error", "outputs.numbers_on_classes", values, "distinct_targets", len(distinct), told)
    elif told is not None and told > 2 and (gap := _unordered(bench)) is not None:
        values = {"loss": probe.known.name, "classes": told, "classed": gap[0], "rounded": gap[1]}
        yield _finding("warning", "outputs.numbers_on_unordered", values, "accuracy_of_rounded_numbers", gap[1], gap[0])
    elif told is None and bench.task is None and _metric_of_classes(bench) and bench.program.predict is None:
        values = {"loss": probe.known.name, "classes": len(distinct)}
        yield _finding("error", "outputs.numbers_on_classes", values, "distinct_targets", len(distinct), None)


def _unordered(bench: Bench) -> tuple[float, float] | None:
    """Accuracy, on rows held back, of the best linear classes and of linear numbers rounded, where the numbers clearly lose; else
    None. Ridge regression on one-hot columns and on the class number itself: where classes are ordered both come out alike."""
    batch = bench.batch(ORDER_ROWS, "unordered")
    inputs, target = batch.inputs, batch.target.reshape(-1)
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or len(target) != len(inputs):
        return None
    values = inputs.reshape(len(inputs), -1).double().cpu()
    labels = target.round().long().cpu()
    if not bool(torch.isfinite(values).all()) or len(values) < 40:
        return None
    values = (values - values.mean(0)) / values.std(0).clamp_min(1e-9)
    values = torch.cat([values, torch.ones(len(values), 1, dtype=torch.float64)], 1)
    half = len(values) // 2
    classes = int(labels.max()) + 1
    wanted = torch.cat([torch.nn.functional.one_hot(labels, classes).double(), labels[:, None].double()], 1)
    ridge = 0.1 * half * torch.eye(values.shape[1], dtype=torch.float64)
    held = values[:half]
    weights = torch.linalg.solve(held.T @ held + ridge, held.T @ wanted[:half])
    given, truth = values[half:] @ weights, labels[half:]
    classed = float((given[:, :-1].argmax(1) == truth).double().mean())
    rounded = float((given[:, -1].round().clamp(0, classes - 1) == truth).double().mean())
    error = (classed * (1 - classed) / len(truth) + rounded * (1 - rounded) / len(truth)) ** 0.5
    return (classed, rounded) if classed - rounded > max(CLEARLY, 3 * error) else None


def _metric_of_classes(bench: Bench) -> bool:
    metric = bench.program.metric
    return isinstance(metric, str) and metric.lower() in (
        "accuracy",
        "acc",
        "balanced_accuracy",
        "f1",
        "macro_f1",
        "top1",
    )


def _absolute(probe: LossProbe) -> bool:
    """Absolute distances on all of what lies between 0 and 1; the smooth ones are quadratic there."""
    return probe.known.name == "mae"


def _direction(bench: Bench, probe: LossProbe) -> Iterator[Finding]:
    """Where descent leads."""
    if probe.couples is not False:
        yield from _over_rows(probe)
        return
    if probe.known.name and probe.known.factor < 0:
        values = {"loss": probe.known.name, "factor": probe.known.factor}
        yield _finding("error", "outputs.sign_flipped_known", values, "factor", probe.known.factor, 0.0, FLIP)
        return
    if probe.known.name:
        return  # the loss is what it should be, whatever the shapes do to it: `broadcast`, `output_width`
    here, there = _reached(bench, probe), _reached(bench, _negated(probe))
    if here is None or there is None:
        raise Inapplicable(
            "the loss cannot be minimised over free outputs, or they do not have the form of the targets"
        )
    if there >= FITS and here < MISSES:
        yield _finding(
            "error", "outputs.sign_flipped", {"down": here, "up": there}, "agreement_after_descent", here, FITS, FLIP
        )
    elif here < MISSES and there < MISSES and probe.class_axis is not None and bench.classed:
        yield _finding("warning", "outputs.loss_misses", {"down": here}, "agreement_after_descent", here, FITS)


def _over_rows(probe: LossProbe) -> Iterator[Finding]:
    """Cross entropy with its softmax over the rows of the batch."""
    outputs, axis = probe.outputs, probe.class_axis
    assert outputs is not None
    if axis is None or outputs.shape[axis] < 2 or probe.uses_target is not True or probe.shift_invariant():
        raise Inapplicable("the loss compares rows with each other")
    labels = probe.target.reshape(-1, 1).long() if outputs.dim() == 2 and probe.target is not None else None
    if labels is None or probe.factor_of(lambda o: -torch.log_softmax(o.float(), 0).gather(1, labels).mean()) is None:
        raise Inapplicable("the loss compares rows with each other")
    yield _finding("error", "outputs.softmax_over_rows", {"rows": probe.rows}, "change_of_loss", 0.0, 1e-3)


def _reached(bench: Bench, probe: LossProbe) -> float | None:
    """The best agreement of the outputs with the targets where the loss is minimised over free numbers, over probabilities and over
    their logarithms; None where they cannot be compared."""
    axis = probe.class_axis
    forms: list[Callable[[Tensor], Tensor]] = [lambda free: free]
    if axis is not None:
        forms += [lambda free: torch.softmax(free, axis), lambda free: torch.log_softmax(free, axis)]
    else:
        forms += [torch.sigmoid]
    best = None
    for form in forms:
        found = probe.descend(through=form)
        agreed = None if found is None else _agreement(bench, probe, found)
        if agreed is not None and agreed > (best or -1.0):
            best = agreed
        if best is not None and best >= FITS:
            return best
    return best


def _negated(probe: LossProbe) -> LossProbe:
    def negated(*given: object, **named: object) -> Tensor:
        value = probe.loss(*given, **named)
        value = value[0] / value[1] if isinstance(value, tuple) else value
        return -value  # type: ignore[no-any-return]

    other = LossProbe(negated, Seen(probe.seen.outputs, probe.seen.target, probe.seen.more, probe.seen.named))
    other._kept |= {"needs": probe.needs, "known": probe.known, "deterministic": True}
    return other


def _agreement(bench: Bench, probe: LossProbe, found: Descent) -> float | None:
    """0 at chance or worse, 1 where outputs and targets agree in every row; None where they cannot be compared."""
    target, axis, outputs = probe.target, probe.class_axis, found.outputs
    assert target is not None
    if axis is not None and outputs.shape[axis] > 1:
        labels = outputs.argmax(axis).reshape(-1)
        wanted = target.reshape(-1)
        held = wanted >= 0
        if labels.shape != wanted.shape or not bool(held.any()) or int(wanted.max()) >= outputs.shape[axis]:
            return None
        right = float((labels[held] == wanted[held]).float().mean())
        chance = float(torch.unique(wanted[held], return_counts=True)[1].max()) / int(held.sum())
        return max(0.0, (right - chance) / (1 - chance)) if chance < 1 else None
    if outputs.numel() != target.numel():
        return None
    one, two = outputs.reshape(-1).double(), target.reshape(-1).double()
    if float(two.std()) == 0:
        return None
    if float(one.std()) == 0 or not bool(torch.isfinite(one).all()):
        return 0.0
    return max(0.0, float(torch.corrcoef(torch.stack([one, two]))[0, 1]))


def _finding(
    severity: Severity,
    message: str,
    values: Mapping[str, object],
    name: str,
    value: float,
    bound: float | None,
    remedy: Remedy = STANDARD,
) -> Finding:
    return Finding(
        fault=ONTO,
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name=name, value=value, threshold=bound, source="asked of the loss itself"),),
        remedies=(remedy,),
        status="confirmed" if severity == "error" else "suspected",
        confidence=0.95 if severity == "error" else 0.7,
    )

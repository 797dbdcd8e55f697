"""modes: the program trains in evaluation mode, or validates in training mode.

Sees      the mode of the model in each forward pass of the program's own step or loop on a copy, with what it says of itself
          where there is no loop; and how much the outputs for the same rows differ between the two modes.
Matters   in evaluation mode dropout does nothing and batch norm learns no statistics; in training mode a validation score hangs
          on which rows share a batch, and the validation rows leak into the running statistics.
Remedies  model.train() at the start of each training epoch, model.eval() before each validation.
Limits    silent where no layer knows two modes or the outputs do not differ; where only some layers are put into evaluation
          (frozen batch norm), which is done on purpose. Gradients recorded during validation are a note: they cost memory.
Source    torch.nn.Module.train, .eval; Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, algorithm 2.
"""

from collections.abc import Iterator

import torch
from torch import nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.scoring import need_step
from tunesmith.doctor.preflight.trace import MODAL, Event, Trace, loop_trace, rows_of, step_trace
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

DIFFER = 0.01  # of the spread of the outputs; assumption: far above rounding, far below what dropout or batch norm do

TRAIN = Remedy(title="remedy.loop_call_train", safety=Safety.ADVICE)
EVAL = Remedy(title="remedy.loop_call_eval", safety=Safety.ADVICE)
NO_GRAD = Remedy(title="remedy.loop_no_grad", safety=Safety.ADVICE)


@check("modes", faults=("model.train_eval_mode",), cost=PASS)
def modes(bench: Bench) -> Iterator[Finding]:
    bench.need_own_loop()
    layers = modal_layers(bench.program.model)
    if bench.program.loop is not None:
        trace = loop_trace(bench)
        trace.need("forward")
        yield from _graph_kept(bench, trace)
    else:
        need_step(bench)
        trace = step_trace(bench)
    gap = _gap(bench) if layers else 0.0
    if not layers or gap < DIFFER:
        return
    taught = [event for event in trace.of("forward") if event.taught]
    yield from _trained_asleep(layers, gap, taught)
    if bench.program.loop is not None:
        yield from _judged_awake(layers, gap, _validations(bench, trace))
    else:
        yield from _as_said(bench, layers, gap, taught)


def modal_layers(model: nn.Module) -> list[str]:
    """Layers that do one thing in training and another in evaluation."""
    return [
        name
        for name, module in model.named_modules()
        if (isinstance(module, MODAL) and getattr(module, "p", 1.0) > 0 and _knows_two(module))
        or (isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0)
    ]


def _knows_two(module: nn.Module) -> bool:
    """Instance norm does the same in both modes unless it keeps statistics."""
    return not isinstance(module, nn.modules.instancenorm._InstanceNorm) or module.track_running_stats


def _normed(layers: list[str], model: nn.Module) -> bool:
    return any(isinstance(model.get_submodule(name), nn.modules.batchnorm._BatchNorm) for name in layers)


def _gap(bench: Bench) -> float:
    """How far the outputs of the two modes lie apart on the same rows, as a share of their spread, after the first updates."""
    batch = bench.batch(32, "modes")
    if batch.size < 2:
        raise Inapplicable("there is a single row")
    with undisturbed(bench), torch.no_grad():
        twin = bench.twin()
        twin.model.eval()
        calm = twin.outputs(batch).double()
        twin.model.train()
        awake = twin.outputs(batch).double()
    spread = float(calm.std()) or float(awake.std())
    return float((calm - awake).abs().mean()) / spread if spread > 0 else 0.0


def _trained_asleep(layers: list[str], gap: float, taught: list[Event]) -> Iterator[Finding]:
    """Training passes with the model in evaluation mode: from the start, or from some pass on."""
    asleep = [place for place, event in enumerate(taught) if event.asleep and not event.training]
    if not asleep:
        return
    later = asleep[0] > 0
    yield _finding(
        "loop.trained_in_eval_later" if later else "loop.trained_in_eval",
        layers,
        gap,
        {"asleep": len(asleep), "passes": len(taught), "first": asleep[0] + 1},
        TRAIN,
    )


def _as_said(bench: Bench, layers: list[str], gap: float, taught: list[Event]) -> Iterator[Finding]:
    """No loop to watch: what the program says of its modes."""
    program = bench.program
    judged = bench.val is not None or bench.test is not None
    if not judged:
        return
    if not program.eval_mode:
        awake = program.train_mode or all(event.training for event in taught)
        if awake:
            yield _finding("loop.judged_in_train", layers, gap, {}, EVAL)
    elif not program.train_mode and taught and not all(event.asleep for event in taught):
        yield _finding("loop.never_train_again", layers, gap, {}, TRAIN)


def _validations(bench: Bench, trace: Trace) -> list[Event]:
    """Forward passes over validation rows; where none is recognised, those without gradients that no training row is in."""
    source = bench.val if bench.val is not None else bench.test
    untaught = [event for event in trace.of("forward") if not event.taught]
    if source is None or not untaught:
        return []
    own = set(rows_of(source.take(range(min(len(source), 5000))).inputs))
    train = set(rows_of(bench.train.take(range(min(len(bench.train), 5000))).inputs))
    known = [event for event in untaught if own.intersection(event.rows)]
    if known:
        return known
    return [event for event in untaught if not event.graph and not train.intersection(event.rows)]


def _judged_awake(layers: list[str], gap: float, passes: list[Event]) -> Iterator[Finding]:
    awake = [event for event in passes if event.training and not event.asleep]
    if awake and len(awake) >= len(passes) / 2:  # a single pass in the other mode may be meant (dropout as an ensemble)
        yield _finding("loop.judged_in_train", layers, gap, {}, EVAL)


def _graph_kept(bench: Bench, trace: Trace) -> Iterator[Finding]:
    passes = _validations(bench, trace)
    recording = [event for event in passes if event.graph]
    if recording and len(recording) == len(passes):
        yield Finding(
            fault="model.train_eval_mode",
            severity="note",
            message="loop.judged_with_graph",
            values={"passes": len(recording)},
            evidence=(Evidence(name="passes_with_gradients", value=len(recording), threshold=0),),
            remedies=(NO_GRAD,),
            status="confirmed",
        )


def _finding(message: str, layers: list[str], gap: float, values: dict[str, int], remedy: Remedy) -> Finding:
    shown = ", ".join(layers[:3]) + (" …" if len(layers) > 3 else "")
    return Finding(
        fault="model.train_eval_mode",
        severity="warning",
        message=message,
        values={"layers": len(layers), "names": shown, "gap": gap, **values},
        evidence=(Evidence(name="gap_between_modes", value=gap, threshold=DIFFER, source="assumption"),),
        remedies=(remedy,),
        confidence=0.95,
        status="confirmed",
        subject={"layers": layers},
    )

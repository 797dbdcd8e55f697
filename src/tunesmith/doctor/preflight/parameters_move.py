"""parameters_move: weights that should train do not: not in the optimizer, not registered, cut off, replaced, or never stepped.

Sees      the tensors of model, loss and optimizer against each other; which get a gradient and which move over a few of the program's own
          updates on a copy, more of them where something stands still; for those without a gradient, whether the outputs depend on them.
Matters   the rest of the net trains around random weights; a run whose optimizer holds another model's weights learns nothing at all.
Remedies  ModuleList instead of a list, the optimizer built last from model.parameters(), no detach or no_grad on the way.
Limits    weights that do not ask for a gradient count as frozen on purpose, and those that the outputs do not depend on as unused: notes.
          What `model.freeze` of a recipe freezes is not told.
          A zero gradient at the start is waited out (zeros in a last layer or a residual branch). Weights that move so little that the
          number format swallows it are another check's.
Source    vocabulary of optim.unregistered_params; Zhang et al., Fixup, arXiv:1901.09321: zeros that wake by themselves.
"""

from collections.abc import Iterator, Sequence

import torch

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.model_call import answer, apart, arguments, spread_of
from tunesmith.doctor.preflight.moving import Moves, Part, moves
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

MOST = 0.5  # share of the trainable numbers that stand still, from which a run cannot be right; assumption
RARE = 8  # steps for each that moves anything, where nothing is gathered over batches; assumption
NUDGE = 0.05  # of a parameter's spread, to see whether outputs depend on it; assumption
DEPENDS = 1e-5  # change of the outputs as a share of their spread; assumption: above rounding
TRIED = 60  # parameters without a gradient that are nudged one by one; assumption
WITHOUT_GRAPH = ("does not require grad", "no grad_fn")  # what torch says of a loss without a graph

HOLD = Remedy(title="remedy.model_optimizer_last", safety=Safety.ADVICE)
REGISTER = Remedy(title="remedy.model_register", safety=Safety.ADVICE)
CONNECT = Remedy(title="remedy.model_no_detach", safety=Safety.ADVICE)
STEP = Remedy(title="remedy.model_call_step", safety=Safety.ADVICE)


@check("parameters_move", faults=("optim.unregistered_params",), cost=CHEAP)
def parameters_move(bench: Bench) -> Iterator[Finding]:
    told = moves(bench)
    model = [part for part in told.parts if part.where in ("model", "unregistered")]
    trainable = [part for part in model if part.trainable]
    if not model:
        raise Inapplicable("the model has no parameters")
    if not trainable:
        yield _finding("error", "model.all_frozen", model, model, HOLD)
        return
    if told.trace.error:
        if not any(words in told.trace.error for words in WITHOUT_GRAPH):
            raise Inapplicable(f"the program raises ({told.trace.error})")
        yield _finding("error", "model.no_gradient", trainable, trainable, CONNECT)
        return
    if told.steps == 0:
        raise Inapplicable("the program made no update")
    stuck = list(_stuck(bench, told, trainable))
    yield from stuck or _stands(told, trainable)
    yield from _notes(bench, told, model, trainable)


def _stuck(bench: Bench, told: Moves, trainable: list[Part]) -> Iterator[Finding]:
    """Findings on parts of the model that do not move though others might."""
    still = [part for part in trainable if not part.moved]
    loose = [part for part in still if part.where == "unregistered" and part.taught and not part.held]
    missing = [part for part in still if part.where == "model" and part.taught and not part.held]
    stopped = [part for part in still if part.taught and part.held and part.rate == 0.0]
    severed = _depended(bench, told, still)
    total = loose + missing + stopped + severed
    severity: Severity = "error" if _numbers(total) > MOST * _numbers(trainable) else "warning"
    foreign = [part for part in told.parts if part.where == "optimizer"]
    if missing and foreign:
        yield _finding("error", "model.optimizer_of_others", missing, trainable, HOLD, foreign=len(foreign))
    elif missing:
        yield _finding(severity, "model.not_in_optimizer", missing, trainable, HOLD)
    if loose:
        yield _finding(severity, "model.not_registered", loose, trainable, REGISTER)
    if severed:
        yield _finding(severity, "model.cut_off", severed, trainable, CONNECT, steps=told.steps)
    if stopped:
        yield _finding(severity, "model.rate_zero", stopped, trainable, HOLD)
    left = [part for part in told.parts if part.where == "loss" and part.trainable and part.taught and not part.moved]
    if left and not any(part.held for part in left):
        yield _finding("warning", "model.loss_not_in_optimizer", left, left + trainable, HOLD)


def _depended(bench: Bench, told: Moves, still: Sequence[Part]) -> list[Part]:
    """Parts that never get a gradient, although the outputs depend on them."""
    asked = [part for part in still if not part.taught]
    if not asked:
        return []
    try:
        return _moving_outputs(bench, told, asked)
    except Inapplicable:
        return []


def _moving_outputs(bench: Bench, told: Moves, asked: list[Part]) -> list[Part]:
    batch = bench.batch(16, "parameters_move")
    given = arguments(bench, batch)
    twin, model = told.twin, told.twin.model
    if bench.program.step is None and bench.program.loop is None:
        twin.gradient(batch, train_mode=False)  # a branch that is dropped at random in training
        asked = [part for part in asked if part.tensor.grad is None or not bool((part.tensor.grad != 0).any())]
    model.eval()
    found = []
    with torch.no_grad():
        base = answer(bench, model, given)
        scale = spread_of(base)
        for part in asked[:TRIED]:
            was = part.tensor.detach().clone()
            size = spread_of(was) or 1.0
            noise = torch.randn(was.shape, generator=torch.Generator().manual_seed(bench.seed))
            part.tensor.add_((NUDGE * size * noise).to(was))
            if apart(base, answer(bench, model, given), scale) > DEPENDS:
                found.append(part)
            part.tensor.copy_(was)
    return found


def _stands(told: Moves, trainable: list[Part]) -> Iterator[Finding]:
    """Everything has a gradient and is held, and yet (almost) no step moves anything."""
    taught = [part for part in trainable if part.taught and part.held]
    if not taught or told.moving * RARE > told.steps:
        return
    backward = told.trace.of("backward")
    gathered = any(one.before is not None and bool((one.before != 0).any()) for one in backward[1:])
    updates = len(told.trace.of("update"))
    if (
        gathered or updates * RARE > told.steps
    ):  # gathered over batches; or stepped, and moved by less than the format holds
        return
    yield _finding("error", "model.never_stepped", taught, trainable, STEP, steps=told.steps, moving=told.moving)


def _notes(bench: Bench, told: Moves, model: list[Part], trainable: list[Part]) -> Iterator[Finding]:
    meant = set() if bench.made is None else set(bench.made.beginning.frozen)
    frozen = [part for part in model if not part.trainable and part.name not in meant]
    if frozen:
        yield _finding("note", "model.part_frozen", frozen, model, HOLD)
    unused = [part for part in trainable if not part.reached and not part.moved]
    depended = {id(part) for part in _depended(bench, told, unused)}
    unused = [part for part in unused if id(part) not in depended]
    if unused:
        yield _finding("note", "model.unused", unused, trainable, CONNECT, steps=told.steps)
    hand = [part for part in trainable if part.where == "unregistered" and part.moved]
    if hand:
        yield _finding("note", "model.trained_by_hand", hand, trainable, REGISTER)


def _numbers(parts: Sequence[Part]) -> int:
    return sum(part.count for part in {id(part): part for part in parts}.values())


def _finding(
    severity: Severity, message: str, parts: Sequence[Part], whole: Sequence[Part], remedy: Remedy, **values: int
) -> Finding:
    share = _numbers(parts) / max(1, _numbers(whole))
    names = [part.name for part in parts]
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return Finding(
        fault="optim.unregistered_params",
        severity=severity,
        message=message,
        values={"share": share, "numbers": _numbers(parts), "tensors": len(parts), "names": shown, **values},
        evidence=(Evidence(name="share_that_stands_still", value=share, threshold=MOST, source="assumption"),),
        remedies=(remedy,),
        status="confirmed",
        confidence=0.95 if severity != "note" else 0.5,
        subject={"layers": names},
    )

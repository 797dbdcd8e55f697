"""overfit_batch: a handful of rows cannot be learnt by heart.

Sees      a few rows trained on for up to 200 updates without dropout and decay: by Adam at several rates, and by the program's
          own step and optimizer. The first tells of the net, its output and the loss; the second of the optimizer and the loop.
Matters   whatever cannot learn eight rows will not learn eight thousand.
Remedies  when the loss falls and the score does not: the loss; when the targets lie outside what the outputs reach: the last
          activation; when the program's own step diverges or stands still where Adam succeeds: the rate and the optimizer.
Limits    so few rows are taken that a linear model could learn them. Rows with equal inputs count once. An own step that is
          merely slow is judged by what it would reach in all of the planned updates.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "overfit one batch"; TheDeepChecker, arXiv:2204.00694.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench, seed_all
from tunesmith.doctor.preflight.capacity import WIDER, bottlenecks
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed, without_regularisation
from tunesmith.doctor.preflight.scoring import NUMBERS, chance, need_score, score, some
from tunesmith.doctor.preflight.trace import tensors_in
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import DEAR, Evidence, Finding, Remedy, Safety
from tunesmith.records.check import Inapplicable
from tunesmith.training.batch import Batch, outputs_of

STEPS = 200  # diagnosis: at most 200 updates
RATES = (1e-2, 1e-3, 1e-1)  # of Adam; assumption: the usual one, one above, one far above
ROWS = 16  # at most; Karpathy: "as little as two examples"
LEARNT = 0.95  # of the labels, or of the variance; TheDeepChecker: error of at most 5 %
CLASSES_AT_LEAST = 2
FAILED = 0.5  # of the way from the best constant answer to perfect: less is a failure by any measure; assumption
HALF = 0.5  # of the loss gone and nothing learnt: the loss asks for something else; assumption
STILL = 0.02  # of what Adam took off the loss; assumption
SHARE = 0.5  # of the time left that the worst case may take; assumption
LOOK = 10  # updates between two looks

ADVICE = Remedy(title="remedy.loop_look_at_net", safety=Safety.ADVICE)
LOSS = Remedy(title="remedy.loop_usual_loss", safety=Safety.ADVICE)
OUTPUT = Remedy(title="remedy.loop_open_output", safety=Safety.ADVICE)
SLOWER = Remedy(title="remedy.loop_lower_rate", safety=Safety.RISKY)
FASTER = Remedy(title="remedy.loop_raise_rate", safety=Safety.RISKY)


@dataclass(slots=True)
class Drill:
    """A batch trained on again and again."""

    rate: float
    losses: list[float] = field(default_factory=list)  # in evaluation mode, at 0, LOOK, 2 LOOK … updates
    scores: list[float] = field(default_factory=list)
    steps: int = 0
    outputs: Tensor | None = None
    broke: str = ""

    @property
    def best(self) -> float:
        """The best score, not counting what is no number."""
        return max((one for one in self.scores if not math.isnan(one)), default=float("nan"))

    @property
    def learnt(self) -> bool:
        return self.best >= LEARNT

    @property
    def fell(self) -> float:
        """How far the loss fell at its lowest."""
        finite = [one for one in self.losses if math.isfinite(one)]
        return self.losses[0] - min(finite) if finite and math.isfinite(self.losses[0]) else 0.0


@check(
    "overfit_batch",
    faults=("fit.underfit", "model.too_small", "loss.mismatch", "output.wrong_activation", "lr.too_high", "lr.too_low"),
    cost=DEAR,
)
def overfit_batch(bench: Bench) -> Iterator[Finding]:
    need_score(bench)
    batch = small_batch(bench)
    bench.clock.need((len(RATES) + 1) * STEPS * _seconds(bench, batch) / SHARE)
    good = best_drill(bench, batch)
    floor = chance(bench, batch.target)
    bench.measured["overfit_batch"] = {"rows": batch.size, "score": good.best, "rate": good.rate, "steps": good.steps}
    if not good.learnt:
        if good.best < floor + FAILED * (1 - floor) or math.isnan(good.best):
            yield _neither(bench, batch, good, floor)
        return
    if bench.task is None:
        yield from _own(bench, batch, good)


def small_batch(bench: Bench) -> Batch:
    """Rows of at least two classes, as many as a linear model of this size could learn, each input once."""
    two = bench.batch(2, "overfit")
    outputs = max(1, bench.twin().judged(two)[1].numel() // two.size)
    weights = sum(each.numel() for each in bench.program.model.parameters() if each.requires_grad)
    count = max(4, min(ROWS, weights // (2 * outputs)))
    drawn = bench.batch(8 * ROWS, "overfit")
    keep: list[int] = []
    inputs: set[int] = set()
    labels: list[tuple[float, ...]] = []
    rows = [hash(_row(drawn, place).tobytes()) for place in range(drawn.size)]
    values = drawn.target.reshape(drawn.size, -1)
    for place in range(drawn.size):
        label = tuple(values[place].tolist())
        full = bench.classed and labels.count(label) >= -(-count // CLASSES_AT_LEAST)
        if rows[place] not in inputs and not full and len(keep) < count:
            keep.append(place)
            inputs.add(rows[place])
            labels.append(label)
    if len(set(labels)) < 2:
        raise Inapplicable("the drawn rows all have one target")
    return some(drawn, torch.tensor(keep, device=drawn.target.device))


def _row(batch: Batch, place: int) -> Any:
    parts = [each[place].detach().cpu().reshape(-1).double() for each in tensors_in(batch.inputs)]
    return torch.cat(parts).numpy()


def _seconds(bench: Bench, batch: Batch) -> float:
    with undisturbed(bench):
        twin = bench.twin()
        began = perf_counter()
        for _ in range(3):
            twin.gradient(batch)
    return (perf_counter() - began) / 3


def best_drill(bench: Bench, batch: Batch) -> Drill:
    """Adam at several rates; the first that learns the batch, else the one that came nearest."""
    drills = []
    for rate in RATES:
        drills.append(drill(bench, batch, rate))
        if drills[-1].learnt:
            return drills[-1]
    return max(drills, key=lambda one: (-math.inf if math.isnan(one.best) else one.best, one.fell))


def drill(bench: Bench, batch: Batch, rate: float | None, steps: int = STEPS) -> Drill:
    """Trains on one batch alone: by Adam at `rate`, or where that is None by the program's own step and optimizer."""
    told = Drill(rate=float("nan") if rate is None else rate)
    with undisturbed(bench):
        twin = bench.twin()
        seed_all(bench.seed)
        without_regularisation(twin)
        weights = [each for each in twin.model.parameters() if each.requires_grad]
        if not weights:
            raise Inapplicable("the model has no trainable parameters")
        adam = None if rate is None else torch.optim.Adam(weights, lr=rate)
        for step in range(steps + 1):
            if step % LOOK == 0:
                _look(bench, twin, batch, told)
                if told.learnt or told.broke:
                    return told
            if step < steps:
                _step(twin, batch, adam, told)
                if told.broke:
                    return told
    return told


def _step(twin: Twin, batch: Batch, adam: torch.optim.Optimizer | None, told: Drill) -> None:
    try:
        if adam is None:
            twin.step([batch] * max(1, twin.program.accumulate) if twin.program.step is not None else batch)
        else:
            twin.gradient(batch, train_mode=True)
            adam.step()
    except (RuntimeError, ValueError, IndexError, ArithmeticError) as error:
        told.broke = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    told.steps += 1


def _look(bench: Bench, twin: Twin, batch: Batch, told: Drill) -> None:
    loss, outputs = _in_training_mode(twin, batch) if _normed(twin.model) else twin.judged(batch)
    told.losses.append(loss)
    told.scores.append(score(bench, outputs, batch.target))
    told.outputs = outputs
    if not math.isfinite(loss):
        told.broke = f"the loss became {loss} after {told.steps} updates"


def _normed(model: nn.Module) -> bool:
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in model.modules())


def _in_training_mode(twin: Twin, batch: Batch) -> tuple[float, Tensor]:
    """Batch norm's running statistics lag behind two hundred updates; the batch's own are what was trained with."""
    kept = {name: value.clone() for name, value in twin.model.named_buffers()}
    was = twin.model.training
    twin.model.train()
    with torch.no_grad():
        result = twin.result(batch)
        loss = float(twin.loss_of(result, batch))
        for name, value in twin.model.named_buffers():
            value.copy_(kept[name])
    twin.model.train(was)
    return loss, outputs_of(result).detach()


def _neither(bench: Bench, batch: Batch, good: Drill, floor: float) -> Finding:
    """Not even Adam: the net, its output or the loss. Which of them, as far as the numbers tell."""
    finite = [one for one in good.losses if math.isfinite(one)]
    if not finite:
        raise Inapplicable("the loss of the batch is not finite")
    outside = _outside(bench, batch, good)
    falls = min(finite) < -1e-3 or _below_constant(bench, batch, good)
    narrow = bottlenecks(bench.program.model)
    fault, message, remedy = "fit.underfit", "loop.batch_not_learnt", ADVICE
    if narrow:
        fault, remedy = "model.too_small", WIDER
    if outside > 0:
        fault, message, remedy = "output.wrong_activation", "loop.targets_out_of_reach", OUTPUT
    elif falls and (math.isnan(good.best) or good.scores[-1] <= floor + 0.1 * (1 - floor)):
        fault, message, remedy = "loss.mismatch", "loop.loss_falls_score_not", LOSS
    return Finding(
        fault=fault,
        severity="warning",
        message=message,
        values={
            "rows": batch.size,
            "steps": good.steps,
            "score": good.best,
            "chance": floor,
            "first": good.losses[0],
            "last": good.losses[-1],
            "outside": outside,
        },
        evidence=(
            Evidence(
                name="score_on_the_batch", value=good.best, threshold=floor + FAILED * (1 - floor), source="assumption"
            ),
            Evidence(name="loss_on_the_batch", value=good.losses[-1], threshold=good.losses[0]),
        ),
        remedies=(remedy,),
        confidence=0.7,
        status="suspected",
        subject={"layers": [name for name, _ in narrow]},
    )


def _below_constant(bench: Bench, batch: Batch, good: Drill) -> bool:
    """Whether the loss fell far, and further than one and the same answer for all rows brings it."""
    if good.fell <= HALF * abs(good.losses[0]) or good.outputs is None:
        return False
    with undisturbed(bench):
        twin = bench.twin()
        answer = torch.zeros_like(good.outputs[:1], requires_grad=True)
        adam = torch.optim.Adam([answer], lr=0.1)
        least = math.inf
        for _ in range(STEPS):
            adam.zero_grad()
            try:
                loss = twin.loss_of(answer.expand_as(good.outputs), batch)
                loss.backward()  # type: ignore[no-untyped-call]
            except (RuntimeError, ValueError, TypeError):  # a loss of more than the outputs, or of part of their range
                return False
            adam.step()
            least = min(least, float(loss.detach()))
    return min((one for one in good.losses if math.isfinite(one)), default=math.inf) < 0.9 * least


def _outside(bench: Bench, batch: Batch, good: Drill) -> float:
    """Of a regression the share of targets beyond all outputs, where these are pinned to 0 … 1, -1 … 1 or above 0."""
    if bench.kind not in NUMBERS or good.outputs is None:
        return 0.0
    outputs, target = good.outputs.float().cpu(), batch.target.float().cpu()
    low, high = float(outputs.min()), float(outputs.max())
    if low >= -1.0 and high <= 1.0:
        bottom = 0.0 if low >= 0 else -1.0
        beyond = (target > 1.0) | (target < bottom)
    elif low >= 0:
        beyond = target < 0
    else:
        return 0.0
    share = float(beyond.float().mean())
    return share if share > 0.1 and good.fell >= 0 and _pinned(outputs, low) else 0.0


def _pinned(outputs: Tensor, low: float) -> bool:
    """Outputs crowd at an end of their range, as they do when they want to go beyond it."""
    ends = torch.tensor([0.0, 1.0] if low >= 0 else [-1.0, 1.0])
    near = (outputs.reshape(-1, 1) - ends).abs().amin(1) < 0.05  # assumption
    return float(near.float().mean()) > 0.3


def _own(bench: Bench, batch: Batch, good: Drill) -> Iterator[Finding]:
    """Adam learnt the batch; does the program's own step?"""
    if bench.program.loop is not None and bench.program.step is None:
        return
    own = drill(bench, batch, None)
    values = {
        "rows": batch.size,
        "steps": own.steps,
        "good": good.steps,
        "first": own.losses[0],
        "last": own.losses[-1],
        "score": own.best,
    }
    worse = not math.isfinite(own.losses[-1]) or own.losses[-1] > 2 * abs(own.losses[0]) + 1e-6
    if not own.learnt and (own.broke or worse):
        yield _finding("lr.too_high", "loop.own_step_diverges", values, own, good, SLOWER)
        return
    reach = own.fell * max(1.0, bench.updates / max(1, own.steps))
    if not own.learnt and reach < STILL * good.fell:
        yield _finding("lr.too_low", "loop.own_step_stands", values, own, good, FASTER)


def _finding(fault: str, message: str, values: dict[str, float], own: Drill, good: Drill, remedy: Remedy) -> Finding:
    return Finding(
        fault=fault,
        severity="warning",
        message=message,
        values=values,
        evidence=(
            Evidence(name="loss_on_the_batch", value=own.losses[-1], threshold=own.losses[0]),
            Evidence(name="loss_with_adam", value=good.losses[-1], threshold=good.losses[0]),
        ),
        remedies=(remedy,),
        confidence=0.4,  # that it does not move is certain; why, is not
        status="suspected",
    )

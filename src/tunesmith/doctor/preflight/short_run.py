"""short_run: the program trained for a while as it is, and with one thing changed; what is clearly better is the cause.

Sees      the program trained to its end on a copy (where that takes too long, a part of it), scored on training rows against
          what cheap models reach on rows they have not seen. Only where it falls clearly short of them, the same training with
          one change each: inputs or targets standardised, other batch, other optimizer, rate ten and hundred times lower and
          higher, no regularisation, more epochs. A cause is what closes most of the gap, with another order of the rows too.
Matters   a rate ten times off looks like a bad idea, a bad net or bad data; a short paired training tells them apart.
Remedies  the change that helped.
Limits    a program that reaches its reference is not spoken of, even if another rate were better: that is tuning. Of a part of the
          run only a program that has not left chance is spoken of. One change at a time: of two faults the
          larger shows. Two changes that mend as much (a higher rate, a smaller batch) are both told.
Source    paired counterfactuals with common random numbers; the reference is cross-validated on the same rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tunesmith.blocks import experience
from tunesmith.doctor.preflight.attainable import Attainable, attainable
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Course, Variation, course, judge_rows, moments
from tunesmith.doctor.preflight.scoring import need_score
from tunesmith.records import DEAR, Evidence, Finding, OutOfTime, Remedy, Safety, UnknownName

LONGEST = 1500  # updates of a course; assumption: seconds for small nets, and enough to see a trend
SHARE = 0.25  # of the time that is left
PARTLY = 0.05  # of the planned updates: fewer say nothing; assumption
SHORT = 0.8  # of what the reference gains over chance; assumption: above, another rate is a matter of tuning
WITHOUT_CAUSE = 0.5  # the same, where no change helped: only what no reader would call trained; assumption
CLOSED = 0.5  # of the gap to the reference that a cause closes; assumption
LEFT_CHANCE = 0.1  # of what the reference gains over chance; assumption
FEW = 200  # updates: with fewer, their number is to blame before the rate is; as in `forecast`
BEATS = 0.1  # of the gap by which a later cause must beat an earlier one; assumption


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A fault, and the change that would mend it."""

    fault: str
    change: Variation
    remedy: str
    path: str = ""  # of the recipe

    @property
    def message(self) -> str:
        return f"loop.short_run_{self.fault.replace('.', '_')}"


@check(
    "short_run",
    faults=(
        "lr.too_high",
        "lr.too_low",
        "lr.bad_schedule",
        "batch.too_small",
        "batch.too_large",
        "reg.too_strong",
        "fit.too_few_epochs",
        "optim.bad_hyperparameters",
        "data.unscaled_inputs",
        "data.unscaled_targets",
        "fit.underfit",
    ),
    cost=DEAR,
)
def short_run(bench: Bench) -> Iterator[Finding]:
    need_score(bench)
    steps, share = planned_steps(bench)
    base = base_course(bench, steps)
    bench.measured["short_run"] = {"steps": steps, "of": bench.updates, "score": base.score, "seconds": base.seconds}
    reference = attainable(bench)
    bench.measured["attainable"] = {"score": reference.score, "model": reference.best, "chance": reference.chance}
    if not falls_short(base, reference, share):
        return
    yield from _causes(bench, base, reference, steps, share)


def planned_steps(bench: Bench) -> tuple[int, float]:
    """Updates of a course, and which share of the run they are. Raises `OutOfTime` where even a small one takes too long."""
    seconds = seconds_of_update(bench)
    steps = min(bench.updates, LONGEST)
    affordable = SHARE * bench.clock.left() / max(seconds, 1e-9)
    if math.isfinite(affordable) and affordable < 3 * steps:  # the unchanged run and a few changes of it
        steps = max(1, min(steps, 200, bench.updates))  # a fixed, smaller size: the clock chooses which, not how many
    if bench.program.loop is not None and bench.program.step is None:
        steps = min(bench.updates, max(steps, bench.updates_per_epoch))  # a loop is at least an epoch
    bench.clock.need(seconds * steps / SHARE)
    return steps, steps / bench.updates


def seconds_of_update(bench: Bench) -> float:
    """The median of a few updates, made once."""

    def measured() -> float:
        import time

        from tunesmith.doctor.preflight.courses import feeding, undisturbed

        with undisturbed(bench):
            twin, feed, taken = bench.twin(), feeding(bench), []
            for _ in range(4):
                began = time.perf_counter()
                twin.step(next(feed))
                taken.append(time.perf_counter() - began)
        return sorted(taken[1:])[1]

    return bench.kept("courses.seconds", measured)


def base_course(bench: Bench, steps: int) -> Course:
    """The program as it is, trained once for all checks that need it."""
    return kept_course(bench, Variation(), steps)


def kept_course(bench: Bench, change: Variation, steps: int, seed: int = 0) -> Course:
    """A training of a copy, made once for all who ask for the same."""
    return bench.kept(f"courses.{change}.{steps}.{seed}", lambda: course(bench, change, steps, seed=seed))


def falls_short(base: Course, reference: Attainable, share: float) -> bool:
    """Whether the training score is clearly below what cheap models reach; of a part of the run, whether it has not left chance."""
    if not reference.signal:
        return False
    score = base.score if base.finite and not math.isnan(base.score) else -math.inf
    if share < 1.0:
        return score < reference.chance + LEFT_CHANCE * reference.gain and share >= PARTLY
    return score < min(reference.chance + SHORT * reference.gain, reference.score - 3 * reference.noise)


def _causes(bench: Bench, base: Course, reference: Attainable, steps: int, share: float) -> Iterator[Finding]:
    tried: list[Tried] = []
    enough = CLOSED if share == 1.0 else CLOSED * 0.8
    until = bench.clock.spent() + SHARE * bench.clock.left()
    seconds = max(seconds_of_update(bench), base.seconds / max(1, base.steps)) * steps
    cut = False
    for group in _groups(bench, base, share):
        for each in group:
            last = each.change.optimizer == "adam" and any(one[2] >= enough for one in tried)
            if bench.clock.spent() + seconds * each.change.epochs > until:
                cut = True
            elif not last:
                found = kept_course(bench, each.change, steps)
                tried.append((each, found, closed(base, found, reference)))
                if tried[-1][2] > 1 - BEATS:  # nothing further in this group can beat it clearly
                    break
    good = [one for one in tried if one[2] >= enough]
    bench.measured["short_run_tried"] = {one[0].change.name: one[1].score for one in tried}
    if not good and cut:
        raise OutOfTime(seconds)
    if not good:
        poor = not base.finite or base.score < reference.chance + WITHOUT_CAUSE * reference.gain
        if share == 1.0 and tried and poor:
            yield _underfit(base, reference, steps, len(tried))
        return
    for place, (each, found, _) in enumerate(equivalent(good)):
        again = kept_course(bench, each.change, steps, seed=1)
        if closed(base, again, reference) >= enough * 0.8:
            yield _finding(bench, each, base, found, again, reference, steps, confidence=0.7 if place == 0 else 0.4)


Tried = tuple[Hypothesis, Course, float]


def equivalent(good: Sequence[Tried]) -> list[Tried]:
    """The most upstream cause, and one more that mends as much; another optimizer only where nothing else does."""
    first = _most_upstream(good)
    others = [one for one in good if one[0].fault != first[0].fault and one[0].change.optimizer != "adam"]
    others = [one for one in others if min(one[2], 1.0) > min(first[2], 1.0) - BEATS]
    return [first, *sorted(others, key=lambda one: -one[2])[:1]]


def closed(base: Course, other: Course, reference: Attainable) -> float:
    """The share of the gap between the unchanged program and its reference that a change closes."""
    if not other.finite or math.isnan(other.score):
        return 0.0
    start = base.score if base.finite and not math.isnan(base.score) else reference.chance
    start = max(start, reference.chance - reference.gain)
    return (other.score - start) / max(reference.score - start, 1e-9)


def _most_upstream(good: Sequence[Tried]) -> Tried:
    """The first in the order of causes, unless a later one is better by more than `BEATS` of the gap."""
    chosen = good[0]
    for one in good[1:]:
        if min(one[2], 1.0) > min(chosen[2], 1.0) + BEATS:
            chosen = one
    return chosen


def _groups(bench: Bench, base: Course, share: float) -> Iterator[list[Hypothesis]]:
    """Hypotheses, the most upstream first; within a group the first that closes the gap is enough."""
    program = bench.program
    if unscaled_inputs(bench):
        change = Variation("standardised inputs", inputs=True)
        yield [Hypothesis("data.unscaled_inputs", change, "remedy.loop_scale_inputs")]
    if unscaled_targets(bench):
        change = Variation("standardised targets", targets=True)
        yield [Hypothesis("data.unscaled_targets", change, "remedy.loop_scale_targets")]
    if regularised(bench):
        yield [
            Hypothesis("reg.too_strong", Variation("no regularisation", plain=True), "remedy.loop_less_regularisation")
        ]
    if odd(program.optimizer):
        change = Variation("usual settings of the optimizer", optimizer="defaults")
        yield [Hypothesis("optim.bad_hyperparameters", change, "remedy.loop_usual_optimizer")]
    if bench.updates_per_epoch < 10 or program.batch_size > len(bench.train) / 4:
        change = Variation("batch / 8", batch=1 / 8)
        yield [Hypothesis("batch.too_large", change, "remedy.loop_smaller_batch", "train.batch_size")]
    if program.batch_size <= 4:
        yield [
            Hypothesis(
                "batch.too_small", Variation("batch × 8", batch=8.0), "remedy.loop_larger_batch", "train.batch_size"
            )
        ]
    if program.scheduler is not None:
        yield [Hypothesis("lr.bad_schedule", Variation("a constant rate", flat=True), "remedy.loop_constant_rate")]
    longer = Variation("four times the epochs", epochs=4.0)
    epochs = [Hypothesis("fit.too_few_epochs", longer, "remedy.loop_more_epochs")]
    short = share == 1.0 and bench.updates <= LONGEST / 2 and base.finite
    first = short and bench.updates < FEW and usual_rate(program.optimizer)
    if first:
        yield epochs
    yield from _rates(base)
    if short and not first:
        yield epochs
    change = Variation("Adam with its defaults", optimizer="adam")
    yield [Hypothesis("optim.bad_hyperparameters", change, "remedy.loop_adam")]


def _rates(base: Course) -> Iterator[list[Hypothesis]]:
    lower = [
        Hypothesis("lr.too_high", Variation(f"rate × {factor:g}", rate=factor), "remedy.loop_lower_rate", "optim.lr")
        for factor in (0.1, 0.01, 0.001)
    ]
    higher = [
        Hypothesis("lr.too_low", Variation(f"rate × {factor:g}", rate=factor), "remedy.loop_raise_rate", "optim.lr")
        for factor in (10.0, 100.0, 1000.0)
    ]
    if not base.finite or base.moved > 1.0:  # the weights went further than their own length; assumption
        yield lower
    elif base.moved < 0.02:  # they stand; assumption
        yield higher
    else:
        yield lower[:2]
        yield higher


def usual_rate(optimizer: torch.optim.Optimizer) -> bool:
    """Within a factor of ten of where one starts by experience, so that it is not the first to be blamed."""
    rates = [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
    try:
        start = float(experience.start("optim.lr", optimizer=type(optimizer).__name__.lower()))
    except UnknownName:  # an optimizer that no rule of thumb speaks of
        return False
    return bool(rates) and all(start / 10 <= rate <= start * 10 for rate in rates)


def unscaled_inputs(bench: Bench) -> bool:
    """Features far from mean 0 and spread 1, or of very different spread."""
    found = moments(bench)
    if found is None:
        return False
    mean, spread = found[0].abs().flatten(), found[1].flatten()
    offset = mean > 10 * spread  # vocabulary of data.unscaled_inputs
    return bool((spread.max() > 10) | (mean.max() > 10) | (spread.max() < 0.05) | (offset.double().mean() > 0.25))


def unscaled_targets(bench: Bench) -> bool:
    if bench.kind not in ("regression", "multi_regression"):
        return False
    target = judge_rows(bench).target.float()
    spread, mean = target.std(0, unbiased=False), target.mean(0).abs()
    return bool((spread.max() > 10) | (mean.max() > 10) | (spread.min() < 0.01))  # vocabulary of data.unscaled_targets


def regularised(bench: Bench) -> bool:
    decays = any(group.get("weight_decay", 0.0) > 0 for group in bench.program.optimizer.param_groups)
    drops = any(
        isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in bench.program.model.modules()
    )
    return decays or drops


def odd(optimizer: torch.optim.Optimizer) -> bool:
    """Momentum, betas or epsilon far from where they usually are."""
    usual = {"momentum": (0.0, 0.98), "eps": (0.0, 1e-4), "alpha": (0.9, 0.9999), "dampening": (0.0, 0.5)}  # assumption
    for group in optimizer.param_groups:
        if any(name in group and not low <= float(group[name]) <= high for name, (low, high) in usual.items()):
            return True
        first, second = (group.get("betas") or (0.9, 0.999))[:2]
        if not (0.0 <= float(first) <= 0.98 and 0.9 <= float(second) <= 0.99999):
            return True
    return False


def _remedy(bench: Bench, each: Hypothesis) -> Remedy:
    if bench.recipe is None or not each.path:
        return Remedy(title=each.remedy, safety=Safety.RISKY if each.path else Safety.ADVICE)
    old = bench.program.batch_size if each.path == "train.batch_size" else bench.program.optimizer.param_groups[0]["lr"]
    factor = each.change.batch if each.path == "train.batch_size" else each.change.rate
    new = max(1, round(old * factor)) if each.path == "train.batch_size" else old * factor
    return Remedy(title=each.remedy, safety=Safety.RISKY, change={each.path: new})


def _finding(
    bench: Bench,
    each: Hypothesis,
    base: Course,
    found: Course,
    again: Course,
    reference: Attainable,
    steps: int,
    confidence: float,
) -> Finding:
    return Finding(
        fault=each.fault,
        severity="warning",
        message=each.message,
        values=_values(base, reference, steps)
        | {
            "change": each.change.name,
            "better": found.score,
            "again": again.score,
            "rate": bench.program.optimizer.param_groups[0].get("lr", float("nan")),
            "batch": bench.program.batch_size,
            "epochs": bench.program.epochs,
        },
        evidence=(
            *_evidence(base, reference),
            Evidence(name="training_score_changed", value=found.score, threshold=base.score, where=each.change.name),
            Evidence(
                name="training_score_changed_again", value=again.score, threshold=base.score, where=each.change.name
            ),
        ),
        remedies=(_remedy(bench, each),),
        confidence=confidence,
        status="suspected",
    )


def _values(base: Course, reference: Attainable, steps: int) -> dict[str, float | str | int]:
    return {
        "score": base.score if base.finite else float("nan"),
        "steps": steps,
        "reference": reference.score,
        "model": reference.best,
        "chance": reference.chance,
    }


def _evidence(base: Course, reference: Attainable) -> tuple[Evidence, ...]:
    return (
        Evidence(
            name="training_score",
            value=base.score if base.finite else float("nan"),
            threshold=reference.score,
            source=f"{reference.best}, cross-validated",
        ),
        Evidence(name="chance", value=reference.chance),
    )


def _underfit(base: Course, reference: Attainable, steps: int, tried: int) -> Finding:
    """Short of the reference, and no single change helped."""
    return Finding(
        fault="fit.underfit",
        severity="warning",
        message="loop.short_run_fit_underfit",
        values=_values(base, reference, steps) | {"tried": tried},
        evidence=_evidence(base, reference),
        remedies=(Remedy(title="remedy.loop_look_at_net", safety=Safety.ADVICE),),
        confidence=0.5,
        status="suspected",
    )

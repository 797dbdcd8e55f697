"""Schedulers of torch that multiply the initial rate by a factor."""

import math
from typing import Any

from tunesmith.blocks.schedules.imports.rule import RULES, Replayed, Rule, closed, multiplied
from tunesmith.records import RecipeError


@RULES.add("LambdaLR")
def lambda_lr(scheduler: Any, i: int) -> Rule:
    base, factor = float(scheduler.base_lrs[i]), scheduler.lr_lambdas[i]
    return closed(base or 1.0, lambda t: base * float(factor(t)), factor)


@RULES.add("MultiplicativeLR")
def multiplicative_lr(scheduler: Any, i: int) -> Rule:
    """The one of this family without a closed form in torch: a SequentialLR multiplies when it hands over."""
    base, ratio = float(scheduler.base_lrs[i]), scheduler.lr_lambdas[i]
    products = Replayed(lambda: 1.0, lambda before, t: before * float(ratio(t)))
    return Rule(
        peak=base or 1.0,
        start=lambda rate: rate,
        reset=lambda rate: rate * float(ratio(0)),
        advance=lambda rate, t: rate * float(ratio(t)),
        at=lambda t: base * products(t),
        shape=(ratio,),
    )


@RULES.add("StepLR")
def step_lr(scheduler: Any, i: int) -> Rule:
    size, gamma = scheduler.step_size, float(scheduler.gamma)
    if size < 1:
        raise RecipeError(f"StepLR has step_size = {size!r}; 1 or more was expected")
    return multiplied(
        float(scheduler.base_lrs[i]),
        lambda t: gamma ** (t // size),
        lambda t: gamma if t and t % size == 0 else 1.0,
        size,
        gamma,
    )


@RULES.add("MultiStepLR")
def multi_step_lr(scheduler: Any, i: int) -> Rule:
    """Steps count whole calls: a milestone below 0 or between two calls is never met. One named twice counts twice."""
    gamma = float(scheduler.gamma)
    marks = {mark: count for mark, count in scheduler.milestones.items() if mark >= 0 and mark == int(mark)}
    return multiplied(
        float(scheduler.base_lrs[i]),
        lambda t: gamma ** sum(count for mark, count in marks.items() if mark <= t),
        lambda t: gamma ** marks.get(t, 0),
        gamma,
        tuple(sorted(marks.items())),
    )


@RULES.add("ConstantLR")
def constant_lr(scheduler: Any, i: int) -> Rule:
    factor, total = float(scheduler.factor), scheduler.total_iters
    back = 1.0 / factor if factor else math.nan  # torch divides by zero there
    return multiplied(
        float(scheduler.base_lrs[i]),
        lambda t: factor if t < total or total == 0 else 1.0,  # with total 0 torch never takes the factor back
        lambda t: factor if t == 0 else (back if t == total else 1.0),
        factor,
        total,
    )


@RULES.add("LinearLR")
def linear_lr(scheduler: Any, i: int) -> Rule:
    start, end, total = float(scheduler.start_factor), float(scheduler.end_factor), scheduler.total_iters

    def factor(t: float) -> float:
        return start + (end - start) * min(t, total) / total if total else start

    def ratio(t: int) -> float:
        if t == 0:
            return start
        return 1.0 if t > total else 1.0 + (end - start) / (total * start + (t - 1) * (end - start))

    return multiplied(float(scheduler.base_lrs[i]), factor, ratio, start, end, total)


@RULES.add("ExponentialLR")
def exponential_lr(scheduler: Any, i: int) -> Rule:
    gamma = float(scheduler.gamma)
    return multiplied(float(scheduler.base_lrs[i]), lambda t: gamma**t, lambda t: gamma, gamma, at_start=1.0)


@RULES.add("PolynomialLR")
def polynomial_lr(scheduler: Any, i: int) -> Rule:
    total, power = scheduler.total_iters, float(scheduler.power)

    def ratio(t: int) -> float:
        return 1.0 if t > total else float(((1 - t / total) / (1 - (t - 1) / total)) ** power)

    def factor(t: float) -> float:
        return float((1 - min(t, total) / total) ** power) if total else 1.0

    return multiplied(float(scheduler.base_lrs[i]), factor, ratio, total, power, at_start=1.0)

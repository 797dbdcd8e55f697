"""regularised_early: dropout, weight decay or label smoothing were switched on for a net that does not overfit yet.

Sees      which of them a recipe sets by itself (not by default, nor derived); then the same short training with and without them, from the
          same weights, each with two orders of the rows, and the score of both on validation rows.
Matters   they hide whether net and data are right, and cost score for as long as there is nothing to hold back.
Remedies  first a net that overfits, then as much of them as the validation score asks for.
Limits    a note, recipes only, and only where the validation score is better without them in both trainings; these are up to 200
          updates, after which a long run may yet overfit. Augmentation is not tried.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "overfit", "regularize".
"""

import math
from collections.abc import Iterator, Sequence

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import JUDGED_ROWS, Course, Variation, course
from tunesmith.doctor.preflight.scoring import need_score
from tunesmith.doctor.preflight.short_run import seconds_of_update
from tunesmith.doctor.preflight.task_bench import bench_of_task
from tunesmith.records import DEAR, Evidence, Finding, Recipe, Remedy, Safety, revise
from tunesmith.records.check import Inapplicable

STEPS = 200  # updates of a short training; assumption
LEAST = 0.01  # of the score, by which it must be better without; assumption
PATHS = ("model.dropout", "optim.weight_decay", "loss.label_smoothing")
OURS = ("default", "derived")  # sources of values that nobody set


@check("regularised_early", faults=("reg.too_strong",), cost=DEAR)
def regularised_early(bench: Bench) -> Iterator[Finding]:
    task, recipe = bench.need_task()
    chosen = {path: recipe.get(path) for path in switched_on(recipe)}
    if not chosen:
        raise Inapplicable("the recipe sets no dropout, weight decay or label smoothing")
    if bench.val is None:
        raise Inapplicable("there are no validation rows")
    need_score(bench)
    steps = min(STEPS, bench.updates)
    bench.clock.need(4 * steps * seconds_of_update(bench))
    bare = bench_of_task(task, revise(recipe, dict.fromkeys(chosen, 0.0)), clock=bench.clock)
    with_them = [course(bench, Variation(), steps, seed=seed) for seed in (0, 1)]
    without = [course(bare, Variation(), steps, seed=seed) for seed in (0, 1)]
    margin = max(LEAST, 0.5 / math.sqrt(min(len(bench.val), JUDGED_ROWS)))  # a standard error of a share, at most
    if all(other.finite and other.held > one.held + margin for one, other in zip(with_them, without, strict=True)):
        yield _finding(bench, chosen, with_them, without, margin)


def switched_on(recipe: Recipe) -> list[str]:
    """The paths whose values somebody set, above 0."""
    found = [path for path in PATHS if recipe.source(path).kind not in OURS]
    return [path for path in found if isinstance(recipe.get(path), int | float) and recipe.get(path) > 0]


def _finding(
    bench: Bench, chosen: dict[str, float], with_them: Sequence[Course], without: Sequence[Course], margin: float
) -> Finding:
    held, better = min(one.held for one in with_them), min(one.held for one in without)
    values = {
        "settings": ", ".join(f"{path} = {value:g}" for path, value in chosen.items()),
        "steps": with_them[0].steps,
        "updates": bench.updates,
        "held": held,
        "better": better,
        "train": min(one.score for one in without),
    }
    later = Remedy(
        title="remedy.advice_regularise_later",
        safety=Safety.RISKY,
        change=dict[str, object](dict.fromkeys(chosen, 0.0)),
    )
    return Finding(
        fault="reg.too_strong",
        severity="note",
        message="advice.regularised_early",
        values=values,
        evidence=tuple(
            Evidence(
                name="validation_score",
                value=one.held,
                threshold=other.held - margin,
                source=f"without them, order {order}",
            )
            for order, (one, other) in enumerate(zip(with_them, without, strict=True))
        ),
        remedies=(later,),
        confidence=0.6,
        status="confirmed",
    )

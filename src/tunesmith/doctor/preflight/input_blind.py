"""input_blind: the net does as well without its inputs as with them.

Sees      whether cheap models find anything in the inputs. Where they do not, the program's short training is judged on
          validation rows with their own inputs and with those of other rows: no difference beyond its noise, and the data hold
          no signal. Without validation rows a net trained on inputs of other rows takes their place.
Matters   rows and labels that were shuffled apart, inputs zeroed by a bug: the loss still falls to that of the best constant.
Remedies  follow one row from its source to the net; compare its label there.
Limits    where cheap models do find a signal the inputs are sound, and what is wrong with the net is for other checks. A signal
          smaller than three standard errors of the reference is not seen.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "input-independent baseline"; TheDeepChecker, arXiv:2204.00694.
"""

import math
from collections.abc import Iterator

from tunesmith.doctor.preflight.attainable import attainable
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Course, Variation, course
from tunesmith.doctor.preflight.scoring import need_score
from tunesmith.doctor.preflight.short_run import base_course, planned_steps
from tunesmith.records import DEAR, Evidence, Finding, Remedy, Safety
from tunesmith.records.check import Inapplicable

FEWEST = 200  # rows: of fewer, chance itself reaches far; assumption
FOLLOW = Remedy(title="remedy.loop_follow_a_row", safety=Safety.ADVICE)


@check("input_blind", faults=("data.no_signal",), cost=DEAR)
def input_blind(bench: Bench) -> Iterator[Finding]:
    need_score(bench)
    reference = attainable(bench)
    if reference.rows < FEWEST:
        raise Inapplicable(f"{reference.rows} rows are too few to tell no signal from a weak one; {FEWEST} are needed")
    if reference.signal:
        bench.measured["input_blind"] = {"reference": reference.score, "chance": reference.chance}
        return
    steps, _ = planned_steps(bench)
    steps = min(steps, 300)  # assumption: a signal that a net finds only later is not the kind looked for
    real = base_course(bench, steps)
    blind = course(bench, Variation("inputs of other rows", blind=True), steps)
    noise = 3 * math.sqrt(2) * max(reference.noise, 1e-9)
    bench.measured["input_blind"] = {"real": real.score, "blind": blind.score, "held": real.held, "noise": noise}
    if _used(bench, real, blind, noise):
        return
    yield Finding(
        fault="data.no_signal",
        severity="warning",
        message="loop.input_blind",
        values={
            "reference": reference.score,
            "model": reference.best,
            "chance": reference.chance,
            "rows": reference.rows,
            "real": real.score if math.isnan(real.held) else real.held,
            "blind": blind.score if math.isnan(real.held) else real.held_blind,
            "steps": steps,
        },
        evidence=(
            Evidence(
                name="reference_score",
                value=reference.score,
                threshold=reference.chance + 3 * reference.noise,
                source="three standard errors",
            ),
            Evidence(name="score_with_inputs", value=real.score, threshold=blind.score),
        ),
        remedies=(FOLLOW,),
        confidence=0.7,
        status="suspected",
    )


def _used(bench: Bench, real: Course, blind: Course, noise: float) -> bool:
    """Whether the net finds more in the inputs than cheap models did: on rows it has not seen, where there are some."""
    if not real.finite:
        return False
    if not math.isnan(real.held):
        return real.held > real.held_blind + noise
    weights = sum(each.numel() for each in bench.program.model.parameters() if each.requires_grad)
    by_heart = weights >= len(bench.train)  # then the score on training rows says nothing
    return real.score > blind.score + noise and not by_heart

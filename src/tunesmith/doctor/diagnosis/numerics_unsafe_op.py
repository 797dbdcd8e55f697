"""numerics.unsafe_op: an operation leaves the range of floating-point numbers on values that may well come.

Sees      the first operation, of forward, loss or backward, whose result is not finite while all it was given is: `watch` goes through the
          batch once more, on the weights before the update, and looks at every operation. Named are module, line of code, direction, step,
          rows of the batch, the sizes of what it was given, and whether a wider type stays finite.
          Before that: an exponential that divides or multiplies in the loss, and whose results on a batch of the second half lie farther
          apart than the precision of their type, in a run whose loss rises.
Matters   from that update on every weight is NaN; in evaluation alone, scores are.
Remedies  fused stable operations (log-softmax, cross entropy with logits), an epsilon inside the root or under the fraction, a mask before
          and after the operation, a clamp to the domain, a wider type or loss scaling.
Limits    only in watched runs; a log alone shows when, not where. Where the loss is no function that the watch knows, its operation is read
          off the graph, and for a slope guessed from it. Infinities put there on purpose (masks) and updates that loss scaling leaves out
          are no fault.
Source    counterfactual: with these numbers made finite, loss or gradient is; benchmarks/nan_births.py, 45 ways. Masks and slopes:
          PyTorch documentation, autograd, torch.where.
"""

import math
from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.records import Finding
from tunesmith.runs.history import History

LOOKS = 5  # batches on which the exponential was met; assumption
ROSE = 6.0  # deviations of one update's loss that it lies above its best; assumption
LN_10 = math.log(10)


@rule("numerics.unsafe_op", needs=("loss",))
def numerics_unsafe_op(history: History) -> Iterator[Finding]:
    found = list(born(history, "numerics.unsafe_op"))
    yield from found or _without_bounds(history)


def _without_bounds(history: History) -> Iterator[Finding]:
    """A spread told by its logarithm, as a rule, with which one row outweighs all others."""
    seen, ran = part(history, "exponential"), progress(history)
    if not seen or seen["looks"] < LOOKS or seen["widest"] < seen["precise"] or ran is None or ran.early:
        return
    if ran.end == ran.end and ran.end - ran.best < max(ran.start - ran.best, ROSE * ran.noise):
        return
    yield told(
        "numerics.unsafe_op",
        "warning",
        "exponential_unbounded",
        {"apart": seen["widest"] / LN_10, "precise": seen["precise"] / LN_10, "start": ran.start, "end": ran.end},
        confidence=0.6,
        evidence=[
            number("range_of_exponential", seen["widest"], seen["precise"], "logarithm of the precision"),
            number("loss", ran.end, ran.start, "where it began"),
        ],
        remedies=[advice("bounded_exponent")],
    )

"""numerics.unsafe_op: an operation leaves the range of floating-point numbers on values that may well come.

Sees      the first operation, of forward, loss or backward, whose result is not finite while all it was given is: `watch` goes through the
          batch once more, on the weights before the update, and looks at every operation. Named are module, line of code, direction, step,
          rows of the batch, the sizes of what it was given, and whether a wider type stays finite.
Matters   from that update on every weight is NaN; in evaluation alone, scores are.
Remedies  fused stable operations (log-softmax, cross entropy with logits), an epsilon inside the root or under the fraction, a mask before
          and after the operation, a clamp to the domain, a wider type or loss scaling.
Limits    only in watched runs; a log alone shows when, not where. Where the loss is no function that the watch knows, its operation is read
          off the graph, and for a slope guessed from it. Infinities put there on purpose (masks) and updates that loss scaling leaves out
          are no fault.
Source    counterfactual: with these numbers made finite, loss or gradient is; benchmarks/nan_births.py, 45 ways. Masks and slopes:
          PyTorch documentation, autograd, torch.where.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("numerics.unsafe_op", needs=("loss",))
def numerics_unsafe_op(history: History) -> Iterator[Finding]:
    yield from born(history, "numerics.unsafe_op")

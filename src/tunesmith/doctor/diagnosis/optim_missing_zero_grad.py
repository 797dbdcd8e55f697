"""optim.missing_zero_grad: gradients are not cleared once an update, before backward.

Sees      in a watched run: updates whose gradient began, bit for bit, with all of the gradient of the update before; and updates that found
          no gradient though backward had just left one, because it was cleared in between.
Matters   with gradients piling up the step follows the sum of all batches so far and grows with the step number; cleared too late, no
          weight moves.
Remedies  clear once an update: zero_grad, forward, backward, step.
Limits    updates are looked at in pairs, at the start and then now and then. A gradient that is scaled down instead of cleared (a momentum
          of one's own) is not the same number any more, and nothing is said. Closures are left out.
Source    vocabulary of optim.missing_zero_grad; an invariant in Jiang et al., TrainCheck, OSDI 2025.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

LOOKED = 3  # updates of which it must hold: one may be a loop's own first round; assumption
MOST = 0.8  # share of those looked at; assumption: it holds of all or of none


@rule("optim.missing_zero_grad", needs=("loss",))
def optim_missing_zero_grad(history: History) -> Iterator[Finding]:
    kept, of = fact(history, "kept"), fact(history, "kept_of")
    if of >= LOOKED and kept >= MOST * of:
        yield told(
            "optim.missing_zero_grad",
            "error",
            "gradients_kept",
            {"kept": int(kept), "of": int(of)},
            confidence=0.97,
            status="confirmed",
            evidence=[number("gradients_kept", kept / of, MOST, "invariant")],
            remedies=[advice("clear_gradients")],
        )
    emptied, of = fact(history, "emptied"), fact(history, "emptied_of")
    if of >= LOOKED and emptied >= MOST * of:
        yield told(
            "optim.missing_zero_grad",
            "error",
            "gradients_emptied",
            {"emptied": int(emptied), "of": int(of)},
            confidence=0.97,
            status="confirmed",
            evidence=[number("gradients_emptied", emptied / of, MOST, "invariant")],
            remedies=[advice("clear_gradients")],
        )

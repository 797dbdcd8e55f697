"""model.lookahead: a model that should foretell the next place of a sequence sees it.

Sees      in a watched run whose targets are its inputs some places on: the model was asked, in evaluation mode, for a few rows of a batch, and
          again with the inputs from the answers on taken from other rows; outputs that are scored changed. Or the targets are the inputs of the
          very place, the loss pairs them place by place, and the model is causal: there is nothing to foretell.
Matters   training copies the answer from the inputs; at use there are no later inputs, and the model knows nothing.
Remedies  a causal mask, padding on the left alone, one direction; targets shifted by one place.
Limits    silent where the targets are no shift of the inputs (tags, classes), and where the model may see all and gives back its inputs (an
          autoencoder). Asked at the second and the sixteenth update: what opens later is not seen.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "backprop to chart dependencies"; Vaswani et al.,
          Attention Is All You Need, arXiv:1706.03762, section 3.2.3: the mask of a decoder.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("model.lookahead", needs=())
def model_lookahead(history: History) -> Iterator[Finding]:
    asked = part(history, "ahead")
    if not asked:
        return
    change, bound, steps = asked["change"], asked["bound"], int(asked["steps"])
    values = {"change": change, "steps": steps, "share": asked["share"], "back": int(asked["back"])}
    targets = number("targets_that_are_inputs", asked["share"], None, "the batch")
    if steps > 0 and change > bound:
        yield told(
            "model.lookahead",
            "error",
            "sees_ahead",
            values,
            confidence=0.95,
            status="confirmed",
            evidence=[number("change_by_the_answer", change, bound, "root of the precision"), targets],
            remedies=[advice("see_the_past")],
            subject={"steps_ahead": steps},
        )
    elif steps == 0 and change <= bound < asked.get("own", 0.0):
        yield told(
            "model.lookahead",
            "error" if asked["whole"] else "warning",
            "not_shifted",
            values,
            confidence=0.9,
            status="confirmed",
            evidence=[number("change_by_the_answer", asked["own"], bound, "root of the precision"), targets],
            remedies=[advice("shift_targets")],
            subject={"steps_ahead": 0},
        )

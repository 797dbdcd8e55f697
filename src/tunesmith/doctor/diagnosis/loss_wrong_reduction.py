"""loss.wrong_reduction: the loss is summed over the batch, or divided once too often.

Sees      in a watched run: the loss on a batch is twice the mean of its halves, or is the usual loss times the number of rows; or it is the
          usual loss divided by some number, by itself and by the loop taken together, beyond what the gathered parts ask for.
Matters   the length of the step, and what a clipping bound or epsilon means, changes with the size of the batch.
Remedies  mean reduction; divide by the number of micro-batches in one place.
Limits    needs the targets of the loop. Under Adam and its kin the size of the loss cancels out: a note, unless the gradients are clipped.
          Half a loss (a factor 0.5 by taste) is no finding; a sum over the numbers of one row, averaged over rows, neither.
Source    vocabulary of loss.wrong_reduction: loss(batch) / loss(half) about 2; thresholds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

DOUBLE = (1.9, 2.1)  # between a mean, 1, and a sum, 2; assumption
DIVIDED = 0.3  # of the usual loss: below any factor of taste; assumption
INVARIANT = (
    "adam",
    "rmsprop",
    "adagrad",
    "adadelta",
    "lion",
    "nadam",
    "rprop",
    "adafactor",
)  # optimizers that do not see the size of a loss


@rule("loss.wrong_reduction", needs=("loss",))
def loss_wrong_reduction(history: History) -> Iterator[Finding]:
    answers = part(history, "answers")
    if not answers or answers.get("rows", 0) < 2:
        return
    optimizer = str(part(history, "settings").get("name", "")).lower()
    blunt = any(name in optimizer for name in INVARIANT)
    ran = progress(history)
    poor = ran is None or ran.poor
    halves, low, high = (answers.get(name, 1.0) for name in ("halves", "halves_low", "halves_high"))
    summed = DOUBLE[0] < low and high < DOUBLE[1]
    if summed or answers.get("per_rows"):
        severity: Severity = "warning"
        yield told(
            "loss.wrong_reduction",
            severity,
            "summed",
            {"rows": answers["rows"], "ratio": halves if summed else 2.0},
            confidence=0.85,
            status="confirmed",
            evidence=[number("loss_on_batch_over_halves", halves, DOUBLE[0], "vocabulary of loss.wrong_reduction")],
            remedies=[advice("mean_reduction")],
        )
        return
    scale, root = answers.get("scale"), answers.get("root")
    gathered = fact(history, "backwards") / max(fact(history, "updates"), 1.0)
    if history.facts.get("closure") or fact(history, "windows") > 1.5 * max(fact(history, "updates"), 1.0):
        gathered = 1.0
    if scale is None or root is None or not 0 < scale < DIVIDED:
        return
    whole = scale * root * gathered  # of the gradient of the mean over all parts
    if not 0 < whole < DIVIDED:
        return
    severity = "warning" if poor or not blunt else "note"
    yield told(
        "loss.wrong_reduction",
        severity,
        "divided",
        {"form": answers["form"], "factor": 1 / whole, "gathered": gathered},
        confidence=0.8 if severity == "warning" else 0.6,
        evidence=[number("gradient_over_usual", whole, DIVIDED, "assumption")],
        remedies=[advice("divide_once")],
    )

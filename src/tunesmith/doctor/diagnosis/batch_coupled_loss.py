"""batch.coupled_loss: a loss or layer that couples the rows of a batch is accumulated as if it did not.

Sees      in a watched run with several backward passes for one update: batch norms whose statistics are made of few numbers of a micro-batch;
          or a loss that is on a batch always larger (or always smaller) than the mean of its halves, and no sum.
Matters   the gathered gradient is not that of the whole batch: a contrast is taken against fewer rows, a norm uses noisier statistics.
Remedies  a true batch of that size, a cache of embeddings, group norm instead of batch norm.
Limits    without accumulation nothing is said: a coupled loss is then as meant. Class weights and left-out labels change a mean a little
          and either way; only a change that always has one sign counts.
Source    vocabulary of batch.coupled_loss; thresholds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, named, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

GATHERED = 1.5  # backward passes an update
FEW = 8  # numbers behind one mean of a micro-batch; assumption
APART = 0.05  # by which the whole is more, or less, than the mean of its halves, every time; assumption


@rule("batch.coupled_loss", needs=("loss",))
def batch_coupled_loss(history: History) -> Iterator[Finding]:
    updates = fact(history, "updates")
    gathered = fact(history, "backwards") / max(updates, 1.0)
    if (
        history.facts.get("closure")
        or gathered < GATHERED
        or updates < 3
        or fact(history, "windows") > GATHERED * updates
    ):
        return
    few = {
        name: one["per_channel"]
        for name, one in part(history, "norms").items()
        if 0 < one["per_channel"] <= FEW and one.get("keeps", True)
    }
    if few:
        least = min(few.values())
        yield told(
            "batch.coupled_loss",
            "warning",
            "norms_of_parts",
            {"gathered": gathered, "numbers": least, "names": named(list(few))},
            confidence=0.75,
            evidence=[
                number("backward_passes_per_update", gathered, GATHERED, "assumption"),
                number("numbers_behind_a_mean", least, FEW, "assumption"),
            ],
            remedies=[advice("group_norm")],
            subject={"layers": list(few)},
        )
    answers = part(history, "answers")
    low, high = answers.get("halves_low", 1.0), answers.get("halves_high", 1.0)
    summed = low > 1.9 and high < 2.1
    if not summed and (low > 1 + APART or high < 1 - APART):
        yield told(
            "batch.coupled_loss",
            "warning",
            "loss_of_parts",
            {"gathered": gathered, "ratio": answers["halves"]},
            confidence=0.7,
            evidence=[number("loss_on_batch_over_halves", answers["halves"], 1 + APART, "assumption")],
            remedies=[advice("true_batch")],
        )

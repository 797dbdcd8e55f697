"""loss.shape_broadcast: outputs and targets meet all with all instead of row by row.

Sees      in a watched run: the value of the loss is, to five digits and on every batch looked at, that of a usual loss over all pairs of
          outputs and targets, and not that over rows; or the loss keeps its value when the targets change places within the batch, though
          it does depend on them.
Matters   the best answer becomes the mean of the batch for every row; the loss falls to the variance of the targets and stays.
Remedies  make the shapes equal: (N,) with (N,), or (N, 1) with (N, 1).
Limits    the second way needs the loss itself (`loss_fn`). Losses on sets and distributions (contrastive ones, matching of moments) do not
          pair rows on purpose: they keep their value too, and are told with less confidence.
Source    vocabulary of loss.shape_broadcast.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("loss.shape_broadcast", needs=("loss",))
def loss_shape_broadcast(history: History) -> Iterator[Finding]:
    answers = part(history, "answers")
    shapes = {"outputs": answers.get("output_shape"), "target": answers.get("target_shape")}
    if answers.get("pairing") == "all with all":
        yield told(
            "loss.shape_broadcast",
            "error",
            "all_with_all",
            shapes | {"form": answers["form"], "batches": answers["batches"]},
            confidence=0.97,
            status="confirmed",
            evidence=[number("difference_to_all_pairs", answers["scale_spread"], 1e-4, "rounding")],
            remedies=[advice("equal_shapes")],
        )
    elif answers.get("blind") and not answers.get("deaf"):
        yield told(
            "loss.shape_broadcast",
            "error",
            "pairing_lost",
            shapes,
            confidence=0.7,
            evidence=[number("change_by_exchanged_targets", 0.0, 2e-5, "rounding")],
            remedies=[advice("equal_shapes")],
        )

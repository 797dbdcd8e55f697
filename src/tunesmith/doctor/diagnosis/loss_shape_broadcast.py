"""loss.shape_broadcast: outputs and targets meet all with all instead of row by row.

Sees      in a watched run: the value of the loss is, to five digits and on every batch looked at, that of a usual loss over all pairs of
          outputs and targets, and not that over rows; or the loss keeps its value when the targets change places within the batch, though
          it does depend on them; or an operation of the loss makes a square, as many rows as columns, of a column that comes from the model
          and a row that does not, or the other way about.
Matters   the best answer becomes the mean of the batch for every row; the loss falls to the variance of the targets and stays.
Remedies  make the shapes equal: (N,) with (N,), or (N, 1) with (N, 1).
Limits    the second way needs the loss itself (`loss_fn`). Losses on sets and distributions (contrastive ones, matching of moments) do not
          pair rows on purpose: they keep their value too, and are told with less confidence. Where the loss also pairs outputs with outputs
          (rankings, energy distances), a square is meant.
Source    vocabulary of loss.shape_broadcast.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

LOOKS, MOSTLY = (
    3,
    0.8,
)  # batches on which the square was met, and of those looked at: the last of an epoch may be tiny; assumption


@rule("loss.shape_broadcast", needs=("loss",))
def loss_shape_broadcast(history: History) -> Iterator[Finding]:
    answers = part(history, "answers")
    squares = part(history, "broadcast")
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
    elif squares.get("looks", 0) >= LOOKS and squares["looks"] > MOSTLY * squares["of"]:
        yield told(
            "loss.shape_broadcast",
            "error",
            "square_in_loss",
            {"rows": squares["rows"], "operation": squares["operation"], "looks": squares["looks"]},
            confidence=0.9,
            evidence=[number("numbers_for_each_row", squares["rows"], 1.0, "one row has one target")],
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

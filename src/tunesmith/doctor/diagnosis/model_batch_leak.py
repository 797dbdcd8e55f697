"""model.batch_leak: the outputs of a row depend on the other rows of its batch.

Sees      in a watched run: the model is asked once, in evaluation mode, for eight rows and for four of them alone; their outputs differ. Or
          the outputs of a batch sum to 1 over its rows instead of over the classes.
Matters   scores depend on who is judged together; a net used on one row at a time gives other answers.
Remedies  the right axis: batch_first, softmax(dim=-1), permute instead of view; statistics of the batch through a norm layer.
Limits    the question is asked of nets that take and give tensors with a row each. Batch norms without running statistics do the same on
          purpose, and are told as model.bad_normalization.
Source    vocabulary of model.batch_leak; bound: between rounding (1e-5) and a leak of a tenth; assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

LEAK = 1e-3  # of the spread of the outputs
SUMS_TO_ONE = 1e-3  # of a column of probabilities


@rule("model.batch_leak", needs=("loss",))
def model_batch_leak(history: History) -> Iterator[Finding]:
    coupling = history.facts.get("coupling")
    momentary = any(not each.get("keeps", True) for each in part(history, "norms").values())
    if isinstance(coupling, float) and coupling > LEAK and not momentary:
        yield told(
            "model.batch_leak",
            "error",
            "rows_coupled",
            {"change": coupling},
            confidence=0.93,
            status="confirmed",
            evidence=[number("coupling", coupling, LEAK, "above rounding")],
            remedies=[advice("right_axis")],
        )
        return
    answers = part(history, "answers")
    if (
        answers.get("column_sum_gap", 1.0) < SUMS_TO_ONE <= answers.get("row_sum_gap", 0.0)
        and answers.get("batches", 0) >= 3
    ):
        yield told(
            "model.batch_leak",
            "error",
            "softmax_over_rows",
            {"rows": answers["rows"]},
            confidence=0.95,
            status="confirmed",
            evidence=[number("column_sum_gap", answers["column_sum_gap"], SUMS_TO_ONE, "rounding")],
            remedies=[advice("right_axis")],
        )

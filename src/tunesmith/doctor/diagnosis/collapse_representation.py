"""collapse.representation: embeddings point one way, fill few dimensions, or shrink to a point.

Sees      in a run that learns embeddings (`train_embedding`, `EmbeddingWatch`): what the looks told, at which two views of a fixed sample of
          rows were embedded; not where it was taken back.
Matters   the loss does not show it: of agreement alone collapse is the least there is.
Remedies  stop-gradient and predictor, a slow target, negatives, terms that keep variance, batch norm in the heads, a larger batch.
Limits    judged beside the start of the same training, so not where that was collapsed already; see docs/generative.md.
Source    vocabulary of collapse.representation; measures: tunesmith explain measure.embedding_health; benchmarks/embedding_collapse.md.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("collapse.representation", needs=("embedding_rank", "embedding_score"))
def collapse_representation(history: History) -> Iterator[Finding]:
    told = [one for one in history.findings if one.fault == "collapse.representation"]
    if told and told[-1].status != "refuted":
        yield told[-1]

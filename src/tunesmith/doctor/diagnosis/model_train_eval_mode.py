"""model.train_eval_mode: the net trains in evaluation mode, or is judged in training mode.

Sees      in a watched run: the mode of the net at each pass. Passes with gradients in evaluation mode, and passes of an evaluation (without
          gradients, or after the last update and before a score) all in training mode; each only where the net has layers that act in
          one mode alone (dropout, batch norm that is trained).
Matters   asleep, dropout does not regularise and batch norm uses statistics of the start; awake in judging, scores are random and batch
          norm learns from the held rows.
Remedies  train() at the start of every epoch, eval() before judging.
Limits    frozen batch norms that were put to sleep alone, inside a net in training mode, are no finding. A net put to sleep whole on purpose
          (fine-tuning with little data) is told as a warning where its norms are asleep from the first update on.
Source    vocabulary of model.train_eval_mode; an invariant.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, named, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

MOST = 0.5  # share of the passes; assumption: a loop does it in all of them, or in all after the first evaluation
PASSES = 10  # training passes below which nothing is said; assumption


@rule("model.train_eval_mode", needs=("loss",))
def model_train_eval_mode(history: History) -> Iterator[Finding]:
    moody = list(history.facts.get("moody") or ())
    if not moody:
        return
    passes, asleep = fact(history, "training_passes"), fact(history, "asleep_passes")
    if passes >= PASSES and asleep > MOST * passes:
        begun = int(fact(history, "asleep_from", 1))
        later = begun > 1
        yield told(
            "model.train_eval_mode",
            "error" if later else "warning",
            "asleep_later" if later else "asleep",
            {"asleep": int(asleep), "passes": int(passes), "from": begun, "layers": len(moody), "names": named(moody)},
            confidence=0.95 if later else 0.85,
            status="confirmed",
            evidence=[number("passes_asleep", asleep / passes, MOST, "invariant", step=begun)],
            remedies=[advice("call_train")],
            subject={"layers": moody},
        )
    judged, awake = fact(history, "judging_passes"), fact(history, "judging_awake")
    if judged >= 2 and awake == judged:
        yield told(
            "model.train_eval_mode",
            "warning",
            "judged_awake",
            {"awake": int(awake), "layers": len(moody), "names": named(moody)},
            confidence=0.85,
            status="confirmed",
            evidence=[number("judging_passes_awake", 1.0, MOST, "invariant")],
            remedies=[advice("call_eval")],
            subject={"layers": moody},
        )

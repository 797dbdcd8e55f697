"""model.train_eval_mode: the net trains in evaluation mode, or is judged in training mode.

Sees      in a watched run: the mode of the net at each pass. Passes with gradients in evaluation mode, and passes of an evaluation (without
          gradients, or after the last update and before a score) all in training mode; each only where the net has layers that act in
          one mode alone (dropout, batch norm that is trained). In a log: a held loss that jumps about by many times the noise of the
          training loss, far above it, while the training loss falls smoothly; only a weak suspicion.
Matters   asleep, dropout does not regularise and batch norm uses statistics of the start; awake in judging, scores are random and batch
          norm learns from the held rows.
Remedies  train() at the start of every epoch, eval() before judging.
Limits    frozen batch norms that were put to sleep alone, inside a net in training mode, are no finding. A net put to sleep whole on purpose
          (fine-tuning with little data) is told as a warning where its norms are asleep from the first update on. Small held parts
          jump too, and so do high rates under batch norm; a first evaluation that is far off is the warm-up of the statistics and sound.
Source    vocabulary of model.train_eval_mode; an invariant.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis import telling
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, named, number, told
from tunesmith.doctor.diagnosis.smoothing import noise
from tunesmith.doctor.diagnosis.views import view
from tunesmith.records import Finding
from tunesmith.runs.history import History

MOST = 0.5  # share of the passes; assumption: a loop does it in all of them, or in all after the first evaluation
FEWEST = 8  # points of a log
JUMPS = 10.0  # times the noise of the training loss; assumption
SHARE = 0.3  # of the way the training loss made; assumption
PASSES = 10  # training passes below which nothing is said; assumption


@rule("model.train_eval_mode", needs=("loss",))
def model_train_eval_mode(history: History) -> Iterator[Finding]:
    moody = list(history.facts.get("moody") or ())
    if not moody:
        yield from _jumps(history)
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


def _jumps(history: History) -> Iterator[Finding]:
    """What curves alone let suspect."""
    seen = view(history)
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST or not seen.readable:
        return
    late = val.level[len(val) // 4 :]
    jumps, own = noise(late), noise(train.level[len(train) // 4 :])
    if jumps < max(JUMPS * own, SHARE * train.drop) or float(np.median(late)) < train.end + train.drop:
        return
    yield telling.told(
        "model.train_eval_mode",
        "note",
        "held_jumps",
        {"jumps": jumps, "own": own, "name": val.name},
        confidence=0.3,
        evidence=[telling.number("val_noise", jumps, JUMPS * own, "ten times that of the training loss")],
        remedies=[telling.advice("check_modes")],
    )

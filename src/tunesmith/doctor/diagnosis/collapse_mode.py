"""collapse.mode: a generator covers few modes of the data.

Sees      in a run of two players (`train_gan`, `GanWatch`): what the looks told, at which made samples were compared with a fixed sample of
          real rows; not where it was taken back.
Matters   losses of a game do not show it: they stay near those of a sound one.
Remedies  let the discriminator judge pairs; Wasserstein losses with gradient penalty; spectral norm; a bigger batch; balance the players.
Limits    modes smaller than a cell, and those that are made but rarely, are not seen; see docs/generative.md.
Source    vocabulary of collapse.mode; bound: binomial, tunesmith explain measure.lost_mass; benchmarks/gan_cures.md.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("collapse.mode", needs=("lost_mass", "game_score"))
def collapse_mode(history: History) -> Iterator[Finding]:
    told = [one for one in history.findings if one.fault == "collapse.mode"]
    if told and told[-1].status != "refuted":
        yield told[-1]

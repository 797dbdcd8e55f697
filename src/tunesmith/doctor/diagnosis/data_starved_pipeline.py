"""data.starved_pipeline: the updates wait for their data.

Sees      in a watched run: the share of an update's time that passes between the end of one update and the begin of the next forward pass,
          over at least ten looks, and how long that is.
Matters   the device is paid for and stands still.
Remedies  more workers, pinned memory, larger reads, the data in memory.
Limits    what the loop does in between (printing, logging, moving averages) counts as waiting. Small nets wait for nothing in particular:
          told from 20 ms an update on.
Source    vocabulary of data.starved_pipeline: above 20 % over many steps; the time: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

SHARE = 0.2  # vocabulary of data.starved_pipeline
MOST = 0.5  # from which it is a warning; assumption
SECONDS = 0.02  # that an update waits; assumption
LOOKS = 10


@rule("data.starved_pipeline", needs=("data_wait",))
def data_starved_pipeline(history: History) -> Iterator[Finding]:
    waits, times = history.get("data_wait", where=""), history.get("seconds_per_step", where="")
    if waits is None or times is None or len(waits.finite) < LOOKS or not len(times.finite):
        return
    share, seconds = float(np.median(waits.finite.values)), float(np.median(times.finite.values))
    if share < SHARE or share * seconds < SECONDS:
        return
    yield told(
        "data.starved_pipeline",
        "warning" if share > MOST else "note",
        "waits_for_data",
        {"share": share, "wait": share * seconds * 1000, "step": seconds * 1000},
        confidence=0.8,
        evidence=[
            number("data_wait", share, SHARE, "vocabulary of data.starved_pipeline"),
            number("seconds_waiting", share * seconds, SECONDS, "assumption"),
        ],
        remedies=[advice("feed_faster")],
    )

"""What a watched run shows of moments that were lost: an optimizer made again and again, cleared, or not taken along at a resume."""

from collections.abc import Iterator, Mapping

import numpy as np

from tunesmith.doctor.diagnosis.live import advice, chance, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

AGAIN = 2  # optimizers made anew: one may be a second stage; assumption
SOLVED = 0.5  # of the loss of a constant answer: a net that begins below was trained on this task before; assumption
FIRST = 3  # losses of which the lowest counts: the first updates without moments may throw it back


def seen_inside(history: History) -> Iterator[Finding]:
    """Findings on the optimizer itself; at most one."""
    moments, successors = part(history, "moments"), part(history, "successors")
    made, lost = int(successors.get("made", 0)), int(moments.get("lost", 0))
    if made >= AGAIN and successors.get("remembers"):
        yield _found("made_again", {"made": made, "name": successors["name"]}, 0.93, ("optimizers_made", made, AGAIN))
    elif lost > 0:
        values = {"lost": lost, "at": int(moments["lost_at"])}
        yield _found("moments_cleared", values, 0.93, ("updates_forgotten", lost, 0))
    elif not (moments.get("empty") and moments.get("remembers")):
        return
    elif moments.get("resumed", 0) > 0:
        values = {"before": int(moments["resumed"])}
        yield _found("resumed_empty", values, 0.93, ("updates_before", moments["resumed"], 0))
    elif moments.get("loaded"):
        begins, level = _begins(history), chance(history)
        if begins is not None and level is not None and begins < SOLVED * level:
            yield _found(
                "loaded_empty", {"first": begins, "chance": level}, 0.8, ("first_loss", begins, SOLVED * level)
            )


def _begins(history: History) -> float | None:
    one = history.get("loss", "train") or history.get("loss", "")
    values = np.zeros(0) if one is None else one.values[:FIRST]
    return float(values.min()) if len(values) and bool(np.isfinite(values).all()) else None


def _found(message: str, values: Mapping[str, object], confidence: float, seen: tuple[str, float, float]) -> Finding:
    return told(
        "optim.lost_state",
        "warning",
        message,
        values,
        confidence=confidence,
        status="confirmed" if confidence > 0.9 else "suspected",
        evidence=[number(*seen, "seen by the watch")],
        remedies=[advice("one_optimizer" if message in ("made_again", "moments_cleared") else "load_optimizer")],
    )

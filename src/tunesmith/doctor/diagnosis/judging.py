"""All rules over one history, what follows from them taken together, and what such a log cannot tell."""

import time
import traceback
from collections.abc import Iterable

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import RULES
from tunesmith.doctor.diagnosis.inside import updates_per_epoch
from tunesmith.doctor.diagnosis.ranking import ranked
from tunesmith.doctor.diagnosis.reasoning import reasoned
from tunesmith.doctor.diagnosis.views import FEWEST, View, shared, view
from tunesmith.records import Finding, Findings
from tunesmith.records.messages import render
from tunesmith.runs.history import History
from tunesmith.runs.notice import said_in

# What a run may still put right by going on; nothing is said of it before its end.
AT_THE_END = frozenset(
    {
        "batch.too_large",
        "data.poor_features",
        "fit.too_few_epochs",
        "fit.underfit",
        "lr.too_low",
        "model.too_small",
        "reg.too_strong",
    }
)
# What may be the beginning of any sound run; nothing is said of it before a good part is done.
NOT_AT_ONCE = frozenset(
    {
        "data.label_noise",
        "data.leakage",
        "data.train_val_mismatch",
        "loss.not_decreasing",
        "loss.oscillating",
        "loss.plateau_at_chance",
    }
)
PART, UPDATES = 0.3, 500  # of the planned run; updates where no plan is known; assumption


def diagnosed(history: History, only: Iterable[str] | None = None, language: str = "en") -> Findings:
    """What the rules say of a run, the most likely cause first.

    A rule without its quantities stands in `skipped`, one that broke in `failed`. `measured["cannot_tell"]` lists what a log of this kind
    cannot tell, as ids of messages; `notices` says it in words. With `only` the rules named speak for themselves: nothing is concluded.
    """
    seen = view(history)
    told = Findings(notices=[said_in(one, language) for one in history.notices])
    wanted = None if only is None else set(only)
    silenced = early(history)
    there = {one.name for one in history.curves if len(one)}
    found: list[Finding] = []
    for name in RULES:
        one = RULES[name]
        if wanted is not None and name not in wanted:
            continue
        began = time.perf_counter()
        if name in silenced:
            told.skipped[name] = "the run still goes on"
        elif one.needs and not there & set(one.needs):
            told.skipped[name] = f"the log holds none of {', '.join(one.needs)}"
        else:
            try:
                with (
                    shared(seen),
                    np.errstate(all="ignore"),
                ):  # losses near the end of the float range are what is looked for
                    found.extend(one.look(history))
            except Exception:
                told.failed[name] = traceback.format_exc()
        told.seconds[name] = time.perf_counter() - began
    with shared(seen), np.errstate(all="ignore"):
        begun = bool(silenced & NOT_AT_ONCE)  # clues of curves are no clues yet
        try:
            concluded = found if wanted is not None or begun else reasoned(found, seen)
        except Exception:  # what was seen is told all the same
            told.failed["reasoning"] = traceback.format_exc()
            concluded = found
        told.found = ranked(concluded)
    told.found = [one for one in told.found if one.fault not in silenced]
    silent = cannot_tell(seen)
    told.measured["cannot_tell"] = silent
    told.notices += [render(f"curves.{name}", {"count": count(seen)}, language) for name in silent]
    return told


def early(history: History) -> frozenset[str]:
    """The faults of which nothing is said yet, because the run goes on."""
    if not history.facts.get("running"):
        return frozenset()
    done = max((float(one.steps[-1]) for one in history.curves if len(one)), default=0.0)
    planned = history.facts.get("steps" if history.axis == "step" else "epochs")
    each = updates_per_epoch(history)
    if planned is None and history.axis == "step" and each is not None and isinstance(history.facts.get("epochs"), int):
        planned = each * history.facts["epochs"]
    least = PART * float(planned) if isinstance(planned, int | float) else float(UPDATES)
    return AT_THE_END | NOT_AT_ONCE if done < least else AT_THE_END


def count(seen: View) -> int:
    """Points of the longest curve of a loss."""
    return max((len(one.series) for one in (seen.train, *seen.vals) if one is not None), default=0)


def cannot_tell(seen: View) -> list[str]:
    """What a log of this kind cannot tell, as ids of messages."""
    if seen.stranger:
        return [f"cannot_{seen.stranger}"]
    if seen.judged is None:
        return ["cannot_no_loss"] if any(len(one) for one in seen.history.curves) else ["cannot_nothing"]
    if count(seen) < FEWEST:
        return ["cannot_short"]
    silent = []
    if seen.train is None:
        silent.append("cannot_no_train")
    if seen.val is None and not seen.scores:
        silent.append("cannot_no_held")
    if seen.rate is None:
        silent.append("cannot_no_rate")
    if not any(one.per == "update" for one in seen.history.all("loss", where="")):
        silent.append("cannot_no_updates")
    return silent

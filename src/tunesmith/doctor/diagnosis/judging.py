"""All rules over one history, and what follows from them taken together."""

import time
import traceback
from collections.abc import Iterable

from tunesmith.doctor.diagnosis.catalogue import RULES
from tunesmith.doctor.diagnosis.ranking import ranked
from tunesmith.records import Finding, Findings
from tunesmith.runs.history import History


def diagnosed(history: History, only: Iterable[str] | None = None) -> Findings:
    """What the rules say of a run, the most likely cause first. A rule without its quantities stands in `skipped`, one that broke in `failed`."""
    told = Findings(notices=list(history.notices))
    wanted = None if only is None else set(only)
    seen = {one.name for one in history.curves if len(one)}
    found: list[Finding] = []
    for name in RULES:
        one = RULES[name]
        if wanted is not None and name not in wanted:
            continue
        began = time.perf_counter()
        if one.needs and not seen & set(one.needs):
            told.skipped[name] = f"the log holds none of {', '.join(one.needs)}"
        else:
            try:
                found.extend(one.look(history))
            except Exception:
                told.failed[name] = traceback.format_exc()
        told.seconds[name] = time.perf_counter() - began
    told.found = ranked(found)
    return told

"""The manual page of a fault."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.verbs.check_pages import pages, seen_by
from tunesmith.verbs.surgery_pages import mended_by
from tunesmith.verbs.words import row

IN_A_RUN = (("In a run", "Sees"), ("Matters", "Matters"), ("Limits", "Limits"), ("Source", "Source"))
SOURCE = re.compile(r"\[([A-Za-z]+)\]")


@cache
def faults() -> Mapping[str, Mapping[str, Any]]:
    """The fault vocabulary by id, without its list of sources."""
    return {name: entry for name, entry in vocabulary().items() if name != "sources"}


@cache
def vocabulary() -> Mapping[str, Mapping[str, Any]]:
    text = (files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))


def fault_page(name: str, width: int) -> str:
    """What a fault is, what proves it, what usually helps, what it comes from."""
    entry = faults()[name]
    effects = [other for other, one in faults().items() if name in one.get("causes", ())]
    rows = [("What", entry["definition"]), ("Evidence", entry["evidence"]), ("Remedy", entry.get("remedy", ""))]
    rows.append(("Causes", ", ".join(entry.get("causes", ()))))
    rows.append(("Seen as", ", ".join(effects)))
    rows.append(("Found by", ", ".join(seen_by(name))))
    rows.append(("Mended by", ", ".join(mended_by(name))))
    if name in pages("rule"):
        told_of_runs = pages("rule")[name].rows
        rows += [(label, told_of_runs.get(heading, "")) for label, heading in IN_A_RUN]
    cited = dict.fromkeys(
        SOURCE.findall(" ".join(str(entry.get(field, "")) for field in ("definition", "evidence", "remedy")))
    )
    known = vocabulary()["sources"]
    told = "; ".join(f"[{short}] {known[short]}" for short in cited if short in known)
    rows.append(("Sources", told))
    return "\n".join([f"{name} · {entry['kind']}", "", *(row(label, text, width) for label, text in rows if text)])

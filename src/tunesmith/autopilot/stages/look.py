"""Look at the data before anything is trained."""

from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.flight import Flight, Flying
from tunesmith.records import Findings

SHARE, MOST = 0.05, 30.0  # of the seconds; assumption: the audits that are reached find most
NAMED = 3


def look(flight: Flight) -> None:
    """Audits the data, and writes down what they say."""
    tell_look(flight, flight.ledger.once("look", lambda: _looked(flight)))


def tell_look(flight: Flying, found: Mapping[str, Any]) -> None:
    """Writes down what the audits say."""
    flight.found["look"] = found["findings"]
    said = found["findings"]
    evidence = {"rows": found["rows"], "findings": len(said), "seconds": found["took"]}
    serious = [one for one in said if one["severity"] in ("error", "warning")]
    if not found["audits"] and not serious:
        flight.decide(
            "look",
            "the data are not looked at",
            f"reading them took the {SHARE:.0%} of the budget that audits may take; tunesmith audit looks at them alone",
            evidence=evidence,
            taken=False,
        )
        return
    if not serious:
        flight.decide(
            "look",
            "the data are taken as they are",
            f"{found['audits']} audits found nothing above a note",
            evidence=evidence,
        )
        return
    told = "; ".join(one["because"] for one in serious[:NAMED])
    more = f", and {len(serious) - NAMED} more" if len(serious) > NAMED else ""
    flight.decide(
        "look",
        "the data are used, with a reservation",
        f"{told}{more}: nothing of the data is changed without you; scores are to be read with this",
        evidence=evidence | {"faults": [one["fault"] for one in serious]},
    )


def _looked(flight: Flight) -> dict[str, Any]:
    found = flight.hands.audit(flight.task, recipe=flight.recipe, seconds=flight.purse.seconds(SHARE, MOST))
    rows = len(flight.prepared.train) if hasattr(flight.prepared.train, "__len__") else None
    return noted(found, "audits") | {"rows": rows}


def noted(found: Findings, counted: str) -> dict[str, Any]:
    """What audits or checks found, as a step keeps it; `counted` is the name of how many were made."""
    return {
        "findings": [one.as_dict() for one in found],
        counted: len(found.seconds),
        "unreached": list(found.unreached),
        "took": round(sum(found.seconds.values()), 1),
    }

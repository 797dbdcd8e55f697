"""Prove the pipeline: the checks before a long run, on a copy; one small sample must be learnt by heart."""

from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.flight import Flight, Flying
from tunesmith.autopilot.stages.look import noted

SHARE, MOST = 0.07, 40.0  # of the seconds; assumption


def prove(flight: Flight) -> None:
    """Runs preflight without the audits, which `look` has made."""
    tell_proof(flight, flight.ledger.once("prove", lambda: _proved(flight)))


def tell_proof(flight: Flying, found: Mapping[str, Any]) -> None:
    """Writes down what the checks say."""
    flight.found["prove"] = found["findings"]
    serious = [one for one in found["findings"] if one["severity"] == "error" and one["status"] != "refuted"]
    evidence = {"checks": found["checks"], "not reached": len(found["unreached"]), "seconds": found["took"]}
    if serious:
        flight.decide(
            "prove",
            "something is wrong before any training",
            "; ".join(one["because"] for one in serious[:3]),
            evidence=evidence | {"faults": [one["fault"] for one in serious]},
        )
        return
    if not found["checks"]:
        flight.decide(
            "prove",
            "the pipeline is not checked",
            f"{SHARE:.0%} of the budget is too little for one of {len(found['unreached'])} checks; tunesmith check makes them alone",
            evidence=evidence,
            taken=False,
        )
        return
    flight.decide(
        "prove", "the pipeline is sound", f"{found['checks']} checks on a copy found no error", evidence=evidence
    )


def _proved(flight: Flight) -> dict[str, Any]:
    found = flight.hands.preflight(flight.task, flight.recipe, seconds=flight.purse.seconds(SHARE, MOST), audits=False)
    return noted(found, "checks")

"""Prove a program: the checks before a long run, on copies."""

from typing import Any

from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.stages.look import noted
from tunesmith.autopilot.stages.prove import MOST, SHARE, tell_proof


def prove(flight: ProgramFlight) -> None:
    """Runs preflight without the audits, which `look` has made."""
    tell_proof(flight, flight.ledger.once("prove", lambda: _proved(flight)))


def _proved(flight: ProgramFlight) -> dict[str, Any]:
    seconds = flight.purse.seconds(SHARE, MOST) if flight.purse.timed else None  # else the clock decides nothing
    found = flight.hands.preflight(flight.program, seconds=seconds, audits=False)
    return noted(found, "checks")

"""Look at the data of a program, as far as rows can be read from its loaders."""

from typing import Any

from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.stages.look import MOST, SHARE, noted, tell_look
from tunesmith.records import TunesmithError


def look(flight: ProgramFlight) -> None:
    """Audits the rows, and writes down what they say."""
    found = flight.ledger.once("look", lambda: _looked(flight))
    if found.get("refused"):
        flight.found["look"] = []
        flight.decide("look", "the data are not audited", str(found["refused"]), taken=False)
        return
    tell_look(flight, found)


def _looked(flight: ProgramFlight) -> dict[str, Any]:
    from tunesmith.doctor.audits import AUDITS

    seconds = flight.purse.seconds(SHARE, MOST) if flight.purse.timed else None  # else the clock decides nothing
    try:
        found = flight.hands.preflight(flight.program, seconds=seconds, only=list(AUDITS))
    except TunesmithError as error:
        return {"refused": str(error)}
    return noted(found, "audits") | {"rows": len(flight.bench.train)}

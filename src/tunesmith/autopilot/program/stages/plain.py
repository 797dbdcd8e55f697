"""The program as it is, trained whole on a copy: what everything later is measured against."""

from tunesmith.autopilot.flight import Candidate
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.reading import constant
from tunesmith.autopilot.stages.plain import standing

NAME = "program as it is"


def plain(flight: ProgramFlight) -> None:
    """Trains it over its own epochs, cut where the budget ends before them."""
    flight.epochs = flight.program.epochs
    dumb = constant(flight.reading, flight.bench.target)
    if dumb is not None:
        flight.add(
            Candidate(name="constant answer", kind="constant", place="", said=dumb, score=flight.scorer.score(dumb))
        )
    made, found = flight.net_of("plain/net", NAME, {})
    seconds = [one["seconds"] for one in found["records"]]
    flight.pace = sum(seconds) / len(seconds) if seconds else 0.0
    if made is None:
        why = str(found.get("failed", "no epoch was scored"))
        flight.decide("plain", "the program breaks as it is", why, evidence={}, taken=False)
        return
    flight.net, flight.found["net"] = made, found
    about = standing(found)
    flight.found["plain"] = about
    beside = "" if dumb is None else f", beside {flight.scorer.score(dumb):.4f} of the constant answer"
    cut = f"; cut {found['cut']} by the budget" if found.get("cut") else ""
    flight.decide(
        "plain",
        "the program is trained as it is",
        f"it reaches {flight.shown(made.score)}{beside}; {about['said']}{cut}",
        evidence={"score": made.score, "seconds an epoch": flight.pace if flight.purse.timed else None, **about},
    )

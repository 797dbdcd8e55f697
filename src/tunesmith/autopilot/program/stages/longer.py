"""Train a program longer, if its curve says it pays."""

from tunesmith.autopilot.nets import best_of
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.stages.longer import LATE, TIMES
from tunesmith.autopilot.stages.search import compare


def longer(flight: ProgramFlight) -> None:
    """Twice the epochs, its schedule over all of them, where the best epoch came late and the budget holds it."""
    if flight.net is None:
        return
    found = flight.found["net"]
    best = best_of(found)
    late = 0.0 if best is None else best[0] / len(found["records"])
    epochs = TIMES * flight.epochs
    if late < LATE or not flight.pays("longer", epochs):
        why = "more would not help" if late < LATE else f"it may pay, but {epochs} epochs are more than is left"
        said = f"the best epoch came after {late:.0%} of the training: {why}"
        flight.decide("longer", "not trained longer", said, evidence={"late": late}, taken=late < LATE)
        return
    way = {**flight.recipe, "epochs": epochs}
    made, told = flight.net_of("longer/net", "program trained longer", way)
    if made is None:
        flight.decide("longer", "the longer training broke", str(told.get("failed", "")), taken=False)
        return
    compare(flight, "longer", made, way, f"{epochs} epochs", told, demanding=True)

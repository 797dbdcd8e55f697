"""Train longer, if the curve says it pays."""

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.nets import best_of
from tunesmith.autopilot.stages.search import compare
from tunesmith.records import Source, revise

LATE = 0.75  # the best epoch in the last quarter: "too short", Deep Learning Tuning Playbook
TIMES = 2
WHY = Source("revised", "autopilot, longer")


def longer(flight: Flight) -> None:
    """Twice the epochs, where the best epoch came late and the budget holds it; kept where the net is better beyond the choice of the rows."""
    if flight.net is None:
        return
    found = flight.found.get("net")
    best = None if found is None else best_of(found)
    late = (
        best[0] / found["of"]
        if best is not None and found is not None
        else flight.found.get("plain", {}).get("late", 0.0)
    )
    if late < LATE:
        flight.decide(
            "longer",
            "not trained longer",
            f"the best epoch came after {late:.0%} of the training: more would not help",
            evidence={"late": late},
        )
        return
    epochs = TIMES * flight.epochs
    if not flight.pays("longer", epochs):
        flight.decide(
            "longer",
            "not trained longer",
            f"the best epoch came after {late:.0%}: it may pay, but {epochs} epochs are more than is left",
            evidence={"late": late},
            taken=False,
        )
        return
    recipe = revise(flight.recipe, {"train.epochs": epochs}, WHY)
    made, told = flight.net_of("longer/net", "net trained longer", recipe, epochs)
    if made is None:
        flight.decide("longer", "the longer training broke", str(told.get("failed", "")), taken=False)
        return
    compare(flight, "longer", made, recipe, f"{epochs} epochs", told, demanding=True)

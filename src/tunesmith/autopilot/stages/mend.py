"""Diagnose the training and mend it, where something was found wrong; a change stays only where the net is better for it."""

from typing import Any

from tunesmith.autopilot.flight import Flight
from tunesmith.records import Source, TunesmithError, revise

SHARE, MOST = 0.15, 120.0  # of the seconds; assumption
WHY = Source("revised", "repair")


def mend(flight: Flight) -> None:
    """Where preflight or the curve of the plain net show an error, `repair` is asked, and its recipe is trained beside."""
    from tunesmith.doctor.diagnosis import diagnosed
    from tunesmith.runs import Run
    from tunesmith.runs.readers.own import history_of

    serious = [
        one for one in flight.found.get("prove", ()) if one["severity"] == "error" and one["status"] != "refuted"
    ]
    if flight.net is not None:
        curves = diagnosed(history_of(Run(flight.folder / flight.net.place)))
        serious += [one.as_dict() for one in curves if one.severity == "error" and one.status != "refuted"]
    if not serious:
        flight.decide("mend", "nothing is mended", "no check and no rule names an error in this training")
        return
    if not flight.pays("mend", 2 * flight.epochs, keep=0.3):
        flight.decide("mend", "not mended", f"{serious[0]['because']}: there is no budget for a repair", taken=False)
        return
    found = flight.ledger.once("mend/repair", lambda: _repaired(flight))
    if not found["changes"]:
        flight.decide(
            "mend",
            "not mended",
            f"{serious[0]['because']}: no change helped on a twin{found['why']}",
            evidence=found,
            taken=False,
        )
        return
    recipe = revise(flight.recipe, found["changes"], WHY)
    made, told = flight.net_of("mend/net", "mended net", recipe)
    if made is None or flight.net is None:
        better = made is not None
    else:
        better = flight.scorer.better_than(made.score, flight.net.score)
    said = f"{', '.join(f'{path} = {value}' for path, value in found['changes'].items())}"
    if not better or made is None:
        flight.decide(
            "mend",
            f"{said} is undone",
            f"the whole training is no better for it: {told.get('failed') or flight.shown(made.score if made else float('nan'))}",
            evidence=found,
            taken=False,
        )
        return
    before = None if flight.net is None else flight.net.score
    flight.net, flight.recipe = made, recipe
    flight.decide(
        "mend",
        f"mended: {said}",
        f"{serious[0]['because']}; with it {flight.shown(made.score)}",
        evidence={**found, "run": made.place},
        instead={} if before is None else {"way": "as it was", flight.scorer.name: before},
    )


def _repaired(flight: Flight) -> dict[str, Any]:
    """Changes of the recipe that `repair` proved; surgeries on a program are no recipe and are told."""
    epochs = 2.0 * flight.epochs
    try:
        repair = flight.hands.repair(
            flight.task,
            flight.recipe,
            epochs=epochs,
            seconds=flight.purse.seconds(SHARE, MOST) if flight.purse.timed else None,
        )
    except TunesmithError as error:
        return {"changes": {}, "why": f" ({error})", "epochs": 0}
    changes = {path: value for one in repair.changes for path, value in one.recipe.items()}
    surgeries = [one.change for one in repair.changes if not one.recipe]
    why = f" ({', '.join(surgeries)} would change the program itself)" if surgeries else ""
    return {
        "changes": changes,
        "why": why,
        "epochs": 0 if flight.purse.timed else epochs,
        "before": repair.before,
        "after": repair.after,
    }

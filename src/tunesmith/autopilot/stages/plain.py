"""The net with its defaults, as long as the budget allows: what everything later is measured against. Its curve says where it stands."""

import time
from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.nets import best_of
from tunesmith.records import DataError, Source, TrainingFailed, revise

SHARE = 0.9  # of the seconds that are left, for trainings
TRAININGS = 1.8  # in the length chosen, that fit into them at least: the default net takes half of what is left at most; assumption
FEWEST = 2  # epochs
DEAR = 0.03  # of the seconds, for the first epoch: then there is no second one to time; assumption
EARLY = 0.3  # share of a training: a best epoch before it came early; assumption
TIMES, SHORTEST = 2, 4  # a length that ends there has twice the epochs up to the best, and so many at least; assumption
WHY = Source("derived", "autopilot")


def plain(flight: Flight) -> None:
    """Times an epoch, chooses the length of a full training, and trains the default recipe that long."""
    settled = int(flight.recipe.train.epochs)
    if flight.purse.timed:
        timed = flight.ledger.once("plain/timing", lambda: _timed(flight))
        if timed.get("failed"):
            raise TrainingFailed(f"the first epoch broke: {timed['failed']}")
        flight.pace, flight.overhead = timed["seconds"], timed.get("overhead", 0.0)
        affordable = flight.ledger.once(
            "plain/length", lambda: {"length": length(settled, flight.purse.left(), flight.pace, flight.overhead)}
        )
        flight.epochs = int(affordable["length"])
    else:
        flight.epochs = max(1, min(settled, int(flight.purse.total / 4)))
    if flight.epochs != settled:
        flight.recipe = revise(flight.recipe, {"train.epochs": flight.epochs}, WHY)
        flight.decide(
            "plain",
            f"a full training has {flight.epochs} epochs",
            f"{settled} are usual here; with {flight.epochs}, {_fit(flight, flight.epochs):g} trainings fit into what is left"
            + (f", at {flight.pace:.3g} s an epoch" if flight.purse.timed else ""),
            evidence={"seconds an epoch": flight.pace or None, "usual epochs": settled},
            instead={"way": f"{settled} epochs", "trainings that would fit": _fit(flight, settled)},
        )
    made, found = flight.net_of("plain/net", "plain net", flight.recipe)
    if made is None:
        flight.decide("plain", "the default net broke", str(found.get("failed", "no epoch was scored")), evidence={})
        return
    flight.net = made
    about = standing(found)
    flight.found["plain"] = about
    others = [one for one in flight.candidates if one is not made]
    best = max(others, key=lambda one: flight.scorer.height(one.score), default=None)
    beside = "" if best is None else f", beside {best.score:.4f} of the {best.name}"
    flight.decide(
        "plain",
        "the default net is trained",
        f"it reaches {flight.shown(made.score)}{beside}; {about['said']}",
        evidence={"score": made.score, **about},
    )
    shortened(flight)


def shortened(flight: Flight) -> None:
    """Where the best epoch came early, the rate never fell before the net began to learn its rows by heart: a length that ends there is tried.

    It is kept where the net is no worse, for all that comes after it then costs less too.
    """
    about, before = flight.found["plain"], flight.net
    assert before is not None
    best = round(about["late"] * flight.epochs)
    epochs = max(SHORTEST, TIMES * best)
    if (
        about["late"] > EARLY
        or epochs > EARLY * TIMES * flight.epochs
        or not flight.pays("plain/shorter", epochs, keep=0.3)
    ):
        return
    recipe = revise(flight.recipe, {"train.epochs": epochs}, WHY)
    made, found = flight.net_of("plain/shorter", "net trained shorter", recipe, epochs)
    if made is None:
        return
    gain = flight.scorer.gain(made.said, before.said, flight.seed)
    taken = gain.chance >= 0.5
    flight.decide(
        "plain",
        f"{epochs} epochs are {'a full training' if taken else 'too short'}",
        f"the best of {flight.epochs} epochs was number {best}, with the rate still high; with {epochs} {flight.shown(made.score)} beside "
        f"{before.score:.4f}, better in {gain.chance:.0%} of resamples of the validation rows",
        evidence={"score": made.score, **gain.as_dict(), "run": made.place},
        instead={
            "way": f"{flight.epochs if taken else epochs} epochs",
            flight.scorer.name: before.score if taken else made.score,
        },
        taken=taken,
    )
    if taken:
        flight.net, flight.recipe, flight.epochs = made, recipe, epochs
        flight.found["plain"] = standing(found)


def _timed(flight: Flight) -> dict[str, Any]:
    """Two epochs one after the other, or one where it is dear: the first call also reads and imports what later ones find ready.

    `seconds` an epoch, `overhead` of beginning a training.
    """
    place = flight.ledger.place("plain/timing")
    place.mkdir(parents=True, exist_ok=True)
    subject = flight.hands.subject(flight.task, flight.recipe, 1.0)
    told: list[Mapping[str, Any]] = []
    took = 0.0
    try:
        for upto in (1, 2):
            begun = time.perf_counter()
            now = subject.train({}, start=upto - 1, upto=upto, folder=place, seed=flight.seed, copy_from=None)
            told += [one for one in now if one is not None]
            took = time.perf_counter() - begun
            if took > DEAR * flight.purse.total or int(flight.recipe.train.epochs) < 2:
                break
    except (TrainingFailed, DataError) as error:
        return {"seconds": took, "epochs": len(told), "failed": str(error).splitlines()[0]}
    if not told:
        return {"seconds": took, "epochs": 0, "failed": "no epoch was scored"}
    pace = min(took, max(1e-3, float(told[-1].get("seconds") or took)))
    return {"seconds": pace, "overhead": took - pace, "epochs": len(told)}


def length(usual: int, left: float, pace: float, overhead: float) -> int:
    """Epochs of a full training: the usual number, or as many as leave time for most of another one.

    The net with its defaults comes first: what is tried afterwards is measured against it, and a search of short trainings is no match for one
    that is long enough (docs/log.md).

    >>> length(40, 3600, 1.0, 0.5), length(40, 300, 1.0, 0.5), length(40, 60, 1.0, 0.5), length(40, 12, 1.0, 0.5)
    (40, 40, 29, 5)
    """
    return max(FEWEST, min(usual, int((SHARE * left / TRAININGS - overhead) / pace)))


def _fit(flight: Flight, epochs: int) -> float:
    return round(flight.purse.left() / flight.price(epochs), 1)


def standing(found: Mapping[str, Any]) -> dict[str, Any]:
    """Where a training stands at its end: whether it still improves, and how far the validation loss lies above the training loss.

    `late`: share of the training after which the best epoch came. `gap`: (validation - training loss) / |training loss| at the end.
    `rising`: how far the validation loss rose from its lowest, as a share of it.
    """
    best = best_of(found)
    records = found["records"]
    held = [
        (one["train_loss"], one["val_loss"])
        for one in records
        if one.get("val_loss") is not None and one.get("train_loss") is not None
    ]
    late = 0.0 if best is None else best[0] / found.get("of", len(records))
    if not held:
        return {
            "late": late,
            "gap": None,
            "rising": None,
            "said": f"its best epoch is {best[0] if best else 0} of {len(records)}",
        }
    train, val = held[-1]
    lowest = min(one for _, one in held)
    gap, rising = (val - train) / max(abs(train), 1e-12), (val - lowest) / max(abs(lowest), 1e-12)
    epoch = f"its best epoch is {best[0] if best else 0} of {found.get('of', len(records))}"
    said = f"{epoch}, the losses at the end are {train:.4g} in training and {val:.4g} held out"
    return {"late": late, "gap": gap, "rising": rising, "train loss": train, "validation loss": val, "said": said}

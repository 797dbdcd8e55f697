"""A dumb baseline and strong simple ones: what a net has to beat."""

from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.handing import raw, width
from tunesmith.autopilot.simple.boosted import SETTINGS, Boosted
from tunesmith.autopilot.simple.linear import STRENGTHS, Linear
from tunesmith.autopilot.simple.storing import stored
from tunesmith.data.spec import Array, Part
from tunesmith.records.check import Inapplicable

SHARE = 0.1  # of the seconds; assumption
PARTS = {"linear": 0.3, "boosted": 0.7}  # of these; assumption: trees need more


def baselines(flight: Flight) -> None:
    """The constant answer, a linear model and gradient boosting, each as a candidate."""
    from tunesmith.training.judgement import baseline

    constant = baseline(flight.prepared, flight.scorer.target)
    dumb = flight.add(
        Candidate(name="constant answer", kind="constant", place="", said=constant, score=flight.scorer.score(constant))
    )
    told = [f"the constant answer reaches {flight.shown(dumb.score)}"]
    evidence: dict[str, Any] = {dumb.name: dumb.score}
    for kind in ("linear", "boosted"):
        found = flight.ledger.once(f"baselines/{kind}", lambda kind=kind: _fitted(flight, kind))  # type: ignore[misc]
        if "left_out" in found:
            told.append(f"no {found['name']}: {found['left_out']}")
            continue
        made = simple_candidate(flight, found)
        told.append(f"the {made.name} {made.score:.4f}")
        evidence |= {made.name: made.score, f"settings of {made.name}": found["setting"]}
    flight.decide("baselines", "what a net has to beat", ", ".join(told), evidence=evidence)


def simple_candidate(flight: Flight, found: Mapping[str, Any]) -> Candidate:
    """The candidate of a fitted simple model."""
    said = raw(flight.folder / found["file"], flight.prepared.val, flight.prepared)
    return flight.add(
        Candidate(
            name=found["name"], kind=found["kind"], place=found["file"], said=said, score=flight.scorer.score(said)
        )
    )


def _fitted(flight: Flight, kind: str) -> dict[str, Any]:
    """Fits a simple model at a few settings; the one best on the validation rows is kept in a file."""
    name = Linear.name if kind == "linear" else Boosted.name
    try:
        if not isinstance(flight.prepared.train, Part):
            raise Inapplicable("the data come from a loader of your own")
        tries = list(_linear(flight) if kind == "linear" else _boosted(flight))
    except Inapplicable as error:
        return {"name": name, "kind": kind, "left_out": str(error)}
    score, setting, model = min(tries, key=lambda one: one[0])
    file = f"steps/{kind}.npz"
    stored(flight.folder / file, model)
    return {"name": name, "kind": kind, "file": file, "setting": setting, "tried": len(tries), "loss": score}


def loss_of(flight: Flight) -> Callable[[Array], float]:
    """What a simple model is chosen by, of what it says of the validation rows on the scale of the net's target: less is better."""
    from tunesmith.training.judgement import in_units

    return lambda said: -flight.scorer.height(flight.scorer.score(in_units(said, flight.prepared)))


def _over(flight: Flight, kind: str) -> Callable[[], bool]:
    from tunesmith.records import Clock

    clock = Clock(flight.purse.seconds(SHARE * PARTS[kind], 600.0) if flight.purse.timed else None)
    return lambda: clock.spent_up


def _linear(flight: Flight) -> Any:
    from tunesmith.doctor.audits.threads import one_thread

    over, loss, prepared = _over(flight, "linear"), loss_of(flight), flight.prepared
    for strength in STRENGTHS:
        with one_thread():
            made = Linear.fitted(prepared.train, prepared.spec, prepared.kind, strength, flight.seed)
        yield loss(made.predict(prepared.val, width(prepared))), {"C": strength}, made
        if over():
            return


def _boosted(flight: Flight) -> Any:
    from tunesmith.doctor.audits.threads import one_thread

    over, loss, prepared = _over(flight, "boosted"), loss_of(flight), flight.prepared
    for setting in SETTINGS:
        with one_thread():
            made = Boosted.fitted(
                prepared.train,
                prepared.val,
                prepared.spec,
                prepared.kind,
                setting,
                loss,
                over,
                flight.seed,
                width(prepared),
            )
        yield loss(made.predict(prepared.val, width(prepared))), dict(setting), made
        if over():
            return

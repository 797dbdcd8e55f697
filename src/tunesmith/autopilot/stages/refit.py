"""Simple models that are handed over are fitted again on training and validation rows together, once nothing is chosen any more."""

from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.simple.boosted import Boosted
from tunesmith.autopilot.simple.linear import Linear
from tunesmith.autopilot.simple.storing import stored, unstored
from tunesmith.data.spec import Part


def refitted(flight: Flight, one: Candidate) -> Candidate:
    """The candidate with a model of all these rows in its place; nets and what cannot be fitted again stay as they are.

    What it says of the validation rows stays that of the model which had not seen them: temperature and threshold rest on that.
    """
    if one.kind not in ("linear", "boosted") or not isinstance(flight.prepared.val, Part):
        return one
    if not flight.pays(f"refit {one.kind}", 0, keep=0.0):
        return one
    found = flight.ledger.once(f"judge/refit {one.kind}", lambda: _fitted(flight, one))
    flight.decide(
        "judge",
        f"the {one.name} is fitted again",
        f"its settings stay, and it sees {found['rows']} rows in place of {found['before']}: training and validation rows",
        evidence={"rows": found["rows"], "before": found["before"]},
    )
    return replace(one, place=found["file"])


def _fitted(flight: Flight, one: Candidate) -> dict[str, Any]:
    from tunesmith.doctor.audits.threads import one_thread

    prepared, whole = flight.prepared, both(flight.prepared.train, flight.prepared.val)
    setting = flight.ledger.done[f"baselines/{one.kind}"]["setting"]
    with one_thread():
        model: Linear | Boosted
        if one.kind == "linear":
            model = Linear.fitted(whole, prepared.spec, prepared.kind, setting["C"], flight.seed)
        else:
            before = unstored(flight.folder / one.place, prepared.spec, prepared.kind)
            assert isinstance(before, Boosted)
            model = Boosted.grown(whole, prepared.spec, prepared.kind, setting, before.rounds, flight.seed)
    file = f"steps/{one.kind}-all.npz"
    stored(flight.folder / file, model)
    return {"file": file, "rows": len(whole), "before": len(prepared.train)}


def both(one: Part, other: Part) -> Part:
    """The rows of two parts as one."""
    weights = None
    if one.weight is not None or other.weight is not None:
        weights = np.concatenate([np.ones(len(part)) if part.weight is None else part.weight for part in (one, other)])
    assert one.target is not None
    assert other.target is not None
    return Part(
        {name: np.concatenate([values, other.inputs[name]]) for name, values in one.inputs.items()},
        np.concatenate([one.target, other.target]),
        weights,
        np.concatenate([one.rows, other.rows]),
    )

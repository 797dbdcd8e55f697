"""Distil: one net that learns what the ensemble says. Hinton, Vinyals & Dean, arXiv:1503.02531, at temperature 1."""

from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.handing import raw
from tunesmith.autopilot.nets import best_of
from tunesmith.autopilot.stages.squeeze import best_single
from tunesmith.data.spec import Array, Part
from tunesmith.ensembles.averaging import average
from tunesmith.ensembles.distilling import blended
from tunesmith.records import Source, revise

ALPHA = 0.9  # share of what the teachers say in the targets: most, as in the paper, section 2
TIMES = 2  # a student needs more epochs than a teacher: docs/benchmarks/ensembles.md
KINDS = ("binary", "multiclass", "regression")
LOSSES = ("auto", "cross_entropy", "binary_cross_entropy", "mse", "mae", "huber", "smooth_l1", "log_cosh")
WHY = Source("revised", "autopilot, distil")


def distil(flight: Flight) -> None:
    """Where an ensemble is handed over and the budget holds one more training: its student, in its place where it is as good."""
    members = flight.found.get("members")
    if not members:
        flight.decide(
            "distil", "no student", "one model is handed over, so there is nothing to learn from", taken=False
        )
        return
    why = _hindered(flight)
    if why:
        flight.decide("distil", "no student", why, taken=False)
        return
    assert flight.net is not None
    assert flight.net.recipe is not None
    usual = int(flight.net.recipe.train.epochs)
    epochs = TIMES * usual if flight.pays("distil/long", TIMES * usual) else usual
    if not flight.pays("distil", epochs):
        flight.decide("distil", "no student", "what is left pays no further training", taken=False)
        return
    chosen = [(one, weight) for name, weight in members.items() if (one := flight.called(name)) is not None]
    recipe = revise(flight.net.recipe, {"train.epochs": epochs}, WHY)
    before = average([one.said for one, _ in chosen], [weight for _, weight in chosen], kind=flight.prepared.kind)
    targets = None if "distil/net" in flight.ledger.done else _targets(flight, chosen)
    made, found = flight.net_of("distil/net", "student of the ensemble", recipe, epochs, targets=targets)
    if made is None:
        flight.decide("distil", "the student broke", str(found.get("failed", "")), taken=False)
        return
    single = best_single(flight)
    assert single is not None
    gain = flight.scorer.gain(made.said, before, flight.seed)
    alone = flight.scorer.gain(made.said, single.said, flight.seed)
    whole = flight.scorer.score(before)
    taken = gain.value >= 0 and alone.value > 0
    flight.decide(
        "distil",
        f"the student is {'handed over in place of the ensemble' if taken else 'left'}",
        f"one net that learnt from {len(chosen)}: {flight.shown(made.score)} beside {whole:.4f} of the ensemble and {single.score:.4f} of "
        f"the {single.name}; its best epoch is {(best_of(found) or (0, 0))[0]} of {epochs}",
        evidence={"score": made.score, **gain.as_dict(), "over the best alone": alone.as_dict(), "run": made.place},
        instead={"way": "the ensemble" if taken else made.name, flight.scorer.name: whole if taken else made.score},
        taken=taken,
    )
    if taken:
        flight.found["members"] = {made.name: 1.0}


def _hindered(flight: Flight) -> str:
    """Why there can be no student; "" where there can."""
    prepared = flight.prepared
    if flight.net is None or flight.net.recipe is None:
        return "there is no net that could learn"
    recipe = flight.net.recipe
    if prepared.kind not in KINDS or not isinstance(prepared.train, Part):
        return f"what an ensemble says is not learnt for the kind {prepared.kind} yet"
    if flight.task.loss != "auto" or recipe.loss.name not in LOSSES:
        return "the loss is not known to take shares of classes as targets"
    if recipe.data.sampler not in ("shuffle", "sequential"):
        return f"the sampler {recipe.data.sampler} goes by labels, and a student has shares of them"
    if prepared.kind == "binary" and not isinstance(flight.task.model, str):
        return "a net of your own may have one output for two classes, which shares of them do not fit"
    if prepared.kind == "binary" and recipe.loss.class_weights != "none":
        return "the weights of classes go by labels, and a student has shares of them"
    return ""


def _targets(flight: Flight, chosen: list[tuple[Candidate, float]]) -> Array:
    """(N, C) shares of classes, or values as the net has them, of the training rows."""
    prepared = flight.prepared
    part = prepared.train
    assert isinstance(part, Part)
    said = [_told(flight, one, part) for one, _ in chosen]
    weights = [weight for _, weight in chosen]
    target = np.asarray(part.target)
    if prepared.kind == "regression":
        return _scaled(flight, said, weights, target)
    truth = np.eye(said[0].shape[1])[target.reshape(-1).astype(np.int64)]
    return np.asarray(blended(truth, said, ALPHA, weights), dtype=np.float32)


def _scaled(flight: Flight, said: list[Array], weights: list[float], target: Array) -> Array:
    """Of numbers: what the teachers say is brought back to the unit in which the net learns."""
    from tunesmith.training.judgement import in_units

    zero, one = np.zeros_like(target[:1]), np.ones_like(target[:1])
    shift = float(in_units(zero, flight.prepared).reshape(-1)[0])
    scale = float(in_units(one, flight.prepared).reshape(-1)[0]) - shift
    inner = [(told.reshape(target.shape) - shift) / scale for told in said]
    return np.asarray(blended(target, inner, ALPHA, weights), dtype=target.dtype)


def _told(flight: Flight, one: Candidate, part: Any) -> Array:
    if one.kind == "net":
        return flight.nets.said(one.place, part, one.step)[0]
    return raw(flight.folder / one.place, part, flight.prepared)

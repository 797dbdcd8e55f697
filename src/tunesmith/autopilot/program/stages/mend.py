"""Diagnose the program and mend it, where something was found wrong; a change stays only where the whole training is better for it."""

from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.replay import digest, replayed
from tunesmith.autopilot.stages.search import compare
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program, TunesmithError
from tunesmith.runs.history import History, series

TIMES = 6.0  # the epochs of the program, that twins of a repair may train at least: two changes in two orders of the rows, and the whole
LIKELY = 0.7  # confidence from which on a warning is followed; assumption
SHARE = 0.4  # of what is left, that a repair may cost; assumption: nothing that comes later makes up for a fault


def mend(flight: ProgramFlight) -> None:
    """Where a check or the curve of the program names a likely fault, `repair` is asked, and what it gives is trained whole beside."""
    serious = _serious(flight)
    if not serious and flight.net is not None:
        flight.decide("mend", "nothing is mended", "no check and no rule names a likely fault of this program")
        return
    because = serious[0] if serious else "the program breaks as it is"
    if not flight.pays("mend", (TIMES + 1) * flight.epochs, keep=0.1):
        flight.decide("mend", "not mended", f"{because}: there is no budget for a repair", taken=False)
        return
    made: list[Program] = []
    found = flight.ledger.once("mend/repair", lambda: _repaired(flight, made))
    if not found["changes"]:
        flight.decide(
            "mend",
            "not mended",
            f"{because}: no change helped on a twin{found['why']}",
            evidence=found["told"],
            taken=False,
        )
        return
    program = made[0] if made else replayed(flight.bench, found["changes"], found["findings"], found["digest"])
    if program is None:  # in a new process, where the names of the changes do not lead to them
        _repaired(flight, made)
        program = made[0] if made and digest(made[0]) == found["digest"] else None
    said = ", ".join(one["change"] for one in found["changes"])
    if program is None:
        flight.decide("mend", f"{said} is left", "in a new process the same repair did not come to it", taken=False)
        return
    _judged(flight, program, found, said, because)


def _judged(flight: ProgramFlight, program: Program, found: Mapping[str, Any], said: str, because: str) -> None:
    """The mended program, trained whole beside the one that was brought."""
    bench = Bench(program, kind=flight.bench.kind)
    epochs, before = program.epochs, flight.net
    made, told = flight.net_of("mend/net", "mended program", {}, bench)
    if made is None:
        flight.decide("mend", f"{said} is undone", f"the whole training broke: {told.get('failed', '')}", taken=False)
        return
    if before is None:
        flight.net = made
        flight.decide(
            "mend", f"mended: {said}", f"{because}; with it {flight.shown(made.score)}", evidence=found["told"]
        )
        kept = True
    else:
        kept = compare(flight, "mend", made, {}, f"mended: {said}", told)
    if kept:
        flight.bench, flight.epochs = bench, epochs
        flight.patch += found["lines"]
        flight.found["net"] = told


def _serious(flight: ProgramFlight) -> list[str]:
    """Why a repair is asked for: what a check or the curve names, or a program that is no better than a constant answer."""
    from tunesmith.doctor.diagnosis import diagnosed

    found = list(flight.found.get("prove", ()))
    if "net" in flight.found:
        found += [one.as_dict() for one in diagnosed(history(flight))]
    found = [one for one in found if one["status"] != "refuted" and _likely(one)]
    said = [str(one["because"]) for one in sorted(found, key=lambda one: one["severity"] != "error")]
    dumb = flight.called("constant answer")
    if flight.net is not None and dumb is not None and not flight.scorer.gain(flight.net.said, dumb.said).sure:
        said.append("the program as it is is no better than a constant answer")
    return said


def _likely(finding: Mapping[str, Any]) -> bool:
    severity = finding["severity"]
    return severity == "error" or (severity == "warning" and float(finding["confidence"]) >= LIKELY)


def history(flight: ProgramFlight) -> History:
    """The curves of the program as it is, as the rules of diagnosis read them."""
    records = flight.found["net"]["records"]
    steps = range(1, len(records) + 1)
    held = [one["val_loss"] for one in records]
    curves = [series("loss", steps, held, part="val", per="evaluation")]
    train = [one["train_loss"] for one in records]
    if all(one is not None for one in train):
        curves.append(series("loss", steps, train, part="train", per="epoch"))
    own = flight.program
    facts = {
        "kind": flight.bench.kind,
        "optimizer": type(own.optimizer).__name__.lower(),
        "rows": len(flight.bench.train),
    }
    facts |= {"batch_size": own.batch_size, "epochs": own.epochs, "finished": True}
    return History(curves=tuple(curves), reader="tune", axis="epoch", facts=facts)


def _repaired(flight: ProgramFlight, made: list[Program]) -> dict[str, Any]:
    """What `repair` gives, as plain data; its program goes into `made`."""
    left = SHARE * flight.purse.left()
    epochs = max(TIMES * flight.epochs, 0.0 if flight.purse.timed else left)
    try:
        repair = flight.hands.repair(flight.program, epochs=epochs, seconds=left if flight.purse.timed else None)
    except TunesmithError as error:
        return {"changes": [], "why": f" ({error})", "told": {}, "epochs": 0}
    if repair.changes:
        made[:] = [repair.program]
    tried = ", ".join(dict.fromkeys(one.change for one in repair.tried)) or "none"
    return {
        "changes": [one.as_dict() for one in repair.changes],
        "why": "",
        "told": {
            "before": repair.before,
            "after": repair.after,
            "measure": repair.measure,
            "in vain": tried,
            "faults": [one.fault for one in repair.findings if one.severity == "error"],
        },
        "lines": repair.lines,
        "findings": [one.as_dict() for one in repair.findings],
        "digest": digest(repair.program),
        "epochs": 0 if flight.purse.timed else min(epochs, repair.spent),
    }

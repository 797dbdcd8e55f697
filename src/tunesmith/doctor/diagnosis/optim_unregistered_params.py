"""optim.unregistered_params: weights that should train are not updated.

Sees      in a watched run: weights with a gradient that no optimizer holds and that nothing changes; weights in the optimizer that never get
          a gradient though their layer ran; weights in plain lists of a module; frozen weights that the optimizer was given; gradients
          that are gathered and thrown away without a step; layers that hardly move at a rate a thousand times below that of others. Beside it
          whether these weights still look as an initialiser draws them.
Matters   the rest of the net trains around random weights; where nothing is stepped, nothing is learnt.
Remedies  ModuleList instead of a list, the optimizer built last from all parameters, no detach on the way, a step after each backward.
Limits    weights frozen on purpose look the same: those that the optimizer was not given are no finding, those without the look of a fresh
          draw a note. A second optimizer that the watch was not told of is seen by the weights that it changes.
Source    vocabulary of optim.unregistered_params; Jiang et al., TrainCheck, OSDI 2025; thresholds: assumption.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, early_of, fact, named, number, part, told
from tunesmith.records import Finding, Remedy
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

FRESH = 0.5  # share of the weights in question that look as drawn; assumption: between none and all
ROUNDS = 50  # backward passes without any step that no accumulation explains; assumption
ENDED = 5  # the same, where the run is over
CRAWL = 1e-5  # of the weights in an update: vocabulary of lr.too_low
APART = 1000.0  # between the rates of two groups: a hundred is usual in fine-tuning; assumption
THROWN = 5.0  # gradients gathered from a cleared start for one update; two players make it 2; assumption

KINDS: Mapping[str, tuple[str, str]] = {
    "outside": ("left_outside", "optimizer_last"),
    "cut": ("cut_off", "no_detach"),
    "unregistered": ("not_registered", "register"),
    "frozen_held": ("frozen_fresh", "unfreeze"),
}


@rule("optim.unregistered_params", needs=("loss",))
def optim_unregistered_params(history: History) -> Iterator[Finding]:
    updates, backwards, windows = (fact(history, name) for name in ("updates", "backwards", "windows"))
    over = bool(history.facts.get("finished"))
    if updates == 0 and backwards >= (ENDED if over else ROUNDS) and history.facts.get("changed") is False:
        yield _stands("never_stepped", {"backwards": int(backwards)}, "backward_passes", backwards, ENDED)
        return
    if not history.facts.get("closure") and windows >= ROUNDS and windows > THROWN * updates > 0:
        yield _stands(
            "seldom_stepped",
            {"windows": int(windows), "updates": int(updates)},
            "gradients_thrown",
            windows / updates,
            THROWN,
        )
    yield from _crawling(history)
    for kind, parts in part(history, "parts").items():
        if kind in KINDS and updates >= 3:
            yield from _part(kind, parts)


def _crawling(history: History) -> Iterator[Finding]:
    """Layers that hardly move because the rate of their group is thousands of times smaller than that of others."""
    rates = [
        float(group["lr"])
        for one in history.facts.get("optimizers") or ()
        for group in one["groups"]
        if group.get("lr")
    ]
    if len(rates) < 2 or max(rates) < APART * min(rates):
        return
    moves = early_of(history, "update_ratio")
    fast = max(moves.values(), default=0.0)
    slow = {name: ratio for name, ratio in moves.items() if ratio * APART < fast and ratio < CRAWL}
    if not slow:
        return
    yield told(
        "optim.unregistered_params",
        "warning",
        "layers_crawl",
        {
            "count": len(slow),
            "names": named(list(slow)),
            "slow": max(slow.values()),
            "fast": fast,
            "rates": max(rates) / min(rates),
        },
        confidence=0.75,
        evidence=[
            number("update_ratio", max(slow.values()), CRAWL, "vocabulary of lr.too_low"),
            number("rates_apart", max(rates) / min(rates), APART, "assumption"),
        ],
        remedies=[advice("one_rate")],
        subject={"layers": list(slow)},
    )


def _stands(message: str, values: Mapping[str, Any], name: str, value: float, bound: float) -> Finding:
    return told(
        "optim.unregistered_params",
        "error",
        message,
        values,
        confidence=0.95,
        status="confirmed",
        evidence=[number(name, value, bound, "invariant")],
        remedies=[advice("call_step")],
    )


def _part(kind: str, parts: Mapping[str, Any]) -> Iterator[Finding]:
    drawn, share, names = parts.get("drawn"), float(parts["share"]), list(parts["names"])
    fresh = drawn is not None and drawn >= FRESH
    message, remedy = KINDS[kind]
    severity: Severity = "error"
    confidence = 0.9 if fresh else 0.8
    if kind == "outside" and not fresh:  # a head trained on a body that knows already: usual, and wasteful
        severity, confidence = "note", 0.4
    elif kind == "frozen_held":
        severity, confidence = ("warning", 0.6) if fresh else ("note", 0.3)
    elif kind == "cut" and not fresh:
        severity, confidence = "warning", 0.6
    remedies: list[Remedy] = [advice(remedy)]
    yield told(
        "optim.unregistered_params",
        severity,
        message,
        {
            "count": int(parts["count"]),
            "names": named(names),
            "share": share,
            "fresh": -1.0 if drawn is None else float(drawn),
        },
        confidence=confidence,
        status="confirmed" if severity == "error" else "suspected",
        evidence=[number("share_of_weights", share, 0.0, "invariant")]
        + ([number("as_drawn", drawn, FRESH, "assumption")] if drawn is not None else []),
        remedies=remedies,
        subject={"parameters": names},
    )

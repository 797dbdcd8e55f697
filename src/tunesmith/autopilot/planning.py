"""How what is left is divided among the stages to come: by what each can be expected to bring, from what was seen so far."""

import math
from collections.abc import Mapping

from tunesmith.autopilot.flight import JUDGEMENT, Flying

USUAL: Mapping[str, float] = {
    "pretrained": 0.5,
    "search": 1.0,
    "regularise": 0.4,
    "longer": 0.25,
    "seeds": 0.5,
    "distil": 0.2,
}  # weights where nothing speaks; assumption
KEEP = 2 * JUDGEMENT  # for the ensemble and the last judgement


def planned(flight: Flying, stage: str) -> float:
    """Seconds or epochs of a stage; noted as a step, so that a plan made by the clock is the same after a kill."""
    found = flight.ledger.once(f"plan/{stage}", lambda: _planned(flight, stage))
    if found.get("said"):
        flight.decide(
            "plan",
            f"{found['amount']:.0f} {flight.purse.unit} for '{stage}'",
            found["said"],
            evidence={"left": found["left"], "shares": found["shares"]},
        )
    return float(found["amount"])


def weights(flight: Flying) -> dict[str, float]:
    """The weight of each stage to come.

    Regularising counts more the further the held-out loss rose above its lowest, a longer training the later the best epoch came, a
    search where the net lies behind a simple model.
    """
    about = flight.found.get("plain", {})
    found = dict(USUAL)
    rising, late = about.get("rising"), about.get("late")
    if rising is not None and math.isfinite(rising):
        found["regularise"] *= 0.5 + min(2.0, 4 * max(0.0, rising))
    if late is not None:
        found["longer"] *= 2.0 if late > 0.75 else 0.4
    best = max(
        (flight.scorer.height(one.score) for one in flight.candidates if one.kind in ("linear", "boosted")),
        default=None,
    )
    if flight.net is not None and best is not None and best > flight.scorer.height(flight.net.score):
        found["search"] *= 1.5
    return found


def _planned(flight: Flying, stage: str) -> dict[str, object]:
    order = list(USUAL)
    coming = [name for name in order[order.index(stage) :] if name not in flight.without]
    each = weights(flight)
    whole = sum(each[name] for name in coming)
    left = max(0.0, flight.purse.left() - KEEP * flight.purse.total)
    shares = {name: round(each[name] / whole, 3) for name in coming}
    said = f"of {left:.0f} left, by expected gain: " + ", ".join(
        f"{name} {share:.0%}" for name, share in shares.items()
    )
    return {"amount": left * shares[stage], "left": left, "shares": shares, "said": said}

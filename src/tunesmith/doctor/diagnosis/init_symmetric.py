"""init.symmetric: the units of a layer start alike and stay so.

Sees      in a watched run: weights whose units held the same numbers before the first update and still do after many.
Matters   units that are alike get the same gradient and stay alike: a layer of a hundred of them is one unit.
Remedies  random start weights.
Limits    layers that start at zero and are woken by what comes after them (zero residual branches, a zero head) are not alike after some
          updates and are no finding; neither are weights that nothing trains.
Source    vocabulary of init.symmetric.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, named, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

UPDATES = 10  # after which units that can part have parted; assumption


@rule("init.symmetric", needs=("loss",))
def init_symmetric(history: History) -> Iterator[Finding]:
    untrained = {name for each in part(history, "parts").values() for name in each["names"]}
    still = [name for name, now in part(history, "alike").items() if now and name not in untrained]
    updates = fact(history, "made")
    if not still or updates < UPDATES:
        return
    yield told(
        "init.symmetric",
        "error",
        "units_alike",
        {"count": len(still), "names": named(still), "updates": int(updates)},
        confidence=0.95,
        status="confirmed",
        evidence=[number("spread_between_units", 0.0, 1e-4, "rounding", where=still[0])],
        remedies=[advice("random_start")],
        subject={"parameters": still},
    )

"""model.too_small: too little room for what is to be learnt.

Sees      in a watched run, together: everything passes through a linear layer of four units or fewer, less than its inputs and than the
          classes ask for, or there is no hidden layer at all; and a loss that stands, far above zero, in training too.
Matters   no rate and no number of epochs can fill a net that has no room.
Remedies  widen the narrowest layer first, then add layers.
Limits    a linear model is the right one for much data, and noise has a floor that no net passes: suspected, with little confidence; the
          capacity probe decides.
Source    vocabulary of model.too_small; counts and bounds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

NARROW = 4  # units of a hidden layer; assumption
UPDATES = 100


@rule("model.too_small", needs=("loss",))
def model_too_small(history: History) -> Iterator[Finding]:
    ran, widths = progress(history), list(part(history, "widths").items())
    weighted = int(history.facts.get("weighted") or 0)
    if ran is None or ran.updates < UPDATES or not ran.poor or not widths or weighted != len(widths):
        return
    hidden = [(name, sizes) for name, sizes in widths[:-1] if sizes[1] <= NARROW and sizes[1] < sizes[0]]
    outputs = widths[-1][1][1]
    if hidden:
        name, sizes = min(hidden, key=lambda each: each[1][1])
        tight = sizes[1] < outputs - 1 or sizes[1] == 1
        yield told(
            "model.too_small",
            "warning",
            "narrow_neck",
            {"layer": name, "units": sizes[1], "inputs": sizes[0], "outputs": outputs, "loss": ran.end},
            confidence=0.75 if tight else 0.6,
            evidence=[
                number("units", sizes[1], NARROW, "assumption", where=name),
                number("loss", ran.end, ran.chance, "a constant answer"),
            ],
            remedies=[advice("widen")],
            subject={"layers": [name]},
            next_probe="more_capacity",
        )
    elif weighted == 1 and ran.chance is not None:
        yield told(
            "model.too_small",
            "warning",
            "no_hidden_layer",
            {"inputs": widths[0][1][0], "outputs": outputs, "loss": ran.end},
            confidence=0.45,
            evidence=[
                number("layers_with_weights", 1, 2, "assumption"),
                number("loss", ran.end, ran.chance, "a constant answer"),
            ],
            remedies=[advice("widen")],
            next_probe="more_capacity",
        )

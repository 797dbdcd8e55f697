"""model.missing_nonlinearity: linear layers follow each other with nothing between.

Sees      in a watched run: the tensor that a linear layer gave is, itself, what the next linear layer was given.
Matters   two linear layers in a row are one: the weights of the second are spent on nothing, and the net may be linear as a whole.
Remedies  an activation between them.
Limits    a product through a narrower middle (low rank, adapters) is meant and is no finding. What was reshaped or added to on the way is
          another tensor and is not seen.
Source    vocabulary of model.missing_nonlinearity.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, named, number, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History


@rule("model.missing_nonlinearity", needs=("loss",))
def model_missing_nonlinearity(history: History) -> Iterator[Finding]:
    chains = [
        each
        for each in history.facts.get("chains") or ()
        if each["sizes"][1] >= min(each["sizes"][0], each["sizes"][2])
    ]
    if not chains:
        return
    names = [f"{each['first']} > {each['second']}" for each in chains]
    weighted = int(history.facts.get("weighted") or 0)
    whole = len({name for each in chains for name in (each["first"], each["second"])}) >= weighted > 0
    ran = progress(history)
    yield told(
        "model.missing_nonlinearity",
        "error" if whole else "warning",
        "all_linear" if whole else "linear_in_a_row",
        {"count": len(chains), "names": named(names)},
        confidence=0.95 if whole else 0.85 if ran is None or ran.poor else 0.75,
        status="confirmed",
        evidence=[number("linear_in_a_row", len(chains), 0.0, "same tensor")],
        remedies=[advice("activation_between")],
        subject={"layers": [each["second"] for each in chains]},
    )

"""run.nondeterministic: the same inputs, seeds and weights give other outputs.

Sees      in a watched run: the net is asked twice for the same eight rows, in evaluation mode, with the same state of every generator of
          Python, NumPy and torch; its outputs differ.
Matters   no two runs can be compared, and no fault in them be found by repeating it.
Remedies  draw from seeded generators alone; deterministic kernels.
Limits    speaks of the net alone. A loader or step that draws from elsewhere is seen by running twice. Kernels that add in any order differ
          by rounding, far below the bound.
Source    vocabulary of run.nondeterministic; bound: above the rounding of float32 sums; assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

APART = 1e-4  # of the spread of the outputs


@rule("run.nondeterministic", needs=("loss",))
def run_nondeterministic(history: History) -> Iterator[Finding]:
    restless = history.facts.get("restless")
    if isinstance(restless, float) and restless > APART:
        yield told(
            "run.nondeterministic",
            "warning",
            "restless",
            {"change": restless},
            confidence=0.95,
            status="confirmed",
            evidence=[number("change_between_two_passes", restless, APART, "above rounding")],
            remedies=[advice("seeded_generators")],
        )

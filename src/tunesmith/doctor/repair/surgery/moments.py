"""moments: another epsilon or a shorter memory for the second moment of Adam and its kin.

Does      epsilon a hundredth of what it is, and ten thousand times that; beta2 = 0.95.
Mends     leaps of the loss where the second moment has grown small, or lags behind gradients that grow.
Limits    experiments: there is evidence for a smaller epsilon and for a larger one; the twin decides.
Source    Molybog et al., arXiv:2304.09871 (a smaller epsilon); Choi et al., arXiv:1910.05446 (larger ones often best); Wortsman et al.,
          arXiv:2304.13013, section 3.4 (beta2 and lagging second moments).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program

SMALLER, LARGER = 1e-2, 1e4  # times epsilon
SHORTER = 0.95  # beta2 of large language models: arXiv:2005.14165, appendix B


def _lines(before: Program, after: Program, values: Mapping[str, Any]) -> list[str]:
    group = after.optimizer.param_groups[0]
    return [f"optimizer = torch.optim.{type(after.optimizer).__name__}(..., betas={group['betas']!r}, eps={group['eps']!r})"]  # fmt: skip


@surgery("moments", faults=("loss.spike", "optim.bad_hyperparameters", "loss.oscillating"), lines=_lines, anew=False)
def moments(case: Any) -> Iterator[Change]:
    groups = getattr(case.bench.program.optimizer, "param_groups", [{}])
    if not groups or "eps" not in groups[0] or len(groups[0].get("betas", ())) != 2:
        return
    likely = max(0.02, 0.4 * case.suspected("loss.spike"))
    eps, beta2 = float(groups[0]["eps"]), float(groups[0]["betas"][1])
    for word, factor in (("smaller", SMALLER), ("larger", LARGER)):
        wanted = float(f"{eps * factor:.3g}")
        yield Change(
            f"a {word} epsilon", likely, mend=_with(eps=wanted), recipe={"optim.eps": wanted}, fault="loss.spike"
        )
    if beta2 > SHORTER:
        yield Change(
            "a smaller beta2", likely, mend=_with(beta2=SHORTER), recipe={"optim.beta2": SHORTER}, fault="loss.spike"
        )


def _with(eps: float | None = None, beta2: float | None = None) -> Any:
    def mend(bench: Bench, twin: Twin) -> bool:
        for group in twin.optimizer.param_groups:
            if eps is not None:
                group["eps"] = eps
            if beta2 is not None:
                group["betas"] = (group["betas"][0], beta2)
        return True

    return mend

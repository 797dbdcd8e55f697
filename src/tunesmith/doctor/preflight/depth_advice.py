"""depth_advice: many layers of weights in a row, with neither a norm nor a way around.

Sees      the longest chain of trained layers in the forward pass; a norm, attention, a recurrent layer or SELU ends a chain, and so does
          a place where two ways of different length meet (a residual sum, a concatenation, a gate). Beside it, where it can be
          measured, the gradient of the first layer over its weights against that of the last, at the start.
Matters   a deep plain net trains slower and ends worse than one with norms or residual branches, if it starts at all.
Remedies  a norm after each layer; residual branches.
Limits    a note: with weights drawn well such nets do learn. Whether values come through at the start is measured by `first_signals`.
Source    Simonyan & Zisserman, arXiv:1409.1556, section 3.1: beyond 11 layers they started from a shallower net that had been
          trained; He et al., Deep Residual Learning, arXiv:1512.03385, figure 1.
"""

import math
from collections.abc import Iterator

from torch import nn

from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.first_signals import VANISHING, signals_of
from tunesmith.doctor.preflight.net_graph import graph_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

MANY = 10  # layers; arXiv:1409.1556: 11 trained from random weights, 13 no longer
WHOLE = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)  # gates and norms of their own
SPREADS = ("var", "std", "varmean", "stdmean", "rsqrt")  # a norm written out

SKIPS = Remedy(title="remedy.advice_norms_or_residuals", safety=Safety.ADVICE)


@check("depth_advice", faults=("act.unsuitable",), cost=CHEAP)
def depth_advice(bench: Bench) -> Iterator[Finding]:
    chain = plain_chain(graph_of(bench))
    bench.measured["depth_advice.layers"] = len(chain)
    if len(chain) < MANY:
        return
    evidence = [Evidence(name="layers_in_a_row", value=len(chain), threshold=MANY, source="arXiv:1409.1556")]
    ratio = _gradient_ratio(bench)
    if math.isfinite(ratio):
        evidence.append(
            Evidence(
                name="gradient_first_over_last", value=ratio, threshold=VANISHING, source="AutoTrainer", where=chain[0]
            )
        )
    yield Finding(
        fault="act.unsuitable",
        severity="note",
        message="advice.deep_and_plain",
        values={"layers": len(chain), "first": chain[0], "last": chain[-1]},
        evidence=tuple(evidence),
        remedies=(SKIPS,),
        confidence=0.4,
        status="suspected",
        subject={"layers": list(chain)},
    )


def plain_chain(graph: Graph) -> tuple[str, ...]:
    """The layers of the longest chain, in order. A layer that is called again counts once."""
    chains: dict[int, tuple[str, ...]] = {}
    for step in graph.steps:
        ways = [chains[before] for before in dict.fromkeys(step.inputs)]
        longest = max(ways, key=len, default=())
        if _ends(step) or len({len(way) for way in ways}) > 1:
            longest = ()
        elif step.kind == "weight" and step.layer not in longest and _trained(step):
            longest = (*longest, step.layer)
        chains[step.number] = longest
    return max(chains.values(), key=len, default=())


def _ends(step: Step) -> bool:
    written = step.plain in SPREADS or step.activation == "selu"
    return step.kind in ("norm", "attention") or isinstance(step.module, WHOLE) or written


def _trained(step: Step) -> bool:
    return step.module is None or any(each.requires_grad for each in step.module.parameters())


def _gradient_ratio(bench: Bench) -> float:
    try:
        layers = signals_of(bench).layers
    except Inapplicable:
        return math.nan
    return layers[0].gradient / layers[-1].gradient if layers[-1].gradient > 0 else math.nan

"""head_advice: nearly all parameters of a convolutional net are in the dense layer that its maps are flattened into.

Sees      the weights of the first dense layer after the last convolution, against all trainable ones, the number of training rows, and
          what the layer would have if each map were averaged first.
Matters   such a layer learns every place anew: more parameters than the rows can pin down, and the largest part of the file.
Remedies  global average pooling before the dense layer, or a pooling to a few positions.
Limits    a note, and only from ten weights a training row on. Averaging loses where things are, which some answers (coordinates) need.
Source    Lin, Chen & Yan, Network In Network, arXiv:1312.4400, section 3.2; He et al., arXiv:1512.03385, section 3.3.
"""

from collections.abc import Iterator

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.net_graph import head_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

MOST = 0.8  # of all trainable parameters; assumption
A_ROW = 10  # weights of the layer for each training row; assumption
POSITIONS = 4  # of a map that are flattened; assumption: fewer are a pooling already

POOL = Remedy(title="remedy.advice_average_pooling", safety=Safety.ADVICE)


@check("head_advice", faults=("recipe.unusual",), cost=CHEAP)
def head_advice(bench: Bench) -> Iterator[Finding]:
    head = head_of(bench)
    if not head.layer.weight.requires_grad:
        raise Inapplicable("the dense layer is not trained")
    total = sum(each.numel() for each in bench.program.model.parameters() if each.requires_grad)
    weights, rows = head.layer.weight.numel(), len(bench.train)
    positions, rest = divmod(head.layer.in_features, head.channels)
    share = weights / total
    if rest or positions < POSITIONS or share <= MOST or weights <= A_ROW * rows:
        return
    values = {
        "layer": head.dense,
        "weights": weights,
        "share": share,
        "rows": rows,
        "positions": positions,
        "pooled": weights // positions,
    }
    yield Finding(
        fault="recipe.unusual",
        severity="note",
        message="advice.large_head",
        values=values,
        evidence=(
            Evidence(name="share_of_parameters", value=share, threshold=MOST, source="assumption", where=head.dense),
            Evidence(
                name="weights_per_row", value=weights / rows, threshold=A_ROW, source="assumption", where=head.dense
            ),
        ),
        remedies=(POOL,),
        confidence=0.5,
        status="suspected",
        subject={"layers": [head.dense]},
    )

"""receptive_field: what the dense head is given was seen through a window far smaller than the input.

Sees      which lines of the input each number that the first dense layer takes depends on, for each side: exactly, by marking a line
          and following the mark through convolutions and poolings; and lines that nothing depends on.
Matters   what lies further apart than the window is put together by the dense layers alone, for each place anew.
Remedies  stride or pooling between convolutions, dilation, larger kernels, more layers.
Limits    a note. Nets without a dense layer after convolutions (answers by position, attention) are not judged: how far they need to look
          is not known. Theory's window, not the part of it that counts, which is smaller. Sides below 16 positions are left out;
          those above 64 are known to a 64th.
Source    Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill (2019), eq. 2; Luo et al.,
          Understanding the Effective Receptive Field, arXiv:1701.04128.
"""

from collections.abc import Iterator

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.net_graph import head_of
from tunesmith.doctor.preflight.reached import Side, sides
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP

FAR = 0.25  # of a side; assumption: four windows side by side do not cover it
LOST = 0.1  # of a side that nothing depends on; assumption: more than a stride leaves at an edge
SHORTEST = 16  # positions of a side that is judged; assumption

WIDER = Remedy(title="remedy.advice_wider_view", safety=Safety.ADVICE)


@check("receptive_field", faults=("model.too_small",), cost=CHEAP)
def receptive_field(bench: Bench) -> Iterator[Finding]:
    head = head_of(bench)
    found = [side for side in sides(bench, head.first, head.dense) if side.length >= SHORTEST]
    for side in found:
        bench.measured[f"receptive_field.{side.axis}"] = side.seen
    lost = [side for side in found if side.unseen > LOST * side.live]
    narrow = [side for side in found if side.seen < FAR * side.length]
    if lost:
        worst = max(lost, key=lambda side: side.unseen / side.live)
        yield _finding("advice.input_unseen", worst, worst.unseen, LOST * worst.live, head.dense)
    elif narrow:
        worst = min(narrow, key=lambda side: side.seen / side.length)
        yield _finding("advice.narrow_view", worst, worst.seen, FAR * worst.length, head.dense)


def _finding(message: str, side: Side, value: int, threshold: float, layer: str) -> Finding:
    lost = message == "advice.input_unseen"
    name = "positions_unseen" if lost else "positions_seen"
    length = side.live if lost else side.length
    return Finding(
        fault="model.too_small",
        severity="note",
        message=message,
        values={"seen": side.seen, "unseen": side.unseen, "length": length, "axis": side.axis, "layer": layer},
        evidence=(
            Evidence(name=name, value=value, threshold=threshold, source="assumption", where=f"axis {side.axis}"),
        ),
        remedies=(WIDER,),
        confidence=0.5,
        status="suspected",
        subject={"layers": [layer]},
    )

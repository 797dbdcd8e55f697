"""linear_chain: layers of weights follow each other with nothing nonlinear between them.

Sees      in torch's graph of a forward pass in evaluation mode, products with weights that reach the next one through affine maps alone
          (changes of shape, means, batch norm, dropout); and whether the whole net is affine: f(ax + by) - a f(x) - b f(y) + (a + b - 1) f(0)
          is zero on real rows.
Matters   two linear layers are one: the second adds weights and no power. A net without any activation is a linear model.
Remedies  an activation between the layers, or one layer instead of the two.
Limits    a factorisation is left alone: with fewer weights than the one map they make (adapters, linear bottlenecks, linear autoencoders: a
          note where the whole net is one), by groups, one axis after the other, an upsampling; so are the products inside recurrent and
          attention layers, and a layer whose result is read in several places (residual branches). A note where two parts of a model
          meet (an encoder and its head): there the embedding itself may be wanted.
Source    vocabulary of model.missing_nonlinearity: the identity of affine maps.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.affine import Graph, Pair
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.model_call import (
    Arguments,
    answer,
    apart,
    arguments,
    in_double,
    leaves,
    mapped,
    mixed,
    spread_of,
    tolerance,
)
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

ROWS = 8  # that are looked at; assumption
WEIGHTS = (
    (0.7, -1.3),
    (-40.0, 25.0),
)  # a and b: near the data, and far enough to wake units that sleep there; assumption

ACTIVATE = Remedy(title="remedy.model_activation", safety=Safety.ADVICE)


@check("linear_chain", faults=("model.missing_nonlinearity",), cost=CHEAP)
def linear_chain(bench: Bench) -> Iterator[Finding]:
    given = [arguments(bench, bench.batch(ROWS, name)) for name in ("linear_chain", "linear_chain, other rows")]
    twin = bench.twin()
    twin.model.eval()
    given = in_double(bench, twin, given)
    graph = _graph(bench, twin.model, given[0])
    if len(graph.products) < 2:
        return
    gap, bound = _curvature(bench, twin.model, given)
    pairs = graph.pairs()
    wide = [pair for pair in pairs if not pair.deliberate]
    layers = list(dict.fromkeys(one.name for one in graph.products.values()))
    if gap is not None and gap <= bound and len(layers) > 1:
        evidence = Evidence(name="departure_from_affine", value=gap, threshold=bound, source="root of the precision")
        yield _finding("warning" if wide or not pairs else "note", "model.affine", pairs, layers, evidence)
    elif wide:
        evidence = Evidence(name="pairs_with_nothing_between", value=len(wide), threshold=0, source="the graph")
        near = [pair for pair in wide if pair.siblings]
        shown = near or wide
        yield _finding("warning" if near else "note", "model.linear_chain", shown, _named(shown), evidence)


def _graph(bench: Bench, model: nn.Module, given: Arguments) -> Graph:
    asked = mapped(given, lambda leaf: leaf.detach().clone().requires_grad_() if leaf.is_floating_point() else leaf)
    for each in model.parameters():
        if each.is_floating_point():
            each.requires_grad_(True)
    with torch.enable_grad():
        outputs = answer(bench, model, asked)
    if outputs.grad_fn is None:
        raise Inapplicable("the outputs have no graph")
    return Graph(model, outputs, list(leaves(asked)))


def _curvature(bench: Bench, model: nn.Module, given: list[Arguments]) -> tuple[float | None, float]:
    """The largest departure from an affine map as a share of the outputs' spread; None where the inputs are no floating numbers."""
    one, other = given
    floating = [leaf.is_floating_point() for leaf in leaves(one)]
    if not all(floating) or not floating:
        return None, 0.0
    worst, bound = 0.0, 0.0
    with torch.no_grad():
        nought = mapped(one, torch.zeros_like)
        f_x, f_y, f_0 = (answer(bench, model, each) for each in (one, other, nought))
        if f_x.shape != f_y.shape or not f_x.is_floating_point():
            return None, 0.0
        for a, b in WEIGHTS:
            together = mixed(one, other, lambda x, y, a=a, b=b: a * x + b * y)  # type: ignore[misc]
            wanted = a * f_x + b * f_y - (a + b - 1) * f_0
            result = answer(bench, model, together)
            scale = max(spread_of(result), _size(wanted - f_0))
            if not bool(torch.isfinite(result).all() & torch.isfinite(wanted).all()) or scale == 0:
                return None, 0.0
            worst, bound = max(worst, apart(result, wanted, scale)), 10 * tolerance(result)
        if float((f_x - f_0).abs().max()) <= bound * max(1.0, _size(f_0)):
            return None, 0.0  # the outputs do not depend on the inputs at all
    return worst, bound


def _size(values: Tensor) -> float:
    return float(values.double().abs().max())


def _named(pairs: list[Pair]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in (pair.first.name, pair.second.name)))


def _finding(severity: Severity, message: str, pairs: list[Pair], layers: list[str], seen: Evidence) -> Finding:
    first = pairs[0] if pairs else None
    return Finding(
        fault="model.missing_nonlinearity",
        severity=severity,
        message=message,
        values={
            "layers": len(layers),
            "pairs": len(pairs),
            "first": first.first.name if first else "",
            "second": first.second.name if first else "",
            "middle": first.middle if first else 0,
            "names": ", ".join(layers[:4]) + (" …" if len(layers) > 4 else ""),
            "gap": seen.value,
        },
        evidence=(seen,),
        remedies=(ACTIVATE,),
        status="confirmed",
        confidence=0.9 if message == "model.affine" else 0.8,
        subject={"layers": layers},
    )

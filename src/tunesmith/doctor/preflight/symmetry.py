"""symmetry: the units of a hidden layer start alike and stay alike.

Sees      for each layer the units (rows of the weight with their bias) that are equal, before and after some of the program's own updates
          on a copy, and whether their gradients are equal too (or all zero) in both places.
Matters   units that are alike at the start get the same gradient: the layer is one unit wide for ever. Where all is zero nothing moves.
Remedies  draw the weights at random (He, Glorot); only last layers and residual branches may start at zero.
Limits    what parts after the first updates is sound: last layers of zeros, the second half of an adapter, the last layer of a residual
          branch, units behind dropout. Equal units that are not zero are a warning where they part slowly. Embeddings, gains of norms
          and frozen weights are not looked at.
Source    Goodfellow et al., Deep Learning (2016), section 8.4: "the only property known with complete certainty is that the initial
          parameters need to break symmetry between different units".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import feeding, undisturbed
from tunesmith.doctor.preflight.model_call import answer, arguments
from tunesmith.doctor.preflight.scoring import need_step
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

STEPS = 4  # updates: two zeros one behind the other have parted by then; assumption
ALIKE = 1e-3  # of the length of a row, or of its gradient: far above rounding, far below what differs; assumption
SHARE = 0.5  # of a layer's units that have a twin among the others; assumption
PARTED = (
    0.5  # of their length, from which units that started alike are taken to have found ways of their own; assumption
)
RANDOM_LENGTH = 3**-0.5  # of a row in torch's default start: variance 1 / (3 fan_in)
LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)

RANDOM = Remedy(title="remedy.model_random_start", safety=Safety.ADVICE)


@dataclass(slots=True)
class Layer:
    """A weight whose units lie along `axis`, and the bias that belongs to them."""

    name: str
    weight: Tensor
    bias: Tensor | None
    axis: int
    plain: bool = False  # of a linear layer or a convolution without groups

    def rows(self) -> Tensor:
        """(units, numbers) with the bias as a last column."""
        return self._joined(self.weight.detach(), None if self.bias is None else self.bias.detach())

    def gradients(self) -> Tensor | None:
        """The same of the gradient; None where there is none."""
        if self.weight.grad is None:
            return None
        return self._joined(self.weight.grad, None if self.bias is None else self.bias.grad)

    def _joined(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        held = weight.movedim(self.axis, 0).flatten(1).double()
        return held if bias is None else torch.cat([held, bias.double()[:, None]], 1)


@check("symmetry", faults=("init.symmetric",), cost=CHEAP)
def symmetry(bench: Bench) -> Iterator[Finding]:
    need_step(bench)
    twin = bench.twin()
    suspects = [layer for layer in layers(twin.model) if _distinct(layer.rows()) <= (1 - SHARE) * len(layer.rows())]
    if not suspects:
        return
    alike = _never_sound(bench, twin, suspects)
    start = _together(suspects, batch_gradient(bench, twin))
    with undisturbed(bench), quiet():
        for window in islice(feeding(bench), STEPS):
            twin.step(window if len(window) > 1 else window[0])
    still = _together(start, batch_gradient(bench, twin))
    parted = [layer for layer in alike if layer.name not in {one.name for one in still}]
    if still:
        distinct = min(_distinct(layer.rows()) for layer in still)
        yield _finding("error" if distinct == 1 else "warning", "model.symmetric", still)
    if parted:
        slow = min(_apart(layer.rows()) for layer in parted) < PARTED
        yield _finding("warning" if slow else "note", "model.alike_at_start", parted)


def _finding(severity: Severity, message: str, found: list[Layer]) -> Finding:
    counts = {layer.name: (_distinct(layer.rows()), len(layer.rows())) for layer in found}
    worst = min(counts, key=lambda name: counts[name][0] / counts[name][1])
    distinct, units = counts[worst]
    apart = min(_apart(layer.rows()) for layer in found)
    return Finding(
        fault="init.symmetric",
        severity=severity,
        message=message,
        values={
            "layer": worst,
            "units": units,
            "distinct": distinct,
            "layers": len(found),
            "steps": STEPS,
            "apart": apart,
        },
        evidence=(
            Evidence(name="units_apart", value=apart, threshold=ALIKE, source="assumption"),
            Evidence(name="layers", value=len(found), threshold=0),
        ),
        remedies=(RANDOM,),
        status="confirmed" if severity == "error" else "suspected",
        confidence=0.95 if severity == "error" else 0.7,
        subject={"layers": list(counts)},
    )


def _apart(rows: Tensor) -> float:
    """The spread of the units about their mean, as a share of its length or of that of a random unit."""
    middle = rows.mean(0)
    return float((rows - middle).norm(dim=1).mean()) / max(float(middle.norm()), RANDOM_LENGTH)


def _never_sound(bench: Bench, twin: Twin, suspects: list[Layer]) -> list[Layer]:
    """Hidden layers of whole modules whose equal units are not zero: unlike zeros, nobody starts so on purpose.

    Units of a grouped convolution see different inputs, and those of the last layer different targets.
    """
    last = _last(bench, twin)
    return [
        layer
        for layer in suspects
        if layer.plain and layer.name != last and bool((layer.weight.detach() != 0).any()) and last
    ]


def _last(bench: Bench, twin: Twin) -> str:
    """The layer with weights that is carried out last; "" where the model cannot be asked."""
    order: list[str] = []
    handles = [
        module.register_forward_hook(lambda part, args, result, name=name: order.append(name))
        for name, module in twin.model.named_modules()
        if isinstance(module, LAYERS)
    ]
    try:
        with torch.no_grad():
            answer(bench, twin.model, arguments(bench, bench.batch(8, "symmetry")))
    except Inapplicable:
        return ""
    finally:
        for handle in handles:
            handle.remove()
    return order[-1] if order else ""


def layers(model: nn.Module) -> list[Layer]:
    """Trainable weights with two or more units of two or more numbers."""
    found: list[Layer] = []
    for name, module in model.named_modules():
        if isinstance(module, LAYERS):
            transposed = bool(getattr(module, "transposed", False))
            weight = getattr(module, "weight", None)
            bias = getattr(module, "bias", None)
            if isinstance(weight, nn.Parameter) and not (transposed and module.groups > 1):  # type: ignore[operator]
                plain = getattr(module, "groups", 1) == 1
                found.append(Layer(name, weight, None if transposed else bias, 1 if transposed else 0, plain))
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
            for own, weight in module.named_parameters(recurse=False):
                if weight.dim() == 2:
                    found.append(Layer(f"{name}.{own}", weight, None, 0))
        elif not isinstance(module, nn.Embedding | nn.EmbeddingBag):
            for own, weight in module.named_parameters(recurse=False):
                if weight.dim() == 2:  # of a layer by hand: units may be its rows or its columns
                    path = f"{name}.{own}".removeprefix(".")
                    found += [Layer(path, weight, None, 0), Layer(path, weight, None, 1)]
    return [
        one for one in found if one.weight.requires_grad and one.weight.shape[one.axis] > 1 and one.weight.numel() > 3
    ]


def batch_gradient(bench: Bench, twin: Twin) -> bool:
    """The gradient of one batch in the parameters' `grad`; False where the loss cannot be asked without the program's own step."""
    try:
        with undisturbed(bench), quiet():
            twin.gradient(bench.batch(32, "symmetry"))
    except Exception:  # a loss that the program's own step calls in a way of its own
        return False
    return True


def _together(suspects: list[Layer], taught: bool) -> list[Layer]:
    """The layers whose equal units also get equal gradients (or none but zeros)."""
    found = []
    for layer in suspects:
        rows = layer.rows()
        if _distinct(rows) > (1 - SHARE) * len(rows):
            continue
        gradients = layer.gradients() if taught else rows
        if gradients is not None and _distinct(gradients) <= (1 - SHARE) * len(gradients):
            found.append(layer)
    return found


def _distinct(rows: Tensor) -> int:
    """How many rows differ by more than `ALIKE` of the longest, counted along their projection on two random directions."""
    if not bool(torch.isfinite(rows).all()):
        return len(rows)
    size = float(rows.norm(dim=1).max())
    if size == 0:
        return 1
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(rows.shape[1], 2, generator=generator, dtype=torch.float64).to(rows.device)
    cells = (rows @ along / (ALIKE * size)).round()
    return len(torch.unique(cells, dim=0))

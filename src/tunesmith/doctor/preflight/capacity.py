"""capacity: the net is too small even for its training rows.

Sees      layers that squeeze everything through one or two numbers; and, where the program falls short of what cheap models
          reach, its net and a wider reference net trained alike (Adam, no regularisation, the same rows and updates), judged on
          training rows and on rows neither has seen.
Matters   no rate and no number of epochs makes a net say what it cannot hold.
Remedies  widen, deepen (`model.width`, `model.depth` of a recipe).
Limits    a small net that does as well as its reference is not spoken of. The reference net is a plain one for flat inputs and a
          small convolutional one for pictures; tokens are left out. A recipe's model is widened itself.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "overfit"; vocabulary of model.too_small.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.attainable import attainable
from tunesmith.doctor.preflight.bench import Bench, seed_all
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed, without_regularisation
from tunesmith.doctor.preflight.scoring import judged, need_score, some
from tunesmith.doctor.preflight.short_run import base_course, planned_steps, seconds_of_update
from tunesmith.doctor.preflight.task_bench import bench_of_task
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import DEAR, Evidence, Finding, Recipe, Remedy, Safety, Task, revise
from tunesmith.records.check import Inapplicable
from tunesmith.training.batch import Batch

ROWS = 1000  # rows that are trained on; assumption
HELD = 0.3  # of the rows drawn, that neither net trains on
STEPS = 300  # updates of each training; assumption
BATCH = 64  # rows of an update; assumption
RATES = (1e-3, 1e-2)  # of Adam, the better one counts; assumption
WIDTH = 128  # of the reference net; assumption
SHARE = 0.7  # of what the reference gains over chance; assumption
NARROW = 2  # numbers that a hidden layer lets through; assumption

WIDER = Remedy(title="remedy.loop_wider", safety=Safety.RISKY)


@dataclass(frozen=True, slots=True)
class Reach:
    """Scores of a net after a training by Adam."""

    train: float
    held: float


@check("capacity", faults=("model.too_small",), cost=DEAR)
def capacity(bench: Bench) -> Iterator[Finding]:
    need_score(bench)
    reference = attainable(bench)
    if not reference.signal:
        raise Inapplicable("cheap models find no signal that a larger net could hold")
    train, held = _parts(bench)
    narrow = bottlenecks(bench.program.model)
    base = base_course(bench, planned_steps(bench)[0])
    if base.finite and not _short(base.score, reference.score, reference.chance):
        bench.measured["capacity"] = {"train": base.score, "reference": reference.score}
        return  # what learns its training rows as they are is not too small
    bench.clock.need(2 * len(RATES) * STEPS * seconds_of_update(bench))
    own = reach(bench, bench.twin, train, held)
    bench.measured["capacity"] = {"train": own.train, "held": own.held, "reference": reference.score}
    if not _short(own.held, reference.score, reference.chance):
        return
    wide = reach(bench, lambda: _wide(bench, train), train, held)
    bench.measured["capacity"] = {
        "train": own.train,
        "held": own.held,
        "wide_train": wide.train,
        "wide_held": wide.held,
    }
    short = all(
        _short(mine, theirs, reference.chance) for mine, theirs in ((own.train, wide.train), (own.held, wide.held))
    )
    if not short or wide.held < reference.chance + SHARE * reference.gain:
        return
    yield Finding(
        fault="model.too_small",
        severity="warning",
        message="loop.bottleneck" if narrow else "loop.too_small",
        values={
            "train": own.train,
            "held": own.held,
            "wide_train": wide.train,
            "wide_held": wide.held,
            "weights": sum(each.numel() for each in bench.program.model.parameters()),
            "names": ", ".join(name for name, _ in narrow[:3]),
            "least": min((width for _, width in narrow), default=0),
            "steps": STEPS,
        },
        evidence=(
            Evidence(name="training_score", value=own.train, threshold=wide.train, source="a wider net, trained alike"),
            Evidence(name="held_out_score", value=own.held, threshold=wide.held, source="a wider net, trained alike"),
        ),
        remedies=(_remedy(bench),),
        confidence=0.8 if narrow else 0.6,
        status="suspected",
        subject={"layers": [name for name, _ in narrow]},
    )


def _short(mine: float, theirs: float, chance: float) -> bool:
    """Less than `SHARE` of the gain over chance."""
    return math.isnan(mine) or mine < chance + SHARE * (theirs - chance)


def _remedy(bench: Bench) -> Remedy:
    width = getattr(getattr(bench.recipe, "model", None), "width", None)
    if isinstance(width, int):
        return Remedy(title="remedy.loop_wider", safety=Safety.RISKY, change={"model.width": 4 * width})
    return WIDER


def bottlenecks(model: nn.Module) -> list[tuple[str, int]]:
    """Hidden layers that let one or two numbers through, narrower than what comes before and after them."""
    widths = [
        (name, one.in_features, one.out_features)
        if isinstance(one, nn.Linear)
        else (name, one.in_channels, one.out_channels)
        for name, one in model.named_modules()
        if isinstance(one, nn.Linear) or (isinstance(one, nn.modules.conv._ConvNd) and one.groups == 1)
    ]
    return [
        (name, out)
        for (name, into, out), (_, into_next, out_next) in pairwise(widths)
        if out <= NARROW < into and into_next == out and out_next > 1
    ]


def _parts(bench: Bench) -> tuple[Batch, Batch]:
    drawn = bench.batch(round(ROWS / (1 - HELD)), "capacity")
    mixed = torch.from_numpy(bench.rng("capacity").permutation(drawn.size)).to(drawn.target.device)
    cut = round(drawn.size * (1 - HELD))
    if cut < 40 or drawn.size - cut < 20:
        raise Inapplicable(f"{drawn.size} rows are too few to compare two nets on")
    return some(drawn, mixed[:cut]), some(drawn, mixed[cut:])


def reach(bench: Bench, make: Any, train: Batch, held: Batch) -> Reach:
    """What a net comes to by Adam, by the better of two rates on the training rows."""
    found = [_trained(bench, make, train, held, rate) for rate in RATES]
    return max(found, key=lambda one: -math.inf if math.isnan(one.train) else one.train)


def _trained(bench: Bench, make: Any, train: Batch, held: Batch, rate: float) -> Reach:
    with undisturbed(bench):
        twin: Twin = make()
        seed_all(bench.seed)
        without_regularisation(twin)
        weights = [each for each in twin.model.parameters() if each.requires_grad]
        if not weights:
            raise Inapplicable("the model has no trainable parameters")
        adam = torch.optim.Adam(weights, lr=rate)
        generator = torch.Generator().manual_seed(bench.seed)
        for _ in range(STEPS):
            places = torch.randint(train.size, (min(BATCH, train.size),), generator=generator)
            twin.gradient(some(train, places.to(train.target.device)), train_mode=True)
            adam.step()
        return Reach(judged(bench, twin, train)[1], judged(bench, twin, held)[1])


def _wide(bench: Bench, train: Batch) -> Twin:
    """The model of the recipe four times as wide, else a plain net of decent size."""
    width = getattr(getattr(bench.recipe, "model", None), "width", None)
    if bench.task is not None and bench.recipe is not None and isinstance(width, int):
        wider = bench.kept("capacity.wider", lambda: bench_of_task(*_widened(bench, width), clock=bench.clock))
        return wider.twin()
    return reference_net(bench, train)


def _widened(bench: Bench, width: int) -> tuple[Task, Recipe]:
    task, recipe = bench.need_task()
    fresh = {
        "model.pretrained": None,
        "model.freeze": "none",
        "model.unfreeze_every": None,
    }  # no weights are of that width
    return task, revise(recipe, {"model.width": 4 * width, **fresh})


def reference_net(bench: Bench, train: Batch) -> Twin:
    """A copy whose model is a plain net of decent size with the same inputs and outputs."""
    inputs = train.inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise Inapplicable("there is no reference net for inputs that are not one tensor of numbers")
    twin = bench.twin()
    twin.model.eval()
    with torch.no_grad():
        shape = twin.outputs(some(train, slice(0, 2))).shape[1:]
    torch.manual_seed(bench.seed)
    mean, spread = inputs.mean(), inputs.std().clamp_min(1e-12)
    if inputs.dim() == 2:
        mean, spread = inputs.mean(0), inputs.std(0).clamp_min(1e-6)
    body = _convolutional(inputs) if inputs.dim() == 4 and min(inputs.shape[2:]) >= 8 else _plain(inputs)
    width = 512 if isinstance(body[0], nn.Conv2d) else WIDTH
    ends = _ends(twin)
    made = nn.Sequential(
        _Scaled(mean, spread), *body, nn.Linear(width, max(1, math.prod(shape))), *ends, _Shaped(shape)
    )
    made.to(inputs.device, inputs.dtype)
    return Twin(made, twin.loss_fn, twin.optimizer, None, twin.program)


def _ends(twin: Twin) -> list[nn.Module]:
    """What the loss needs after the last linear layer."""
    if isinstance(twin.loss_fn, nn.BCELoss):
        return [nn.Sigmoid()]
    if isinstance(twin.loss_fn, nn.NLLLoss):
        return [nn.LogSoftmax(1)]
    last = [module for module in twin.model.modules() if not list(module.children())][-1:]
    return [one for one in last if isinstance(one, nn.Softmax | nn.LogSoftmax | nn.Sigmoid)]


def _plain(inputs: Tensor) -> list[nn.Module]:
    width = math.prod(inputs.shape[1:])
    return [nn.Flatten(), nn.Linear(width, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()]


def _convolutional(inputs: Tensor) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs.shape[1], 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
    ]


class _Scaled(nn.Module):
    """(x - mean) / spread."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.spread


class _Shaped(nn.Module):
    """Outputs in the shape that the program's own net gives."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, values: Tensor) -> Tensor:
        return values.reshape(len(values), *self.shape)

"""Which real samples does a generator lack? A discriminator trained last tells. Che et al., MDGAN, arXiv:1612.02136.

Legend: D(x) = p(x) / (p(x) + g(x)) of the best discriminator, p the density of the data and g that of the generator.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import points, tensor
from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.training.batch import outputs_of
from tunesmith.training.evaluate import judging

Array = np.ndarray[Any, Any]
WIDTH, RATE, BATCH = 128, 1e-3, 64  # assumption: a small net, Adam's usual rate
ASKED = 1024  # samples that are asked about at once
HELD = 0.2  # of both sets, on which the best epoch is chosen; assumption
EPOCHS, ABOVE = 30, 0.9  # assumption; above .9 the generator gives a ninth of the density of the data or less


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """`real` (N,) is D of each test sample; `share` of them is above `above`, and with it called missing.

    `by_label` holds that share for each label of the test samples, where they were given. `loss` is the log loss of D on samples
    of both kinds that it did not learn from, at its best epoch: ln 2 = .693 where it tells nothing apart, and then nothing is
    missing that this net can see.
    """

    real: Array
    share: float
    above: float
    by_label: dict[Any, float]
    loss: float
    epoch: int


@MEASURES.add("missing_modes")
def missing_modes(
    real: Any,
    generated: Any,
    test: Any,
    *,
    labels: Any = None,
    above: float = ABOVE,
    noise: float = 0.0,
    model: Callable[[], nn.Module] | None = None,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> Missing:
    """D(x) of held-out real samples: near 1/2 where the generator makes such samples too, near 1 where it makes none.

    Shapes: `real` (N, …) that the generator was trained on, `generated` (M, …), `test` (T, …) real samples that neither saw,
    `labels` (T,) of them. A fresh discriminator is trained after the generator, on as many real as generated samples; the epoch
    with the least loss on a fifth of both counts, so that it cannot learn its samples by heart. `model` makes a net of one
    logit, for pictures a convolutional one; as given, two hidden layers of 128. Columns
    (N, D) are standardised each, pictures by one deviation.

    A generator that draws everything a little differently, such as blurred, is told apart everywhere, and all is called missing:
    `loss` is near 0 then. `noise`, so many deviations on every number of all samples, hides what is small and leaves the modes;
    raise it until the labels differ.

    Raises `DataError` for rows that do not fit, `ModelError` for a net of more than one logit, `RecipeError` for settings out
    of range.
    Use: which classes, which kinds of sample are lacking, without centres or a classifier.
    Source: Che et al., arXiv:1612.02136, its test of missing modes.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1 or not 0.5 < above < 1 or not noise >= 0:
        raise RecipeError(
            f"epochs = {epochs!r}, above = {above!r}, noise = {noise!r}: 1 epoch or more, a number in (1/2, 1), and 0 or more "
            "were expected"
        )
    random = torch.Generator().manual_seed(seed)
    sets = [one + noise * torch.randn(one.shape, generator=random).to(one) for one in _sets(real, generated, test)]
    named = _labels(labels, len(sets[2]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = (_net(sets[2][0].numel()) if model is None else model()).to(sets[0].device)
    (X, y), held = _parts(sets[0], sets[1], random)
    loss, epoch = _train(net, X, y, held, epochs, random)
    told = _chances(net, sets[2]).cpu().numpy()
    missing = told > above
    return Missing(
        real=told,
        share=float(missing.mean()),
        above=above,
        by_label={} if named is None else {one.item(): float(missing[named == one].mean()) for one in np.unique(named)},
        loss=loss,
        epoch=epoch,
    )


def _sets(real: Any, generated: Any, test: Any) -> list[Tensor]:
    """The three in single precision, scaled by the real samples: columns each by its own, pictures by one deviation."""
    found: list[Tensor] = []
    for one, what, least in ((real, "real", 10), (generated, "generated", 10), (test, "test", 1)):
        points(one, what, least=least)
        found.append(tensor(one, what).float().to(found[0].device if found else None))
    shapes = {tuple(one.shape[1:]) for one in found}
    if len(shapes) > 1:
        raise DataError(f"samples came with shapes {sorted(shapes)}; real, generated and test are to have one")
    mean, deviation = found[0].mean(dim=0), found[0].std(dim=0)
    deviation = deviation if found[0].ndim == 2 else deviation.square().mean().sqrt()
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return [(one - mean) / deviation for one in found]


def _labels(labels: Any, rows: int) -> Array | None:
    if labels is None:
        return None
    found = np.asarray(labels)
    if found.shape != (rows,):
        raise DataError(f"labels came with shape {found.shape} for {rows} test samples; give one a sample")
    return found


def _net(width: int) -> nn.Module:
    layers = (nn.Linear(width, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
    return nn.Sequential(nn.Flatten(), *layers)


def _parts(
    real: Tensor, generated: Tensor, random: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Samples with 1 for real and 0 for generated, as many of both: those to learn from, and those held."""
    rows = min(len(real), len(generated))
    held = max(1, round(HELD * rows))
    first, second = (one[torch.randperm(len(one), generator=random)[:rows]] for one in (real, generated))
    answers, kept = (torch.cat([torch.ones(each), torch.zeros(each)]).to(first.device) for each in (rows - held, held))
    return (torch.cat([first[held:], second[held:]]), answers), (torch.cat([first[:held], second[:held]]), kept)


def _train(
    net: nn.Module, X: Tensor, y: Tensor, held: tuple[Tensor, Tensor], epochs: int, random: torch.Generator
) -> tuple[float, int]:
    """Leaves the net at the epoch with the least held loss, counted from 1; 0 is the constant 1/2."""
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    best, at, state = math.inf, 0, net.state_dict()
    net.train()
    for epoch in range(1, epochs + 1):
        for rows in torch.split(torch.randperm(len(X), generator=random), BATCH):
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(_logits(net, X[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss = float(functional.binary_cross_entropy(_chances(net, held[0]), held[1].double()))
        if loss < best:
            best, at, state = loss, epoch, copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    return best, at


def _chances(net: nn.Module, X: Tensor) -> Tensor:
    with judging(net):
        return torch.cat([_logits(net, part).double().sigmoid() for part in torch.split(X, ASKED)])


def _logits(net: nn.Module, X: Tensor) -> Tensor:
    found = outputs_of(net(X))
    if found.numel() != len(X):
        raise ModelError(
            f"the discriminator gave {tuple(found.shape)} for {len(X)} samples; one logit a sample was expected"
        )
    return found.reshape(-1)

"""Minibatch discrimination as a remedy."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from tunesmith.generative.cures.minibatch_discrimination import MinibatchDiscrimination
from tunesmith.generative.mending.layers import Changed, described, last_layer, replaced
from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy
from tunesmith.records.check import Inapplicable


def before_the_last(layer: nn.Linear) -> nn.Module:
    """What a sample has in common with its batch, joined to the features; the last layer keeps its weights for these."""
    compared = MinibatchDiscrimination(layer.in_features).to(layer.weight)
    last = nn.Linear(layer.in_features + compared.kernels, layer.out_features, bias=layer.bias is not None).to(
        layer.weight
    )
    with torch.no_grad():
        last.weight[:, : layer.in_features] = layer.weight
        if layer.bias is not None:
            last.bias.copy_(layer.bias)
    return nn.Sequential(compared, last)


@remedy("minibatch_discrimination", likely=0.3, cost=10.0)  # on the ring one of two seeds; 10 times the seconds
def minibatch_discrimination(board: Board) -> Iterator[Offer]:
    """How near a sample is to the others of its batch becomes a feature of the last layer of the discriminator.

    Not possible where the discriminator does not end in a linear layer over (rows, features).

    Use: where the generator makes the same sample over and over.
    Source: Salimans et al., arXiv:1606.03498, section 3.2; `tunesmith explain cure.minibatch_discrimination`.
    """
    if any(isinstance(one, MinibatchDiscrimination) for one in board.judge.modules()):
        raise Inapplicable("its discriminator compares the samples of a batch already")
    name = last_layer(board.judge, board.samples)
    put = partial(replaced, name=name, new=before_the_last)
    last = board.judge.get_submodule(name)
    line = f"# in the discriminator, before {name or 'its only layer'}, {described(last)}: MinibatchDiscrimination({last.in_features})"
    yield Offer(
        change="minibatch discrimination before the last layer",
        fields={"discriminator": Changed(board.gan.discriminator, put, "compared by batch")},
        lines=(line,),
    )

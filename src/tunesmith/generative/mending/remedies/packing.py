"""Packing as a remedy: twice as many samples are judged together."""

from collections.abc import Iterator
from functools import partial

from tunesmith.generative.mending.layers import Changed, described, first_layer, widen
from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.remedies.catalogue import Board, remedy

TIMES = 2  # arXiv:1712.04086: two together bring most of it


@remedy("packing", likely=0.9, cost=2.0)  # all six collapsed runs of benchmarks/gan_cures.md
def packing(board: Board) -> Iterator[Offer]:
    """The first layer of the discriminator gets twice the columns or channels, and the batch twice the rows.

    Its weights are those it has, once more in another order of its units, so their law is that of whoever drew them. Not possible where
    the first layer is neither linear nor a convolution, or is given something else than the samples.

    Use: the first remedy tried; it costs a wider layer and a larger batch.
    Source: Lin et al., PacGAN, arXiv:1712.04086, section 3; `tunesmith explain cure.packing`.
    """
    name = first_layer(board.judge, board.samples)
    layer = board.judge.get_submodule(name)
    before = described(layer)
    widened = widen(board.judge, name, TIMES)  # once here, so that what cannot be widened is told
    together = TIMES * board.gan.pack
    batch = TIMES * board.batch if TIMES * board.batch <= board.rows else board.batch // together * together
    after = described(widened.get_submodule(name))
    yield Offer(
        change=f"{together} samples judged together",
        fields={
            "pack": together,
            "discriminator": Changed(
                board.gan.discriminator, partial(widen, name=name, times=TIMES), f"widened × {TIMES}"
            ),
        },
        recipe={} if batch == board.batch else {"train.batch_size": batch},
        lines=(f"# in the discriminator, {name or 'its only layer'}: {after}  # was {before}",),
    )

"""Batches of sequences in the order of the data, and on which axis their steps lie: a tool of the checks on sequences."""

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.model_call import leaves
from tunesmith.doctor.probes.next_place import SHORTEST, relation
from tunesmith.training.batch import Batch

ROWS = 48  # that the relation is read from; assumption


def in_order(bench: Bench) -> Batch:
    """The first rows as the data hold them."""
    return bench.train.take(range(min(len(bench.train), ROWS)))


def first_axis_is_time(bench: Bench) -> bool:
    """Batches that a loader brings with time on axis 0 and rows on axis 1: the targets are the inputs one step on along axis 0."""

    def looked() -> bool:
        batch = in_order(bench)
        for leaf in leaves(batch.inputs):
            if leaf.dim() < 2 or leaf.is_floating_point() or leaf.shape[0] < SHORTEST or leaf.shape[1] < 2:
                continue
            if batch.target.numel() != leaf.shape[0] * leaf.shape[1] or batch.target.is_floating_point():
                continue
            turned = relation(leaf.transpose(0, 1), batch.target.reshape(leaf.shape).transpose(0, 1), leaf.shape[1])
            usual = relation(leaf, batch.target, leaf.shape[0])
            if turned is not None and turned.steps > 0 and usual is None:
                return True
        return False

    return bench.kept("next_step.first_axis", looked)

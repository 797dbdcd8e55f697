"""Many small nets of one architecture trained together on one device: K trials as one stack of weights.

A small net is bound by the overhead of its operations, not by their arithmetic. Stacked, K nets share the overhead: their
weights are rows of one tensor, every layer is one batched operation forward and one backward, and the optimizer a handful of
operations over all weights of all trials. Each trial has its own rate, decay, momentum, schedule, seed and dropout, and ends with
the weights that it would have had alone, up to the rounding of sums taken in another order.

    trials = [BatchedTrial(id=rate, lr=rate) for rate in (1e-3, 3e-3, 1e-2)]
    group = train_batched(make_model, trials, X, y, loss="cross_entropy", batch_size=32, epochs=20, val=(X2, y2))
    if not pays(group).pays:      # some 20 steps of each way
        …                         # train one after the other
    for records in group:         # trains an epoch, gives a record a trial
        group.drop(record.trial for record in records if record.val_loss > 2)
    weights = group.unstack(1e-3)

`group.state()` and `group.restore(state)` pause and resume bit for bit, also with trials of several groups.
"""

from tunesmith.training.batched.group import Group
from tunesmith.training.batched.making import train_batched
from tunesmith.training.batched.timing import Timing, pays
from tunesmith.training.batched.trial import BatchedTrial, EpochRecord

__all__ = ["BatchedTrial", "EpochRecord", "Group", "Timing", "pays", "train_batched"]

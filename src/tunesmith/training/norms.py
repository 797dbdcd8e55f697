"""Batch-norm statistics of weights that are evaluated but never trained on: taken anew before each evaluation."""

from collections.abc import Iterator
from typing import Any

from tunesmith.blocks.optim import is_schedule_free
from tunesmith.blocks.optim.averaging import Average, EqualAverage, estimated_norms, reestimate_norms
from tunesmith.records import Recipe, RecipeError
from tunesmith.records.state import State, random_state, set_random_state
from tunesmith.training.feeds import Feed, LoaderFeed, MemoryFeed
from tunesmith.training.precision import Precision


class Norms:
    """Puts the statistics of the training rows at the averaged weights into the average: one pass without gradients."""

    def __init__(self, feed: MemoryFeed | LoaderFeed, precision: Precision) -> None:
        self.feed = feed
        self.precision = precision
        self._size = 0  # of the batch in hand

    def __call__(self, state: State) -> None:
        """Model, modes and random generators are left as they were."""
        assert isinstance(state.average, Average)
        if isinstance(state.average, EqualAverage) and not state.average.taken:
            return  # the trained weights are evaluated still
        random = random_state()
        try:
            with state.average.in_place_of(state.model), self.precision.autocast():
                reestimate_norms(state.model, self._inputs(), lambda _: self._size)
                state.average.take_buffers(state.model)
        finally:
            set_random_state(random)

    def _inputs(self) -> Iterator[Any]:
        for batch in self.feed.whole(self.precision.device):
            self._size = batch.size
            yield batch.inputs


def chosen_norms(recipe: Recipe, state: State, feed: Feed, precision: Precision, notices: list[str]) -> Norms | None:
    """Where the recipe, the average and the model ask for it. Raises `RecipeError` for an asked one that cannot be.

    "auto" means: for equal averages and for schedule-free optimizers, whose weights no training batch has seen; not for
    ema, whose buffers are those of the latest weights.
    """
    asked = recipe.train.reestimate_norms
    if state.average is None:
        if asked is True:
            raise RecipeError(
                "train.reestimate_norms = true, but no average of the weights is kept; set train.swa or train.ema, or leave it out"
            )
        return None
    wanted = recipe.train.swa is not None or is_schedule_free(state.optimizer) if asked == "auto" else asked
    if not wanted or not estimated_norms(state.model):
        return None
    if isinstance(feed, MemoryFeed) or (isinstance(feed, LoaderFeed) and feed.rereadable):
        return Norms(feed, precision)
    why = "the training data can be read only in their turn, so batch-norm statistics cannot be taken anew for the averaged weights"
    if asked is True:
        raise RecipeError(
            f"train.reestimate_norms = true, but {why}; leave it out, or give a DataLoader over a map-style data set"
        )
    notices.append(f"{why}: those of the trained weights stand in")
    return None

"""Going back: how far, what is left out, and how often. Each step of the ladder is tried before the next.

First the batch of the leap and the one before it are left out; where the run leaps again soon after, all batches from 8 updates
before it on, with the rate held low around it. PaLM (arXiv:2204.02311, section 5.1) goes back 100 steps and leaves 200 to 500 batches out.
"""

from torch import nn

from tunesmith.records.state import State
from tunesmith.training.guards import Action, Return
from tunesmith.training.recovery.memo import Memo

LOOKBACK = 8  # updates before a leap in which what leads to it was seen: Wortsman et al., arXiv:2304.13013, section 3.4
AGAIN = 32  # updates within which a second return means that the first did not help; assumption
SLOWER = 0.5  # of the usual rate; assumption
SLOW = 32  # updates for which it holds after the leap; assumption


class Returning:
    """Decides whether a run may go back once more, and with what: `most` times, and once more for each epoch it has finished."""

    def __init__(self, model: nn.Module, memo: Memo, most: int) -> None:
        self.model = model
        self.memo = memo
        self.most = most

    def go(
        self, state: State, because: str, *, onset: int, last: int, more: int = 0, before: int = 1, rate: float
    ) -> Action | None:
        """Back to before update `onset`; None where the run has gone back often enough.

        `last` is the update up to which a second return leaves batches out; `more` windows after the last update are left out
        too. `before` is how many updates before the onset a first return leaves out, `rate` what is usual.
        """
        memo = self.memo
        if self.most == 0 or memo.returns >= self.most + state.epoch:
            return None
        again = memo.returns > 0 and onset - memo.returned_to < AGAIN
        begin = max(0, onset - 1 - (LOOKBACK if again else before))
        end = last if again or more else onset
        back = Return(step=begin, skip=(end - begin) * (2 if again else 1) + more)
        slow = [begin, last + SLOW, SLOWER * rate] if again else None
        slower = f", and the rate stays below {slow[2]:.3g} until step {slow[1]}" if slow else ""
        memo.plan(begin, back.skip, slow)
        memo.returns, memo.returned_to = memo.returns + 1, begin
        told = (
            f"{because}; back to step {begin} (return {memo.returns}), where {back.skip} windows are left out{slower}"
        )
        return Action(kind="rollback", because=told, back=back, noted={"returns": memo.returns})

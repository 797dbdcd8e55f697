"""Looks at the embeddings at every evaluation of a run: the row, the score by which weights are best, and what is found."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tunesmith.generative.embedding.findings import Case, news
from tunesmith.generative.embedding.learner import Learner
from tunesmith.generative.embedding.looks import EmbeddingSight, look_of
from tunesmith.generative.embedding.update import SINCE
from tunesmith.generative.measures.sphere import alignment, uniformity
from tunesmith.records.state import State
from tunesmith.training.guards import Action, Guard

METRIC = "alignment_uniformity"
COLLAPSED = 0.0  # the metric where all embeddings are one
LOOKS, LOSSES, TOLD = "looks", "look_losses", "told"  # keys in `state.progress`
SHOWN = 300  # embeddings that the page draws
Show = Callable[..., None]  # arrays by name


class EmbeddingJudge:
    """Embeds two views of held rows; the score is alignment + uniformity of the projections, smaller is better and 0 a collapse.

    Wang & Isola, arXiv:2005.10242, figure 5: where both are small, features serve. A loss cannot be the score: the least loss of
    agreement alone is that of a collapse.
    """

    def __init__(self, sight: EmbeddingSight, case: Case, show: Show | None = None) -> None:
        self.sight, self.case, self.show = sight, case, show

    def __call__(self, state: State) -> dict[str, Any]:
        learner = state.model
        assert isinstance(learner, Learner)
        look = self.sight(learner.online, state.step)
        state.progress.setdefault(LOOKS, []).append(look.as_dict())
        total, count = state.progress.pop(SINCE, (0.0, 0))
        state.progress.setdefault(LOSSES, []).append(total / count if count else None)
        both = self.sight.both
        assert both is not None
        if self.show is not None:
            rows, seen = self.sight.views[0][:SHOWN], both[0][:SHOWN]
            self.show(rows=rows.float().cpu().numpy(), embeddings=seen.float().cpu().numpy())
        half = len(both[0]) // 2
        parts = [_score(*(one[place : place + half] for one in both)) for place in (0, half)]
        noise = float(np.std(parts, ddof=1) / np.sqrt(2))
        return {"val_loss": None, "metric": METRIC, "score": _score(*both), "noise": noise, **look.signals()}

    def improves(self, score: float, best: float | None, noise: float = 0.0) -> bool:
        return best is None or score < best - noise


class TellsEmbeddings(Guard):
    """Says after an evaluation what the looks so far have shown, where it is new, graver, or taken back."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def after_evaluation(self, state: State, row: Mapping[str, Any]) -> Action | None:
        looks = [look_of(one) for one in state.progress.get(LOOKS, [])]
        found = news(looks, self.case, state.progress.get(TOLD), state.progress.get(LOSSES, []))
        if found is None:
            return None
        state.progress[TOLD] = found.message
        return Action(kind="continue", because=found.because, finding=found)


def _score(one: Tensor, other: Tensor) -> float:
    if not bool((one != 0).any(dim=1).all() and (other != 0).any(dim=1).all()):
        return COLLAPSED
    return float(alignment(one, other) + uniformity(one))

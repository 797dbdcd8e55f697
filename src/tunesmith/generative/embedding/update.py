"""One update of an encoder: two views of a batch, the rule, backward, the step, and a step of the slow target behind it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tunesmith.blocks.losses.loss import Reduced
from tunesmith.blocks.optim import plain_step
from tunesmith.generative.cures.byol import target_momentum
from tunesmith.generative.embedding.learner import Learner
from tunesmith.generative.embedding.looks import View
from tunesmith.generative.embedding.task import Embedding
from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.clipping import Clipped, Clipping, global_norm, gradients
from tunesmith.training.precision import Precision
from tunesmith.training.update import Gradient

SINCE = "since_look"  # its key in `state.progress`: sum and number of the losses since the latest look


@dataclass(frozen=True)
class ViewLoss:
    """The rule, as the loop knows losses."""

    rule: Callable[..., Tensor]
    name: str
    opaque: bool = False
    couples: bool = True
    additive: bool = False

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        return Reduced(self.rule(outputs, target) * len(outputs), float(len(outputs)))


class Agreeing(Clipped):
    """Makes two views of a batch agree."""

    def __init__(
        self,
        task: Embedding,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        view: View,
        steps: int,
        precision: Precision,
    ) -> None:
        self.task, self.learner, self.view, self.steps = task, learner, view, steps
        self.precision = precision
        self.clipping = Clipping()
        self.loss = ViewLoss(task.loss(), task.told()["rule"])
        self._trained = [one for one in learner.parameters() if one.requires_grad]
        self._step = plain_step(optimizer)

    def __call__(
        self, state: State, window: Window, permit: Callable[[State, Gradient], bool]
    ) -> tuple[Gradient, bool]:
        """Returns loss and gradient norm, and whether the step was made; `permit` is asked before it."""
        rows: Tensor = window[0].inputs
        for parameter in self._trained:
            parameter.grad = None
        loss = self.of(self.view(rows), self.view(rows))
        torch.autograd.backward(loss)
        found = gradients(self._trained)
        norm = global_norm(found)
        self.clipping(state, found, norm)
        gradient = Gradient(loss.detach(), norm, float(len(rows)))
        made = permit(state, gradient)
        if made:
            self._step()
            self.clipping.note(state, norm)
            if self.learner.target is not None:
                momentum = target_momentum(state.step + 1, self.steps, self.task.momentum)
                self.learner.target.update(self.learner.online, momentum)
            since = state.progress.setdefault(SINCE, [0.0, 0])
            since[0], since[1] = since[0] + loss.item(), since[1] + 1
        return gradient, made

    def of(self, first: Tensor, second: Tensor) -> Tensor:
        """The loss of two views."""
        learner, task = self.learner, self.task
        one, other = learner.online(first), learner.online(second)
        if not task.sided():
            return self.loss.rule(one, other)
        ahead = learner.predictor(one), learner.predictor(other)
        if learner.target is None:
            return self.loss.rule(ahead, (one, other))
        return self.loss.rule(ahead, (learner.target(first), learner.target(second)))

"""Encoder, projector, predictor and slow target as one module, so that one state holds them all."""

import torch
from torch import Tensor, nn

from tunesmith.generative import preparing
from tunesmith.generative.cures.byol import MomentumTarget
from tunesmith.generative.cures.heads import predictor, projector
from tunesmith.generative.embedding.looks import embedded
from tunesmith.generative.embedding.task import Embedding
from tunesmith.generative.looking import unchanged


class Online(nn.Module):
    """The encoder and the projector behind it: rows to what a rule sees."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, head

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.projector(self.encoder(rows).flatten(1))
        return found


class Learner(nn.Module):
    """What is trained; called, it embeds rows with the encoder alone, (N, D)."""

    def __init__(self, task: Embedding, like: Tensor) -> None:
        """`like` are some rows, from which the widths follow. Raises `ModelError` for an encoder that gives no vectors."""
        super().__init__()
        encoder = preparing.made(task.encoder, "the encoder").to(like.device)
        with torch.no_grad(), unchanged(encoder):
            inputs = embedded(encoder, like).shape[1]
        head = nn.Identity() if not task.width else projector(inputs, task.width, hidden=task.hidden, norm=task.norm)
        self.online = Online(encoder, head)
        wide = task.width or inputs
        ahead = task.sided() and task.predictor
        self.predictor: nn.Module = predictor(wide, norm=task.norm != "none") if ahead else nn.Identity()
        self.target = MomentumTarget(self.online) if task.rule == "byol" else None

    @property
    def encoder(self) -> nn.Module:
        return self.online.encoder

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.encoder(rows).flatten(1)
        return found

"""A watch over anybody's loop that learns embeddings: loss, gradient norm, and looks at the embeddings of a fixed sample of rows."""

import json
import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesmith.generative.diary import Diary, Say, Watching, nonfinite, number
from tunesmith.generative.embedding.findings import FAULT, Case, news
from tunesmith.generative.embedding.looks import ROWS, EmbeddingLook, EmbeddingSight, NotFinite, View, look_of
from tunesmith.generative.points import tensor
from tunesmith.records import Finding, RecipeError
from tunesmith.runs import Run

ABOUT = {"kind": "embedding", "model": "encoder"}
START = "embedding_start.json"  # the first look, by which later ones are judged


class EmbeddingWatch(Watching):
    """Watches an encoder that learns without labels: `step(loss)` after each update, `findings()` at any time.

    `encoder` maps rows to what the loss sees of them: encoder and projector together, or a function's module. `rows` are held rows,
    (N, …), `view` makes a random view of rows as the loop does. A look embeds two views of `samples` of them, which stay the same: two
    forward passes without gradients and a decomposition of a D × D matrix; it happens after each `every` updates or, with `every=None`,
    as often as `overhead` of the time allows, `cost` being the share it has taken. The first is made at once: later ones are
    compared with it, so watch from the start. `optimizer` lets it measure the gradient norm. Training is the same to the bit.

    `blind` says what the loss does not see: ("length",) for losses of cosines (SimSiam, BYOL, InfoNCE), ("offset",) for VICReg, both
    for Barlow Twins. `spread` is the deviation that the loss keeps, 1.0 for VICReg; without either, shrinking is told only where the
    loss falls as the distance of two views does. `folder` gets a run that `report` and `diagnose` read; `first_step` updates were made
    before: a run that the folder holds is then gone on with, and its first look too.

    Raises `DataError` for rows that do not fit, `ModelError` for an encoder that gives no vectors, `RecipeError` for settings out of range.
    """

    def __init__(
        self,
        encoder: nn.Module,
        rows: Any,
        *,
        view: View | None = None,
        optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] = (),
        blind: Collection[str] = (),
        spread: float | None = None,
        samples: int = ROWS,
        every: int | None = None,
        overhead: float = 0.03,
        folder: str | Path | None = None,
        say: Say | None = None,
        seed: int = 0,
        first_step: int = 0,
    ) -> None:
        if spread is not None and not spread > 0:
            raise RecipeError(f"spread = {spread!r}: a deviation above 0 was expected; VICReg keeps 1.0")
        self.encoder = encoder
        place = next(encoder.parameters(), torch.zeros(0))
        held = tensor(rows, "rows")
        self.sight = EmbeddingSight(held.to(place.device, place.dtype), view, blind=blind, most=samples, seed=seed)
        first = self.sight(encoder, first_step)
        self._diary = Diary(folder, ABOUT, every=every, overhead=overhead, say=say, first_step=first_step)
        self.run = self._diary.run
        self.case = Case(start=self._start(first), blind=self.sight.blind, spread=spread)
        self.looks: list[EmbeddingLook] = []
        self._losses: list[float | None] = []  # the mean since the look before, for each look
        self._since: list[float] = []
        self._note(first)
        self._diary.norms(optimizer, {"": encoder})

    def step(self, loss: Any = None) -> list[Finding]:
        """After an update, with its loss where there is one. Gives what was found just now."""
        diary = self._diary
        diary.steps += 1
        if loss is not None:
            value = number(loss)
            diary.add("loss", value)
            self._since.append(value)
            if "loss.nonfinite" in diary.found:
                return []  # from there on nothing is learnt
            if not math.isfinite(value):
                return diary.tell([nonfinite("embedding.nonfinite", "the loss", value, diary.steps)])
        return self.look() if diary.due() else []

    def look(self) -> list[Finding]:
        """Looks now, whatever the time; gives what was found that was not before."""
        diary = self._diary
        if "loss.nonfinite" in diary.found:
            return []
        with diary.looking():
            try:
                look = self.sight(self.encoder, diary.steps)
            except NotFinite as error:
                return diary.tell([nonfinite("embedding.nonfinite", "an embedding", error.value, diary.steps)])
            self.looks.append(look)
            self._losses.append(sum(self._since) / len(self._since) if self._since else None)
            self._since = []
            self._note(look)
            told = diary.found.get(FAULT)
            found = news(self.looks, self.case, None if told is None else told.message, self._losses)
            return diary.tell([] if found is None else [found])

    def _start(self, first: EmbeddingLook) -> EmbeddingLook:
        """The first look of the run: that of now, or that of a run that is gone on with."""
        if isinstance(self.run, Run) and (file := self.run.folder / START).is_file() and first.step > 0:
            return look_of(json.loads(file.read_text(encoding="utf-8")))
        self._diary.writer.write_json(START, first.as_dict())
        return first

    def _note(self, look: EmbeddingLook) -> None:
        for name, value in look.signals().items():
            self._diary.add(name, value)

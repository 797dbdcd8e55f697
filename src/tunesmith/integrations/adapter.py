"""What the adapters of foreign trainers share: a watch that is opened and closed with a training, and what it is told.

An adapter is the callback of a trainer, made from this class and the trainer's own base class. It calls `_open` when model and optimizers
are ready, `_update` after each batch trained on, `_judged` with the scores of an evaluation, and `_close` at the end, whatever the end was.
See docs/adapters.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tunesmith.integrations.watch import Watch
from tunesmith.records import Finding, Findings, MissingExtra, RunError
from tunesmith.runs import Status

Sink = Callable[[str], None]
HELD = re.compile(
    r"^(?:eval|val|valid|validation)[_/. -](?=.)", re.IGNORECASE
)  # how trainers mark a score of held rows
NAMES: Mapping[str, str] = {"loss": "val_loss", "acc": "accuracy"}
NOT_SCORES = re.compile(
    r"(?:^|_)(?:epoch|step|batch_count|runtime|samples_per_second|steps_per_second|preparation_time)$"
)
WRITTEN = "tunesmith: {folder} already holds a run; this one is written to {other}"


class Adapter:
    """The watch of a foreign trainer; `folder`, `overhead`, `num_classes` and `loss_fn` are those of `watch`.

    `sink` takes the lines that are said; None is the trainer's own way of printing, `lambda line: None` is silence.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        overhead: float = 0.03,
        num_classes: int | None = None,
        loss_fn: Any = None,
        language: str = "en",
        sink: Sink | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.overhead = overhead
        self.num_classes = num_classes
        self.loss_fn = loss_fn
        self.language = language
        self.sink = sink
        self.watch: Watch | None = None  # of the training that goes on, or of the last one
        self._scores: dict[str, float] = {}
        self._model: Any = None  # a watch does not keep its model alive, which may be one made for it
        self._place: Path | None = None  # where this callback writes

    def findings(self) -> Findings:
        """What the rules say of the run so far; nothing where none has begun."""
        return Findings() if self.watch is None else self.watch.findings()

    def close(self, status: Status = "interrupted") -> None:
        """Takes every hook away, where a training was left without the trainer telling."""
        self._close(status)

    @property
    def _watching(self) -> bool:
        return self.watch is not None and not self.watch.closed

    def _open(
        self,
        model: Any,
        optimizers: Sequence[Any],
        *,
        first_step: int = 0,
        facts: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        """Begins to watch. `first_step` updates were made before, by a training that this one goes on with."""
        self.close()
        self._scores = {}
        self._model = model
        settings = {"overhead": self.overhead, "num_classes": self.num_classes, "loss_fn": self.loss_fn} | given
        self.watch = Watch(
            model,
            list(optimizers),
            folder=self._free(first_step),
            say=self._said,
            first_step=first_step,
            **settings,
        )
        self.watch.watcher.facts |= {name: value for name, value in (facts or {}).items() if value is not None}

    def _update(self, loss: Any, *, inputs: Any = None, target: Any = None) -> None:
        """After a batch (also one of several that make an update): its loss, as a mean over its rows."""
        self._tell()
        if self.watch is not None and self._watching and loss is not None:
            self.watch.step(loss, inputs=inputs, target=target)

    def _judged(self, scores: Mapping[str, Any]) -> None:
        """Scores of held rows. They are told with others of the same evaluation, at `_tell`: call it before the next batch is trained on."""
        if self._watching:
            self._scores |= told(scores)

    def _tell(self) -> None:
        """Writes the scores of an evaluation, if there was one, and says what is found by now."""
        scores, self._scores = self._scores, {}
        if scores and self.watch is not None and self._watching:
            self.watch.epoch(**scores)

    def _close(self, status: Status = "finished") -> None:
        if self.watch is not None and self._watching:
            try:
                self._tell()
            finally:
                self.watch.close(status)
                self._model = None

    def _said(self, finding: Finding, step: int) -> None:
        (self.sink or self._print)(line(finding, step, self.language))

    def _print(self, text: str) -> None:
        print(text, flush=True)

    def _free(self, first_step: int) -> Path | None:
        """The folder to write to: a new training never goes into the run of another."""
        if self.folder is None:
            return None
        wanted = self._place or Path(self.folder)
        if first_step and (wanted / "run.json").is_file():
            return wanted
        place, number = Path(self.folder), 1
        while (place / "run.json").is_file():
            number += 1
            if number > MOST:
                raise RunError(f"{self.folder} and {MOST - 1} folders beside it hold runs already; name another folder")
            place = Path(f"{self.folder}-{number}")
        if number > 1:
            (self.sink or self._print)(WRITTEN.format(folder=self.folder, other=place))
        self._place = place
        return place

    def __getstate__(self) -> dict[str, Any]:
        """A copy or a pickle has the settings and no watch: hooks and open files are no part of it."""
        return self.__dict__ | {"watch": None, "_scores": {}, "_model": None}


MOST = 1000  # runs beside one another


def line(finding: Finding, step: int, language: str = "en") -> str:
    """A finding in one line, as it is printed between the rows of a trainer."""
    cures = "; ".join(remedy.text(language) for remedy in finding.remedies)
    return (
        f"tunesmith: {finding.severity} {finding.fault} ({finding.confidence:.0%}), step {step}: {finding.text(language)}"
        + (f" → {cures}" if cures else "")
    )


def told(scores: Mapping[str, Any]) -> dict[str, float]:
    """The scores of held rows as a run has them, of whatever a trainer calls them; what is no number is left out.

    >>> told({"eval_loss": 0.5, "val/acc": 0.75, "eval_runtime": 3.0, "epoch": 1, "valid_f1": 0.5, "name": "x"})
    {'val_loss': 0.5, 'accuracy': 0.75, 'f1': 0.5}
    """
    found: dict[str, float] = {}
    for name, value in scores.items():
        if NOT_SCORES.search(name) or isinstance(value, bool):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        bare = HELD.sub("", name)
        found.setdefault(NAMES.get(bare, bare), number)
    return found


def library(*modules: str, extra: str) -> ModuleType:
    """The first of these modules that can be imported. Raises `MissingExtra` where none can."""
    for module in modules:
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
                raise  # the library is here and misses something of its own
    name = modules[0].partition(".")[0]
    raise MissingExtra(f"watching {name} needs {name}, which is not here; pip install 'tunesmith[{extra}]'")

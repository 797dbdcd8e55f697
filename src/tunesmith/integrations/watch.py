"""Watches a training loop that somebody else wrote: measures, writes a run, and says what is wrong while it goes on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.records import Finding, Findings, Recipe
from tunesmith.runs import MemoryWriter, Run, RunWriter, Status
from tunesmith.runs.history import History
from tunesmith.runs.readers.own import history_of

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Onlooker

Say = Callable[[Finding, int], None]  # a finding, and the update after which it was made


class Watch:
    """A watched training. Call `step` after each update and `epoch` after each evaluation; `close`, or leave the `with`, at the end.

    `first_step` updates were made before: a run that the folder holds is then gone on with.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        *,
        loss_fn: Any = None,
        folder: str | Path | None = None,
        overhead: float = 0.03,
        num_classes: int | None = None,
        say: Say | None = None,
        first_step: int = 0,
    ) -> None:
        from tunesmith.doctor.probes.watcher import Watcher

        optimizers: Sequence[Any] = optimizer if isinstance(optimizer, list | tuple) else [optimizer]
        self.run: Run | MemoryWriter
        self._writer: RunWriter | MemoryWriter
        if folder is None:
            self._writer = self.run = MemoryWriter()
        else:
            held = first_step > 0 and (Path(folder) / "run.json").is_file()
            self.run = Run(folder) if held else Run.create(folder, recipe=Recipe(), info={"title": Path(folder).name})
            self._writer = self.run.writer()
        self._writer.__enter__()
        self._writer.begin_attempt(first_step, self._writer.mark())
        self._say = say
        self._told: set[str] = set()
        self._epochs = len(self.run.evaluations)
        self.closed = False
        self.watcher = Watcher(
            model, optimizers, self._writer.add, loss_fn=loss_fn, overhead=overhead, num_classes=num_classes
        )
        self.watcher.steps = first_step
        self.watcher.attach()

    def register(self, onlooker: "Onlooker") -> None:
        """Asks that it be called after each `step`."""
        self.watcher.register(onlooker)

    def step(self, loss: Any, *, inputs: Any = None, target: Any = None) -> None:
        """After an update: its loss; inputs and target where the model's and the loss's hooks cannot see them."""
        self.watcher.step(loss, inputs, target)

    def epoch(self, **scores: Any) -> None:
        """After an evaluation: writes a row of what it gave (`val_loss=…, accuracy=…`), and says what the rules find by now."""
        self._epochs += 1
        row = {"epoch": self._epochs, "step": self.watcher.steps} | {
            name: float(value) for name, value in scores.items() if value is not None
        }
        for name, value in scores.items():
            if value is not None:
                self._writer.add(name, [self.watcher.steps], [float(value)])
        self._writer.evaluation(row)
        for finding in self.findings():
            if finding.fault not in self._told:
                self._told.add(finding.fault)
                self._writer.finding(finding, self.watcher.steps)
                if self._say is not None:
                    self._say(finding, self.watcher.steps)

    @property
    def history(self) -> History:
        """What was measured so far, as the rules read it."""
        self._flush()
        return history_of(self.run)

    def findings(self) -> Findings:
        """What the rules say of the run so far."""
        return diagnosed(self.history)

    def close(self, status: Status = "finished") -> None:
        """Takes every hook away and ends the run."""
        if self.closed:
            return
        self.watcher.detach()
        self._flush()
        self.closed = True
        self._writer.set_status(status)
        self._writer.__exit__(None, None, None)

    def _flush(self) -> None:
        if not self.closed:
            self.watcher.write()
            self._writer.set_status(facts=self.watcher.known())
            self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")

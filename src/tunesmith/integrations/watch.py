"""Watches a training loop that somebody else wrote: measures, writes a run, and says what is wrong while it goes on."""

import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.records import Finding, Findings, Recipe
from tunesmith.runs import MemoryWriter, Run, RunWriter, Status
from tunesmith.runs.history import History
from tunesmith.runs.quantities import HIGHER_IS_BETTER, LOWER_IS_BETTER
from tunesmith.runs.readers.own import history_of

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Onlooker
    from tunesmith.doctor.probes.watcher_ledger import Ledger
    from tunesmith.doctor.probes.watcher_outputs import Outputs

Say = Callable[[Finding, int], None]  # a finding, and the update after which it was made
PARTS = ("val", "test", "train")
LEAST_SECONDS = 0.05  # that the rules may take at each evaluation, however short the epochs are; assumption
GRAVITY = ("note", "warning", "error")


class Watch:
    """A watched training. Call `step` after each update and `epoch` after each evaluation; `close`, or leave the `with`, at the end.

    `first_step` updates were made before: a run that the folder holds is then gone on with. Model and optimizer are not kept alive;
    a watch that nobody closed ends with them, or with the program.
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
        from tunesmith.doctor.probes.memory import MemoryWatch
        from tunesmith.doctor.probes.nonfinite_watch import FiniteWatch
        from tunesmith.doctor.probes.watcher import Watcher
        from tunesmith.doctor.probes.watcher_facts import LoopFacts
        from tunesmith.doctor.probes.watcher_further import Further

        optimizers: Sequence[Any] = optimizer if isinstance(optimizer, list | tuple) else [optimizer]
        self.run: Run | MemoryWriter
        self._writer: RunWriter | MemoryWriter
        if folder is None or not _leads():
            self._writer = self.run = MemoryWriter()
        else:
            held = first_step > 0 and (Path(folder) / "run.json").is_file()
            self.run = Run(folder) if held else Run.create(folder, recipe=Recipe(), info={"title": Path(folder).name})
            self._writer = self.run.writer()
        self._writer.__enter__()
        self._writer.begin_attempt(first_step, self._writer.mark())
        self._say = say
        self._told: dict[str, int] = {}  # gravest severity said, by fault
        self._epochs = len(self.run.evaluations)
        self._epoch_began = first_step
        self._best: float | None = None
        self._judged = 0.0  # seconds the rules took last
        self._began = time.monotonic()
        self._overhead = overhead
        self._listed = False  # the layers are written down
        self.closed = False
        mean = self._mean = _Mean()
        add = self._writer.add

        def sink(name: str, steps: Any, values: Any, where: str = "") -> None:
            if name == "loss" and not where:
                mean.add(values)
            add(name, steps, values, where)

        self.watcher = Watcher(
            model,
            optimizers,
            sink,
            loss_fn=loss_fn,
            overhead=overhead,
            num_classes=num_classes,
            first_step=first_step,
        )
        left = self.watcher.ledger, self.watcher.facts, self.watcher.outputs
        self._end = weakref.finalize(self.watcher, _ended, *left, sink, self._writer)
        self.finite = FiniteWatch(model, optimizers, loss_fn=loss_fn, facts=self.watcher.facts, first_step=first_step)
        self.finite.attach(beside=self.watcher)  # it counts an update before it is told of it
        self.watcher.register(self.finite)
        self.watcher.register(MemoryWatch())
        self.loop = LoopFacts(model, self.watcher.optimizers, loss_fn, told=True)
        self.finite.passing = self.loop.invariants.passed
        self.watcher.register(self.loop)
        self.further = Further(self.watcher, model, loss_fn, (self.loop.invariants, self.loop.judging))
        self.watcher.register(self.further)
        self.watcher.attach()

    def register(self, onlooker: "Onlooker") -> None:
        """Asks that it be called after each `step`."""
        self.watcher.register(onlooker)

    def step(self, loss: Any, *, inputs: Any = None, target: Any = None) -> None:
        """After an update: its loss; inputs and target where the model's and the loss's hooks cannot see them."""
        self.watcher.step(loss, inputs, target)

    def epoch(self, **scores: Any) -> None:
        """After an evaluation: writes a row of what it gave (`val_loss=…, accuracy=…`), and says what the rules find by now.

        A score without `train_`, `val_` or `test_` in its name is one of the validation. Where epochs are very short, the rules
        look at some of them only.
        """
        step = self.watcher.steps
        self._epochs += 1
        if scores:
            self.loop.judged()
        self._flush()
        told = {name: float(value) for name, value in scores.items() if value is not None}
        self._writer.evaluation(self._row(told, step))
        for name, value in told.items():
            self._writer.add(_signal(name), [step], [value])
        if step > self._epoch_began:
            self.watcher.facts["steps_per_epoch"] = step - self._epoch_began
        self._epoch_began = step
        self.watcher.facts["epochs_seen"] = self._epochs
        allowed = LEAST_SECONDS + self._overhead * (time.monotonic() - self._began)
        if self._judged <= allowed:
            self._began += self._judged / max(self._overhead, 1e-6)
            self._tell()

    def _row(self, told: Mapping[str, float], step: int) -> dict[str, Any]:
        """A row as a report draws it: losses, the deciding score, whether it is the best so far."""
        losses = {"train_loss": self._mean.take(), "val_loss": None}
        row: dict[str, Any] = {"epoch": self._epochs, "step": step, **losses, **told, "lr": self.watcher.rate}
        deciding = next((name for name in told if not name.startswith("train_") and _quantity(name) != "loss"), None)
        value = told.get(deciding or "val_loss")
        if deciding is not None:
            row |= {"metric": _quantity(deciding), "score": value}
        sign = _sign(deciding or "val_loss")
        if value is not None and sign:
            row["best"] = self._best is None or sign * value > self._best
            if row["best"]:
                self._best = sign * value
        return row

    def _tell(self) -> None:
        """Says and writes down what was not said before."""
        began = time.monotonic()
        for finding in self.findings():
            gravity = GRAVITY.index(finding.severity)
            if self._told.get(finding.fault, -1) < gravity:
                self._told[finding.fault] = gravity
                self._writer.finding(finding, self.watcher.steps)
                if self._say is not None:
                    self._say(finding, self.watcher.steps)
        self._judged = time.monotonic() - began

    @property
    def history(self) -> History:
        """What was measured so far, as the rules read it."""
        self._flush()
        return history_of(self.run)

    def findings(self) -> Findings:
        """What the rules say of the run so far."""
        return diagnosed(self.history)

    def close(self, status: Status = "finished") -> None:
        """Takes every hook away, says what is left to say, and ends the run."""
        if self.closed:
            return
        self.finite.detach()
        self.loop.close()
        self.further.close()
        self.watcher.detach()
        self._end.detach()
        self.watcher.facts["over"] = status == "finished"  # what only an end shows may be said now
        self._flush()
        self._tell()
        self.closed = True
        self._writer.set_status(status)
        self._writer.__exit__(None, None, None)

    def _flush(self) -> None:
        if self.closed:
            return
        self.watcher.write()
        self._writer.set_status(facts=self.watcher.known() | self.loop.facts() | self.further.facts())
        if not self._listed and self.watcher.steps:
            self._listed = True
            model = self.watcher.model
            name = type(model).__name__ if model is not None else ""
            self._writer.write_json("model.json", {"name": name, "layers": self.watcher.layers()})
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.loop.crashed(error, *self.finite.latest)
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")


class _Mean:
    """The mean of what came since it was last taken."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: Sequence[float]) -> None:
        self._sum, self._count = self._sum + sum(values), self._count + len(values)

    def take(self) -> float | None:
        found = self._sum / self._count if self._count else None
        self._sum, self._count = 0.0, 0
        return found


def _ended(
    ledger: "Ledger", facts: dict[str, Any], outputs: "Outputs", sink: Any, writer: RunWriter | MemoryWriter
) -> None:
    """Model and optimizer are gone, or the program is at its end, and nobody closed the watch."""
    ledger.write(sink)
    failed = getattr(sys, "last_type", None) is not None
    writer.set_status("failed" if failed else "finished", facts=facts | outputs.facts | outputs.chance())
    writer.__exit__(None, None, None)


def _leads() -> bool:
    """Of several processes that train together the first alone writes."""
    import torch

    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not there or torch.distributed.get_rank() == 0  # type: ignore[no-untyped-call, no-any-return, unused-ignore]


def _quantity(name: str) -> str:
    head, _, rest = name.partition("_")
    return rest if head in PARTS and rest else name


def _signal(name: str) -> str:
    """The name under which a score is written.

    >>> [_signal(name) for name in ("val_loss", "accuracy", "train_loss", "test_f1")]
    ['val_loss', 'val_accuracy', 'epoch.train_loss', 'test_f1']
    """
    if name == "train_loss":
        return "epoch.train_loss"
    return name if name != _quantity(name) or name == "score" else f"val_{name}"


def _sign(name: str) -> int:
    """1 where more is better, -1 where less is, 0 where nobody knows."""
    quantity = _quantity(name)
    return 1 if quantity in HIGHER_IS_BETTER else -1 if quantity in LOWER_IS_BETTER else 0

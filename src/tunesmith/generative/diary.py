"""What a watch over somebody else's loop keeps: a run in a folder or in memory, what was told, and the time that looks took."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from tunesmith.records import Evidence, Finding, Recipe, RecipeError
from tunesmith.runs import MemoryWriter, Run, RunWriter, Status

Say = Callable[[Finding, int], None]  # a finding, and the update after which it was made


class Diary:
    """Writes signals and findings down, says when a look is due, and measures gradient norms at the steps of optimizers.

    `folder` gets a run, gone on with where `first_step` updates were made before and it holds one; None keeps it in memory. A look is
    due after each `every` updates or, where that is None, as often as `overhead` of the time allows.

    Raises `RecipeError` for settings out of range.
    """

    def __init__(
        self,
        folder: str | Path | None,
        about: Mapping[str, Any],
        *,
        every: int | None,
        overhead: float,
        say: Say | None,
        first_step: int = 0,
    ) -> None:
        if not 0 < overhead < 1 or (every is not None and every < 1):
            raise RecipeError(
                f"every = {every!r}, overhead = {overhead!r}: updates of 1 or more and a share between 0 and 1 were expected"
            )
        self.every, self.overhead, self._say = every, overhead, say
        self.steps = first_step
        self.found: dict[str, Finding] = {}  # the latest of each fault
        self.run: Run | MemoryWriter
        self.writer: RunWriter | MemoryWriter
        if folder is None:
            self.writer = self.run = MemoryWriter(info=about)
        else:
            held_there = first_step > 0 and (Path(folder) / "run.json").is_file()
            title = {"title": Path(folder).name}
            self.run = Run(folder) if held_there else Run.create(folder, recipe=Recipe(), info={**about, **title})
            self.writer = self.run.writer()
        self.writer.__enter__()
        self.writer.begin_attempt(first_step, self.writer.mark())
        self._looked = self._spent = 0.0  # seconds: the latest look, all of them
        self._began = time.monotonic()
        self._hooks: list[Any] = []

    @property
    def cost(self) -> float:
        """The share of the time since the beginning that looks have taken."""
        return self._spent / max(time.monotonic() - self._began, 1e-9)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """A look inside, whose time counts."""
        began = time.monotonic()
        yield
        self._looked = time.monotonic() - began
        self._spent += self._looked

    def due(self) -> bool:
        """Whether a look is to come after this update."""
        if self.every is not None:
            return self.steps % self.every == 0
        return self._spent + self._looked <= self.overhead * (time.monotonic() - self._began)

    def add(self, name: str, value: float, where: str = "") -> None:
        """A number of this update."""
        self.writer.add(name, [self.steps], [value], where)

    def tell(self, found: list[Finding]) -> list[Finding]:
        """Writes down and says what is new."""
        for finding in found:
            self.writer.finding(finding, self.steps)
            if self._say is not None:
                self._say(finding, self.steps)
            self.found[finding.fault] = finding
        return found

    def standing(self) -> list[Finding]:
        """Each fault as it was told last, without what was taken back."""
        return [one for one in self.found.values() if one.status != "refuted"]

    def norms(
        self, optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer], nets: Mapping[str, nn.Module]
    ) -> None:
        """From here on, before each step of an optimizer, the gradient norm of what it moves of each net, by its place."""
        given = [optimizers] if isinstance(optimizers, torch.optim.Optimizer) else list(optimizers)

        def stepping(optimizer: torch.optim.Optimizer, *about: Any) -> None:
            moved = {id(one) for group in optimizer.param_groups for one in group["params"] if one.grad is not None}
            for place, net in nets.items():
                norms = [one.grad.norm() for one in net.parameters() if id(one) in moved and one.grad is not None]
                if norms:
                    value = torch.linalg.vector_norm(torch.stack(norms)).item()
                    self.writer.add("grad_norm", [self.steps + 1], [value], place)

        self._hooks += [one.register_step_pre_hook(stepping) for one in given]

    def close(self, status: Status) -> None:
        """Ends it; what was written stays readable."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.run.status == "running":
            self.writer.set_status(status, watch_share=self.cost)
            self.writer.__exit__(None, None, None)


class Watching:
    """What every watch with a diary answers, and its end: by `close`, or by leaving its `with`."""

    _diary: Diary

    def findings(self) -> list[Finding]:
        """What stands: each fault as it was told last, without what was taken back."""
        return self._diary.standing()

    @property
    def steps(self) -> int:
        """Updates made."""
        return self._diary.steps

    @property
    def cost(self) -> float:
        """The share of the time since the beginning that looks have taken."""
        return self._diary.cost

    def close(self, status: Status = "finished") -> None:
        """Ends the watch; what was written stays readable."""
        self._diary.close(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(ending(error))


def ending(error: BaseException | None) -> Status:
    """The status of a run whose loop ended so."""
    return "finished" if error is None else "failed" if isinstance(error, Exception) else "interrupted"


def number(loss: Any) -> float:
    """A loss as a number, whether it still holds its graph or not."""
    return float(loss.detach() if isinstance(loss, Tensor) else loss)


def nonfinite(message: str, what: str, value: float, step: int) -> Finding:
    """loss.nonfinite, of what came out at a step."""
    return Finding(
        fault="loss.nonfinite",
        severity="error",
        message=message,
        values={"what": what, "value": value, "step": step},
        evidence=(Evidence(name="loss", value=value, step=step),),
        status="confirmed",
        subject={"steps": [step]},
    )

"""The bench: a training program on a copy, and what checks may ask of it."""

import copy
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn

from tunesmith.data.arrays import first_layer
from tunesmith.doctor.audits import Material, material_of, material_of_arrays
from tunesmith.doctor.preflight.originals import Originals, closes_over
from tunesmith.doctor.preflight.source import Source
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Clock, Program, Recipe, Task
from tunesmith.records.check import Inapplicable
from tunesmith.training.batch import Batch
from tunesmith.training.evaluate import judging

if TYPE_CHECKING:
    from tunesmith.data.spec import Prepared
    from tunesmith.training.plan import Made

Value = TypeVar("Value")
SCALED = 0.3  # of the largest input, below which a model has scaled it; assumption

CLASS_LOSSES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)
YES_NO_LOSSES = (
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    nn.MultiLabelSoftMarginLoss,
    nn.MultiLabelMarginLoss,
    nn.SoftMarginLoss,
)
NUMBER_LOSSES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.PoissonNLLLoss, nn.GaussianNLLLoss)


class Bench:
    """A program that checks look at, and copies of it to try things on.

    `train`, `val`, `test` are `Source`s. `twin()` gives a fresh copy as the user brought it; only one twin is alive at a time
    (where the program cannot be copied, a twin *is* the original, put back by the next). Random generators are seeded for each
    twin, so every check repeats.

    Of a `Task` with a `Recipe`, `task`, `recipe`, `prepared` and `made` are known too; of a `Program` they are None.
    """

    def __init__(
        self,
        program: Program,
        *,
        clock: Clock | None = None,
        task: Task | None = None,
        recipe: Recipe | None = None,
        prepared: "Prepared | None" = None,
        made: "Made | None" = None,
        kind: str = "",
    ) -> None:
        self.program = program
        self.clock = Clock() if clock is None else clock
        self.task, self.recipe, self.prepared, self.made = task, recipe, prepared, made
        self.seed = program.seed
        self.notices: list[str] = []
        self.measured: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self.originals = Originals(program)
        self.shared = ""  # why a twin is the original itself; "" where it is a copy
        self._choose_way()
        self.device = _device(program)
        about: dict[str, Any] = {"device": self.device, "batch_size": program.batch_size, "seed": program.seed}
        self.train = Source(program.train, shuffle=program.shuffle, **about)
        self.val = None if program.val is None else Source(program.val, shuffle=False, **about)
        self.test = None if program.test is None else Source(program.test, shuffle=False, **about)
        self.kind = kind or _kind(program, self.train)

    def _choose_way(self) -> None:
        for what in ("step", "loop", "loss_fn"):
            name = closes_over(getattr(self.program, what), self.program)
            if name:
                self.shared = f"the {what} uses {name!r} from outside its arguments, so it cannot be given a copy"
        if not self.shared:
            try:
                self.originals.copy()
            except Exception as error:  # whatever a user's own object raises when it is copied
                self.shared = f"the program cannot be copied ({type(error).__name__}: {error})"
        if self.shared:
            self.notices.append(
                f"{self.shared}: the checks ran on the program itself, which was put back from a snapshot"
            )

    # Copies

    def twin(self) -> Twin:
        """A fresh copy of model, loss, optimizer and scheduler, as they came; the generators seeded."""
        program = self.program
        if self.shared:
            self.originals.restore()
            parts = (program.model, program.loss_fn, program.optimizer, program.scheduler)
        else:
            parts = self.originals.copy()
        seed_all(self.seed)
        return Twin(*parts, program)

    def model(self) -> nn.Module:
        """A copy of the model alone, for looking at it."""
        self.originals.restore() if self.shared else None
        made: nn.Module = copy.deepcopy(self.program.model)
        return made

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Everything the user brought is as it was afterwards; what had to be put back is told."""
        try:
            yield
        finally:
            if not self.shared and self.originals.changed():
                self.notices.append(
                    "the program changed its own weights or gradients while a copy was tried: it reaches its model from "
                    "outside; everything was put back"
                )
            self.originals.restore()

    # Rows

    def batch(self, rows: int = 32, name: str = "batch", source: Source | None = None) -> Batch:
        """Rows of a part drawn at random, the same for the same name; all of them where there are no more."""
        part = self.train if source is None else source
        count = min(rows, len(part))
        places = self.rng(name).choice(len(part), count, replace=False)
        return part.take(np.sort(places).tolist())

    def fed(self, count: int, epoch: int = 0) -> list[Batch]:
        """The first batches as the program feeds them."""
        batches = []
        for batch in self.train.fed(epoch):
            batches.append(batch)
            if len(batches) == count:
                break
        return batches

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers of one check: the same whatever the others draw."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    # What is known

    @property
    def updates_per_epoch(self) -> int:
        """Optimizer updates of an epoch."""
        return max(1, -(-self.train.batches // max(1, self.program.accumulate)))

    @property
    def updates(self) -> int:
        """Optimizer updates of the whole run."""
        return self.updates_per_epoch * self.program.epochs if self.made is None else self.made.plan.steps

    @property
    def classed(self) -> bool:
        """Whether each row has one class."""
        return self.kind in ("binary", "multiclass")

    @property
    def target(self) -> np.ndarray[Any, Any]:
        """The training targets (the first 20,000)."""
        return self.kept("arrays", self.train.arrays)[1]

    @property
    def material(self) -> Material:
        """The data as the audits see them."""
        return self.kept("material", self._material)

    def _material(self) -> Material:
        if self.task is not None:
            found = material_of(self.task, self.recipe, clock=self.clock)
        else:
            sources = {"train": self.train, "val": self.val, "test": self.test}
            pairs = {"train": self.kept("arrays", self.train.arrays)}
            pairs |= {
                part: source.arrays() for part, source in sources.items() if part != "train" and source is not None
            }
            found = material_of_arrays(pairs, name="the training arrays", kind=self.kind or "auto")
            found.clock, found.seed = self.clock, self.seed
        found.outputs = self.program.num_classes
        found.norm_first = "Norm" in first_layer(self.program.model) or self._scales_inputs()
        return found

    def _scales_inputs(self) -> bool:
        """Whether the model itself brings its inputs to a smaller scale before its first weights."""
        batch, model, seen = self.batch(64, "scale"), self.model(), list[torch.Tensor]()
        if not isinstance(batch.inputs, torch.Tensor) or not batch.inputs.is_floating_point():
            return False

        def note(module: nn.Module, given: Any) -> None:
            if not seen and given and isinstance(given[0], torch.Tensor):
                seen.append(given[0].detach())

        for module in model.modules():
            if any(parameter.dim() > 1 for parameter in module.parameters(recurse=False)):
                module.register_forward_pre_hook(note)
        try:
            with judging(model):
                model(batch.inputs)
        except Exception:  # a program that does not run is told of by the check `runs`
            return False
        return bool(seen) and bool(seen[0].abs().max() < SCALED * batch.inputs.abs().max())

    def kept(self, name: str, make: Callable[[], Value]) -> Value:
        """A value that several checks need, made once."""
        if name not in self._kept:
            self._kept[name] = make()
        value: Value = self._kept[name]
        return value

    def need_task(self) -> tuple[Task, Recipe]:
        """Task and recipe. Raises `Inapplicable` for a program that somebody else wrote."""
        if self.task is None or self.recipe is None:
            raise Inapplicable("the program is not made from a recipe")
        return self.task, self.recipe

    def need_own_loop(self) -> None:
        """Raises `Inapplicable` where the loop is Tunesmith's, which cannot have the fault."""
        if self.task is not None:
            raise Inapplicable("the training loop is Tunesmith's own")


def bench_of_program(program: Program, *, clock: Clock | None = None) -> Bench:
    """A bench of a program as somebody else wrote it."""
    return Bench(program, clock=clock)


def seed_all(seed: int) -> None:
    """Python's, NumPy's and torch's global generators."""
    import random

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _device(program: Program) -> torch.device:
    if program.device is not None:
        return torch.device(program.device)
    first = next(iter(program.model.parameters()), None) if isinstance(program.model, nn.Module) else None
    return torch.device("cpu") if first is None else first.device


def _kind(program: Program, train: Source) -> str:
    """The kind of task, by the loss where it is one of torch's, else by the targets of a few rows."""
    target = train.take(range(min(64, len(train)))).target
    whole = not target.is_floating_point() and target.dtype != torch.bool
    loss = program.loss_fn
    flat = target.dim() == 1 or (target.dim() == 2 and target.shape[1] == 1)
    if isinstance(loss, YES_NO_LOSSES):
        return "binary" if flat else "multilabel"
    if isinstance(loss, NUMBER_LOSSES) and not whole:
        return "regression" if flat else "multi_regression"
    if whole and target.dim() >= 2 and not flat:
        return "language"
    if whole or isinstance(loss, CLASS_LOSSES):
        two = program.num_classes == 2 or (program.num_classes is None and int(target.max()) <= 1)
        return "binary" if two else "multiclass"
    if bool(((target == 0) | (target == 1)).all()) or target.dtype == torch.bool:
        return "binary" if flat else "multilabel"
    return "regression" if flat else "multi_regression"

"""`BatchedSubject`: somebody's own small net and arrays, searched by epochs, alone or as a stack.

    subject = BatchedSubject(make_model, X, y, loss="cross_entropy", batch_size=32, epochs=27, val=(X2, y2))
    space = {"lr": Real(1e-4, 1e-1, log=True), "weight_decay": Real(0, 0.1), "width": Choice([16, 32, 64])}
    search(subject, space, max_budget=27, executor="batched", workers=8)

`make_model(width=…)` is given the settings that no optimizer knows. The executor `batched` trains those of one architecture
together; every other trains one after the other and comes to the same, up to rounding.
"""

import inspect
import json
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, ModelError, RecipeError, RunError
from tunesmith.runs.files import write_bytes
from tunesmith.search.executors.work import Job
from tunesmith.search.subject import Record, discard_all, ends

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.training.batched import BatchedTrial, EpochRecord, Group
    from tunesmith.training.batched.apart import Apart

OF_TRIAL = ("lr", "seed", "weight_decay", "momentum", "beta1", "beta2", "alpha", "eps", "clip_norm", "schedule")
OF_GROUP = ("optimizer", "batch_size")  # alike in a stack
RATE = 1e-3  # where a configuration names none; source: torch's default of Adam
SCORES = ("val_loss", "val_accuracy")
FILE = "batched.pt"
SECONDS = 30.0  # between two checkpoints of a trial; assumption: what a kill may cost


@dataclass(slots=True)
class _Course:
    """A trial on its way: a state of its own, or None where it has not begun, and the records of all its epochs so far."""

    job: Job
    trial: "BatchedTrial"
    told: int
    epoch: int = 0
    state: dict[str, Any] | None = None
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be told."""
        known = 0 < self.told <= len(self.records)
        return self.told >= self.job.upto or (known and ends(self.records[self.told - 1]))

    @property
    def behind(self) -> bool:
        """Whether an epoch has to be trained before the next can be told."""
        return not self.over and self.told >= len(self.records)

    @property
    def place(self) -> Path:
        """Where its checkpoint is."""
        if self.job.folder is None:
            raise DataError(f"trial {self.job.trial} came without a folder; pass one that is there, for its checkpoint")
        return self.job.folder / FILE


class BatchedSubject:
    """What is searched of a net, its data and its loss. Lower is better: the loss on `val`, or minus the accuracy there.

    `make_model(**settings)` gets the settings of a configuration other than `lr weight_decay momentum beta1 beta2 alpha eps clip_norm
    seed schedule`, which a trial has of its own, and `optimizer` and `batch_size`; `schedule` names a member of the catalogue, such as
    "cosine" over the `epochs`. Trials that differ in `apart_from` (dropout rates) still share a stack. `settings` stand where a
    configuration has none. `X`, `y`, `loss`, `optimizer`: as `training.batched.train_batched` takes them; another loss of torch, or
    anybody's, is trained one after the other. A trial has a seed of its own unless `settings` or the configuration give one.

    Raises `DataError` for rows that do not fit each other, `RecipeError` for settings out of range.
    """

    copies = True
    wants_folder = True

    def __init__(
        self,
        make_model: "Callable[..., nn.Module]",
        X: Any,
        y: Any,
        *,
        loss: "str | nn.Module",
        batch_size: int,
        epochs: int,
        val: tuple[Any, Any],
        optimizer: str = "adamw",
        score: str = "val_loss",
        settings: Mapping[str, Any] | None = None,
        apart_from: Sequence[str] = ("dropout",),
    ) -> None:
        if epochs < 1 or batch_size < 1:
            raise RecipeError(f"epochs is {epochs} and batch_size is {batch_size}; expected at least 1 of both")
        if score not in SCORES:
            raise RecipeError(f"score is {score!r}; expected one of {', '.join(SCORES)}")
        if len(X) != len(y) or not len(X):
            raise DataError(f"X has {len(X)} rows, y has {len(y)}; expected as many of both, at least one")
        self.make_model, self.data, self.val = make_model, (X, y), val
        self.loss, self.epochs, self.score = loss, epochs, score
        self.settings = {"lr": RATE, "optimizer": optimizer, "batch_size": batch_size, **(settings or {})}
        self.apart_from = tuple(apart_from)
        self._held: dict[Path, tuple[dict[str, Any] | None, list[dict[str, Any]]]] = {}
        self._verdicts: dict[Hashable, dict[int, bool]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_held": {}, "_verdicts": {}}

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterator[Record | None]:
        job = Job(
            number=0, trial=0, config=config, start=start, upto=upto, folder=folder, seed=seed, copy_from=copy_from
        )
        for told in _Training(self, [job], alone=True).rounds():
            yield from told.values()

    def kind(self, config: Mapping[str, Any]) -> Hashable:
        """The architecture, the optimizer and the size of a batch."""
        differing = {*OF_TRIAL, *self.apart_from}
        alike = {name: value for name, value in {**self.settings, **config}.items() if name not in differing}
        return json.dumps(alike, sort_keys=True, default=repr)

    def train_together(self, jobs: Sequence[Job]) -> Iterator[Mapping[int, Record | None]]:
        return _Training(self, jobs, alone=False).rounds()

    def discard(self, folder: Path) -> None:
        discard_all(folder)

    def model(self, config: Mapping[str, Any], folder: str | Path) -> "nn.Module":
        """The net of a trial as its last checkpoint in `folder` has it, in evaluation. Raises `RunError` where there is none."""
        found = _read(Path(folder) / FILE)
        if found is None:
            raise RunError(f"{folder} holds no checkpoint; those of the best trials are kept in the folder of a study")
        net = self.trainer([self.trial_of(config, 0, 0)], config, alone=True)
        net.restore(found["state"] | {"trials": dict.fromkeys([0], *found["state"]["trials"].values())})
        model: nn.Module = net.nets[0].alone.model  # type: ignore[union-attr]
        return model.eval()

    def trial_of(self, config: Mapping[str, Any], id: Hashable, seed: int) -> "BatchedTrial":
        """The trial of a configuration. Raises `RecipeError` for a value out of range, `UnknownName` for a schedule of none."""
        from functools import partial

        from tunesmith.training.batched import BatchedTrial

        whole = {"seed": seed, **self.settings, **config}
        own = {name: whole[name] for name in OF_TRIAL if whole.get(name) is not None}
        if "schedule" in own and not callable(own["schedule"]):
            own["schedule"] = self._schedule(str(own["schedule"]), int(whole["batch_size"]))
        of_net = {name: value for name, value in whole.items() if name not in (*OF_TRIAL, *OF_GROUP)}
        self._check_taken(of_net)
        return BatchedTrial(id=id, model=partial(self.make_model, **of_net), **own)

    def _check_taken(self, of_net: Mapping[str, Any]) -> None:
        try:
            inspect.signature(self.make_model).bind(**of_net)
        except TypeError as error:
            raise RecipeError(
                f"make_model cannot be called with {', '.join(of_net) or 'nothing'}: {error}; name its arguments in the space or in "
                "settings"
            ) from None

    def _schedule(self, name: str, batch_size: int) -> Callable[[int], float]:
        from tunesmith.blocks.schedules import SCHEDULES

        updates = -(-len(self.data[0]) // batch_size) * self.epochs
        made = SCHEDULES[name](updates)
        return lambda step: float(made(step))

    def trainer(self, trials: "Sequence[BatchedTrial]", config: Mapping[str, Any], *, alone: bool) -> "Group | Apart":
        """A stack of trials of one kind where it pays, else the trials apart; `config`: of any of them."""
        from tunesmith.training.batched import pays, train_batched
        from tunesmith.training.batched.apart import Apart

        whole, kind = {**self.settings, **config}, self.kind(config)
        given: dict[str, Any] = {
            "loss": self.loss,
            "batch_size": int(whole["batch_size"]),
            "epochs": self.epochs,
            "val": self.val,
            "optimizer": str(whole["optimizer"]),
        }
        make_model = trials[0].model
        assert make_model is not None
        known = self._verdicts.setdefault(kind, {})
        if not alone and len(trials) > 1 and not any(not yes and count >= len(trials) for count, yes in known.items()):
            try:
                group = train_batched(make_model, trials, *self.data, **given)
            except ModelError:  # what cannot be stacked will never be, however many
                known[len(trials)] = known[2**62] = False
            else:
                if any(yes and count <= len(trials) for count, yes in known.items()):
                    return group
                known[len(trials)] = pays(group).pays
                if known[len(trials)]:
                    return group
        return Apart(make_model, trials, *self.data, **given)

    def record_of(self, found: "EpochRecord", seconds: float) -> dict[str, Any]:
        """What a search is told of an epoch; a loss or weights that are not finite end the trial."""
        told = {"train_loss": found.train_loss, "val_loss": found.val_loss, "val_accuracy": found.val_accuracy}
        value = told[self.score]
        if value is None:
            raise RecipeError(f"the loss of this search has no {self.score}; take score='val_loss'")
        score = -value if self.score == "val_accuracy" else value
        if found.failed_at is not None:
            score = float("nan")
        known = {name: one for name, one in told.items() if one is not None}
        return {"score": score, **known, "seconds": seconds}


class _Training:
    """Jobs of one kind from where they stand: those that are furthest behind are trained first, and so come together."""

    def __init__(self, subject: BatchedSubject, jobs: Sequence[Job], *, alone: bool) -> None:
        self.subject, self.alone = subject, alone
        self.courses = [self._begun(job) for job in jobs]
        self.trainer: Group | Apart | None = None
        self.written = time.monotonic()

    def _begun(self, job: Job) -> _Course:
        if job.upto > self.subject.epochs:
            raise DataError(
                f"trial {job.trial} is to be trained for {job.upto} epochs, BatchedSubject has epochs={self.subject.epochs}; give "
                "search(…, max_budget=) the same number"
            )
        course = _Course(job, self.subject.trial_of(job.config, job.number, job.seed), job.start)
        held = self.subject._held.pop(course.place, None)
        if job.copy_from is not None:
            self._taken_over(course, job.copy_from)
            return course
        if held is not None:
            course.state, course.records = held
        else:
            found = _read(course.place)
            if found is not None:
                course.state, course.records = found["state"], found["records"]
        course.epoch = 0 if course.state is None else int(course.state["epoch"])
        del course.records[max(course.epoch, course.told) :]
        return course

    def _taken_over(self, course: _Course, source: Path) -> None:
        """Begins with the weights of another trial, which is in the folder at once: a kill must not bring the old ones back."""
        found = _read(source / FILE)
        if found is None:
            raise DataError(
                f"the weights in {source} are gone, so that no other trial can take them over; keep=… keeps more"
            )
        start = course.job.start
        steps = found["state"]["step"] // max(found["state"]["epoch"], 1)
        course.state = found["state"] | {"epoch": start, "step": start * steps}
        course.epoch, course.records = start, (found["records"] + [found["records"][-1]] * start)[:start]
        _write(course)

    def rounds(self) -> Iterator[dict[int, Record | None]]:
        try:
            while True:
                told: dict[int, Record | None] = {
                    course.job.number: self._tell(course) for course in self.courses if self._can_tell(course)
                }
                self._save_those_over()
                if told:
                    yield told
                self.courses = [course for course in self.courses if not course.over]
                if not self.courses:
                    return
                if any(course.behind for course in self.courses):
                    yield from self._trained()
        except GeneratorExit:  # between two rounds: all is whole
            self._gather()
            for course in self.courses:
                if not course.over:
                    self.subject._held[course.place] = (course.state, course.records)
            raise

    @staticmethod
    def _can_tell(course: _Course) -> bool:
        return not course.over and not course.behind

    @staticmethod
    def _tell(course: _Course) -> Record:
        record = course.records[course.told]
        course.told += 1
        return record

    def _save_those_over(self) -> None:
        over = [course for course in self.courses if course.over]
        late = time.monotonic() - self.written >= SECONDS
        if not over and not late:
            return
        self._gather()
        for course in self.courses if late else over:
            if course.state is not None and course.epoch == len(course.records):
                _write(course)
        self.written = time.monotonic() if late else self.written

    def _gather(self) -> None:
        """Each trial gets the state that it has in the trainer."""
        if self.trainer is None:
            return
        whole = self.trainer.state()
        for course in self.courses:
            part = whole["trials"].get(course.job.number)
            if part is not None:
                course.state = {**whole, "trials": {course.job.number: part}}
                course.epoch = whole["epoch"]

    def _trained(self) -> Iterator[dict[int, Record | None]]:
        """One epoch of those that are furthest behind; a sign of life for those whose epoch was told before."""
        self._gather()
        lowest = min(course.epoch for course in self.courses if course.behind)
        chosen = [course for course in self.courses if course.behind and course.epoch == lowest]
        trainer = self._trainer_of(chosen)
        begun = time.perf_counter()
        found = trainer.train_epoch()
        seconds = (time.perf_counter() - begun) / len(chosen)
        caught_up: dict[int, Record | None] = {}
        for course, one in zip(chosen, found, strict=True):
            course.epoch += 1
            if one.failed_at is not None:
                course.state = None  # it has left the trainer
            record = self.subject.record_of(one, seconds)
            course.records[course.epoch - 1 :] = [record]
            if course.epoch <= course.told:
                caught_up[course.job.number] = None
        if caught_up:
            yield caught_up

    def _trainer_of(self, chosen: Sequence[_Course]) -> "Group | Apart":
        """What trains these and no others."""
        ids = [course.job.number for course in chosen]
        old = self.trainer
        if old is not None and set(ids) <= set(old.ids) and (len(ids) == len(old.ids)):
            return old
        made = self.subject.trainer([course.trial for course in chosen], chosen[0].job.config, alone=self.alone)
        states = [course.state for course in chosen if course.state is not None]
        if states:
            parts = {
                course.job.number: next(iter(course.state["trials"].values()))
                for course in chosen
                if course.state is not None
            }
            fresh = made.state()["trials"]
            made.restore({**states[0], "trials": fresh | parts})
        self.trainer = made
        return made


def _write(course: _Course) -> None:
    import io

    import torch

    data = io.BytesIO()
    torch.save({"state": course.state, "records": course.records}, data)
    write_bytes(course.place, data.getvalue())


def _read(place: Path) -> dict[str, Any] | None:
    """The checkpoint of a trial; None where there is none."""
    import torch

    if not place.is_file():
        return None
    found: dict[str, Any] = torch.load(place, map_location="cpu", weights_only=True)
    return found

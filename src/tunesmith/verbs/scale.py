"""`scale`: a ladder of small trainings, the law through their losses, and what carries over to larger ones."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, Recipe, RecipeError, Source, Task, TrainingFailed, revise

if TYPE_CHECKING:
    from tunesmith.data.spec import Prepared
    from tunesmith.scaling.coordinates import Coordinates, Stepper
    from tunesmith.scaling.result import Scaling
    from tunesmith.scaling.rungs import Climbed, Ladder, Rung

RESULT, PICTURE = "scaling.json", "scaling.svg"
ASKED = Source("derived", "scale")
CHECKED = (0, 1, 2)  # seeds of the coordinate check


def scale(
    task_or_data: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    widths: Sequence[int],
    shares: Sequence[float] = (1.0,),
    rates: Sequence[float] = (1.0,),
    seeds: int = 1,
    reach: int | None = None,
    reach_rows: int | None = None,
    base_width: int | None = None,
    check: bool = False,
    target: str | Sequence[str] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    step: Callable[[str], None] = lambda text: None,
    **about: Any,
) -> "Scaling":
    """Trains a built-in net at each of `widths`, on each of `shares` of the training rows, at each of `rates` (factors on the recipe's), and
    fits a law to the losses of the best rate of each size.

    The law counts parameters where widths differ, rows where shares do, both where both do; it takes four sizes, or six pairs. `reach` and
    `reach_rows` are a width and a number of rows of which the loss is predicted. `base_width` is the width at which the recipe's rate
    is meant: it is then carried to each width by the maximal update parametrisation; without, every width gets the rate as it is.
    `check` makes the coordinate check over the widths. All trainings are judged on the same validation rows; with a `folder` they are kept,
    and `resume` goes on from what is done there.

    Raises `RecipeError`, `DataError`, `ModelError` for what cannot be laid out, `RunError` for a folder in use.
    """
    from tunesmith.runs.files import write_json, write_text
    from tunesmith.scaling.rungs import Ladder, rungs
    from tunesmith.verbs.fit import as_recipe, as_task

    wide, parts, factors = laid_out(widths, shares, rates, seeds)
    for name, value, axis, kind in (("reach", reach, wide, "widths"), ("reach_rows", reach_rows, parts, "shares")):
        if value is not None and (value < 1 or len(axis) < 2):
            raise RecipeError(
                f"{name} = {value}: a law over {kind} has to reach it, and {kind} are {axis}; give 1 or more, and several {kind}"
            )
    task, asked = as_task(task_or_data, target, about), as_recipe(recipe)
    ground = Ground(task, asked, base_width)
    ground.fit_heads([*wide, *(one for one in (reach, base_width) if one is not None)])
    for width in {*wide, *([reach] if reach is not None else [])}:
        ground.recipe(width)  # heads that do not fit are told before anything is trained
    settings = {
        "recipe": asked.flat(),
        "base_width": base_width,
        "rows": len(ground.prepared.train),
    }
    checked = ground.checked(wide) if check else None
    with TemporaryDirectory() as spare:
        place = Path(spare) if folder is None else Path(folder)
        with closing(Ladder(place, settings, resume=resume)) as ladder:
            found = [
                climbed(ground, ladder, one, step)
                for one in rungs(wide, parts, factors, range(ground.seed, ground.seed + seeds))
            ]
        result = summed(ground, found, reach, reach_rows, checked)
        if folder is not None:
            from tunesmith.reports.scaling import picture

            write_json(place / RESULT, result.as_dict())
            write_text(place / PICTURE, picture(result.as_dict()))
    return result


def laid_out(
    widths: Sequence[int], shares: Sequence[float], rates: Sequence[float], seeds: int
) -> tuple[list[int], list[float], list[float]]:
    """The three axes, each value once. Raises `RecipeError` for values out of range."""
    if not widths or min(widths) < 1:
        raise RecipeError(
            f"widths = {list(widths)}: whole numbers of 1 or more were expected, for example 16, 32, 64, 128"
        )
    if not shares or not all(0 < one <= 1 for one in shares):
        raise RecipeError(f"shares = {list(shares)}: shares of the training rows above 0 and up to 1 were expected")
    if not rates or not all(one > 0 and math.isfinite(one) for one in rates):
        raise RecipeError(f"rates = {list(rates)}: factors above 0 were expected, for example 0.5, 1, 2")
    if seeds < 1:
        raise RecipeError(f"seeds = {seeds}: one or more was expected")
    return sorted(set(widths)), sorted(set(shares)), sorted(set(rates))


class Ground:
    """The task and its settled recipe, from which every rung differs in width, rows, rate and seed."""

    def __init__(self, task: Task, asked: Recipe, base_width: int | None) -> None:
        from tunesmith.data import prepare
        from tunesmith.training.plan import model_name
        from tunesmith.verbs.search_task import TaskSubject, resolved

        if base_width is not None and base_width < 1:
            raise RecipeError(f"base_width = {base_width}: a width of 1 or more was expected")
        self.task, self.base_width = task, base_width
        self.settled, _ = resolved(task, revise(asked, {"model.base_width": None}, ASKED))
        self.seed = int(self.settled.train.seed)
        self.prepared: Prepared = prepare(task, self.settled)
        self.name = model_name(task, self.settled, self.prepared)
        if not self.name or self.settled.model.width == "auto":
            raise RecipeError(
                "a ladder needs a built-in net with a width (model.name = mlp, cnn, bag, lstm, transformer); a net of your own is scaled by "
                "tunesmith.scaling.laws.fit_law and tunesmith.blocks.optim.carried"
            )
        if self.prepared.val is None:
            raise DataError(
                "there are no validation rows to judge a training by; give some (val=…, or data.val above 0)"
            )
        self._held: dict[str, Any] = {}
        self._subject = TaskSubject

    def fit_heads(self, widths: Sequence[int]) -> None:
        """Where nobody set both width and heads, heads as wide as all widths allow, and no wider than the net's own."""
        chosen = self.settled.model
        given = all(
            self.settled.source(f"model.{name}").kind not in ("default", "derived") for name in ("width", "heads")
        )
        if given or chosen.heads == "auto":
            return
        each = int(chosen.width) // int(chosen.heads)
        shared = math.gcd(*widths)
        fitting = max(one for one in range(1, each + 1) if shared % one == 0)
        self.settled = revise(self.settled, {"model.heads": int(chosen.width) // fitting}, ASKED)

    def recipe(self, width: int, factor: float = 1.0, seed: int | None = None) -> Recipe:
        """The recipe of a rung: the same net at that width, heads keeping theirs."""
        from tunesmith.training.widths import narrowed

        changes = {
            "model.base_width": self.base_width,
            "optim.lr": float(self.settled.optim.lr) * factor,
            "train.seed": self.seed if seed is None else seed,
        }
        return revise(narrowed(self.settled, width), changes, ASKED)

    def parameters(self, width: int) -> int:
        """Those of the net at that width."""
        from tunesmith.blocks import models
        from tunesmith.records.state import random_state, set_random_state

        before = random_state()
        try:
            ready = self.prepared
            net = models.build(self.name, self.recipe(width), ready.spec, ready.outputs, ready.kind)
        finally:
            set_random_state(before)
        return sum(one.numel() for one in net.parameters())

    def train(self, rung: "Rung", folder: Path) -> list[Mapping[str, Any]]:
        """The evaluations of a rung's training, which goes on where its folder left it."""
        recipe = self.recipe(rung.width, rung.factor, rung.seed)
        subject = self._subject(self.task, recipe, share=rung.share, split_seed=self.seed, held=self._held)
        epochs = int(recipe.train.epochs)
        told = subject.train({}, start=0, upto=epochs, folder=folder, seed=rung.seed, copy_from=None)
        found = [one for one in told if one is not None]
        subject.discard(folder)
        return found

    def checked(self, widths: Sequence[int]) -> "Coordinates":
        """The coordinate check on the first batches of the task."""
        from tunesmith.scaling.coordinates import coordinate_check

        return coordinate_check(self.stepper, widths, seeds=CHECKED)

    def stepper(self, width: int, seed: int) -> "Stepper":
        """A net of that width with its optimizer, at the peak rate of its schedule, on the first window of rows."""
        from tunesmith.scaling.coordinates import Stepper
        from tunesmith.training.plan import make
        from tunesmith.training.session import seeded

        recipe = revise(self.recipe(width, seed=seed), {"schedule.name": "constant", "schedule.warmup": 0}, ASKED)
        with seeded(seed, deterministic=recipe.train.deterministic):
            plan = make(self.task, recipe, self.prepared).plan
            plan.feed.start(plan.state)
            window = plan.feed.window(plan.state)
        assert window is not None  # the data were made ready, so there is a first window
        first = window[0]

        def update() -> None:
            plan.rates.set(plan.state.step)
            plan.update(plan.state, window, lambda *_: True)

        return Stepper(plan.state.model, lambda: plan.state.model(first.inputs), update)


def climbed(ground: Ground, ladder: "Ladder", rung: "Rung", step: Callable[[str], None]) -> "Climbed":
    """A rung from the ladder's file, or trained now and written there."""
    from tunesmith.scaling.rungs import Climbed

    if rung in ladder.done:
        return ladder.done[rung]
    step(f"training width {rung.width}, {rung.share:.0%} of the rows, rate x {rung.factor:g}, seed {rung.seed}")
    began = time.perf_counter()
    try:
        told = ground.train(rung, ladder.place(rung))
    except (
        TrainingFailed
    ):  # a rate that is too high for this width is a result: written down as a loss that is not finite
        told = []
    losses = [float(one.get("val_loss", math.nan)) for one in told]
    finite = [loss for loss in losses if math.isfinite(loss)]
    best = losses.index(min(finite)) if finite else -1
    found = Climbed(
        rung=rung,
        parameters=ground.parameters(rung.width),
        rows=max(2, round(rung.share * len(ground.prepared.train))) if rung.share < 1 else len(ground.prepared.train),
        rate=float(ground.recipe(rung.width, rung.factor).optim.lr),
        loss=losses[best] if finite else None,
        epoch=best + 1,
        epochs=len(told),
        value=float(told[best]["value"]) if finite else None,
        seconds=round(time.perf_counter() - began, 3),
    )
    ladder.add(found)
    return found


def summed(
    ground: Ground,
    found: "Sequence[Climbed]",
    reach: int | None,
    reach_rows: int | None,
    checked: "Coordinates | None",
) -> "Scaling":
    """The law through the best of each size, the prediction, and whether the rate carries over."""
    from tunesmith.scaling.carrying import carry
    from tunesmith.scaling.laws import fit_law
    from tunesmith.scaling.result import MEASURES, Scaling, best_of_sizes

    best = best_of_sizes(found)
    many_widths, many_rows = (len({values(one) for one in best}) > 1 for values in (of_width, of_rows))
    measure = MEASURES[2] if many_widths and many_rows else MEASURES[1] if many_rows else MEASURES[0]
    sizes = {
        "parameters": [[one.parameters] for one in best],
        "rows": [[one.rows] for one in best],
        "parameters and rows": [[one.parameters, one.rows] for one in best],
    }[measure]
    law, why = None, ""
    try:
        law = fit_law(sizes, [one.loss for one in best])
    except DataError as error:
        why = str(error)
    largest = {"parameters": max(one.parameters for one in found), "rows": max(one.rows for one in found)}
    asked = {"parameters": None if reach is None else ground.parameters(reach), "rows": reach_rows}
    there = [float(asked[name] or largest[name]) for name in measure.split(" and ")] if any(asked.values()) else []
    expected = law.predict(*there) if law is not None and there else None
    return Scaling(
        rungs=tuple(found),
        measure=measure,
        law=law,
        why=why,
        reach=tuple(there),
        expected=expected,
        carry=carry(found),
        coordinates=checked,
    )


def of_width(one: "Climbed") -> int:
    return one.rung.width


def of_rows(one: "Climbed") -> int:
    return one.rows

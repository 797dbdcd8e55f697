"""`schedule`: the learning rate over a run, before anything is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.blocks.schedules.sampled import sample
from tunesmith.records import Recipe, RecipeError, Source, revise
from tunesmith.records.derived import updates_of
from tunesmith.reports.picture import ending, write
from tunesmith.reports.plot import sparkline
from tunesmith.reports.schedules import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 1000  # of a run whose length nobody said
SHORT = 24  # letters of a curve in a list


def schedule(
    name: str = "auto",
    steps: int | None = None,
    *,
    epochs: float | None = None,
    per_epoch: int | None = None,
    effective_batch: int | None = None,
    warmup: int | str = 0,
    peak: float | None = None,
    recipe: Recipe | None = None,
    **settings: Any,
) -> Shown:
    """The schedule `name` over `steps` updates: `.rates`, `.momentum`, `.restarts`, `.warnings`; `.text(look)` draws it.

    `epochs` × `per_epoch` may stand for `steps`; `warmup` is updates, or an amount such as "0.1dur" or "2ep". `settings`
    are fields of the recipe's section `schedule` (`floor`, `warmup_kind`, `warmup_join`, `extra={...}`), and names that
    are none of those are arguments of the schedule itself. Without a `peak` the rates are factors of it.

    >>> shown = schedule("step", 90, every=30)
    >>> [round(float(rate), 4) for rate in shown.rates[[0, 29, 30, 60]]]
    [1.0, 1.0, 0.1, 0.01]
    """
    steps = length(steps, epochs, per_epoch)
    asked = revise(recipe or Recipe(), changes(name, warmup, settings), Source("command line"))
    section = asked.schedule
    amount = updates_of(
        section.warmup,
        steps,
        per_epoch or unknown("ep", section.warmup),
        effective_batch or unknown("samples", section.warmup),
    )
    found = sample(section, steps, amount, per_epoch=per_epoch, effective_batch=effective_batch)
    return Shown(
        "cosine" if section.name == "auto" else section.name,
        found.factors * (1.0 if peak is None else peak),
        peak,
        found.momentum,
        found.warmup,
        found.restarts,
        found.notes,
        found.warnings,
    )


def changes(name: str, warmup: int | str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as changes of a recipe."""
    fields = set(type(Recipe().schedule).model_fields) - {"name", "extra"}
    own = dict(settings.get("extra", {})) | {
        key: value for key, value in settings.items() if key.partition(".")[0] not in {*fields, "extra"}
    }
    found = {f"schedule.{key}": value for key, value in settings.items() if key.partition(".")[0] in fields}
    found |= {} if name == "auto" else {"schedule.name": name}
    found |= {"schedule.warmup": warmup} if warmup else {}
    return found | ({"schedule.extra": own} if own else {})


def length(steps: int | None, epochs: float | None, per_epoch: int | None) -> int:
    """The updates of the run."""
    if epochs is not None:
        if steps is not None or per_epoch is None:
            raise RecipeError("a run of epochs needs the updates of one: give epochs and per_epoch, or steps alone")
        steps = round(epochs * per_epoch)
    steps = STEPS if steps is None else steps
    if steps < 1:
        raise RecipeError(f"steps = {steps}: 1 update or more was expected")
    return steps


def unknown(unit: str, amount: int | str) -> int:
    """1, unless an amount is counted in what is not known."""
    if isinstance(amount, str) and amount.endswith(unit):
        needed = {
            "ep": "how many updates an epoch has: give per_epoch",
            "samples": "how many rows an update has: give effective_batch",
        }
        raise RecipeError(
            f'warmup = "{amount}" needs to know {needed[unit]}, or give updates or a share such as "0.05dur"'
        )
    return 1


def listed(width: int = 100, *, plain: bool = False) -> str:
    """Every schedule with its curve in one line, and what it is."""
    longest = max(map(len, SCHEDULES))
    rows = [
        f"{len(SCHEDULES)} schedules; `tunesmith schedule NAME` draws one,",
        "`tunesmith explain schedule.NAME` says what it is for",
        "",
    ]
    for name, member in SCHEDULES.items():
        try:
            drawn = sparkline(schedule(name).rates, SHORT, plain=plain)
        except RecipeError:  # one that is nothing without a function of yours
            drawn = ""
        first = (member.__doc__ or "").strip().partition("\n")[0]
        row = f"{name:<{longest}}  {drawn:<{SHORT}}  {first}"
        rows.append(row if len(row) <= width else row[: width - 2].rsplit(" ", 1)[0] + (" .." if plain else " …"))
    return "\n".join(rows)


def draw(shown: "Sequence[Shown]", path: Path) -> None:
    """A picture of schedules one above the other."""
    write(path, [panel for one in shown for panel in one.panels()])


__all__ = ["draw", "ending", "listed", "schedule"]

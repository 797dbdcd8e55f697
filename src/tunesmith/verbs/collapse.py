"""`collapse`: generations trained on the output of the one before, beside what theory says."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import RecipeError, RunError

if TYPE_CHECKING:
    from tunesmith.generative.recursive import Recursion, Subject

RESULT, PICTURE = "collapse.json", "collapse.svg"


def collapse(
    model: "str | Subject" = "gaussian",
    *,
    regime: str | Sequence[str] = "replace",
    generations: int = 10,
    n: int = 100,
    replicates: int | None = None,
    seed: int = 0,
    share: float = 0.5,
    folder: str | Path | None = None,
    resume: bool = False,
    step: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> "list[Recursion]":
    """A simulation for each regime (`"replace"`, `"accumulate"`, `"mix"`, `"keep"`; see `generative.recursive.simulate`), same seeds.

    `model` is a name (`gaussian`, `mixture`, `regression`, `categorical`, `autoencoder`, `letters`) with its `settings`, or a `Subject` of your
    own. `folder` gets `collapse.json` and `collapse.svg`; of models that are trained one by one also every generation as it ends, and
    `resume` goes on from there.

    Raises `UnknownName`, `RecipeError`, `DataError` for what cannot be simulated, `RunError` for a folder in use.
    """
    from tunesmith.generative.recursion_real import known_regime
    from tunesmith.generative.recursive import simulate
    from tunesmith.generative.recursive.simulating import made
    from tunesmith.reports.recursion import picture
    from tunesmith.runs.files import write_json, write_text

    wanted = [known_regime(one) for one in ([regime] if isinstance(regime, str) else regime)]
    if not wanted or len(set(wanted)) < len(wanted):
        raise RecipeError(f"regime = {wanted}: one regime or several different ones were expected")
    subject = made(model, settings)
    place = None if folder is None else Path(folder)
    if place is not None and (place / RESULT).exists() and not resume:
        raise RunError(f"{place} holds a simulation; resume it (--resume), or name another folder")
    found = []
    for one in wanted:
        kept = None if place is None or subject.many is not None else place / one
        found.append(
            simulate(
                subject,
                regime=one,
                generations=generations,
                n=n,
                replicates=replicates,
                seed=seed,
                share=share,
                folder=kept,
                resume=resume,
                step=lambda text, one=one: step(f"{one}: {text}"),  # type: ignore[misc]
            )
        )
    if place is not None:
        told = [one.as_dict() for one in found]
        write_json(place / RESULT, {"simulations": told})
        write_text(place / PICTURE, picture(told))
    return found

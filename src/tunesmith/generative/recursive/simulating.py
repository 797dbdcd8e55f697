"""Generation after generation: fit, measure, sample, and fit again on what the regime says.

Shumailov et al., arXiv:2305.17493 (replace); Gerstgrasser et al., arXiv:2404.01413 (accumulate).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.generative.recursion_real import known_regime, real_rows
from tunesmith.generative.recursive.asking import whole
from tunesmith.generative.recursive.keeping import Kept
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.result import Recursion
from tunesmith.generative.recursive.subject import Array, Plan, Subject
from tunesmith.records import RecipeError

REAL, FIT, SAMPLE, MEASURE, FRESH = range(5)  # what a seed is for
AT_ONCE = 250  # replicates in one array: some 100 MB of a regression that accumulates; assumption
MANY, FEW = 1000, 3  # replicates where nothing is said: as arrays, one by one; assumption
Told = Callable[[str], None]


def simulate(
    model: str | Subject,
    *,
    regime: str = "replace",
    generations: int = 10,
    n: int = 100,
    replicates: int | None = None,
    seed: int = 0,
    share: float = 0.5,
    folder: str | Path | None = None,
    resume: bool = False,
    step: Told = lambda text: None,
    **settings: Any,
) -> Recursion:
    """Trains `generations` one after the other, the first on n real rows, and measures each.

    `model` is a name of `MODELS`, with its `settings`, or a `Subject` of your own. The regimes: "replace" gives a generation n rows of
    the one before and nothing else; "accumulate" all rows so far, the real ones too; "mix" n rows of which `share` are real and new;
    "keep" the first real rows and n rows of the one before. The same seed gives the same numbers. Models that are arrays run many
    replicates at once; of others `folder` keeps a line and the drawn data of each generation, and `resume` goes on from there.

    Raises `UnknownName` for a model or regime there is not, `RecipeError` for counts and settings out of range, `RunError` for
    a folder with another simulation, or that another process writes to.

    >>> found = simulate("gaussian", generations=20, n=10, replicates=500)
    >>> bool(found.mean("log_variance")[-1] < -2), bool(found.apart("log_variance") < 5)
    (True, True)
    """
    whole(generations=generations, n=n, replicates=FEW if replicates is None else replicates)
    whole(0, seed=seed)
    real_rows(n, share)
    plan = Plan(regime=known_regime(regime), generations=generations, n=n, share=share)
    subject = made(model, settings)
    expected = dict(subject.expected(plan))
    count = replicates if replicates is not None else (MANY if subject.many else FEW)
    if subject.many is not None:
        values = _at_once(subject, plan, count, seed, step)
    else:
        kept = None if folder is None else Kept(Path(folder), _asked(subject, plan, seed), resume=resume)
        try:
            values = _one_by_one(subject, plan, count, seed, kept, step)
        finally:
            if kept is not None:
                kept.close()
    return Recursion(
        model=subject.name, plan=plan, seed=seed, values=values, expected=expected, settings=subject.settings
    )


def made(model: str | Subject, settings: dict[str, Any]) -> Subject:
    """The subject that is meant. Raises `RecipeError` for settings it does not have."""
    if isinstance(model, Subject):
        if settings:
            raise RecipeError(f"settings {sorted(settings)} came with a subject of your own; put them into it")
        return model
    from inspect import signature

    factory = MODELS[model]
    known = list(signature(factory).parameters)
    for name in settings:
        if name not in known:
            raise RecipeError(f"{model} has no setting {name!r}; there are {', '.join(known) or 'none'}")
    found: Subject = factory(**settings)
    return found


def _asked(subject: Subject, plan: Plan, seed: int) -> dict[str, Any]:
    """What must stay the same where a folder is gone on with; generations and replicates may grow."""
    return {
        "model": subject.name,
        "regime": plan.regime,
        "n": plan.n,
        "share": plan.share if plan.regime == "mix" else None,
        "seed": seed,
        "settings": dict(subject.settings),
    }


def seed_of(*places: int) -> int:
    """A seed for one use of one generation, below 2^32."""
    return int(np.random.SeedSequence(places).generate_state(1)[0])


def _at_once(subject: Subject, plan: Plan, replicates: int, seed: int, step: Told) -> dict[str, Array]:
    """Measures (replicates, generations), `AT_ONCE` replicates in one array."""
    assert subject.many is not None
    parts: list[dict[str, Array]] = []
    for chunk, start in enumerate(range(0, replicates, AT_ONCE)):
        step(f"replicates from {start}")
        some = subject.many(min(AT_ONCE, replicates - start))
        rows = [measured for _, measured, _ in _generations(some, plan, seed, chunk, None)]
        parts.append({name: np.stack([np.asarray(row[name]) for row in rows], axis=1) for name in rows[0]})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _one_by_one(
    subject: Subject, plan: Plan, replicates: int, seed: int, kept: Kept | None, step: Told
) -> dict[str, Array]:
    found: dict[tuple[int, int], dict[str, float]] = {} if kept is None else kept.done
    for replicate in range(replicates):
        for generation, measured, seconds in _generations(subject, plan, seed, replicate, kept):
            numbers = {name: float(value) for name, value in measured.items()}
            if kept is None:
                found[replicate, generation] = numbers
            else:
                kept.say(replicate, generation, numbers, seconds)
            step(f"replicate {replicate + 1} of {replicates}, generation {generation} of {plan.generations}")
    names = found[0, 1]
    return {
        name: np.array(
            [[found[one, i][name] for i in range(1, plan.generations + 1)] for one in range(replicates)], np.float64
        )
        for name in names
    }


def _generations(
    subject: Subject, plan: Plan, seed: int, replicate: int, kept: Kept | None
) -> Iterator[tuple[int, Any, float]]:
    """Number, measures and seconds of each generation that is not there yet."""
    start = 1
    while kept is not None and (replicate, start) in kept.done and start <= plan.generations:
        start += 1
    if start > plan.generations:
        return
    pieces = [subject.real(plan.n, seed_of(seed, replicate, 1, REAL))]
    if kept is not None:
        pieces += _drawn(plan, start, replicate, kept)
    for generation in range(start, plan.generations + 1):
        began = time.perf_counter()
        model = subject.fit(_given(subject, plan, pieces), seed_of(seed, replicate, generation, FIT))
        measured = subject.measure(model, seed_of(seed, replicate, generation, MEASURE))
        if kept is None and generation == plan.generations:
            yield generation, measured, time.perf_counter() - began
            return
        piece = _next(subject, plan, model, seed, replicate, generation)
        if plan.regime in ("replace", "mix"):
            pieces = [piece]
        elif plan.regime == "keep":
            pieces = [pieces[0], piece]
        else:
            pieces.append(piece)
        if kept is not None:
            kept.put(replicate, generation + 1, piece)
        yield generation, measured, time.perf_counter() - began


def _drawn(plan: Plan, start: int, replicate: int, kept: Kept) -> list[Any]:
    """What an earlier start drew and this one needs, beside the real data."""
    first = 2 if plan.regime == "accumulate" else max(start, 2)
    return [kept.get(replicate, generation) for generation in range(first, start + 1)]


def _given(subject: Subject, plan: Plan, pieces: list[Any]) -> Any:
    """What a generation is fitted to."""
    used = pieces[-1:] if plan.regime in ("replace", "mix") else pieces
    return used[0] if len(used) == 1 else subject.join(used)


def _next(subject: Subject, plan: Plan, model: Any, seed: int, replicate: int, generation: int) -> Any:
    """The n rows that the next generation is given beside what is kept."""
    real = real_rows(plan.n, plan.share) if plan.regime == "mix" else 0
    parts = []
    if real:
        parts.append(subject.real(real, seed_of(seed, replicate, generation + 1, FRESH)))
    if real < plan.n:
        parts.append(model.sample(plan.n - real, seed_of(seed, replicate, generation + 1, SAMPLE)))
    return parts[0] if len(parts) == 1 else subject.join(parts)

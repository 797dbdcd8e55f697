"""Inputs one group after the other: what each brings, measured by the cheapest model that reads them all on the validation rows.

The craft adds one thing at a time: numbers, categories, dates, text, pictures, and the columns that the look at the data named. A group
without which a model is no worse is named; it is left out only where a net without it is better, beyond the choice of the rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.handing import width
from tunesmith.autopilot.judging import SURE
from tunesmith.autopilot.nets import Nets
from tunesmith.autopilot.simple.boosted import SETTINGS, Boosted
from tunesmith.autopilot.simple.linear import Linear
from tunesmith.autopilot.stages.baselines import loss_of
from tunesmith.autopilot.stages.search import compare
from tunesmith.data.spec import Array, Categories, Column, InputSpec, Numbers, Part, Prepared
from tunesmith.records.check import Inapplicable

SHARE, MOST = 0.04, 60.0  # of the seconds; assumption: some fifteen small fits
SMALL = 0.1  # of what all bring over the constant answer: a group that surely brings less is not missed; assumption
MOST_ROWS = 20_000  # that a fit learns from; as the linear model has it
STRENGTH = 1.0  # of the linear model; the middle of those that baselines try
KINDS = {  # of a column: its group
    "number": "numbers",
    "ordinal": "numbers",
    "boolean": "numbers",
    "category": "categories",
    "date": "dates",
    "text": "text",
    "picture": "pictures",
}
WHOLE = {"text": "tokens", "pictures": "pictures"}  # groups that are one input, however many columns they came from
NAMED = "columns that the look named"
Groups = Mapping[str, Sequence[str]]


def inputs(flight: Flight) -> None:
    """Measures the groups, forward from the most useful one and each left out of all, and writes down what they bring."""
    groups = groups_of(flight.prepared.columns, _suspects(flight))
    if len(groups) < 2:
        only = next(iter(groups), "the arrays as they came")
        flight.decide("inputs", "inputs are not measured", f"there is one group of them: {only}", taken=False)
        return
    found = flight.ledger.once("inputs/groups", lambda: _measured(flight, groups))
    if "left_out" in found:
        flight.decide("inputs", "inputs are not measured", str(found["left_out"]), taken=False)
        return
    _tell(flight, found)
    idle = [one for one in found["without"] if one["needed"] < SURE]
    dumb = flight.called("constant answer")
    whole = found["forward"][-1]["score"] if found["forward"] else 0.0
    reach = 0.0 if dumb is None else abs(whole - dumb.score)
    for one in idle:
        if one["high"] <= SMALL * reach:
            _name(flight, one, found)
    harmful = [one for one in idle if 1 - one["needed"] >= SURE and one["loss"] < 0]
    if harmful:
        _confirm(flight, min(harmful, key=lambda one: one["loss"]))


def groups_of(columns: Iterable[Column], suspects: Sequence[str]) -> dict[str, list[str]]:
    """The columns of each group, by the kind that they were taken for; those that the look named stand apart.

    >>> columns = [Column("age", "number"), Column("when", "date"), Column("paid", "number"), Column("y", "target")]
    >>> groups_of(columns, ["paid"])
    {'numbers': ['age'], 'dates': ['when'], 'columns that the look named': ['paid']}
    """
    found: dict[str, list[str]] = {}
    for name in (*dict.fromkeys(KINDS.values()), NAMED):
        members = [one.name for one in columns if one.kind in KINDS and _group(one, suspects) == name]
        if members:
            found[name] = members
    return found


def _group(column: Column, suspects: Sequence[str]) -> str:
    usual = KINDS[column.kind]
    return NAMED if column.name in suspects and usual not in WHOLE else usual


def _suspects(flight: Flight) -> list[str]:
    """Columns of findings above a note."""
    found = [one["subject"].get("columns", ()) for one in flight.found.get("look", ()) if one["severity"] != "note"]
    return [name for names in found if isinstance(names, list) for name in names]


def restricted(
    part: Part, spec: Mapping[str, InputSpec], columns: Iterable[str], chosen: Iterable[str], whole: Iterable[str] = ()
) -> tuple[Part, dict[str, InputSpec]]:
    """The rows with the features made of the `chosen` among all `columns`, and the inputs `whole`, by their key."""
    inputs: dict[str, Array] = {}
    described: dict[str, InputSpec] = {}
    every, wanted = list(columns), set(chosen)
    for key, one in spec.items():
        values = np.asarray(part.inputs[key])
        if isinstance(one, Numbers | Categories):
            kept = [place for place, name in enumerate(one.names) if column_of(name, every) in wanted]
            if not kept:
                continue
            names = tuple(one.names[place] for place in kept)
            inputs[key] = values[:, kept]
            described[key] = (
                Numbers(len(kept), names)
                if isinstance(one, Numbers)
                else Categories(tuple(one.sizes[place] for place in kept), names)
            )
        elif key in set(whole):
            inputs[key], described[key] = values, one
    return replace(part, inputs=inputs), described


def column_of(feature: str, columns: Iterable[str]) -> str:
    """The column that a feature was made of; "" where it is none of them.

    >>> [column_of(one, ["age", "age (years)", "when"]) for one in ("age [3]", "age (years) [0]", "when (sine of year)", "x")]
    ['age', 'age (years)', 'when', '']
    """
    made = [name for name in columns if feature == name or feature.startswith((f"{name} [", f"{name} ("))]
    return max(made, key=len, default="")


Fit = Callable[[Part, Part, Mapping[str, InputSpec]], Array]


def _reader(flight: Flight, over: Callable[[], bool]) -> tuple[str, Fit]:
    """The cheapest model that reads every group: trees where there are columns alone, else a linear model."""
    prepared, kind, loss = flight.prepared, flight.prepared.kind, loss_of(flight)
    columns = all(isinstance(one, Numbers | Categories) for one in prepared.spec.values())

    def boosted(part: Part, held: Part, spec: Mapping[str, InputSpec]) -> Array:
        made = Boosted.fitted(part, held, spec, kind, SETTINGS[0], loss, over, flight.seed, width(prepared))
        return made.predict(held, width(prepared))

    def linear(part: Part, held: Part, spec: Mapping[str, InputSpec]) -> Array:
        return Linear.fitted(part, spec, kind, STRENGTH, flight.seed).predict(held, width(prepared))

    if columns and kind != "multi_regression":
        return Boosted.name, boosted
    return Linear.name, linear


def _measured(flight: Flight, groups: Groups) -> dict[str, Any]:
    """Scores of groups of inputs, forward and each left out, as plain data."""
    from tunesmith.doctor.audits.threads import one_thread
    from tunesmith.records import Clock
    from tunesmith.training.judgement import baseline, in_units

    prepared = flight.prepared
    if not isinstance(prepared.train, Part):
        return {"left_out": "the data come from a loader of your own"}
    clock = Clock(flight.purse.seconds(SHARE, MOST) if flight.purse.timed else None)
    name, fit = _reader(flight, lambda: clock.spent_up)
    train, told = _fewer(prepared.train, flight.seed), dict[tuple[str, ...], Array]()

    def said(chosen: Iterable[str]) -> Array:
        """What the model says that sees these groups alone."""
        key = tuple(one for one in groups if one in set(chosen))
        if key not in told:
            columns = [one for names in groups.values() for one in names]
            wanted = [column for one in key for column in groups[one]]
            whole = [WHOLE[one] for one in key if one in WHOLE]
            part, spec = restricted(train, prepared.spec, columns, wanted, whole)
            held, _ = restricted(prepared.val, prepared.spec, columns, wanted, whole)
            with one_thread():
                told[key] = in_units(fit(part, held, spec), prepared)
        return told[key]

    try:
        forward = _forward(flight, groups, said, baseline(prepared, flight.scorer.target), lambda: clock.spent_up)
        without = [] if len(forward) < len(groups) else list(_without(flight, groups, said, lambda: clock.spent_up))
    except Inapplicable as reason:
        return {"left_out": f"no cheap model reads them all: {reason}"}
    return {"model": name, "forward": forward, "without": without, "fits": len(told), "took": round(clock.spent(), 1)}


def _fewer(part: Part, seed: int) -> Part:
    """Rows drawn by the seed, where there are many."""
    if len(part) <= MOST_ROWS:
        return part
    return part.take(np.sort(np.random.default_rng(seed).permutation(len(part))[:MOST_ROWS]))


def _forward(
    flight: Flight, groups: Groups, said: Callable[[Iterable[str]], Array], dumb: Array, over: Callable[[], bool]
) -> list[dict[str, Any]]:
    """Groups in the order in which each, added to those before, helps most."""
    chosen: list[str] = []
    found: list[dict[str, Any]] = []
    before = dumb
    while len(chosen) < len(groups) and not over():
        left = [one for one in groups if one not in chosen]
        scores = {one: flight.scorer.score(said([*chosen, one])) for one in left}
        best = max(left, key=lambda one: flight.scorer.height(scores[one]))
        chosen.append(best)
        now = said(chosen)
        gain = flight.scorer.gain(now, before, flight.seed).as_dict()
        found.append({"group": best, "columns": list(groups[best]), "score": scores[best], **gain})
        before = now
    return found


def _without(
    flight: Flight, groups: Groups, said: Callable[[Iterable[str]], Array], over: Callable[[], bool]
) -> Iterable[dict[str, Any]]:
    """What leaving a group out of all costs: `loss` in the unit of the metric, `needed` the chance that all are better."""
    whole = said(groups)
    for one in groups:
        if over():
            return
        less = said([other for other in groups if other != one])
        gain = flight.scorer.gain(whole, less, flight.seed)
        score = flight.scorer.score(less)
        yield {"group": one, "columns": list(groups[one]), "score": score, "loss": gain.value, "low": gain.low} | {
            "high": gain.high,
            "needed": gain.chance,
        }


def _tell(flight: Flight, found: Mapping[str, Any]) -> None:
    steps = [
        f"{one['group']} {one['score']:.4f} ({one['gain']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}])"
        for one in found["forward"]
    ]
    reached = "" if found["without"] else "; the time of this stage was over before all were measured"
    flight.decide(
        "inputs",
        "what each group of inputs brings",
        f"{flight.scorer.name} of the {found['model']} on the validation rows, the groups added one after the other: "
        + ", then ".join(steps)
        + reached,
        evidence={
            "model": found["model"],
            "fits": found["fits"],
            **{
                one["group"]: {name: one[name] for name in ("score", "gain", "low", "high")} for one in found["forward"]
            },
            **{f"all without {one['group']}": one["score"] for one in found["without"]},
        },
    )


def _name(flight: Flight, one: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """A group that is not missed where it is left out of all."""
    whole = found["forward"][-1]["score"]
    most = max(0.0, float(one["high"]))
    flight.decide(
        "inputs",
        f"{one['group']} are not missed",
        f"{flight.shown(one['score'])} without {', '.join(one['columns'])}, {whole:.4f} with all; all are better in {one['needed']:.0%} of "
        f"resamples, and they bring {most:.4f} at most (90 % interval): nothing is left out for that",
        evidence={
            "without": one["score"],
            "with all": whole,
            "loss": one["loss"],
            "low": one["low"],
            "high": one["high"],
        },
        instead={"way": f"all without {one['group']}", flight.scorer.name: one["score"]},
    )


def _confirm(flight: Flight, one: Mapping[str, Any]) -> None:
    """A net without a group that does harm; it is left out where that net is better, beyond the choice of the rows."""
    from tunesmith.data import prepare

    title = f"without {one['group']}"
    if flight.net is None or not flight.pays("inputs/net", flight.epochs, keep=0.3):
        why = f"the cheap model is better without them, and no net could be paid that confirms it: {', '.join(one['columns'])}"
        flight.decide("inputs", f"{one['group']} stay", why, taken=False)
        return
    task = replace(flight.task, drop=(*flight.task.drop, *one["columns"]))
    prepared = prepare(task, flight.recipe)
    if not _same_rows(prepared, flight.prepared):
        flight.decide("inputs", f"{one['group']} stay", "without them the rows are divided otherwise", taken=False)
        return
    task_before, nets_before = flight.task, flight.nets
    earlier = {one.place: nets_before for one in flight.candidates if one.kind == "net"}
    about: dict[str, Any] = {"first": flight.prepared, "others": earlier}
    flight.task, flight.nets = (
        task,
        Nets(task, prepared, flight.ledger, flight.hands.subject, flight.nets.seed, **about),
    )
    made, found = flight.net_of("inputs/net", f"net {title}", flight.recipe)
    if made is not None and compare(flight, "inputs", made, flight.recipe, title, found, demanding=True):
        return
    if made is None:
        why = f"the net without them broke: {found.get('failed', '')}"
        flight.decide("inputs", f"{one['group']} stay", why, taken=False)
    others = {} if made is None else {made.place: flight.nets}
    flight.task, flight.nets = task_before, replace(nets_before, others=others)


def _same_rows(one: Prepared, other: Prepared) -> bool:
    parts = ((one.train, other.train), (one.val, other.val), (one.test, other.test))
    return all(
        (mine is None and theirs is None)
        or (isinstance(mine, Part) and isinstance(theirs, Part) and np.array_equal(mine.rows, theirs.rows))
        for mine, theirs in parts
    )

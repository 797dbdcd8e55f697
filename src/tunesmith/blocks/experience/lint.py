"""Numbers of a recipe held against the rules of thumb. A number proves nothing: what comes out is a note, never an error."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from tunesmith.blocks.experience.context import kind_of, optimizer_of
from tunesmith.blocks.experience.experience import current
from tunesmith.blocks.experience.rule import Severity
from tunesmith.records import Recipe


@dataclass(frozen=True, slots=True)
class Note:
    """A value that lies outside what sound runs use. It is evidence only beside a measurement."""

    id: str
    severity: Severity
    path: str
    value: Any
    bound: Any
    text: str
    source: str

    def __str__(self) -> str:
        shown = f"{self.value:g}" if isinstance(self.value, float) else f"{self.value}"
        return f"{self.path} = {shown}: {self.text} (tunesmith explain experience.{self.id})"


def lint(recipe: Recipe | Mapping[str, Any], **context: Any) -> list[Note]:
    """What a person who knows the rules of thumb would remark on the values of a recipe; nothing on sound ones.

    `recipe` may be plain values by path (`{"optim.lr": 50}`), with quantities that no recipe field holds among them, such
    as "updates.total". `context` holds what is known besides (see `prior`); what the values say of optimizer, model, norm
    and batch is taken from them. What is not known is not judged. Raises `UnknownName` for an unknown key of the context.

    >>> [(note.id, note.severity) for note in lint({"optim.name": "sgd", "optim.lr": 50.0, "optim.weight_decay": 0.2})]
    [('lr.sgd', 'note'), ('reg.l2', 'warning')]
    """
    values = _values(recipe)
    known = {**_known(values), **{key: value for key, value in context.items() if value is not None}}
    _add_updates(values, known)
    judged = {**values, "schedule.warmup": _warmup_share(values, known)}
    return [*_against(judged, known, values), *_milestones(values, known)]


def lint_schedule(
    marks: Sequence[float], warmup: float, total: float, *, spans: Mapping[str, float] | None = None
) -> list[Note]:
    """What is wrong with the marks of a schedule: beyond the end of the run, out of order, twice, in mixed units.

    `marks`, `warmup`, `total` and `spans` (lengths by name, such as {"T_max": 100}) count the same unit: updates, or
    epochs. Marks between 0 and 1 are shares of the run.

    >>> [note.id for note in lint_schedule([30, 80], 0, 20)]
    ['sched.marks', 'sched.marks']
    >>> lint_schedule([10, 15], 1, 20)
    []
    """
    if not total > 0:
        return []
    shares = [mark if 0 < mark < 1 else mark / total for mark in marks]
    notes = [
        note
        for mark, share in zip(marks, shares, strict=True)
        for note in _against({"marks.share": share}, {}, {"marks.share": mark})
    ]
    for word in _disorder(marks, shares):
        notes += _against({"marks.order": word}, {}, {"marks.order": list(marks)})
    for name, span in (spans or {}).items():
        notes += _against({"marks.span": span / total}, {}, {"marks.span": f"{name} {span:g} of {total:g}"})
    share = warmup / total
    notes += _against({"marks.warmup": share}, {}, {"marks.warmup": warmup})
    notes += _against({"schedule.warmup": share}, {}, {"schedule.warmup": warmup}) if share < 1 else []
    if shares and warmup:
        ratio = share / min(shares) if min(shares) > 0 else math.inf
        notes += _against({"marks.warmup_to_first": ratio}, {}, {"marks.warmup_to_first": warmup})
    return notes


def _disorder(marks: Sequence[float], shares: Sequence[float]) -> Iterator[str]:
    """The words for what is wrong with the order of marks."""
    if any(0 < mark < 1 for mark in marks) and any(mark >= 1 for mark in marks):
        yield "mixed"
    if list(shares) != sorted(shares):
        yield "unsorted"
    if len(set(shares)) < len(shares):
        yield "repeated"


def _against(values: Mapping[str, Any], known: Mapping[str, Any], shown: Mapping[str, Any]) -> list[Note]:
    rules = current()
    return [
        Note(rule.id, bound.severity, path, shown.get(path, value), limit, bound.says, rule.source)
        for path, value in values.items()
        for rule, bound in rules.bounds(path, **known)
        if (limit := bound.broken(value)) is not None
    ]


def _values(recipe: Recipe | Mapping[str, Any]) -> dict[str, Any]:
    """Every value that is set, by path; those of tables (`schedule.extra`) by a path of their own."""
    flat = recipe.flat() if isinstance(recipe, Recipe) else dict(recipe)
    inner = {
        f"{path}.{name}": value
        for path, table in flat.items()
        if isinstance(table, Mapping)
        for name, value in table.items()
    }
    return {path: value for path, value in (flat | inner).items() if value is not None and value != "auto"}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the values say about the training."""
    known: dict[str, Any] = {}
    name = values.get("optim.name")
    if isinstance(name, str):
        known["optimizer"] = optimizer_of(name, {"base": values.get("optim.extra.base", "sgd")})
    if isinstance(values.get("model.name"), str):
        known["model"] = kind_of(values["model.name"])
    if isinstance(values.get("model.norm"), str):
        known["batch_norm"] = values["model.norm"] == "batch"
        known["dropout_before_norm"] = known["batch_norm"] and known.get("model") in ("mlp", "bag") and _deep(values)
    for key, path in (("batch", "train.batch_size"), ("momentum", "optim.momentum"), ("epochs", "train.epochs")):
        if _is_number(values.get(path)):
            known[key] = values[path]
    return known


def _deep(values: Mapping[str, Any]) -> bool:
    """Whether a hidden layer's dropout is followed by another norm."""
    depth = values.get("model.depth")
    return bool(values.get("model.residual")) or (_is_number(depth) and depth > 1)


def _add_updates(values: dict[str, Any], known: dict[str, Any]) -> None:
    """Updates of an epoch and of the run, where rows and batch are known."""
    rows, batch = known.get("rows"), known.get("batch")
    if rows and batch:
        per_epoch = math.ceil(math.ceil(rows / batch) / values.get("train.accumulate", 1))
        known.setdefault("updates_per_epoch", per_epoch)
    if _is_number(values.get("train.steps")):
        known.setdefault("updates", values["train.steps"])
    elif "updates_per_epoch" in known and "epochs" in known:
        known.setdefault("updates", known["updates_per_epoch"] * known["epochs"])
    if "updates" in known:
        values.setdefault("updates.total", known["updates"])


def _warmup_share(values: Mapping[str, Any], known: Mapping[str, Any]) -> float | None:
    """The warm-up as a share of the run, None where the length of the run is not known."""
    warmup, total = values.get("schedule.warmup"), known.get("updates")
    if isinstance(warmup, str):
        number, unit = _split(warmup)
        of = {
            "dur": 1.0,
            "ep": known.get("epochs"),
            "samples": known["rows"] * known["epochs"] if {"rows", "epochs"} <= set(known) else None,
        }.get(unit, total)
        return number / of if of else None
    return warmup / total if total and _is_number(warmup) else None


def _split(amount: str) -> tuple[float, str]:
    """`0.05dur` as (0.05, "dur")."""
    number = amount.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(number), amount[len(number) :]


def _milestones(values: Mapping[str, Any], known: Mapping[str, Any]) -> list[Note]:
    """The marks of the recipe's own schedule, where the length of the run in updates is known."""
    total, marks = known.get("updates"), values.get("schedule.extra.milestones", ())
    if not total or not isinstance(marks, Iterable):
        return []
    numbers = [mark for mark in marks if _is_number(mark)]
    every = values.get("schedule.extra.every")
    spans = {"every": float(every)} if _is_number(every) and every >= 1 else {}
    warmup = (_warmup_share(values, known) or 0.0) * total
    notes = lint_schedule(numbers, warmup, total, spans=spans)
    return [note for note in notes if note.path != "schedule.warmup"]  # that one is judged beside the other fields


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

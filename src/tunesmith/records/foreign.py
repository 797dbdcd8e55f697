"""Takes settings under any name, ours or another trainer's, to recipe fields: one line of notice for each foreign name.

What a foreign name means may depend on others beside it (a total batch, a strategy and its steps): those are the rules below.
Nothing is dropped in silence: what has no counterpart is told, and what would change the result but is not available is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.records.errors import RecipeError, UnknownName, did_you_mean
from tunesmith.records.fields import field, owners, unknown_path
from tunesmith.records.foreign_names import (
    OFF,
    Foreign,
    NotTaken,
    Several,
    by_name,
    foreign,
    optimizer,
    positive_or_none,
    share_of_run,
    warmup_steps,
    whole,
)
from tunesmith.records.foreign_names import updates as updates_value
from tunesmith.records.plain import plain, toml_value
from tunesmith.records.sections import PATHS, SECTIONS, LoraTable

OPEN = "left open there, so the recipe's own value stands"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as it came: its name, its value, and where it stands ("recipe.toml:3")."""

    name: str
    value: Any
    where: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.name} = {shown(self.value)}{place}"


def shown(value: Any) -> str:
    """A value for a message; what TOML cannot hold as Python shows it."""
    try:
        return toml_value(value)
    except TypeError:
        return repr(value)


class Taking:
    """The settings on their way into a recipe. `lenient`: unknown names are told, not refused (another trainer's file)."""

    def __init__(self, held: Mapping[str, Any], *, lenient: bool = False) -> None:
        self.held = held  # the values of the recipe that is changed
        self.lenient = lenient
        self.changes: dict[str, Any] = {}
        self.entries: dict[str, Entry] = {}  # by the path they set
        self.notices: list[str] = []
        self._aside: dict[str, list[str]] = {}  # by reason
        self._waiting: dict[str, list[Entry]] = {}  # for a rule, by the first name of the row

    def take(self, entries: Iterable[Entry]) -> None:
        """Takes every entry, then applies the rules to what waits for one."""
        for entry in entries:
            self._take(replace(entry, value=plain(entry.value)))
        for rule in RULES:
            rule(self)
        for reason, names in self._aside.items():
            self.notices.append(f"not taken over: {', '.join(names)} ({reason})")

    def _take(self, entry: Entry) -> None:
        if entry.name in SECTIONS and not isinstance(entry.value, str):
            raise RecipeError(f"{entry}: {unknown_path(entry.name)}")
        path, row = self._find(entry)
        if path is not None:
            self.give(path, entry.value, entry, "" if path == entry.name else f"{entry.name} is called {path} here")
        elif row is not None and row.treatment == "rule":
            self._waiting.setdefault(row.names[0], []).append(entry)
        elif row is not None:
            self._take_foreign(row, entry)

    def _find(self, entry: Entry) -> tuple[str | None, Foreign | None]:
        """The recipe path an entry names, or the row of the table; neither when the name is told as unknown."""
        name = entry.name
        if own(name):
            return name, None
        section, _, leaf = name.partition(".")
        inside = section in SECTIONS and bool(leaf)
        candidates = owners(name)
        if len(candidates) > 1 and not self.lenient:
            raise UnknownName(f"{entry} may be {' or '.join(candidates)}: write one of them in full")
        row = foreign(name) or (foreign(leaf) if inside and not owners(leaf) else None)
        if row is None and len(candidates) == 1 and not self.lenient:
            return candidates[0], None
        return (None, row) if row is not None else self._unknown(entry)

    def _unknown(self, entry: Entry) -> tuple[None, None]:
        if not self.lenient:
            place = f" ({entry.where})" if entry.where else ""
            raise UnknownName(f"{unknown_path(entry.name, by_name())}{place}")
        leaf = entry.name.rpartition(".")[2]
        guess = did_you_mean(leaf, [name for name in by_name() if "." not in name])
        self.notices.append(
            f"{entry.name} is not known here and not taken over{guess if 'did you mean' in guess else ''}"
        )
        return None, None

    def _take_foreign(self, row: Foreign, entry: Entry) -> None:
        if row.treatment == "missing":
            if entry.value not in OFF:
                raise RecipeError(f"{entry} asks for {row.why}; leave it out")
            self.aside(entry, "off there, as here")
        elif row.treatment == "ignored":
            self.aside(entry, row.why)
        elif entry.value is None or entry.value == "auto":
            self.aside(entry, OPEN)
        else:
            self._convert(row, entry)

    def _convert(self, row: Foreign, entry: Entry) -> None:
        try:
            value = row.convert(entry.value)
        except NotTaken as reason:
            self.aside(entry, str(reason))
            return
        if value == Several():
            self.aside(entry, "empty there")
        for path, one in value.items() if isinstance(value, Several) else [(row.ours, value)]:
            self.rename(path, one, entry)

    def rename(self, path: str, value: Any, entry: Entry) -> None:
        """Sets `path`, with the line of notice that the name has."""
        same = type(value) is type(entry.value) and value == entry.value
        said = (
            f"{entry.name} is called {path} here"
            if same
            else f"{entry.name} = {shown(entry.value)} is {path} = {shown(value)} here"
        )
        self.give(path, value, entry, said)

    def give(self, path: str, value: Any, entry: Entry, notice: str = "") -> None:
        """Sets `path` once; a second entry must agree."""
        if path in self.changes and self.changes[path] != value:
            raise RecipeError(f"{path} is given twice: {self.entries[path]} and {entry}; keep one")
        self.changes[path], self.entries[path] = value, entry
        if notice:
            self.notices.append(notice)

    def aside(self, entry: Entry, reason: str) -> None:
        """Tells that an entry is not taken over."""
        self._aside.setdefault(reason, []).append(f"{entry.name} = {shown(entry.value)}")

    def pop_all(self, name: str) -> list[Entry]:
        """The entries that wait under the first name of their row; what was left open there is told and left out."""
        given = []
        for entry in self._waiting.pop(name, []):
            if entry.value is None or entry.value == "auto":
                self.aside(entry, OPEN)
            else:
                given.append(entry)
        return given

    def pop(self, name: str) -> Entry | None:
        """As `pop_all`, where one value is meant."""
        given = self.pop_all(name)
        for other in given[1:]:
            if other.value != given[0].value:
                raise RecipeError(f"{given[0]} and {other} say different things; keep one")
        return given[0] if given else None


def own(path: str) -> bool:
    """Whether a path is a recipe field, or a value inside a field that holds a table (`optim.extra.nesterov`)."""
    parts = path.split(".")
    return path in PATHS or (
        len(parts) > 2 and all(parts) and ".".join(parts[:2]) in PATHS and field(".".join(parts[:2])).takes("object")
    )


def total_batch(taking: Taking) -> None:
    """train_batch_size = per-device x accumulation x ranks (DeepSpeed); one rank here."""
    total = taking.pop("train_batch_size")
    if total is None:
        return
    value = whole(total.value)
    batch, accumulate = taking.changes.get("train.batch_size"), taking.changes.get("train.accumulate")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"{total}: expected a whole number >= 1, the rows of one update")
    if batch is None:
        accumulate = accumulate or taking.held.get("train.accumulate", 1)
        batch = value // accumulate
    elif accumulate is None:
        accumulate = value // batch
    if batch * accumulate != value:
        raise RecipeError(
            f"{total} is the batch of one update, per-device x accumulation x ranks, but {batch} x {accumulate} x 1 = {batch * accumulate}"
        )
    said = f"{total.name} = {value} is train.batch_size {batch} x train.accumulate {accumulate} x 1 rank here"
    for path, one in (("train.batch_size", batch), ("train.accumulate", accumulate)):
        if path not in taking.changes:
            taking.give(path, one, total)
    taking.notices.append(said)


def warm_up(taking: Taking) -> None:
    """In Transformers a number of warm-up steps wins over a ratio."""
    steps, ratio = taking.pop("warmup_steps"), taking.pop("warmup_ratio")
    if steps is not None and (ratio is None or steps.value):
        if ratio is not None and ratio.value:
            taking.aside(ratio, f"{steps.name} wins over it")
        elif ratio is not None:
            taking.aside(ratio, "off there, as here")
        taking.rename("schedule.warmup", warmup_steps(steps.value), steps)
    elif ratio is not None:
        if steps is not None:
            taking.aside(steps, f"{ratio.name} is given")
        taking.rename("schedule.warmup", share_of_run(ratio.value), ratio)


def half_precision(taking: Taking) -> None:
    """Two switches there, one field here."""
    switches = {"bf16": taking.pop("bf16"), "fp16": taking.pop("fp16")}
    given = {name: entry for name, entry in switches.items() if entry is not None}
    on = {name: entry for name, entry in given.items() if entry.value not in OFF}
    if len(on) > 1:
        raise RecipeError(f"{on['bf16']} and {on['fp16']} exclude each other; keep one")
    for name, entry in (on or given).items():
        taking.rename("train.precision", name if on else "fp32", entry)
    for entry in given.values():
        if on and entry not in on.values():
            taking.aside(entry, "off there, as here")


def clipping(taking: Taking) -> None:
    """Lightning clips by norm or by value."""
    value, algorithm = taking.pop("gradient_clip_val"), taking.pop("gradient_clip_algorithm")
    by_value = algorithm is not None and algorithm.value == "value"
    if value is not None:
        taking.rename("optim.clip_value" if by_value else "optim.clip_norm", positive_or_none(value.value), value)
    if algorithm is not None:
        taking.notices.append(f"{algorithm} chooses between optim.clip_norm and optim.clip_value here")


def deepspeed_optimizer(taking: Taking) -> None:
    """DeepSpeed's Adam decays its weights apart from the gradient (adam_w_mode) unless told otherwise."""
    kind, decoupled = taking.pop("optimizer.type"), taking.pop("optimizer.params.adam_w_mode")
    if decoupled is not None:
        taking.notices.append(f'{decoupled} chooses between optim.name = "adamw" and "adam" here')
    if kind is None:
        return
    plain = str(kind.value).lower() == "adam"
    taking.rename(
        "optim.name", "adamw" if plain and (decoupled is None or decoupled.value) else optimizer(kind.value), kind
    )


def strategies(taking: Taking) -> None:
    """Steps count only under the strategy "steps"; an epoch is our own unit where none is given."""
    for name, path, per_epoch in (
        ("eval", "eval.every", True),
        ("save", "run.save_every", True),
        ("logging", "run.log_every", False),
    ):
        strategy, steps = taking.pop(f"{name}_strategy"), taking.pop(f"{name}_steps")
        chosen = "steps" if strategy is None else getattr(strategy.value, "value", strategy.value)
        if strategy is not None and chosen == "epoch" and per_epoch:
            taking.rename(path, None, strategy)
        elif strategy is not None:
            taking.aside(strategy, f"{path} says how often")
        if steps is None:
            continue
        if chosen != "steps":
            taking.aside(steps, f"without effect under {name}_strategy = {shown(chosen)}")
            continue
        try:
            taking.rename(path, updates_value(steps.value), steps)
        except NotTaken as reason:
            taking.aside(steps, str(reason))


def one_device(taking: Taking) -> None:
    """One device is what a run has; more than one is refused."""
    single = {"devices": (1, "1", [0]), "strategy": ("single_device", "SingleDeviceStrategy")}
    for name, ones in single.items():
        for entry in taking.pop_all(name):
            if entry.value not in ones:
                raise RecipeError(f"{entry} asks for {by_name()['fsdp'].why}; leave it out")
            taking.aside(entry, "one device, as here")


LORA = {
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "lora_target": "targets",
    "lora_target_modules": "targets",
    "target_modules": "targets",
}  # their names of what an adapter is like, without wrappers: ours


def adapters(taking: Taking) -> None:
    """LoRA is asked for by its rank, or by a switch; its details mean nothing where it is not."""
    switches, ranks, details = (taking.pop_all(name) for name in ("use_lora", "lora_rank", "lora_alpha"))
    for entry in switches:
        if entry.value not in (*OFF, "full", True) and str(entry.value).rpartition(".")[2].lower() != "lora":
            raise RecipeError(
                f"{entry} asks for another way than LoRA, which is the only adapter here; set model.lora.rank, or leave it out"
            )
        taking.aside(entry, "model.lora says so by its rank")
    asked = any(str(entry.value).rpartition(".")[2].lower() in ("lora", "true") for entry in switches)
    for entry in ranks:
        if entry.value in OFF:
            taking.aside(entry, "off there, as here")
        else:
            taking.rename("model.lora.rank", whole(entry.value), entry)
            asked = True
    for entry in details:
        leaf = entry.name.replace("-", "_").rpartition(".")[2]
        if not asked:
            taking.aside(entry, "no LoRA is asked for")
        elif leaf == "lora_target" and entry.value == "all":
            taking.rename("model.lora.targets", "all", entry)
        else:
            taking.rename(f"model.lora.{LORA[leaf]}", _adapted(LORA[leaf], entry.value), entry)
    if asked and not any(path.startswith("model.lora.") for path in taking.changes):
        for entry in switches[:1]:
            taking.give("model.lora.rank", LoraTable.model_fields["rank"].default, entry)


def _adapted(name: str, value: Any) -> Any:
    """A detail as we write it: numbers with a point, names in a list; PEFT's word for all linear layers."""
    if name == "targets":
        if value == "all-linear":
            return "all"
        return value.split(",") if isinstance(value, str) else list(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


RULES: tuple[Callable[[Taking], None], ...] = (
    half_precision, clipping, deepspeed_optimizer, warm_up, strategies, one_device, adapters, total_batch,
)  # fmt: skip


def entries_of(
    nested: Mapping[str, Any], lines: Mapping[tuple[str, ...], int] | None = None, name: str = ""
) -> list[Entry]:
    """Nested settings as entries with dotted names; a field that holds a table stays whole."""
    found: list[Entry] = []

    def walk(table: Mapping[str, Any], above: tuple[str, ...]) -> None:
        for key, value in table.items():
            keys = (*above, str(key))
            path = ".".join(keys)
            whole_table = own(path) or ((row := by_name().get(path)) is not None and row.table)
            if isinstance(value, Mapping) and not whole_table and (value or path in SECTIONS):
                walk(value, keys)
            else:
                found.append(Entry(path, value, _place(keys, lines, name)))

    walk(nested, ())
    return found


def _place(keys: tuple[str, ...], lines: Mapping[tuple[str, ...], int] | None, name: str) -> str:
    """The file and the line of a key, or else of the first key in it, or of the nearest table above it."""
    for depth in range(len(keys), 0, -1):
        inside = [line for key, line in (lines or {}).items() if key[:depth] == keys[:depth]]
        if inside:
            return f"{name}:{inside[0]}"
    return name


def import_foreign(configuration: Mapping[str, Any], name: str = "") -> tuple[dict[str, Any], tuple[str, ...]]:
    """Another trainer's configuration as changes of a recipe, with a line of notice for everything in it.

    >>> changes, notices = import_foreign({"per_device_train_batch_size": 8, "warmup_ratio": 0.1})
    >>> changes
    {'train.batch_size': 8, 'schedule.warmup': '0.1dur'}
    >>> notices[0]
    'per_device_train_batch_size is called train.batch_size here'
    """
    taking = Taking({}, lenient=True)
    taking.take(entries_of(configuration, name=name))
    return taking.changes, tuple(taking.notices)

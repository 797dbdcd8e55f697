"""From "auto" to values: what a run needs, derived from the data and the model, each with the reason it was chosen."""

import math
from collections.abc import Mapping
from typing import Any

from tunesmith.blocks import experience
from tunesmith.blocks.metrics import BY_KIND, METRICS
from tunesmith.blocks.optim import OPTIMIZERS, adapted
from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.records import DeviceError, Recipe, RecipeError, Source, did_you_mean, revise
from tunesmith.records.sections import PATHS
from tunesmith.training.augment import AUGMENTATIONS

ENDS_AT_FLOOR = (
    "cosine",
    "cosine_hold",
    "linear",
    "linear_cosine",
    "noisy_linear_cosine",
    "one_cycle",
    "polynomial",
    "timm_cosine",
    "wsd",
    "wsd_minicpm",
)  # schedules whose gain comes with their last updates


ALWAYS = (  # what every run has settled
    "optim.name",
    "optim.lr",
    "optim.weight_decay",
    "schedule.name",
    "train.batch_size",
    "train.epochs",
    "train.patience",
    "train.device",
    "eval.metric",
    "eval.batch_size",
)
UNMEASURED_RATE = 1e-3  # assumption: of optimizers that no rule of thumb names
EPOCHS = 20  # assumption


def resolve(
    recipe: Recipe,
    *,
    kind: str,
    rows: int,
    defaults: Mapping[str, Any],
    origin: str,
    has_val: bool,
    about: Mapping[str, Any] | None = None,
    world: int = 1,
) -> Recipe:
    """The recipe with every "auto" of model, optim, schedule, train and eval replaced.

    `defaults` are those of a built-in model, `origin` names them; what they leave open is taken from the rules of thumb, for
    a network of which `about` tells kind and norms (see `experience.KEYS`). A user's own rules win over the defaults.
    Raises `RecipeError` for values that fit no member or each other, `DeviceError` for a device that is not there.
    """
    recipe = adapted(recipe)
    chosen = Choices(recipe)
    optimizer = _optimizer(recipe, defaults, about or {})
    known = _known(recipe, rows, defaults, about or {}, optimizer)
    _users_own(chosen, known, defaults)
    for path, value in _fitting(defaults, optimizer).items():
        if chosen.is_free(path):
            chosen.put(path, value, origin)
    _optim(chosen, known, optimizer)
    _train(chosen, known, has_val)
    chosen.settle("train.device", device_name(recipe.train.device), "the first accelerator, else the processor")
    chosen.settle("run.world_size", world, "the ranks that were started")
    chosen.settle("eval.metric", BY_KIND[kind], f"usual for a {kind} task")
    batch = chosen.get("train.batch_size")
    if kind == "language":
        chosen.settle("eval.batch_size", batch, "the training batch, for the scores of every token are many")
        if chosen.is_open("data.sampler") and not recipe.data.pack:
            chosen.put("data.sampler", "length", "texts of like length need less padding")
    chosen.settle("eval.batch_size", max(int(batch), 512), "max(training batch, 512)")
    if isinstance(batch, int) and batch > rows > 0 and recipe.data.sampler in ("shuffle", "sequential", "length"):
        chosen.put("train.batch_size", rows, f"{batch} is more than the {rows} training rows")
    resolved = revise(recipe, chosen.values, chosen.sources)
    _check_names(resolved)
    return resolved


class Choices:
    """Values chosen for a recipe, each once, with the reason."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.untouched = recipe, Recipe()
        self.values: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}
        self.complete = all(recipe.get(path) != "auto" for path in ALWAYS)

    def get(self, path: str) -> Any:
        """The value chosen, or that of the recipe."""
        return self.values.get(path, self.recipe.get(path))

    def is_free(self, path: str) -> bool:
        """Whether nobody has said anything about a field: it is "auto", or a default that was not touched."""
        value = self.recipe.get(path)
        if path in self.values:
            return False
        return value == "auto" or (self.recipe.source(path).kind == "default" and value == self.untouched.get(path))

    def is_open(self, path: str) -> bool:
        """Whether a rule of thumb may set a field: it is free, and the recipe is not that of a run that goes on."""
        return self.is_free(path) and (self.recipe.get(path) == "auto" or not self.complete)

    def put(self, path: str, value: Any, because: str) -> None:
        """Chooses, also in the place of another choice."""
        self.values[path], self.sources[path] = value, Source("derived", because)

    def settle(self, path: str, value: Any, because: str) -> None:
        """Chooses what is still "auto"."""
        if path not in self.values and self.recipe.get(path) == "auto":
            self.put(path, value, because)

    def by_rule(self, path: str, known: Mapping[str, Any]) -> bool:
        """Settles a field by the rule of thumb that fits; whether there is one."""
        found = experience.find(path, **known)
        if found is not None:
            self.settle(path, _fitted(path, found.start), found.because)
        return found is not None


def _optimizer(recipe: Recipe, defaults: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """The name of the optimizer of the run: the recipe's, the user's own rule's, the model's default, the rule of thumb's."""
    if recipe.optim.name != "auto":
        return recipe.optim.name
    rule = experience.prior("optim.name", **about)
    return str(rule.start if rule.origin else defaults.get("optim.name", rule.start))


def _known(
    recipe: Recipe, rows: int, defaults: Mapping[str, Any], about: Mapping[str, Any], optimizer: str
) -> dict[str, Any]:
    """What the rules of thumb may go by."""
    norm = defaults.get("model.norm") if recipe.model.norm == "auto" else recipe.model.norm
    known: dict[str, Any] = {"model": "own", "rows": rows, "batch_norm": norm == "batch" if defaults else None}
    known["optimizer"] = experience.optimizer_of(optimizer, recipe.optim.extra)
    known["momentum"] = recipe.optim.momentum
    return known | dict(about)


def _fitting(defaults: Mapping[str, Any], optimizer: str) -> dict[str, Any]:
    """The defaults without the rate and decay that were found with an optimizer of another kind."""
    measured_with = defaults.get("optim.name", optimizer)
    if optimizer == measured_with:
        return dict(defaults)
    return {path: value for path, value in defaults.items() if path not in ("optim.lr", "optim.weight_decay")}


def _users_own(chosen: Choices, known: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """What the user's own file of experience says, where the recipe says nothing."""
    for path in experience.current().paths():
        if path not in PATHS or path == "train.patience" or (path.startswith("model.") and path not in defaults):
            continue
        found = experience.find(path, **known)
        if found is not None and found.origin and chosen.is_open(path):
            chosen.put(path, _fitted(path, found.start), found.because)


def _optim(chosen: Choices, known: Mapping[str, Any], optimizer: str) -> None:
    """Optimizer, rate, decay, schedule; a bound on the gradient and a warm-up for the kinds of network that need them."""
    chosen.by_rule("optim.name", known)
    if not chosen.by_rule("optim.lr", known):
        chosen.settle("optim.lr", UNMEASURED_RATE, f"no rule of thumb for {optimizer}")
    if not chosen.by_rule("optim.weight_decay", known):
        chosen.settle("optim.weight_decay", 0.0, f"no rule of thumb for {optimizer}")
    open_schedule = chosen.recipe.schedule.name == "auto"
    chosen.by_rule("schedule.name", known)
    clips = chosen.recipe.optim.clip_value, chosen.recipe.optim.clip_percentile, chosen.recipe.optim.clip_adaptive
    wanted = [("optim.clip_norm", all(clip is None for clip in clips)), ("schedule.warmup", open_schedule)]
    for path, asked in wanted:
        found = experience.find(path, **known)
        if asked and found is not None and found.start and chosen.is_open(path):
            chosen.put(path, _fitted(path, found.start), found.because)


def _train(chosen: Choices, known: Mapping[str, Any], has_val: bool) -> None:
    """Batch, epochs, patience."""
    chosen.by_rule("train.batch_size", known)
    if not chosen.by_rule("train.epochs", known):
        chosen.settle("train.epochs", EPOCHS, "first choice")
    schedule = chosen.get("schedule.name")
    if schedule in ENDS_AT_FLOOR or not has_val:
        ends = "must run to its end" if schedule in ENDS_AT_FLOOR else "has no end of its own"
        chosen.settle("train.patience", None, f"the {schedule} schedule {ends}")
        return
    rule = experience.prior("train.patience", **known)
    share = experience.number(rule.id, "share")
    most = math.ceil(share * _evaluations(chosen, known["rows"]))
    chosen.settle("train.patience", max(int(rule.start), most), rule.because)


def _evaluations(chosen: Choices, rows: int) -> float:
    """About how many evaluations the run will have."""
    train, every = chosen.recipe.train, chosen.recipe.eval.every
    per_epoch = max(1, math.ceil(rows / (int(chosen.get("train.batch_size")) * train.accumulate)))
    updates = train.steps if train.steps is not None else int(chosen.get("train.epochs")) * per_epoch
    return updates / (every or per_epoch)


def _fitted(path: str, start: Any) -> Any:
    """A start as the recipe writes it: a share of the run has a unit."""
    return f"{start:g}dur" if path == "schedule.warmup" else start


def _check_names(recipe: Recipe) -> None:
    for path, known in (("optim.name", OPTIMIZERS), ("schedule.name", SCHEDULES)):
        if recipe.get(path) not in known:
            raise RecipeError(
                f"{path} = {recipe.get(path)!r} ({recipe.source(path)}): there is none of that name{did_you_mean(recipe.get(path), known)}"
            )
    for name in map(str.strip, recipe.data.augment.split("+")):
        if name != "auto" and name not in AUGMENTATIONS:
            raise RecipeError(
                f"data.augment = {recipe.data.augment!r} ({recipe.source('data.augment')}): there is no "
                f"{name!r}{did_you_mean(name, [*AUGMENTATIONS, 'auto'])}"
            )
    metric = recipe.eval.metric
    if metric != "loss" and not metric.startswith("f1:") and metric not in METRICS:
        raise RecipeError(
            f"eval.metric = {metric!r} ({recipe.source('eval.metric')}): there is none of that name{did_you_mean(metric, [*METRICS, 'loss'])}"
        )


def device_name(asked: str) -> str:
    """The device to train on. Raises `DeviceError` where the one asked for is not there."""
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = [
        "cpu",
        *(f"cuda:{number}" for number in range(torch.cuda.device_count())),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    known = [*there, "cuda"] if torch.cuda.is_available() else there
    if asked not in known:
        raise DeviceError(
            f"train.device = {asked!r}, but this machine has {', '.join(there)}; choose one of these, or 'auto'"
        )
    return asked


def horizon(recipe: Recipe, updates_per_epoch: int) -> tuple[int, int]:
    """Updates and epochs of the whole run: train.steps where it is set, else epochs × updates an epoch."""
    if recipe.train.steps is not None:
        return recipe.train.steps, math.ceil(recipe.train.steps / updates_per_epoch)
    epochs = int(recipe.train.epochs)
    return epochs * updates_per_epoch, epochs

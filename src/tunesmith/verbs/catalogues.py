"""All catalogues by family, and what their members are made of."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tunesmith.records import Catalog
from tunesmith.records.sections import PATHS
from tunesmith.verbs.words import Words, arguments, words_of

CATALOGUES: Mapping[str, tuple[str, str]] = {  # family: the module and the name of its catalogue
    "activation": ("tunesmith.blocks.layers.activations", "ACTIVATIONS"),
    "augment": ("tunesmith.training.augment", "AUGMENTATIONS"),
    "budget": ("tunesmith.search.budgets", "BUDGETS"),
    "cure": ("tunesmith.generative.cures", "CURES"),
    "executor": ("tunesmith.search.executors", "EXECUTORS"),
    "exporter": ("tunesmith.integrations", "EXPORTERS"),
    "init": ("tunesmith.blocks.layers.init", "INITS"),
    "loss": ("tunesmith.blocks.losses", "LOSSES"),
    "measure": ("tunesmith.generative.measures", "MEASURES"),
    "metric": ("tunesmith.blocks.metrics", "METRICS"),
    "model": ("tunesmith.blocks.models", "MODELS"),
    "norm": ("tunesmith.blocks.layers.norm", "NORMS"),
    "optimizer": ("tunesmith.blocks.optim", "OPTIMIZERS"),
    "pooling": ("tunesmith.blocks.layers.poolings", "POOLINGS"),
    "sampler": ("tunesmith.data.samplers", "SAMPLERS"),
    "scaler": ("tunesmith.data.scalers", "SCALERS"),
    "schedule": ("tunesmith.blocks.schedules", "SCHEDULES"),
    "search_sampler": ("tunesmith.search.samplers", "SAMPLERS"),
    "tokenizer": ("tunesmith.data.tokenizers", "TOKENIZERS"),
    "warmup": ("tunesmith.blocks.schedules.warmups", "WARMUPS"),
}
PATH_OF: Mapping[str, str] = {  # where a recipe names a member
    "augment": "data.augment",
    "exporter": "run.exporters",
    "metric": "eval.metric",
    "optimizer": "optim.name",
    "sampler": "data.sampler",
    "scaler": "data.scale",
    "tokenizer": "data.tokenizer",
    "warmup": "schedule.warmup_kind",
    **{one: f"model.{one}" for one in ("activation", "init", "norm", "pooling")},
    **{one: f"{one}.name" for one in ("loss", "model", "schedule")},
}
EXTRA: Mapping[str, str] = {  # where a recipe gives a member its arguments
    "loss": "loss.extra",
    "optimizer": "optim.extra",
    "schedule": "schedule.extra",
    "warmup": "schedule.warmup_extra",
}
GIVEN: Mapping[str, tuple[str, ...]] = {  # of the families whose arguments a user sets, those that are set elsewhere
    "activation": (),
    "cure": (
        *("critic", "discriminator", "encoder", "reconstructor", "there", "back", "optimizer"),
        *("real", "made", "noise", "wanted", "x", "y", "loss"),
        *(
            "one",
            "other",
            "embeddings",
            "predicted",
            "projected",
            "targets",
            "net",
            "inputs",
            "outputs",
            "width",
            "step",
        ),
    ),
    "init": ("weight", "activation", "generator"),
    "loss": ("kind", "class_weights", "label_smoothing"),
    "measure": (
        *("real", "generated", "samples", "embeddings", "probabilities", "pictures", "one", "other"),
        *("generator", "latent", "centres", "test", "labels"),
    ),
    "norm": ("features", "dims", "layer"),
    "optimizer": ("params", "lr", "weight_decay", "momentum", "betas", "foreach", "fused", "base"),
    "pooling": ("features",),
    "schedule": ("steps",),
    "warmup": ("steps", "start"),
}


def catalogue(family: str) -> Catalog[Any]:
    """The catalogue of a family; its room is imported now."""
    module, name = CATALOGUES[family]
    found: Catalog[Any] = getattr(import_module(module), name)
    return found


def words(family: str, name: str) -> Words:
    """What there is to say about a member."""
    member = catalogue(family)[name]
    if family == "optimizer" and (found := torch_words(name)) is not None:
        return found
    spoken = described(member)
    found = words_of(own_words(spoken), module_words(spoken), shared=shares_file(family, member))
    if spoken is not type(member) and type(member).__module__.startswith("tunesmith."):  # what only the wrapper says
        found.rows = words_of(own_words(type(member)), "", shared=True).rows | found.rows
    return found


def torch_words(name: str) -> Words | None:
    """The words for an optimizer of torch, which has none of ours."""
    from tunesmith.blocks.optim.torch_words import TORCH

    found = TORCH.get(name)
    if found is None:
        return None
    return Words(found.title, found.rule, [found.more], {"Use": found.use, "Source": found.source})


def described(member: Any) -> Any:
    """Whose words describe a member: its own, or, of an object, those of the function or class that it holds.

    Of an object that holds none, those of the class in its file that say most.
    """
    if inspect.isclass(member) or inspect.isroutine(member):
        return member
    held = (getattr(member, name, None) for name in getattr(member, "__dataclass_fields__", None) or vars(member))
    found = next((one for one in held if inspect.isclass(one) or inspect.isroutine(one)), None)
    if found is not None:
        return found
    file = inspect.getmodule(type(member))
    beside = (
        [one for one in vars(file).values() if inspect.isclass(one) and inspect.getmodule(one) is file] if file else []
    )
    return max([type(member), *beside], key=lambda one: (optimizes(one), "Source:" in (one.__doc__ or "")))


def optimizes(kind: type) -> bool:
    """Whether a class is an optimizer of torch, asked without torch."""
    return any(base.__module__.startswith("torch.optim") for base in kind.__mro__)


def listed_arguments(family: str, name: str) -> list[tuple[str, str, str]]:
    """The arguments that a user sets."""
    spoken = described(catalogue(family)[name])
    if family not in GIVEN or (family == "optimizer" and not (inspect.isclass(spoken) and optimizes(spoken))):
        return []
    return arguments(spoken, ("self", *GIVEN[family]))


def module_words(member: Any) -> str:
    """The docstring of the file that a member stands in, where that is ours and no catalogue itself."""
    module = inspect.getmodule(member)
    if module is None or not module.__name__.startswith("tunesmith.") or hasattr(module, "__path__"):
        return ""
    return inspect.cleandoc(module.__doc__ or "")


def shares_file(family: str, member: Any) -> bool:
    """Whether members of other words stand in the same file, so that the member's own say more than the file's."""
    spoken = described(member)
    file = inspect.getmodule(spoken)
    others = (described(other) for other in catalogue(family).values())
    return any(other is not spoken and inspect.getmodule(other) is file for other in others)


def own_words(member: Any) -> str:
    """The docstring of a member; of another library's, its first paragraph."""
    text = inspect.getdoc(member) or ""
    return text if str(getattr(member, "__module__", "")).startswith("tunesmith.") else text.partition("\n\n")[0]


def plain_facts(member: Any) -> dict[str, str]:
    """The words that an object holds beside its function, such as whether more is better."""
    told = {}
    for name in getattr(member, "__dataclass_fields__", ()):
        value = getattr(member, name)
        if name != "name" and isinstance(value, str):
            told[name] = value
        elif value and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
            told[name] = ", ".join(value)
    return told


def recipe_words(family: str, name: str) -> str:
    """How a recipe asks for the member; how a task does, where a recipe cannot."""
    path = PATH_OF.get(family)
    if not in_a_recipe(family, name):
        room, members = CATALOGUES[family]
        return f"cannot name it; Task({family}={members}[{name!r}](…)) with `from {room} import {members}`"
    return f"--set {path}={name}" if path in PATHS else ""


def in_a_recipe(family: str, name: str) -> bool:
    """Whether plain data can ask for the member: not where it takes a function, or more than outputs and a target."""
    if family == "loss":
        return bool(catalogue(family)[name].kinds)
    return (family, name) != ("schedule", "lambda")


def extra_of(family: str, name: str) -> str:
    """Where a recipe gives a member its arguments; "" where it cannot."""
    path = EXTRA.get(family, "")
    return path if path in PATHS and in_a_recipe(family, name) else ""

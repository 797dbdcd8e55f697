"""What is known about a training, and whether a condition of a rule holds for it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from tunesmith.records import RecipeError, UnknownName, did_you_mean

Context: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Mapping[str, Any]

WORDS = {
    "model": "kind of network",
    "optimizer": "name of the optimizer",
    "device": "where it trains: cpu, cuda, mps",
    "loss": "name of the loss",
    "part": "part of the network: matrix, bias, norm, embedding, dense, conv, input, body, head",
    "stage": "stage of the craft: baseline, overfit, tune",
}
TRUTHS = {
    "batch_norm": "whether the network has batch norm",
    "pretrained": "whether the network comes trained",
    "couples": "whether the loss compares samples with each other",
    "engine_divides": "whether an engine divides the loss by the number of micro-batches",
    "loop_divides": "whether the loop does",
    "dropout_before_norm": "whether a dropout stands before a batch norm",
}
NUMBERS = {
    "rows": "training rows",
    "batch": "rows a device takes at once",
    "momentum": "momentum of the optimizer",
    "length": "tokens of a sample",
    "layers": "layers of the network that repeat",
    "parameters": "parameters of the network",
    "epochs": "passes over the training rows",
    "updates": "optimizer updates of the run",
    "updates_per_epoch": "optimizer updates of an epoch",
}
KEYS = {**WORDS, **TRUTHS, **NUMBERS}

# A kind of network, and the kinds it also is, nearest first.
KINDS: Mapping[str, tuple[str, ...]] = {
    "own": (),
    "mlp": (),
    "bag": ("mlp",),  # a linear layer, or an MLP, over mean embeddings
    "cnn": (),
    "rnn": (),
    "lstm": ("rnn",),
    "gru": ("rnn",),
    "transformer": (),
    "language_model": ("transformer",),
    "finetune_text": ("transformer",),
    "lora": ("transformer",),
    "vision": (),  # large nets for pictures, ImageNet's kind, from scratch
    "finetune_vision": ("vision",),
}
FINE_TUNED = {"transformer": "finetune_text", "language_model": "finetune_text", "cnn": "finetune_vision"}
FINE_TUNED |= {"vision": "finetune_vision"}  # what a pretrained net of a kind is
PRETRAINED = ("finetune_text", "finetune_vision", "lora")

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {  # families that a rule may name in place of its members
    "plain-adam": ("adam", "adamw", "radam", "adamax", "sparseadam", "lamb", "adam0"),
    "adam-like": ("adam", "adamw", "nadam", "radam", "adamax", "sparseadam", "lamb", "adam0"),
    # the decay is added to the gradient: a torch member that is not listed here decays the weights themselves
    "coupled": ("sgd", "adam", "nadam", "radam", "adamax", "rmsprop", "adagrad", "adadelta", "asgd", "rprop"),
}
LOSSES: Mapping[str, tuple[str, ...]] = {
    "contrastive": ("info_nce", "infonce", "nt_xent", "supervised_contrastive", "clip", "contrastive"),
}
FAMILIES = {"optimizer": OPTIMIZERS, "loss": LOSSES}

WRAPPERS = ("sam", "lookahead")  # members that step with a base

COMPARES = ("least", "most", "above", "below")  # of a number: >=, <=, >, <
EXACT, KINSHIP = 2, 1  # a condition that names the thing itself counts for more than one that names its family


def kind_of(name: str) -> str:
    """The kind of a built-in model; a name that is none is a network of somebody's own.

    >>> kind_of("lstm"), kind_of("resnet50")
    ('lstm', 'own')
    """
    return name if name in KINDS else "own"


def optimizer_of(name: str, extra: Mapping[str, Any] | None = None) -> str:
    """The optimizer whose rules hold for one that wraps another: the base that `extra` names (sgd), or that of its name.

    >>> optimizer_of("schedulefree_adamw"), optimizer_of("sam", {"base": "adamw"}), optimizer_of("lookahead")
    ('adamw', 'adamw', 'sgd')
    """
    if name in WRAPPERS:
        base = (extra or {}).get("base", "sgd")
        return base if isinstance(base, str) else "sgd"
    return name.removeprefix("schedulefree_")


def checked(context: Context) -> dict[str, Any]:
    """What is known, without what is None. Raises `UnknownName` for a key or a kind of network that there is not."""
    for key in context:
        if key not in KEYS:
            raise UnknownName(f"nothing about a training is called {key!r}{did_you_mean(key, KEYS)}")
    known = {key: value for key, value in context.items() if value is not None}
    for key, value in known.items():
        expected = "text" if key in WORDS else "true or false" if key in TRUTHS else "a number"
        if not _is(value, key):
            raise RecipeError(f"{key} = {value!r} says nothing about a training; {KEYS[key]}: {expected} was expected")
    if "model" in known and known["model"] not in KINDS:
        raise UnknownName(f"no kind of network is called {known['model']!r}{did_you_mean(known['model'], KINDS)}")
    return _told(known)


def _is(value: Any, key: str) -> bool:
    if key in WORDS:
        return isinstance(value, str)
    if key in TRUTHS:
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(known: dict[str, Any]) -> dict[str, Any]:
    """The same in the words of the conditions: `cuda` for `cuda:1`, the fine-tuned kind of a pretrained net."""
    if "device" in known:
        known["device"] = known["device"].partition(":")[0]
    if known.get("pretrained") and "model" in known:
        known["model"] = FINE_TUNED.get(known["model"], known["model"])
    if known.get("model") in PRETRAINED:
        known.setdefault("pretrained", True)
    return known


def score(condition: Condition, known: Context) -> int | None:
    """How closely a condition fits what is known; None where it does not. What is not known fits no condition.

    >>> score({"optimizer": "adam-like", "rows": {"most": 10_000}}, {"optimizer": "adamw", "rows": 400})
    3
    """
    total = 0
    for key, wanted in condition.items():
        value = known.get(key)
        points = None if value is None else _points(key, wanted, value)
        if points is None:
            return None
        total += points
    return total


def _points(key: str, wanted: Any, value: Any) -> int | None:
    if key in NUMBERS:
        return EXACT if holds(wanted, value) else None
    if key in TRUTHS:
        return EXACT if value is wanted else None
    names = wanted if isinstance(wanted, list | tuple) else (wanted,)
    if value in names:
        return EXACT
    above = KINDS.get(value, ()) if key == "model" else ()
    inside = FAMILIES.get(key, {})
    return KINSHIP if any(name in above or value in inside.get(name, ()) for name in names) else None


def holds(limits: Mapping[str, float], value: float) -> bool:
    """Whether a number keeps to all limits."""
    return (
        value >= limits.get("least", float("-inf"))
        and value <= limits.get("most", float("inf"))
        and not value <= limits.get("above", float("-inf"))
        and not value >= limits.get("below", float("inf"))
    )


def trouble(condition: Condition) -> str:
    """What is wrong with a condition, in words; "" where nothing is."""
    for key, wanted in condition.items():
        if key not in KEYS:
            return f"nothing about a training is called {key!r}{did_you_mean(key, KEYS)}"
        if key in NUMBERS:
            if not (isinstance(wanted, Mapping) and wanted and set(wanted) <= set(COMPARES)):
                return f"{key} = {wanted!r}: a table of limits such as {{most = 100}} was expected, of {', '.join(COMPARES)}"
            if not all(_is(limit, key) for limit in wanted.values()):
                return f"{key} = {dict(wanted)!r}: the limits must be numbers"
        elif key in TRUTHS:
            if not isinstance(wanted, bool):
                return f"{key} = {wanted!r}: true or false was expected"
        elif found := _wrong_name(key, wanted):
            return found
    return ""


def _wrong_name(key: str, wanted: Any) -> str:
    names = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not names or not all(isinstance(name, str) for name in names):
        return f"{key} = {wanted!r}: a name or a list of names was expected"
    for name in names if key == "model" else ():
        if name not in KINDS:
            return f"no kind of network is called {name!r}{did_you_mean(name, KINDS)}"
    return ""


def words(condition: Condition) -> str:
    """A condition as a phrase.

    >>> words({"model": ["mlp", "cnn"], "rows": {"most": 10_000}, "batch_norm": True})
    'model mlp or cnn, rows <= 10000, batch norm'
    """
    return ", ".join(_phrase(key, wanted) for key, wanted in condition.items())


def _phrase(key: str, wanted: Any) -> str:
    name = key.replace("_", " ")
    if key in TRUTHS:
        return name if wanted else f"no {name}"
    if key in NUMBERS:
        signs = {"least": ">=", "most": "<=", "above": ">", "below": "<"}
        return ", ".join(f"{name} {signs[compare]} {limit:.10g}" for compare, limit in wanted.items())
    return f"{name} {' or '.join(wanted) if isinstance(wanted, list | tuple) else wanted}"

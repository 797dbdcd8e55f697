"""What a folder of a language model holds, by its `config.json`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from tunesmith.records import ModelError

CONFIG = "config.json"


class Pair(NamedTuple):
    """A weight by the name in the folder and by ours, and how it changes on the way; None: it does not."""

    theirs: str
    ours: str
    read: Callable[[Tensor], Tensor] | None = None
    write: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A language model in a folder: which of our nets it is, the recipe values of its shape, and where its weights go."""

    folder: Path
    layout: str
    name: str
    settings: Mapping[str, Any]  # by recipe path
    vocabulary: int
    context: int  # the longest text it was trained on
    pairs: tuple[Pair, ...]
    beside: tuple[str, ...] = ()  # names that such folders hold and our net has no use for
    prefixes: tuple[str, ...] = ("",)  # what may stand before every name


def is_stored(folder: Path) -> bool:
    """Whether a folder has the description of a model that others write."""
    return (folder / CONFIG).is_file()


def describe(folder: Path) -> Stored:
    """What a folder holds. Raises `ModelError` for a description that cannot be read, and for a net that is none of ours."""
    from tunesmith.blocks.models.stored import bert, llama

    config = read_config(folder)
    kind = config.get("model_type")
    if {"dim", "n_layers", "n_heads"} <= set(config):
        return llama.of_llama2_c(folder, config)
    if kind == "llama":
        return llama.of_transformers(folder, config)
    if kind == "bert":
        return bert.of_transformers(folder, config)
    said = f"a {kind!r}" if kind else "none of the models we know"
    raise ModelError(
        f"{folder / CONFIG} describes {said}; the decoder reads weights of llama, the encoder those of bert: for others set model.name = "
        f"'transformers/{folder}', with the extra text"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The description as plain data."""
    file = folder / CONFIG
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} holds no {CONFIG}; expected a folder of a language model: {CONFIG} beside model.safetensors"
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{file} is no JSON ({error}); copy the folder again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds a {type(found).__name__}; expected an object that describes a model")
    return found


def whole(config: Mapping[str, Any], key: str, folder: Path, default: int | None = None) -> int:
    """A count in the description. Raises `ModelError` where it is absent or no count."""
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        said = "is missing" if value is None else f"is {value!r}"
        raise ModelError(f"{folder / CONFIG}: {key} {said}; expected a whole number above 0")
    return value


def refuse(config: Mapping[str, Any], folder: Path, fixed: Mapping[str, tuple[Any, ...]]) -> None:
    """Raises `ModelError` where the description asks for what our net does not have. `fixed`: the values it can be, by key."""
    for key, allowed in fixed.items():
        if key in config and config[key] not in allowed:
            raise ModelError(
                f"{folder / CONFIG}: {key} = {config[key]!r}, which our net does not have (it has {allowed[0]!r}); set model.name = "
                f"'transformers/{folder}', with the extra text"
            )

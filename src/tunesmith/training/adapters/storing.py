"""An adapter in a folder of its own, in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

The tensors carry the mark of the net that they were trained beside: a digest over its frozen weights. PEFT reads such a folder and
overlooks the mark; a folder of PEFT's has none, and is checked by names and shapes alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tunesmith.blocks.layers.lora import NAME
from tunesmith.records import CheckpointError, ModelError
from tunesmith.records.sections import LoraTable
from tunesmith.training.adapters.inserting import BASE, MARK, alpha_of, insert

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
DIGEST = "base"
SHOWN = 12  # letters of a digest


def save(model: nn.Module, folder: str | Path, lora: LoraTable, *, base: str = "") -> Path:
    """Stores what trains of a net with adapters: these and the layers that train as a whole; gives the folder.

    `base` names the net for people and for PEFT, such as the folder of its weights. Raises `ModelError` for a net without an adapter.
    """
    held = {name: value for name, value in model.named_parameters() if MARK in name or value.requires_grad}
    layers = sorted({name.partition(f".{MARK}")[0] for name in held if MARK in name})
    if not layers:
        raise ModelError(f"the net {type(model).__name__} has no adapter to save; store net.state_dict()")
    whole = sorted({name.rpartition(".")[0] for name in held if MARK not in name})
    described = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": alpha_of(lora),
        "lora_dropout": lora.dropout,
        "target_modules": layers,
        "modules_to_save": whole or None,
        "bias": "none",
        "inference_mode": True,
    }
    place = Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    (place / CONFIG).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    tensors = {
        PREFIX + name.replace(f".{NAME}.", "."): value.detach().cpu().contiguous() for name, value in held.items()
    }
    save_file(tensors, place / WEIGHTS, metadata={"format": "pt", DIGEST: digest(model, set(held))})
    return place


def load(model: nn.Module, folder: str | Path) -> nn.Module:
    """Puts a stored adapter into the net it belongs to, in place, in evaluation mode; gives the net.

    Raises `ModelError` for an adapter of another net, `CheckpointError` for files that are absent or cannot be read.
    """
    place = Path(folder).expanduser()
    described, tensors, mark = _read(place)
    lora = LoraTable(
        rank=described["r"],
        alpha=float(described["lora_alpha"]),
        dropout=float(described.get("lora_dropout", 0.0)),
        targets=_targets(described, place),
        head=False,
    )
    named = {_with_name(name): value for name, value in tensors.items()}
    _refuse_strangers(model, named, place)
    if mark is not None and mark != (here := digest(model, {name for name in named if MARK not in name})):
        raise ModelError(
            f"the adapter in {place} belongs to another net: the weights it was trained beside have the mark {mark[:SHOWN]}, those of this "
            f"{type(model).__name__} {here[:SHOWN]}; load it into {described.get('base_model_name_or_path') or 'the net it was trained with'}"
        )
    insert(model, lora, whole=[name for name in named if MARK not in name])
    held = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in named.items():
            held[name].copy_(value)
    return model.eval()


def digest(model: nn.Module, trained: set[str]) -> str:
    """A mark of the frozen weights of a net, whether adapters stand beside them or not: of names, types, shapes and numbers."""
    found = hashlib.blake2b(digest_size=16)
    plain = {name.replace(BASE, "."): value for name, value in model.named_parameters()}
    for name in sorted(plain):
        if MARK in name or name in trained:
            continue
        value = plain[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _read(place: Path) -> tuple[dict[str, Any], dict[str, Tensor], str | None]:
    try:
        described = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        with safe_open(place / WEIGHTS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            return described, tensors, (file.metadata() or {}).get(DIGEST)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{place} holds no adapter; expected a folder with {CONFIG} and {WEIGHTS}, as adapters.save or PEFT writes it"
        ) from error
    except (SafetensorError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"the adapter in {place} cannot be read ({error}); copy it again") from error


def _targets(described: dict[str, Any], place: Path) -> list[str]:
    if described.get("peft_type") != "LORA" or described.get("use_dora"):
        kind = "DORA" if described.get("use_dora") else described.get("peft_type")
        raise ModelError(f"the adapter in {place} is of the kind {kind!r}; plain LoRA is read")
    wanted = described["target_modules"]
    return [f"re:{wanted}"] if isinstance(wanted, str) else list(wanted)


def _with_name(name: str) -> str:
    plain = name.removeprefix(PREFIX)
    for part in ("lora_A", "lora_B"):
        plain = plain.replace(f".{part}.weight", f".{part}.{NAME}.weight")
    return plain


def _refuse_strangers(model: nn.Module, named: dict[str, Tensor], place: Path) -> None:
    """Every matrix must find its layer, of its size."""
    for name, value in named.items():
        layer = name.partition(f".{MARK}")[0] if MARK in name else name.rpartition(".")[0]
        try:
            found: Any = model.get_submodule(layer)
        except AttributeError as error:
            raise ModelError(
                f"the adapter in {place} belongs to another net: it has a matrix for {layer}, which this {type(model).__name__} lacks"
            ) from error
        if MARK in name:
            side, size = (1, "in_features") if "lora_A" in name else (0, "out_features")
            expected, got = str(getattr(found, size, None)), str(value.shape[side])
        else:
            own = getattr(found, name.rpartition(".")[2], None)
            expected, got = str(None if own is None else tuple(own.shape)), str(tuple(value.shape))
        if expected != got:
            raise ModelError(
                f"the adapter in {place} belongs to another net: {name} is made for {got}, and {layer} of this {type(model).__name__} has {expected}"
            )

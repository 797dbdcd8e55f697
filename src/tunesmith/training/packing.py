"""A snapshot as JSON and a flat dict of tensors, and back: no pickle.

Containers that JSON does not have are written as one-key objects: `{"$tuple": [...]}`, `{"$map": [[key, value], …]}` for keys
that are no strings, `{"$tensor": name}`, `{"$array": name}` for NumPy, `{"$bytes": hex}`, `{"$dtype": "float32"}`, `{"$device": "cpu"}`.
"""

from typing import Any

import numpy as np
import torch

from tunesmith.records import CheckpointError

_PLAIN = (str, int, float, bool, type(None))


def pack(tree: Any, prefix: str = "") -> tuple[Any, dict[str, torch.Tensor]]:
    """The tree as JSON-able data, and its tensors by name (`prefix` + the path inside the tree).

    Raises `CheckpointError` for an object that only pickle could store.

    >>> plain, tensors = pack({"step": torch.tensor(3), "betas": (0.9, 0.999)})
    >>> plain, list(tensors)
    ({'step': {'$tensor': 'step'}, 'betas': {'$tuple': [0.9, 0.999]}}, ['step'])
    """
    tensors: dict[str, torch.Tensor] = {}
    return _pack(tree, prefix, tensors), tensors


def _pack(tree: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    def below(key: object) -> str:
        return f"{path}.{key}" if path else str(key)

    match tree:
        case torch.Tensor():
            tensors[path] = tree.detach().cpu().contiguous().clone()  # clone: two names never share storage in a file
            return {"$tensor": path}
        case np.ndarray():
            tensors[path] = torch.from_numpy(_signed(tree))
            return {"$array": path, "dtype": str(tree.dtype)}
        case np.generic():
            return tree.item()
        case dict() if all(isinstance(key, str) and not key.startswith("$") for key in tree):
            return {key: _pack(value, below(key), tensors) for key, value in tree.items()}
        case dict():
            pairs = list(tree.items())
            return {
                "$map": [
                    [_pack(key, below(f"key{i}"), tensors), _pack(value, below(key), tensors)]
                    for i, (key, value) in enumerate(pairs)
                ]
            }
        case list():
            return [_pack(value, below(i), tensors) for i, value in enumerate(tree)]
        case tuple():
            return {"$tuple": [_pack(value, below(i), tensors) for i, value in enumerate(tree)]}
        case bytes():
            return {"$bytes": tree.hex()}
        case torch.dtype():
            return {"$dtype": str(tree).removeprefix("torch.")}
        case torch.device():
            return {"$device": str(tree)}
        case _ if isinstance(tree, _PLAIN):
            return tree
        case _:
            raise CheckpointError(
                f"the state at {path!r} is a {type(tree).__name__}, which cannot be stored without pickle; keep tensors, numbers and text there"
            )


def unpack(plain: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree that `pack` was given."""
    match plain:
        case {"$tensor": name}:
            return tensors[name]
        case {"$array": name, "dtype": dtype}:
            return tensors[name].numpy().view(np.dtype(dtype))
        case {"$tuple": items}:
            return tuple(unpack(item, tensors) for item in items)
        case {"$map": pairs}:
            return {unpack(key, tensors): unpack(value, tensors) for key, value in pairs}
        case {"$bytes": text}:
            return bytes.fromhex(text)
        case {"$dtype": name}:
            return getattr(torch, name)
        case {"$device": name}:
            return torch.device(name)
        case dict():
            return {key: unpack(value, tensors) for key, value in plain.items()}
        case list():
            return [unpack(item, tensors) for item in plain]
        case _:
            return plain


def _signed(array: np.ndarray) -> np.ndarray:
    """The same bytes under a type every reader of safetensors knows (unsigned 16 to 64 bits become signed)."""
    array = np.ascontiguousarray(array)
    return array.view(array.dtype.str.replace("u", "i")) if array.dtype.kind == "u" and array.itemsize > 1 else array

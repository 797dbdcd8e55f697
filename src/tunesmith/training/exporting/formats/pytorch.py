"""Plain PyTorch: a folder with the weights, the code of the net, which imports torch alone, and how inputs are made."""

import builtins
import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import ModelError
from tunesmith.runs.files import write_bytes, write_json, write_text
from tunesmith.training.exporting.comparing import EXACT, compared
from tunesmith.training.exporting.expressions import NoSource
from tunesmith.training.exporting.formats import FORMATS
from tunesmith.training.exporting.reading_it import readme
from tunesmith.training.exporting.subject import Subject, run
from tunesmith.training.exporting.writing import module_text


class PyTorch:
    file = "pytorch"

    def check(self) -> None:
        """Needs nothing beyond torch and safetensors."""

    def write(self, subject: Subject, place: Path) -> str:
        from safetensors.torch import load_file, save

        place.mkdir()
        try:
            text = module_text(subject.model, f"{subject.name}, a network trained by Tunesmith, in plain PyTorch.")
            held = weights(subject.model, imported(text, place / "model.py"))
        except NoSource as error:
            if subject.built_in:
                raise
            text, held, reason = "", plain_weights(subject.model.state_dict()), str(error)
        write_bytes(place / "model.safetensors", save(held, metadata={"format": "pt"}))
        if text:
            write_text(place / "model.py", text)
            net = imported((place / "model.py").read_text(encoding="utf-8"), place / "model.py")
            net.load_state_dict(load_file(place / "model.safetensors"))
            checked = "`model.py` was read without Tunesmith: " + compared(
                subject, lambda sample: run(net.eval(), sample), EXACT, "code of model.py"
            )
        else:
            checked = _without_code(subject, load_file(place / "model.safetensors"), reason)
        write_json(place / "classes.json", subject.facts)
        write_json(place / "preprocessing.json", subject.preprocessing)
        write_json(place / "export.json", {"format": "pytorch", "torch": torch.__version__, "checked": checked})
        write_text(place / "README.md", readme(subject, checked, code=bool(text)))
        return checked


FORMATS.add("pytorch")(PyTorch())


def imported(text: str, file: Path) -> nn.Module:
    """The net that a text builds where there is no Tunesmith. Raises `ModelError` where it does not run."""
    module = ModuleType("exported_model")
    module.__dict__["__builtins__"] = vars(builtins) | {"__import__": _without_us}
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)
        net: nn.Module = module.build()
    except Exception as error:  # the text holds code of somebody's own
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ModelError(
            f"the code written for the model does not run ({said}); nothing was written, try another format"
        ) from error
    return net


def _without_us(name: str, *rest: Any) -> Any:
    if name.partition(".")[0] == "tunesmith":
        raise ImportError("the exported code would need Tunesmith")
    return builtins.__import__(name, *rest)


def weights(model: nn.Module, net: nn.Module) -> dict[str, Tensor]:
    """The tensors that the written net asks for: the state dict, and what the model keeps beside it."""
    asked = list(net.state_dict())
    left = [name for name in model.state_dict() if name not in asked]
    if left:
        raise NoSource(f"the code has no place for the weights {', '.join(left[:4])}")
    return plain_weights({name: _found(model, name) for name in asked})


def _found(model: nn.Module, name: str) -> Tensor:
    above, _, last = name.rpartition(".")
    owner = model.get_submodule(above)
    return owner[int(last)] if isinstance(owner, nn.ParameterList) else getattr(owner, last)  # type: ignore[no-any-return]


def plain_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of their own, which share no memory."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _without_code(subject: Subject, stored: dict[str, Tensor], reason: str) -> str:
    """Checks the weights alone, in the user's own class."""
    net = copy.deepcopy(subject.model)
    net.load_state_dict(stored)
    found = compared(subject, lambda sample: run(net, sample), EXACT, "stored weights")
    return f"The weights were loaded into {subject.name}: {found}. Its code is not stored: {reason}"

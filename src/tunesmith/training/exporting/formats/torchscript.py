"""TorchScript: one file that torch loads without any Python code, `torch.jit.load(file)(tokens)`."""

from pathlib import Path
from warnings import catch_warnings, simplefilter

import torch

from tunesmith.records import ModelError
from tunesmith.training.batch import outputs_of
from tunesmith.training.exporting.attached import attached
from tunesmith.training.exporting.comparing import SAME_KERNELS, by_torch, compared
from tunesmith.training.exporting.flat import Looped, flat
from tunesmith.training.exporting.formats import FORMATS
from tunesmith.training.exporting.subject import Subject

NAME = "TorchScript"


class TorchScript:
    file = "model.torchscript.pt"

    def check(self) -> None:
        """Needs nothing beyond torch."""

    def write(self, subject: Subject, place: Path) -> str:
        with by_torch(subject, NAME):
            program = traced(subject)
            torch.jit.save(program, place, _extra_files=attached(subject))
            again = torch.jit.load(place)  # type: ignore[no-untyped-call]
            return compared(subject, lambda sample: outputs_of(again(*sample.values())), SAME_KERNELS, NAME + " file")


FORMATS.add("torchscript")(TorchScript())


def traced(subject: Subject) -> torch.jit.ScriptModule:
    """A trace of one batch; a script, where the code of a user's own net branches on its inputs and a trace would freeze that.

    Raises `ModelError` where neither holds.
    """
    model = flat(subject, lambda layer: torch.jit.script(Looped(layer)))
    with catch_warnings(record=True) as seen, torch.no_grad():
        simplefilter("always")
        program = torch.jit.trace(model, tuple(subject.samples[0].values()), check_trace=False)  # type: ignore[no-untyped-call]
    doubts = [warning for warning in seen if issubclass(warning.category, torch.jit.TracerWarning)]  # type: ignore[attr-defined]
    if subject.built_in or not doubts:  # the built-in nets are known to be free of such branches
        return program  # type: ignore[no-any-return]
    try:
        return torch.jit.script(subject.model)
    except Exception as error:  # the compiler has many
        why = " ".join(str(doubts[0].message).split())[:160]
        raise ModelError(
            f"{subject.name} decides on its inputs while it runs ({why}), which a trace would freeze, and TorchScript cannot compile it; "
            "try format 'pytorch', which keeps the code"
        ) from error

"""A program of torch.export: one .pt2 file, `torch.export.load(file).module()(tokens)`, for serving and ahead-of-time compilers."""

from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from tunesmith.training.exporting.attached import attached
from tunesmith.training.exporting.comparing import SAME_KERNELS, by_torch, compared
from tunesmith.training.exporting.flat import Scanned, flat
from tunesmith.training.exporting.formats import FORMATS
from tunesmith.training.exporting.subject import Subject

NAME = "torch.export program"


class TorchExport:
    file = "model.pt2"

    def check(self) -> None:
        """Needs nothing beyond torch."""

    def write(self, subject: Subject, place: Path) -> str:
        with by_torch(subject, NAME):
            torch.export.save(program_of(subject), place, extra_files=attached(subject))
            again = torch.export.load(place).module()
            return compared(subject, lambda sample: again(*sample.values()), SAME_KERNELS, NAME)


FORMATS.add("torch_export")(TorchExport())


def program_of(subject: Subject) -> ExportedProgram:
    """The model as one graph, for any number of rows and, of text, any number of tokens."""
    rows, tokens = Dim("batch", min=1), Dim("length", min=1)
    open_ = tuple(
        {0: rows, 1: tokens} if name == "tokens" and subject.built_in else {0: rows} for name in subject.inputs
    )
    with torch.no_grad():
        return torch.export.export(flat(subject, Scanned), tuple(subject.samples[0].values()), dynamic_shapes=(open_,))

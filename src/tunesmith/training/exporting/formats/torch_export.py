"""A program of torch.export: one .pt2 file, `torch.export.load(file).module()(tokens)`, for serving and ahead-of-time compilers."""

from pathlib import Path

import torch

from tunesmith.training.exporting.attached import attached
from tunesmith.training.exporting.comparing import SAME_KERNELS, by_torch, compared
from tunesmith.training.exporting.flat import program_of
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

"""ONNX: one file for runtimes outside Python. Rows are open, and so is the number of tokens of a text."""

from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.records import MissingExtra, ModelError
from tunesmith.training.exporting.attached import attached
from tunesmith.training.exporting.comparing import OTHER_KERNELS, by_torch, compared
from tunesmith.training.exporting.flat import program_of
from tunesmith.training.exporting.formats import FORMATS
from tunesmith.training.exporting.subject import Sample, Subject

NAME = "ONNX file"
LARGEST = 2**31 - 1  # bytes of a protobuf message


class Onnx:
    file = "model.onnx"

    def check(self) -> None:
        absent = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
        if absent:
            named = f"{' and '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not here"
            raise MissingExtra(f"an ONNX file needs {named}; pip install 'tunesmith[onnx]'")

    def write(self, subject: Subject, place: Path) -> str:
        held = sum(tensor.numel() * tensor.element_size() for tensor in subject.model.state_dict().values())
        if held > LARGEST:
            raise ModelError(
                f"{subject.name} holds {held / 2**30:.1f} GiB and one ONNX file at most 2; try format 'torch_export'"
            )
        logger = getLogger("torch.onnx")
        level = logger.level
        logger.setLevel(ERROR)  # it tells which optional packages it did not find
        try:
            with by_torch(subject, "ONNX"):
                _save(subject, place)
                run, runtime = _runtime(place)
                return (
                    f"{compared(subject, lambda sample: _outputs(run, sample), OTHER_KERNELS, NAME)}, run by {runtime}"
                )
        finally:
            logger.setLevel(level)


FORMATS.add("onnx")(Onnx())


def _save(subject: Subject, place: Path) -> None:
    sample = tuple(subject.samples[0].values())
    program = torch.onnx.export(
        program_of(subject),
        sample,
        dynamo=True,
        input_names=list(subject.inputs),
        output_names=["outputs"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(attached(subject))
    program.save(str(place), external_data=False)


def _runtime(place: Path) -> tuple[Any, str]:
    """What runs the file, and its name: onnxruntime where it is installed, else the reference of the onnx package."""
    if find_spec("onnxruntime") is not None:
        import onnxruntime  # type: ignore[import-not-found]  # no part of any extra: used where it is

        session = onnxruntime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
        return session.run, f"onnxruntime {onnxruntime.__version__}"
    import onnx
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(
        str(place)
    ).run, f"the reference of onnx {onnx.__version__} (onnxruntime is not installed)"


def _outputs(run: Any, sample: Sample) -> Tensor:
    found: Tensor = torch.from_numpy(run(None, {name: values.numpy() for name, values in sample.items()})[0])
    return found

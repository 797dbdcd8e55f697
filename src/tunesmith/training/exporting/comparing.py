"""Whether an exported model gives what the original gives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from warnings import catch_warnings, simplefilter

from torch import Tensor

from tunesmith.records import ModelError, TunesmithError
from tunesmith.training.exporting.subject import Sample, Subject

EXACT = 0.0
SAME_KERNELS = 1e-5  # assumption: torch's own operations in another order, in single precision
OTHER_KERNELS = 1e-4  # assumption: operations of another library, in single precision
LEAST_SCALE = 1e-3  # assumption: outputs below this are the small rest of larger numbers, and carry their rounding


def compared(subject: Subject, outputs: Callable[[Sample], Tensor], tolerance: float, what: str) -> str:
    """What was found the same, in a clause. Raises `ModelError` where a batch comes out different.

    `tolerance` is of the largest difference, as a share of the batch's largest output.
    """
    worst = 0.0
    for sample in subject.samples:
        worst = max(worst, _difference(subject.outputs(sample), outputs(sample), sample, what, tolerance))
    found = "bit for bit" if worst == 0.0 else f"to {worst:.1g}, where {tolerance:.0g} is allowed"
    return f"outputs agree {found} on {_told(subject)}"


def _difference(expected: Tensor, came: Tensor, sample: Sample, what: str, tolerance: float) -> float:
    shape = {name: tuple(values.shape) for name, values in sample.items()}
    if expected.shape != came.shape:
        shapes = f"{tuple(came.shape)} where the model gives {tuple(expected.shape)}, for inputs {shape}"
        raise ModelError(f"the {what} gives outputs of shape {shapes}; nothing was written, try another format")
    wanted, found = expected.double(), came.double()
    other = ~((wanted == found) | (wanted.isnan() & found.isnan()))
    if not other.any():
        return 0.0
    scale = wanted.abs().where(wanted.isfinite(), 0.0).max().clamp(min=LEAST_SCALE)
    difference = float((wanted - found)[other].abs().max() / scale)
    if not difference <= tolerance:
        raise ModelError(
            f"the {what} does not compute what the model does: outputs differ by {difference:.2g} of their size for inputs {shape}; "
            "nothing was written, try another format"
        )
    return difference


def _told(subject: Subject) -> str:
    rows = sorted({next(iter(sample.values())).shape[0] for sample in subject.samples})
    told = f"{len(subject.samples)} batches of {rows[0]} to {rows[-1]} rows"
    if "tokens" not in subject.inputs:
        return told
    lengths = sorted({sample["tokens"].shape[1] for sample in subject.samples})
    return f"{told} and {lengths[0]} to {lengths[-1]} tokens"


@contextmanager
def by_torch(subject: Subject, what: str) -> Iterator[None]:
    """Around torch's tracers: their warnings are for whoever writes nets, and what they cannot do is told in a sentence."""
    try:
        with catch_warnings():
            simplefilter("ignore")
            yield
    except TunesmithError:
        raise
    except Exception as error:  # a tracer runs the model's code, which may raise anything
        said = " ".join(str(error).split())[:240]
        raise ModelError(
            f"torch cannot write {subject.name} as {what} ({type(error).__name__}: {said}); try format 'pytorch', which keeps the code"
        ) from error

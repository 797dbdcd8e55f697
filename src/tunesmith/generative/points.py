"""What a measure is given: samples, pictures or features, a row each, as an array of NumPy or a tensor."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.records import DataError

KEPT = (torch.float32, torch.float64)  # precisions that are computed in as they come


def points(given: Any, what: str, *, least: int = 2, columns: int | None = None) -> Tensor:
    """The rows as a matrix (N, D) without gradients, on the device they are on; `what` they are is said in errors.

    Rows of more dimensions, such as pictures (N, C, H, W), are laid out flat. Single and double precision stay, half becomes
    single and whole numbers double. Nothing is copied that need not be.

    Raises `DataError` for what is no array of numbers, fewer rows than `least`, other `columns` than those asked for, and
    values that are not finite.
    """
    found = tensor(given, what)
    if found.ndim < 2 or not found[0:1].numel():
        raise DataError(
            f"{what} came with shape {tuple(found.shape)}; expected (N, D), a row for each sample and one number or more in it"
            + ("; reshape(-1, 1) makes rows of single numbers" if found.ndim == 1 and found.numel() else "")
        )
    if len(found) < least:
        raise DataError(f"{what} came with {len(found)} rows; this measure takes {least} or more")
    flat = found.reshape(len(found), -1)
    if columns is not None and flat.shape[1] != columns:
        raise DataError(
            f"{what} has {flat.shape[1]} numbers a row and what it is compared with {columns}; give both the same features"
        )
    bad = int((~torch.isfinite(flat).all(dim=1)).sum())
    if bad:
        raise DataError(
            f"{what} has {bad} of {len(flat)} rows with NaN or an infinite number; leave them out, and say so"
        )
    return flat


def both(real: Any, generated: Any, *, least: int = 2) -> tuple[Tensor, Tensor]:
    """Real and generated rows of one width, in the wider of their two precisions. Raises `DataError` as `points` does."""
    first = points(real, "real", least=least)
    second = points(generated, "generated", least=least, columns=first.shape[1])
    if first.device != second.device:
        raise DataError(f"real is on {first.device} and generated on {second.device}; bring both to one device")
    wider = torch.promote_types(first.dtype, second.dtype)
    return first.to(wider), second.to(wider)


def tensor(given: Any, what: str) -> Tensor:
    """An array, a tensor or nested lists as a tensor of single or double precision. Raises `DataError`."""
    if isinstance(given, Tensor):
        found = given.detach()
    else:
        try:
            array = np.asarray(given)
        except ValueError as error:
            raise DataError(f"{what} has rows of several lengths ({error}); expected an array of numbers") from error
        if array.dtype.kind not in "fiub":
            raise DataError(f"{what} is a {type(given).__name__} of {array.dtype}; expected an array of numbers")
        if array.dtype == np.longdouble:
            array = array.astype(np.float64)
        if not (array.dtype.isnative and array.flags.writeable) or any(step < 0 for step in array.strides):
            array = np.array(array, dtype=array.dtype.newbyteorder("="))  # torch takes neither, and warns of read-only
        found = torch.from_numpy(array)
    if found.is_complex():
        raise DataError(f"{what} holds complex numbers; give real and imaginary parts as two columns")
    if found.dtype in KEPT:
        return found
    return found.float() if found.is_floating_point() else found.double()

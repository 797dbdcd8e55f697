"""What broke inside a user's model, loss, data or device, in one sentence with what to try."""

import re

import torch

from tunesmith.records import DataError, DeviceError, TrainingFailed, TunesmithError


def explained(error: Exception, where: str) -> TunesmithError:
    """The error as one of ours: itself if it is, a device or data error where its text is known, else `TrainingFailed`."""
    if isinstance(error, TunesmithError):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return DeviceError(
            f"{where} ran out of memory ({text[:160]}); halve train.batch_size and double train.accumulate: the update stays the same"
        )
    if (found := re.search(r"Target (-?\d+) is out of bounds", text)) is not None:
        return DataError(
            f"{where} met label {found.group(1)}, which the model has no output for; labels count from 0 to outputs - 1: "
            "widen the last layer or mend the labels"
        )
    if isinstance(error, IndexError) and "out of range in self" in text:
        return DataError(
            f"{where} met an index beyond an embedding table; make the table as long as the largest index + 1, or mend the data"
        )
    if "device-side assert" in text:
        return DeviceError(
            f"{where} broke on the device: an index or label is out of range; run once with train.device = 'cpu' for its value"
        )
    if isinstance(error, RuntimeError) and ("CUDA error" in text or ("device" in text and "lost" in text)):
        return DeviceError(
            f"{where} lost the device ({text[:160]}); resume the run from its last checkpoint once the device is back"
        )
    return TrainingFailed(
        f"{where} broke with {type(error).__name__}: {text[:400]}; the traceback is in traceback.txt of the run folder"
    )

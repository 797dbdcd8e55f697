"""Features of the Inception net of the FID papers, by the package `torch-fidelity`, whose numbers agree with TensorFlow's."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tunesmith.generative.distances import slices
from tunesmith.records import DataError, MissingExtra

Layer = Literal["64", "192", "768", "2048", "logits_unbiased"]


def inception_features(
    pictures: Any, *, layer: Layer = "2048", weights: Path | str | None = None, batch_size: int = 64
) -> Tensor:
    """Features (N, F) of pictures (N, 3, H, W) or (N, 1, H, W) of whole numbers from 0 to 255, in single precision, on the CPU.

    `layer` "2048" is that of FID and KID, "logits_unbiased" that of the inception score (softmax them), the others are earlier
    ones with as many features as their names say. `weights` is the file of the net where it may not be downloaded. Numbers of
    other packages differ in how pictures are made smaller: tell which one, and compare within it.

    Raises `MissingExtra` without the package or its weights, `DataError` for what are no such pictures.
    """
    given = _pictures(pictures)
    net = _net(layer, weights)
    with torch.no_grad():
        parts = [net(given[rows].expand(-1, 3, -1, -1))[0] for rows in slices(len(given), batch_size)]
    return torch.cat(parts)


def _net(layer: Layer, weights: Path | str | None) -> Any:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise MissingExtra(
            "features of Inception need torch-fidelity, which is not here; pip install 'tunesmith[fidelity]', or give features "
            "of another net"
        ) from None
    known = FeatureExtractorInceptionV3.get_provided_features_list()
    if layer not in known:
        raise DataError(f"layer = {layer!r}: one of {', '.join(known)} was expected")
    path = None if weights is None else str(weights)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", [layer], feature_extractor_weights_path=path)
    except OSError as error:
        raise MissingExtra(
            f"the weights of Inception are not here and could not be read or downloaded ({error}); name their file as weights=…"
        ) from error


def _pictures(given: Any) -> Tensor:
    kind = str(getattr(given, "dtype", type(given).__name__))
    if kind.removeprefix("torch.") != "uint8":
        raise DataError(
            f"pictures came as {kind}; whole numbers from 0 to 255 in uint8 were expected, as they are stored: of floats from 0 "
            "to 1 take (255 * x).round()"
        )
    found = given.detach().cpu() if isinstance(given, Tensor) else torch.as_tensor(given)
    if found.ndim != 4 or found.shape[1] not in (1, 3) or not len(found):
        raise DataError(f"pictures came with shape {tuple(found.shape)}; expected (N, 3, H, W) or (N, 1, H, W)")
    return found

"""Nets for pictures by the name that timm knows them by: `timm/resnet18`. Needs the extra `vision`; downloads nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from tunesmith.blocks.models import Spec
from tunesmith.blocks.models.cnn import shape_of
from tunesmith.blocks.models.inputs import finish, named, require
from tunesmith.records import MissingExtra, ModelError, Recipe, UnknownName, did_you_mean

BEGINS = "timm/"


class FromTimm(nn.Module):
    """A net of timm on pictures, standardised by channel. Shape: (N, C, H, W), or (N, H, W) for C = 1, -> (N, outputs)."""

    def __init__(self, net: nn.Module, spec: Spec, kind: str) -> None:
        super().__init__()
        self.net, self.spec, self.kind, self.channels = net, dict(spec), kind, shape_of(spec)[0]

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        (x,) = named(inputs, self.spec).values()
        x = x.to(next(self.net.parameters()).dtype).reshape(-1, self.channels, *x.shape[-2:])
        return finish(cast(Tensor, self.net(x)), self.kind)


def from_timm(name: str, recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    """The net called `timm/…`, drawn anew, for these channels and outputs. Raises `MissingExtra`, `UnknownName`, `ModelError`."""
    timm = library()
    require(name, spec, takes=("pictures", "x"), needs=("pictures", "x"))
    called = name.removeprefix(BEGINS)
    architecture = called.partition(".")[0]
    if not timm.is_model(architecture):
        raise UnknownName(
            f"timm has no net called {architecture!r}{did_you_mean(architecture, timm.list_models())}; see timm.list_models()"
        )
    about: dict[str, Any] = {"num_classes": outputs, "in_chans": shape_of(spec)[0], "pretrained": False}
    if recipe.model.dropout != "auto":
        about["drop_rate"] = float(recipe.model.dropout)
    return FromTimm(timm.create_model(called, **about), spec, kind)


def cached_file(name: str) -> Path:
    """The weights of a net in the cache of timm. Raises `ModelError` where they are not there."""
    if not name.startswith(BEGINS):
        raise ModelError(
            f"model.pretrained = 'cached' means the weights that timm has of a net, and model.name is {name!r}; set model.name = 'timm/…', "
            "or name a file of weights or a run folder"
        )
    timm = library()
    called = name.removeprefix(BEGINS)
    try:
        known = timm.get_pretrained_cfg(called)
    except RuntimeError:  # of a tag that it does not have
        known = None
    place = getattr(known, "hf_hub_id", None)
    if place:
        from huggingface_hub import try_to_load_from_cache

        for file in ("model.safetensors", "pytorch_model.bin"):
            found = try_to_load_from_cache(place, file)
            if isinstance(found, str):
                return Path(found)
    raise ModelError(
        f"model.pretrained = 'cached': no weights of {called} are in the cache ({place or 'timm knows of none'}); fetch them where there is a "
        f"network, timm.create_model({called!r}, pretrained=True), or name a file of weights"
    )


def library() -> Any:
    """The package timm. Raises `MissingExtra` where it is absent."""
    try:
        import timm
    except ImportError as error:
        raise MissingExtra(f"nets by the name timm/… need timm ({error}); pip install 'tunesmith[vision]'") from error
    return timm

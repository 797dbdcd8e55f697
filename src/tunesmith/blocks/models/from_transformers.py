"""Nets of Transformers from a local folder: `transformers/FOLDER`, with the weights there. Needs the extra `text`; downloads nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tunesmith.blocks.layers.segments import places_within, segment_mask
from tunesmith.blocks.models import Spec
from tunesmith.blocks.models.inputs import finish, named, require
from tunesmith.records import MissingExtra, ModelError, Recipe

BEGINS = "transformers/"


class FromTransformers(nn.Module):
    """A net of Transformers on tokens (N, L): logits (N, L, outputs) of a language model, else (N, outputs)."""

    def __init__(self, net: nn.Module, spec: Spec, kind: str) -> None:
        super().__init__()
        self.net, self.spec, self.kind, self.padding = net, dict(spec), kind, int(spec["tokens"].padding)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        parts = {"tokens": inputs} if isinstance(inputs, Tensor) else named(inputs, self.spec)
        tokens = parts["tokens"].long()
        if self.kind != "language":
            logits: Tensor = self.net(input_ids=tokens, attention_mask=tokens != self.padding).logits
            return finish(logits, self.kind)
        about: dict[str, Any] = {}  # padding at the right needs no mask: nothing real comes after it
        if "segments" in parts:
            segments = parts["segments"]
            places = parts.get("positions", places_within(segments))
            about = {"attention_mask": segment_mask(segments, causal=True), "position_ids": places.long()}
        found: Tensor = self.net(input_ids=tokens, use_cache=False, **about).logits
        return found


def from_transformers(name: str, recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    """The net in a folder, for these outputs; a head that is not there begins fresh. Raises `MissingExtra` and `ModelError`."""
    library = _library()
    require(name, spec, takes=("tokens", "segments", "positions"), needs=("tokens",))
    folder = Path(name.removeprefix(BEGINS)).expanduser()
    if not folder.is_dir():
        raise ModelError(
            f"model.name = {name!r}: there is no folder {folder}; give one that save_pretrained of Transformers wrote"
        )
    about: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    language = kind == "language"
    kinds = library.AutoModelForCausalLM if language else library.AutoModelForSequenceClassification
    if not language:
        about |= {"num_labels": outputs, "pad_token_id": int(spec["tokens"].padding), "ignore_mismatched_sizes": True}
    try:
        with _quiet(library):
            net: nn.Module = kinds.from_pretrained(str(folder), **about)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"model.name = {name!r}: Transformers reads no {_wanted(kind)} from it ({said})") from error
    if recipe.model.dropout != "auto":
        for layer in net.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = float(recipe.model.dropout)
    return FromTransformers(net, spec, kind)


def _wanted(kind: str) -> str:
    return "language model" if kind == "language" else "classifier"


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without its bar, and its lines on what a new head lacks."""
    words, bar = library.logging.get_verbosity(), library.logging.is_progress_bar_enabled()
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        yield
    finally:
        library.logging.set_verbosity(words)
        if bar:
            library.logging.enable_progress_bar()


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(
            f"nets by the name transformers/FOLDER need transformers ({error}); pip install 'tunesmith[text]'"
        ) from error
    return transformers

"""Rows as numbers in which near means alike, for audits that look at neighbours, at lines and at distances. No network.

Everything is learnt on the training rows alone, and in an order that their contents give, so that the order of a file
changes nothing. Tables: robustly scaled numbers, gaps filled and marked, frequent levels. Texts: words and pieces of words
in 128 latent dimensions. Pictures: thumbnail, orientation histograms, a dictionary of patches. Token ids: hashed counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.features_keys import row_keys
from tunesmith.doctor.audits.features_pictures import as_pictures, picture_encoder
from tunesmith.doctor.audits.features_tables import Encoder, code_encoder, joined, level_encoder, number_encoder
from tunesmith.doctor.audits.features_text import TextEncoder, text_encoder, token_counts
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.records.check import Inapplicable

WIDE = 2048  # a flat array of more columns is projected onto half of them; assumption
LOOK = 2000  # rows that tell whether a flat array is a picture; assumption


def features(material: Material) -> Mapping[str, Array]:
    """float32 (N, D) of every part, by part: near rows are alike. Made once. Raises `Inapplicable` where no column is a feature."""
    encode = _encoder(material)
    return material.kept("features", lambda: {part: encode(view) for part, view in material.parts.items()})


def whole_features(material: Material) -> Array:
    """The same for the rows of `material.whole`, in their order."""
    found = features(material)
    parts = [part for part, view in material.parts.items() if part == "train" or view.planned]
    if len(parts) == 1:
        return found["train"]

    def make() -> Array:
        order = np.argsort(np.concatenate([material.parts[part].rows for part in parts]), kind="stable")
        return np.concatenate([found[part] for part in parts])[order]

    return material.kept("whole features", make)


def tree_inputs(material: Material, view: View) -> Array | None:
    """float32 (N, D) with NaN for gaps and one column a category: what trees like; None where there are no plain columns."""
    made = material.kept("tree encoders", lambda: _tree_encoders(material))
    return joined(made, view.table) if made else None


def sparse_words(material: Material, view: View) -> Any:
    """CSR (N, M), the words of all text columns side by side, weighted; None where there is no text."""
    from scipy.sparse import hstack

    made = _text_encoders(material)
    if not made:
        return None
    return hstack([encoder.sparse(texts(view.table[name])) for name, encoder in made.items()], format="csr")


def content_keys(material: Material, view: View) -> Array:
    """uint64 (N,): equal for rows with equal contents, whatever their target."""
    return row_keys({name: view.table[name] for name in usable(material)})


def usable(material: Material) -> list[str]:
    """The columns that are features. Raises `Inapplicable` without any."""
    kinds = (*NUMERIC, "category", "text", "picture", "array")
    names = [name for name, column in material.columns.items() if column.kind in kinds and name in material.train.table]
    if not names:
        raise Inapplicable("no column is a feature")
    return names


def texts(values: Array) -> list[str]:
    """Gaps as empty texts."""
    return ["" if value is None else str(value) for value in values.tolist()]


@dataclass(slots=True)
class _Blocks:
    """Encoders of one row's pieces; wide blocks are brought to a common weight."""

    plain: list[Encoder] = field(default_factory=list)
    wide: list[Callable[[Mapping[str, Array]], Array]] = field(default_factory=list)

    def __call__(self, view: View) -> Array:
        made = [joined(self.plain, view.table)] if self.plain else []
        made += [encode(view.table) for encode in self.wide]
        return made[0] if len(made) == 1 else np.concatenate(made, axis=1)


def _encoder(material: Material) -> _Blocks:
    return material.kept("feature encoder", lambda: _learnt(material))


def _learnt(material: Material) -> _Blocks:
    order = np.argsort(content_keys(material, material.train), kind="stable")
    table = material.train.table
    rows = sum(len(view) for view in material.parts.values())
    made = _Blocks()
    for name in usable(material):
        kind = material.columns[name].kind
        if kind in NUMERIC:
            made.plain.append(number_encoder(name, table[name]))
        elif kind == "category":
            made.plain.append(level_encoder(name, table[name]))
        elif kind == "text":
            made.wide.append(_of_text(name, _text_encoders(material)[name]))
        else:
            _add_array(made, name, table[name], order, rows, material.rng(f"features {name}"))
    return made


def _text_encoders(material: Material) -> Mapping[str, TextEncoder]:
    def make() -> dict[str, TextEncoder]:
        order = np.argsort(content_keys(material, material.train), kind="stable")
        named = {name: material.train.table[name] for name in material.words("text")}
        return {name: text_encoder(texts(values[order]), material.seed) for name, values in named.items()}

    return material.kept("text encoders", make)


def _of_text(name: str, encoder: TextEncoder) -> Callable[[Mapping[str, Array]], Array]:
    return lambda table: encoder.dense(texts(table[name])) * np.float32(4.0)  # as heavy as 16 plain columns; assumption


def _tree_encoders(material: Material) -> list[Encoder]:
    table = material.train.table
    made: list[Encoder] = []
    for name in usable(material):
        kind = material.columns[name].kind
        if kind in NUMERIC:
            made.append(_raw(name))
        elif kind == "category":
            made.append(code_encoder(name, table[name]))
        elif kind == "array" and _plain(table[name]):
            made.append(_raw(name))
    return made


def _plain(values: Array) -> bool:
    """Few numbers a row, and no picture."""
    if values.dtype.kind not in "fiub" or values[:1].size > 256:
        return False
    return picture_shape(values, np.arange(len(values))) is None


def _raw(name: str) -> Encoder:
    def encode(table: Mapping[str, Array]) -> Array:
        came = table[name]
        found = came.reshape(len(came), -1).astype(np.float32)
        return np.where(np.isfinite(found), found, np.float32(np.nan))

    return encode


def _add_array(made: _Blocks, name: str, values: Array, order: Array, rows: int, rng: np.random.Generator) -> None:
    if values.dtype.kind not in "fiub":
        made.plain.append(
            level_encoder(name, np.array([str(value) for value in values.reshape(len(values), -1)[:, 0]], object))
        )
        return
    shape = picture_shape(values, order)
    if shape is not None:
        made.wide.append(_of_pictures(name, values, shape, order, rows, rng))
        return
    if are_tokens(values):
        made.wide.append(_standard(lambda table: token_counts(table[name]), {name: values[order[:20_000]]}))
    made.wide.append(_flat(name, values, order, rng))


def picture_shape(values: Array, order: Array) -> tuple[int, ...] | None:
    """(C, H, W) of an array of pictures, flat ones too where neighbours in a square resemble each other; else None."""
    found = as_pictures(values[:1])
    if found is not None:
        return tuple(found.shape[1:])
    side = round(values[:1].size ** 0.5)
    if values.ndim != 2 or side < 8 or side**2 != values.shape[1] or len(values) < 50:
        return None
    some = values[order[:LOOK]].astype(np.float32).reshape(-1, side, side)
    if not np.isfinite(some).all():
        return None
    some -= some.mean(0)
    size = (some**2).mean(0)
    down = (some[:, 1:] * some[:, :-1]).mean(0).sum() / max(float(np.sqrt(size[1:] * size[:-1]).sum()), 1e-12)
    far = (some * np.roll(some, (side // 2, side // 3), (1, 2))).mean(0).sum() / max(float(size.sum()), 1e-12)
    return (1, side, side) if down > 0.3 and down > 2 * abs(far) else None  # assumption; unrelated columns: about 0


def are_tokens(values: Array) -> bool:
    """Whether an array (N, L) looks like rows of token ids: whole numbers from one vocabulary in every place."""
    if values.ndim != 2 or values.dtype.kind not in "iu" or values.dtype == np.uint8 or values.shape[1] < 4:
        return False
    some = values[:LOOK]
    return bool(some.min() >= 0 and some.max() >= 16 and len(np.intersect1d(some[:, 0], some[:, 1])) >= 2)


def _of_pictures(
    name: str, values: Array, shape: tuple[int, ...], order: Array, rows: int, rng: np.random.Generator
) -> Callable[[Mapping[str, Array]], Array]:
    def shaped(came: Array) -> Array:
        return came.reshape(len(came), *shape) if came.ndim == 2 else as_pictures(came)  # type: ignore[return-value]

    some = shaped(values)[order[:4000]]
    encoder = picture_encoder(some, rows, rng)
    return _standard(lambda table: encoder.encode(shaped(table[name])), {name: some}, 8.0)


def _standard(
    encode: Callable[[Mapping[str, Array]], Array], some: Mapping[str, Array], size: float = 4.0
) -> Callable[[Mapping[str, Array]], Array]:
    """Columns of mean 0 and one deviation, so that the block weighs as much as `size`² plain columns; by the rows `some`."""
    made = encode(some)
    mean, spread = made.mean(0), made.std(0)
    used = spread > 1e-6
    factor = np.where(used, size / np.sqrt(max(int(used.sum()), 1)) / np.where(used, spread, 1), 0).astype(np.float32)

    def scaled(table: Mapping[str, Array]) -> Array:
        found = encode(table)
        found -= mean
        found *= factor
        return found

    return scaled


def _flat(name: str, values: Array, order: Array, rng: np.random.Generator) -> Callable[[Mapping[str, Array]], Array]:
    """Columns of an array scaled as those of a table, gaps marked; very wide ones projected at random."""
    some = values[order[:20_000]].reshape(len(order[:20_000]), -1).astype(np.float64)
    some[~np.isfinite(some)] = np.nan
    gaps = np.isnan(some).any(0) | (~np.isfinite(values.reshape(len(values), -1))).any(0)
    empty = np.isnan(some).all(0)
    some[:, empty] = 0.0
    low, middle, high = np.nanquantile(some, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / 1.349
    spread = np.where(spread > 0, spread, np.nanstd(some, axis=0))
    spread[spread == 0] = 1.0
    width = some.shape[1]
    spun = rng.standard_normal((width, WIDE // 2), dtype=np.float32) / np.sqrt(np.float32(WIDE // 2))

    def encode(table: Mapping[str, Array]) -> Array:
        came = table[name].reshape(len(table[name]), -1).astype(np.float32)
        gone = ~np.isfinite(came)
        came[gone] = np.broadcast_to(middle.astype(np.float32), came.shape)[gone]
        came -= middle.astype(np.float32)
        came /= spread.astype(np.float32)
        np.arcsinh(came, out=came)
        if width > WIDE:
            came = came @ spun
        return np.concatenate([came, gone[:, gaps].astype(np.float32)], axis=1) if gaps.any() else came

    return encode

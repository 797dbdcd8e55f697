"""Picture files in a folder or a .zip by class: found, named, decoded to uint8 (N, C, H, W).

Legend: N pictures, C channels (1 grey, 3 colour), H height, W width.
"""

import io
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar

import numpy as np

from tunesmith.data.spec import Array, PictureSet
from tunesmith.records import DataError, Evidence, Finding, Remedy, Safety
from tunesmith.records.messages import render

ImageSize: TypeAlias = int | tuple[int, int] | Literal["auto"]
Seen = TypeVar("Seen")

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
MOST_PIXELS = 64  # assumption: what a small net trains on in minutes on a CPU; data.image_size lifts it
FEW_BAD = 0.05  # assumption: above this share of unreadable files the data set itself is damaged
NAMED = 5  # names listed in a sentence
AT_ONCE = 1024  # files decoded ahead
UTF8, LOCKED = 0x800, 0x1  # flags of an entry; PKWARE APPNOTE 4.4.4
ORIENTATION, SIDEWAYS = 0x0112, 5  # Exif 2.32, table 4: from 5 on rows and columns are swapped
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)  # pillow's


@dataclass(frozen=True, slots=True)
class Source:
    """A picture file and what its path says."""

    path: str  # relative, with the top folders that all share
    label: str | None = None
    part: str | None = None


@dataclass(slots=True)
class Told:
    """What a reader has to say, gathered on the way."""

    language: str
    notices: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def say(self, message: str, **values: Any) -> None:
        self.notices.append(render(message, values, self.language))


class Files(Protocol):
    """Where picture files lie."""

    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


class Folder:
    """The files below a folder; hidden ones left out, links followed once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        found, seen = [], set()
        for folder, below, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            found += [Path(folder, name).relative_to(self.root).as_posix() for name in files]
        return sorted(found)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class Single:
    """One picture file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return [self.path.name]

    def read(self, name: str) -> bytes:
        return self.path.read_bytes()


class Archive:
    """The files of a .zip."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self.file = file
        entries = [entry for entry in file.infolist() if not entry.is_dir()]
        self.entries = dict(zip(_zip_names(entries), entries, strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def names(self) -> list[str]:
        return sorted(self.entries)

    def read(self, name: str) -> bytes:
        entry = self.entries[name]
        if entry.flag_bits & LOCKED:
            raise DataError(f"{self.file.filename} is locked with a password; unpack it and give the folder")
        return self.file.read(entry)


def opened_zip(path: Path) -> Archive:
    try:
        return Archive(zipfile.ZipFile(path))
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is a damaged .zip file ({error}); fetch it again") from None


def _zip_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names as they were written: where a file does not say how, in UTF-8 or GB 2312 if all its names can be read so."""
    names = [entry.filename.replace("\\", "/") for entry in entries]
    told = [bool(entry.flag_bits & UTF8) or name.isascii() for entry, name in zip(entries, names, strict=True)]
    for encoding in ("utf-8", "gb2312"):
        try:
            return [
                name if clear else name.encode("cp437").decode(encoding)  # zipfile took them for cp437
                for name, clear in zip(names, told, strict=True)
            ]
        except UnicodeError:
            continue
    return names


def from_files(files: Files, path: Path, image_size: ImageSize, told: Told, *, with_labels: bool) -> PictureSet:
    """The pictures with what their folders say; without labels every picture counts, wherever it lies."""
    sources = _found(files.names(), path, told)
    sources = _by_class(sources, path, told) if with_labels else sources
    heads = list(_readable([source.path for source in sources], files, _measured))
    failed = {source.path: head for source, head in zip(sources, heads, strict=True) if isinstance(head, str)}
    whole = [(source, head) for source, head in zip(sources, heads, strict=True) if not isinstance(head, str)]
    _refuse_many_bad(failed, len(sources), path)
    size = chosen_size(Counter(head.size for _, head in whole), image_size, told)
    channels = _chosen_channels([head.colour for _, head in whole], told)
    _tell_oddities([head for _, head in whole], told)
    kept = [source for source, _ in whole]
    pixels = np.empty((len(kept), channels, *size), np.uint8)
    failed |= _fill(pixels, [source.path for source in kept], files, size, channels)
    _refuse_many_bad(failed, len(sources), path)
    if failed:
        told.findings.append(bad_images(failed, len(sources)))
        good = np.array([source.path not in failed for source in kept], bool)
        kept, pixels = [source for source in kept if source.path not in failed], pixels[good]
    return _set_of(_grey_if_all_are(pixels, told), kept, told)


def _tell_oddities(heads: Sequence["Head"], told: Told) -> None:
    for message, count in (
        ("pictures.frames", sum(head.frames > 1 for head in heads)),
        ("pictures.transparent", sum(head.transparent for head in heads)),
        ("pictures.deep", sum(head.deep for head in heads)),
    ):
        if count:
            told.say(message, count=count)


def _set_of(pixels: Array, kept: Sequence[Source], told: Told) -> PictureSet:
    labelled = any(source.label is not None for source in kept)
    divided = any(source.part is not None for source in kept)
    return PictureSet(
        pixels,
        np.array([source.label for source in kept], object) if labelled else None,
        np.array([source.part for source in kept], object) if divided else None,
        tuple(source.path for source in kept),
        tuple(told.findings),
        tuple(told.notices),
    )


def _found(names: Iterable[str], path: Path, told: Told) -> list[Source]:
    """The picture files among the names; hidden ones are left out."""
    visible = [name for name in names if not any(_hidden(part) for part in name.split("/"))]
    pictures = [name for name in visible if PurePosixPath(name).suffix.lower() in ENDINGS]
    if not pictures:
        raise DataError(
            f"{path} holds no pictures among its {len(visible)} files; expected folders of "
            f"{', '.join(sorted(ENDINGS))} files, one folder a class"
        )
    if len(visible) > len(pictures):
        others = [name for name in visible if PurePosixPath(name).suffix.lower() not in ENDINGS]
        told.say("pictures.other_files", count=len(others), names=_few(others))
    return [Source(name) for name in pictures]


def _by_class(sources: Sequence[Source], path: Path, told: Told) -> list[Source]:
    """The files with class and part as their folders say."""
    split = [tuple(source.path.split("/")) for source in sources]
    below = _shared(split)
    parts = {folders[below].lower() for folders in split if len(folders) > below + 1}
    if len(parts) > 1 and parts <= set(PARTS):
        return _in_parts(split, below, path, told)
    return _labelled([Source("/".join(folders), _label(folders, below)) for folders in split], told)


def _in_parts(split: Sequence[tuple[str, ...]], below: int, path: Path, told: Told) -> list[Source]:
    sources = []
    for folders in split:
        part = PARTS[folders[below].lower()] if len(folders) > below + 1 else None
        sources.append(Source("/".join(folders), _label(folders, below + 1) if part else None, part))
    counts = Counter(source.part for source in sources if source.label)
    if "train" not in counts:
        raise DataError(
            f"{path} is divided into {' and '.join(sorted(str(part) for part in counts))} but has no train folder "
            "with one folder a class; add it"
        )
    shown = [f"{part} {counts[part]}" for part in ("train", "val", "test") if counts[part]]
    told.say("pictures.parts", parts=", ".join(shown))
    return _labelled(sources, told)


def _labelled(sources: list[Source], told: Told) -> list[Source]:
    """Where some files lie in class folders, those that do not are left out."""
    loose = [source.path for source in sources if source.label is None]
    if loose and len(loose) < len(sources):
        told.say("pictures.outside", count=len(loose), names=_few(loose))
        return [source for source in sources if source.label is not None]
    return sources


def _label(folders: tuple[str, ...], below: int) -> str | None:
    return folders[below] if len(folders) > below + 1 else None


def _shared(split: Sequence[tuple[str, ...]]) -> int:
    """How many top folders all files share, above the folders of the classes.

    >>> _shared([("data", "cat", "1.png"), ("data", "dog", "2.png")]), _shared([("cat", "1.png")])
    (1, 0)
    """
    below = 0
    while all(len(folders) > below + 2 for folders in split) and len({folders[below] for folders in split}) == 1:
        below += 1
    return below


def _hidden(part: str) -> bool:
    return part.startswith(".") or part in {"__MACOSX", "Thumbs.db", "desktop.ini"}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")


@dataclass(frozen=True, slots=True)
class Head:
    """What the first bytes of a picture say."""

    size: tuple[int, int]  # height, width, upright
    colour: bool
    transparent: bool
    deep: bool  # 16 bits a pixel
    frames: int


def _readable(names: Sequence[str], files: Files, read: Callable[[bytes], Seen]) -> Iterator[Seen | str]:
    """`read` of each file's bytes, or the reason why it failed, in the order of the names; in threads."""
    from PIL.Image import DecompressionBombError

    def attempt(name: str) -> Seen | str:
        try:
            return read(files.read(name))
        except DataError:
            raise
        except (*BROKEN, DecompressionBombError) as error:
            return str(error) or type(error).__name__

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for first in range(0, len(names), AT_ONCE):
            yield from pool.map(attempt, names[first : first + AT_ONCE])


def _measured(data: bytes) -> Head:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if "exif" in image.info and image.getexif().get(ORIENTATION, 1) >= SIDEWAYS:  # getexif of a PNG decodes it
            width, height = height, width
        transparent = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
        deep = image.mode.startswith("I")
        colour = image.mode not in {"1", "L", "LA"} and not deep
        return Head((height, width), colour, transparent, deep, getattr(image, "n_frames", 1))


def _fill(pixels: Array, names: Sequence[str], files: Files, size: tuple[int, int], channels: int) -> dict[str, str]:
    """Decodes into `pixels`; the files that fail, with the reason."""
    failed = {}
    for row, decoded in enumerate(_readable(names, files, lambda data: _decoded(data, size, channels))):
        if isinstance(decoded, str):
            failed[names[row]] = decoded
        else:
            pixels[row] = decoded
    return failed


def _decoded(data: bytes, size: tuple[int, int], channels: int) -> Array:
    """uint8 (C, H, W), upright, transparent parts on white, 16-bit grey brought to 8."""
    from PIL import Image, ImageOps

    height, width = size
    mode = "L" if channels == 1 else "RGB"
    with Image.open(io.BytesIO(data)) as image:
        image.draft(mode, (2 * width, 2 * height))  # JPEG decodes at a half, a quarter … where that is enough
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            upright = Image.fromarray((np.asarray(upright).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
        if upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info:
            clear = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        plain = upright.convert(mode)
        if plain.size != (width, height):
            plain = plain.resize((width, height), Image.Resampling.BILINEAR)
        array = np.asarray(plain)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def chosen_size(sizes: Counter[tuple[int, int]], asked: ImageSize, told: Told) -> tuple[int, int]:
    """Height and width for pictures of these sizes; see `read_pictures`."""
    total = sum(sizes.values())
    (height, width), count = sizes.most_common(1)[0]
    if asked != "auto":
        size = (asked, asked) if isinstance(asked, int) else asked
        if count < total or (height, width) != size:
            told.say("pictures.resized", height=size[0], width=size[1], why=f"data.image_size = {asked}")
        return size
    why = f"the size of {count} of {total}"
    if 2 * count < total:
        rows = np.repeat(np.array(list(sizes)), list(sizes.values()), axis=0)
        height, width = (int(side) for side in np.median(rows, axis=0).round())
        why = f"the median of {len(sizes)} sizes"
    longest = max(height, width)
    if longest > MOST_PIXELS:
        why += f", {height}×{width}, with its longer side brought to {MOST_PIXELS}; data.image_size keeps more"
        height, width = (max(round(side * MOST_PIXELS / longest), 1) for side in (height, width))
    if len(sizes) > 1 or longest > MOST_PIXELS:
        told.say("pictures.resized", height=height, width=width, why=why)
    return (height, width)


def _chosen_channels(colour: Sequence[bool], told: Told) -> int:
    """3 where any picture is in colour, else 1."""
    if any(colour) and not all(colour):
        told.say("pictures.mixed", colour=sum(colour), grey=len(colour) - sum(colour))
    return 3 if any(colour) else 1


def _grey_if_all_are(pixels: Array, told: Told) -> Array:
    """One channel where red, green and blue are equal in every picture."""
    if pixels.shape[1] != 3 or any((row[:1] != row[1:]).any() for row in pixels):
        return pixels
    told.say("pictures.grey", count=len(pixels))
    return np.ascontiguousarray(pixels[:, :1])


def _refuse_many_bad(failed: Mapping[str, str], total: int, path: Path) -> None:
    if len(failed) > FEW_BAD * total:
        name, reason = next(iter(failed.items()))
        raise DataError(
            f"{len(failed)} of the {total} pictures in {path} cannot be read, more than {FEW_BAD:.0%}; "
            f"the first is {name} ({reason}); mend or remove them"
        )


def bad_images(failed: Mapping[str, str], total: int) -> Finding:
    """data.bad_images: files that look like pictures and cannot be read; they were left out."""
    name, reason = next(iter(failed.items()))
    values = {"count": len(failed), "total": total, "names": _few(list(failed)), "reason": f"{name}: {reason}"}
    return Finding(
        fault="data.bad_images",
        severity="warning",
        message="data.bad_images",
        values=values,
        evidence=(Evidence(name="share of unreadable pictures", value=len(failed) / total, threshold=0.0),),
        remedies=(Remedy(title="remedy.mend_pictures", safety=Safety.ADVICE),),
        status="confirmed",
        subject={"files": list(failed)},
    )

"""Copies: are equal rows counted, and near copies found among rows that are alike by nature?

`sms`: the messages of the SMS Spam Collection that repeat an earlier one, beside a count by a set of strings. `cifar`: real near copies
between 2,000 test and 10,000 training pictures of CIFAR-10 (part a, recompressed), found and judged by people (ciFAIR: Barz & Denzler,
Journal of Imaging 6 (2020)). That list holds one training picture for each test picture, the nearest, so that further true copies count
as mistakes: `listed` counts them so; `others left out` leaves out unlisted pairs of a listed picture. `recall at 0.9` is of the listed pairs,
at the last threshold with a precision of 0.9; `recall told` is what the audit tells at its own threshold, which knows nothing of the list.
Perceptual hashes of 64 bits are those of imagehash 4.3.2, ranked by the bits that differ, pairs of more than 24 left out.
The descriptor, its width and the three correlations were chosen on this very list, the quantiles of the law of chance on it and on
Fashion-MNIST: the numbers of the audit on pictures are those of the data it was made on, and new data may be harder. The hashes had no such help.

`planted`: changed copies of 250 rows among 5,000 (all rows, where there are fewer). Pictures: Fashion-MNIST; texts: AG News, so many words
of each copy exchanged; tables: noise of so many standard deviations on every number. `recall` and `precision` are those at the audit's own
threshold; copies that were there before count as mistakes, `before` is how many pairs are told where nothing is planted. For the
hashes the threshold is the best of all for F1, which nobody knows beforehand. `seconds` is CPU time.
The data are not part of the repository: TUNESMITH_SHARED names their folder.
"""

import csv
import gzip
import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from tables import Row, markdown, middle

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
HASHES = ("phash", "dhash", "average_hash", "whash")
CHANGES = ("shifted by 1", "shifted by 2", "brightened", "compressed", "cropped", "mirrored", "noisy")
COPIES, ROWS = 250, 5000


def cases() -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [{"data": "sms"}]
    every += [{"data": "cifar", "by": by} for by in ("tunesmith", *HASHES)]
    every += [
        {"data": "planted", "kind": "pictures", "change": change, "by": by}
        for change in CHANGES
        for by in ("tunesmith", "phash", "dhash")
    ]
    every += [{"data": "planted", "kind": "texts", "change": words, "by": "tunesmith"} for words in (1, 2, 4, 8)]
    every += [
        {"data": "planted", "kind": table, "change": noise, "by": "tunesmith"}
        for table in ("california", "wine", "adult")
        for noise in (1e-6, 1e-4, 1e-2)
    ]
    return [case | {"env": "duplicates"} for case in every]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    if case["data"] == "sms":
        return sms()
    if case["data"] == "cifar":
        return cifar(case["by"])
    return pictures(case) if case["kind"] == "pictures" else texts(case) if case["kind"] == "texts" else rows(case)


def sms() -> dict[str, Any]:
    import polars as pl

    from tunesmith.doctor.audits import material_of
    from tunesmith.doctor.audits.duplicates import duplicates
    from tunesmith.records import Task

    file = SHARED / "text" / "sms_spam.csv.gz"
    said = pl.read_csv(file)["text"].to_list()
    first = next(iter(duplicates(material_of(Task(train=file, target="label")))))
    return {"told": first.values["count"], "by a set": len(said) - len(set(said))}


def cifar(by: str) -> dict[str, Any]:
    places, X = cifar_pictures()
    with (SHARED / "label_noise" / "cifar10_part_a_train_test_duplicates.csv").open() as file:
        listed = [(int(row["cifar_test_index"]), int(row["cifar_train_index"])) for row in csv.DictReader(file)]
    true = {(places["train", train], places["test", test]) for test, train in listed}
    began = time.process_time()
    told: set[tuple[int, int]] = set()
    trained = max(place for (part, _), place in places.items() if part == "train") + 1
    if by == "tunesmith":
        from tunesmith.doctor.audits.near_pictures import near_pictures

        found = near_pictures(X, np.random.default_rng(0), every=True)
        pairs, score = found.pairs, -np.arange(len(found.pairs), dtype=float)
        across = (pairs[:, 0] < trained) & (pairs[:, 1] >= trained)
        pairs, score = pairs[across], score[across]
        told = {(int(one), int(other)) for one, other in near_pictures(X, np.random.default_rng(0)).pairs}
    else:
        bits = hashed(X, by)
        apart = bits_apart(bits[:trained], bits[trained:])
        near = np.argwhere(apart <= 24)  # of 64: half of all pairs lie beyond 32
        pairs, score = near + np.array([0, trained]), -apart[near[:, 0], near[:, 1]].astype(float)
    seconds = time.process_time() - began
    hit = np.array([(int(one), int(other)) in true for one, other in pairs])
    used = {place for pair in true for place in pair}
    strange = np.array([int(one) not in used and int(other) not in used for one, other in pairs])
    numbers = {"seconds": seconds / (2 if by == "tunesmith" else 1)}
    for name, kept in (("listed", np.ones(len(hit), bool)), ("others left out", hit | strange)):
        average, recall = curve(hit[kept], score[kept], len(true))
        numbers |= {f"average precision, {name}": average, f"recall at 0.9, {name}": recall}
    if told:
        numbers |= {
            "recall told": len(told & true) / len(true),
            "pairs told across": sum(a < trained <= b for a, b in told),
        }
    return numbers


def cifar_pictures() -> tuple[dict[tuple[str, int], int], np.ndarray]:
    """Training pictures first, and the place of each by part and number in CIFAR-10."""
    from PIL import Image

    places, made = {}, []
    with zipfile.ZipFile(SHARED / "images" / "cifar10_part_a.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in sorted(names, key=lambda name: ("/test/" in name, name)):
            part, _, number = name.split("/")[1:]
            places[part, int(number[:-4])] = len(made)
            made.append(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")))
    return places, np.moveaxis(np.stack(made), 3, 1)


def hashed(X: np.ndarray, by: str) -> np.ndarray:
    """bool (N, 64)."""
    import imagehash
    from PIL import Image

    make = getattr(imagehash, by)
    shown = (np.moveaxis(picture, 0, 2).squeeze() for picture in X)
    return np.stack([make(Image.fromarray(picture)).hash.ravel() for picture in shown])


def bits_apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    signs = [2.0 * bits.astype(np.float32) - 1 for bits in (one, other)]
    return ((one.shape[1] - signs[0] @ signs[1].T) / 2).astype(np.int16)


def curve(hit: np.ndarray, score: np.ndarray, total: int) -> tuple[float, float]:
    """Average precision, and the recall at the last threshold with a precision of 0.9; equal scores are one threshold."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[score[order][1:] != score[order][:-1], True])
    found = np.cumsum(hit[order])[ends]
    precision = found / (ends + 1)
    good = np.flatnonzero(precision >= 0.9)
    return float((np.diff(np.r_[0, found]) * precision).sum() / total), float(found[good[-1]] / total) if len(
        good
    ) else 0.0


def pictures(case: dict[str, Any]) -> dict[str, Any]:
    with gzip.open(SHARED / "images" / "fashion_mnist" / "train-images-idx3-ubyte.gz") as file:
        X = np.frombuffer(file.read(16 + ROWS * 784), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    planted = np.stack([changed(picture[0], case["change"]) for picture in X[:COPIES]])[:, None]
    whole = np.concatenate([X, planted])
    began = time.process_time()
    if case["by"] != "tunesmith":
        bits = hashed(whole, case["by"])
        apart = bits_apart(bits, bits)
        near = np.argwhere(np.triu(apart <= 20, 1))
        apart = apart[near[:, 0], near[:, 1]]
        marks = [judged(near[apart <= bound]) for bound in range(21)]
        best = max(
            marks, key=lambda one: 2 * one["recall"] * one["precision"] / max(one["recall"] + one["precision"], 1e-9)
        )
        return best | {"seconds": time.process_time() - began}
    from tunesmith.doctor.audits.near_pictures import near_pictures

    found = judged(near_pictures(whole, np.random.default_rng(0)).pairs) | {"seconds": time.process_time() - began}
    return found | {"before": len(near_pictures(X, np.random.default_rng(0)).pairs)}


def changed(picture: np.ndarray, change: str) -> np.ndarray:
    from PIL import Image

    if change.startswith("shifted"):
        return np.roll(picture, int(change[-1]), 1)
    if change == "brightened":
        return np.clip(picture * 0.8 + 20, 0, 255).astype(np.uint8)
    if change == "compressed":
        held = io.BytesIO()
        Image.fromarray(picture).save(held, "JPEG", quality=30)
        return np.asarray(Image.open(held))
    if change == "cropped":
        return np.asarray(Image.fromarray(picture).crop((1, 1, 26, 26)).resize((28, 28)))
    if change == "mirrored":
        return np.ascontiguousarray(picture[:, ::-1])
    drawn = np.random.default_rng(int(picture.sum())).normal(0, 15, picture.shape)
    return np.clip(picture + drawn, 0, 255).astype(np.uint8)


def texts(case: dict[str, Any]) -> dict[str, Any]:
    from tunesmith.doctor.audits.equal_rows import bare
    from tunesmith.doctor.audits.near_text import near_texts

    with gzip.open(SHARED / "text" / "ag_news_test.csv.gz", "rt") as file:
        said = [row["description"] for row in csv.DictReader(file)][:ROWS]
    rng = np.random.default_rng(0)
    vocabulary = sorted({word for text in said[-500:] for word in text.split()})
    copies = []
    for text in said[:COPIES]:
        words = text.split()
        for place in rng.permutation(len(words))[: case["change"]]:
            words[place] = str(rng.choice(vocabulary))
        copies.append(" ".join(words))
    began = time.process_time()
    found = judged(near_texts([bare(text) for text in said + copies]).pairs)
    return found | {
        "seconds": time.process_time() - began,
        "before": len(near_texts([bare(text) for text in said]).pairs),
    }


def rows(case: dict[str, Any]) -> dict[str, Any]:
    import polars as pl

    from tunesmith.doctor.audits import material_of
    from tunesmith.doctor.audits.near_duplicates import near_duplicates
    from tunesmith.records import Recipe, Task, revise

    name, target = {
        "california": ("california_housing", "median_house_value"),
        "wine": ("wine_quality", "quality"),
        "adult": ("adult_train", "income"),
    }[case["kind"]]
    frame = (
        pl.read_csv(SHARED / "tabular" / f"{name}.csv.gz", null_values="?", infer_schema_length=None)
        .unique(maintain_order=True)
        .head(ROWS)
    )
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric() and name != target]
    whole = frame.with_columns(pl.col(numbers).cast(pl.Float64))
    rng = np.random.default_rng(0)
    noise = [
        (whole[name].head(COPIES) + case["change"] * whole[name].std() * pl.Series(rng.standard_normal(COPIES))).alias(
            name
        )
        for name in numbers
    ]
    recipe = revise(Recipe(), {"data.val": 0.0, "data.test": 0.0})

    def told(table: Any) -> np.ndarray:
        material = material_of(Task(train=table, target=target), recipe)
        made = [list(zip(one.subject["rows"], one.subject["near"], strict=True)) for one in near_duplicates(material)]
        return np.array([pair for pairs in made for pair in pairs], np.int64).reshape(-1, 2)

    began = time.process_time()
    found = judged(told(pl.concat([whole, whole.head(COPIES).with_columns(noise)])), len(whole))
    return found | {"seconds": time.process_time() - began, "before": len(told(whole))}


def judged(pairs: np.ndarray, rows: int = ROWS) -> dict[str, float]:
    """Recall and precision of pairs, where the copy of row i is row `rows` + i."""
    pairs = np.sort(pairs, axis=1)
    right = int((pairs[:, 1] - pairs[:, 0] == rows).sum())
    return {"recall": right / COPIES, "precision": right / max(1, len(pairs))}


def table(rows: list[Row]) -> str:
    """One table for each question."""
    told = []
    for data, heading in (("sms", "Equal messages"), ("cifar", "Real near copies"), ("planted", "Planted near copies")):
        groups: dict[str, list[Row]] = {}
        for row in rows:
            if row["case"]["data"] == data:
                groups.setdefault(
                    " | ".join(str(row["case"][key]) for key in ("kind", "change", "by") if key in row["case"]), []
                ).append(row)
        if not groups:
            continue
        names = list(dict.fromkeys(name for group in groups.values() for row in group for name in row["measured"]))
        keys = [key for key in ("kind", "change", "by") if key in next(iter(groups.values()))[0]["case"]]
        lines = [
            [str(group[0]["case"][key]) for key in keys]
            + [middle(row["measured"].get(name) for row in group) for name in names]
            for group in groups.values()
        ]
        told.append(f"## {heading}\n\n" + markdown([*keys, *names], lines))
    return "\n\n".join(told)

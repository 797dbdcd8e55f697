"""From a data file to a judged model with no settings: `tunesmith fit FILE`, beside scikit-learn on the same rows.

`tunesmith` is the command itself, told what to predict and nothing else; its test score is that of its own report, its seconds are
those of the whole command. `linear` is logistic (300 iterations) or ridge regression, `boosting` scikit-learn's `HistGradientBoosting`, both with
scikit-learn's own settings, trained on the training and validation rows of the same split and judged on the same test rows
(`same rows` says so). Tables: numbers standardised and medians for what is missing, categories as indicators (linear) or as
categories (boosting). Text: TF-IDF of 1 to 3 characters; boosting sees 100 components of it. Pictures: their pixels.

Fashion-MNIST, Adult and the titles of THUCNews have test parts of their own. The F1 of SMS spam is that of spam; rows that are
equal lie in one part. Bars: Fashion-MNIST 0.915, Adult 0.912, California housing 0.79, SMS spam 0.93, waimai 0.85, each within 12
minutes on two cores. The data are read from the folder that TUNESMITH_SHARED names.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables import markdown

BY = ("tunesmith", "linear", "boosting")
MINUTES = 12
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Data:
    """A file, what to predict, its own test file, the scores to look at (the first there is) and the bar."""

    file: str
    target: str | None = None
    test: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    bar: float | None = None
    text: str | None = None  # the column of a text


FASHION = "images/fashion_mnist"
DATA = {
    "fashion_mnist": Data(
        f"{FASHION}/train-images-idx3-ubyte.gz", test=f"{FASHION}/t10k-images-idx3-ubyte.gz", bar=0.915
    ),
    "adult": Data("tabular/adult_train.csv.gz", "income", "tabular/adult_test.csv.gz", ("roc_auc",), 0.912),
    "california_housing": Data("tabular/california_housing.csv.gz", "median_house_value", metrics=("r2",), bar=0.79),
    "sms_spam": Data("text/sms_spam.csv.gz", "label", metrics=("f1",), bar=0.93, text="text"),
    "waimai": Data("text/waimai_10k.csv.gz", "label", bar=0.85, text="review"),
    "wine_quality": Data("tabular/wine_quality.csv.gz", "quality", metrics=("r2", "accuracy")),
    "bank_marketing": Data("tabular/bank_marketing_4120.csv.gz", "y", metrics=("roc_auc",)),
    "mammography": Data("tabular/mammography_imbalanced.csv.gz", "class", metrics=("average_precision",)),
    "thucnews_titles": Data(
        "text/thucnews_titles_train.csv.gz", "label", "text/thucnews_titles_test.csv.gz", text="title"
    ),
}
DROPPED = {"thucnews_titles": ("label_name",)}  # the label again, in words


def cases() -> list[dict[str, Any]]:
    return [{"data": name, "by": by} for name in DATA for by in BY]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    return (tunesmith if case["by"] == "tunesmith" else other)(case)


def place(file: str) -> Path:
    found = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).parents[2] / "shared")) / "data" / file
    if not found.exists():
        raise SystemExit(f"{found} is not there; set TUNESMITH_SHARED to the folder that holds data/{file}")
    return found


def tunesmith(case: dict[str, Any]) -> dict[str, Any]:
    """The command a newcomer types, as a process of its own."""
    data = DATA[case["data"]]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            str(Path(sys.executable).parent / "tunesmith"),
            "fit",
            str(place(data.file)),
            "--json",
            "--folder",
            str(run),
        ]
        command += [word for name in DROPPED.get(case["data"], ()) for word in ("--drop", name)]
        command += ["--target", data.target] if data.target else []
        command += ["--test", str(place(data.test))] if data.test else []
        command += [word for setting in case.get("settings", ()) for word in ("--set", setting)]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        seconds = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()[-400:]}")
        scores = json.loads(done.stdout)["scores"]["test"]
        metric = next(name for name in data.metrics if name in scores)
        split = np.load(run / "data" / "split.npz")
        return {"metric": metric, "score": scores[metric], "seconds": seconds} | rows_of(
            split["train"], split["val"], split["test"]
        )


def rows_of(train: Array, val: Array, test: Array) -> dict[str, Any]:
    """How many rows, and a hash that says which."""
    held = np.sort(np.concatenate([train, val])).astype(np.int64).tobytes() + np.sort(test).astype(np.int64).tobytes()
    return {"train": len(train) + len(val), "test": len(test), "rows": hashlib.sha256(held).hexdigest()[:12]}


def other(case: dict[str, Any]) -> dict[str, Any]:
    """A model of scikit-learn on the rows that the command divides with no settings."""
    from tunesmith.data import prepare
    from tunesmith.records import Recipe, Task

    data = DATA[case["data"]]
    test = str(place(data.test)) if data.test else None
    prepared = prepare(
        Task(train=str(place(data.file)), test=test, target=data.target, drop=DROPPED.get(case["data"], ())), Recipe()
    )
    split, classes = prepared.split, prepared.kind in ("binary", "multiclass")
    kept = np.concatenate([split.train, split.val])
    inputs, labels = read(case["data"], data.file)
    judged, truth = read(case["data"], data.test) if data.test else (inputs, labels)
    began = time.monotonic()
    model = pipeline(data, inputs, case["by"], classes)
    model.fit(taken(inputs, kept), labels[kept])
    scores = judged_by(model, taken(judged, split.test), truth[split.test], classes)
    metric = next(name for name in data.metrics if name in scores)
    found = {"metric": metric, "score": scores[metric], "seconds": time.monotonic() - began}
    return found | rows_of(split.train, split.val, split.test)


@dataclass
class Table:
    """Numbers (NaN where missing) beside categories (as text)."""

    numbers: Array
    categories: Array


def taken(inputs: Any, rows: Array) -> Any:
    """Numbers first, then categories: one array for a `ColumnTransformer`."""
    if not isinstance(inputs, Table):
        return inputs[rows]
    return np.concatenate([inputs.numbers[rows].astype(object), inputs.categories[rows]], axis=1)


def read(name: str, file: str | None) -> tuple[Any, Array]:
    """Inputs and labels of a file, read without any of our own readers."""
    path = place(str(file))
    if name == "fashion_mnist":
        labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
        return idx(path).reshape(-1, 784) / np.float32(255), idx(labels).astype(np.int64)
    import polars

    data = DATA[name]
    frame = polars.read_csv(path, infer_schema_length=None, null_values=["?", ""]).drop(DROPPED.get(name, ()))
    labels = frame[str(data.target)].to_numpy()
    if data.text:
        return frame[data.text].fill_null("").to_numpy(), labels
    rest = frame.drop(str(data.target))
    numbers = [
        column.cast(polars.Float64).fill_null(float("nan")).to_numpy() for column in rest if column.dtype.is_numeric()
    ]
    words = [column.fill_null("missing").to_numpy().astype(object) for column in rest if not column.dtype.is_numeric()]
    return Table(stacked(numbers, len(frame), np.float64), stacked(words, len(frame), object)), labels


def stacked(columns: list[Array], rows: int, kind: Any) -> Array:
    return np.stack(columns, axis=1) if columns else np.empty((rows, 0), kind)


def idx(path: Path) -> Array:
    """yann.lecun.com/exdb/mnist: two zeros, the type (8: unsigned bytes), the dimensions, then big-endian sizes."""
    import gzip

    held = gzip.decompress(path.read_bytes())
    dimensions = held[3]
    shape = np.frombuffer(held, ">i4", dimensions, 4)
    return np.frombuffer(held, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def pipeline(data: Data, inputs: Any, by: str, classes: bool) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    linear = by == "linear"
    if data.text:
        words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
        return make_pipeline(words, *([] if linear else [TruncatedSVD(100, random_state=0)]), model(by, classes))
    if not isinstance(inputs, Table):
        return model(by, classes)
    width = inputs.numbers.shape[1]
    numbers, words = list(range(width)), list(range(width, width + inputs.categories.shape[1]))
    if linear:
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        changed = [("numbers", scaled, numbers), ("words", OneHotEncoder(handle_unknown="ignore"), words)]
        return make_pipeline(ColumnTransformer(changed), model(by, classes))
    coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=250)
    changed = [("numbers", "passthrough", numbers), ("words", coded, words)]
    return make_pipeline(ColumnTransformer(changed), model(by, classes, categorical_features=words))


def model(by: str, classes: bool, **more: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if by == "linear":
        return LogisticRegression(max_iter=300) if classes else Ridge()
    return (
        HistGradientBoostingClassifier(random_state=0, **more)
        if classes
        else HistGradientBoostingRegressor(random_state=0, **more)
    )


def judged_by(model: Any, inputs: Any, truth: Array, classes: bool) -> dict[str, float]:
    """The scores of the test rows; of two classes the rarer is the positive one."""
    from sklearn import metrics

    if not classes:
        return {"r2": float(metrics.r2_score(truth, model.predict(inputs)))}
    guess = model.predict(inputs)
    scores = {"accuracy": float(metrics.accuracy_score(truth, guess))}
    if len(model.classes_) == 2:
        found, counts = np.unique(truth, return_counts=True)
        positive = found[counts.argmin()]
        chance = model.predict_proba(inputs)[:, list(model.classes_).index(positive)]
        scores["f1"] = float(metrics.f1_score(truth, guess, pos_label=positive))
        scores["roc_auc"] = float(metrics.roc_auc_score(truth == positive, chance))
        scores["average_precision"] = float(metrics.average_precision_score(truth == positive, chance))
    return scores


def table(rows: Any) -> str:
    newest = {
        (row["case"]["data"], row["case"]["by"]): row["measured"] for row in rows if not row["case"].get("settings")
    }
    lines = [
        line(name, {by: newest[name, by] for by in BY if (name, by) in newest})
        for name in DATA
        if (name, "tunesmith") in newest
    ]
    header = [
        "data",
        "test score",
        *(f"{by}{unit}" for by in BY for unit in ("", ", s")),
        "bar",
        "train and test rows",
        "same rows",
    ]
    return markdown(header, lines)


def line(name: str, found: dict[str, Any]) -> list[str]:
    ours, bar = found["tunesmith"], DATA[name].bar
    number: Callable[[Any, str, str], str] = lambda by, what, form: format(found[by][what], form) if by in found else ""  # noqa: E731
    cells = [cell for by in BY for cell in (number(by, "score", ".4f"), number(by, "seconds", ".0f"))]
    held = (
        ""
        if bar is None
        else f"{bar} {'held' if ours['score'] >= bar and ours['seconds'] < 60 * MINUTES else 'missed'}"
    )
    equal = "yes" if len({each["rows"] for each in found.values()}) == 1 else "NO"
    return [name, ours["metric"], *cells, held, f"{ours['train']} + {ours['test']}", equal if len(found) > 1 else ""]

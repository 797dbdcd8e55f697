"""What `tune` reaches on real data in 2 and 10 minutes on this machine, beside what people would do otherwise in the same time.

Each data set is divided once by a seed: 30 % are test rows (at most 5,000), of the rest at most 4,000 rows are given for 2 minutes and
20,000 for 10; every way gets the same rows in the same file and is scored on the same test file, from what it predicts.

* `tune` the autopilot, `plain` the built-in net with its defaults (`fit`), which ends by itself;
* `boosted` scikit-learn's histogram boosting as it comes, `boosted, searched` the same by `RandomizedSearchCV` (3 folds) until time is over;
* `optuna` Optuna's TPE over the same space and the same net, whole trainings, until time is over; the best by validation;
* `autogluon` AutoGluon's tabular predictor, where its environment is there.

Text is given to boosting as 100 components of weighted words (latent semantic analysis), pictures as pixels. Score: accuracy for
classes, average precision where the positive class is rarer than one in ten, R² for numbers; larger is better everywhere, and every way is
told which of them it is. In brackets the 95 % interval over the test rows of the first seed; scores are means over seeds.
"""

import csv
import gzip
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
SEEDS = 3
TEST, MOST_TEST = 0.3, 5000
ROWS = {2: 4000, 10: 20000}
TABLES: dict[str, tuple[str, str, tuple[str, ...]]] = {  # file, target, what is left out
    "adult": ("tabular/adult_train.csv.gz", "income", ()),
    "bank": ("tabular/bank_marketing_4120.csv.gz", "y", ()),
    "bike": ("tabular/bike_sharing_hour.csv.gz", "cnt", ("casual", "registered", "instant", "dteday")),
    "california": ("tabular/california_housing.csv.gz", "median_house_value", ()),
    "mammography": ("tabular/mammography_imbalanced.csv.gz", "class", ()),
    "wine": ("tabular/wine_quality.csv.gz", "quality", ()),
    "sms": ("text/sms_spam.csv.gz", "label", ()),
    "ag news": ("text/ag_news_test.csv.gz", "label", ()),
    "waimai": ("text/waimai_10k.csv.gz", "label", ()),
    "thucnews": ("text/thucnews_titles_train.csv.gz", "label_name", ("label",)),
}
NUMBERS = ("bike", "california", "wine")
TEXTS = {"sms": ("text",), "ag news": ("title", "description"), "waimai": ("review",), "thucnews": ("title",)}
PICTURES = ("fashion", "mnist")
RARE = 0.1
WAYS = ("tune", "plain", "boosted", "boosted, searched", "optuna", "autogluon")
Array = np.ndarray[Any, Any]


def cases() -> list[dict[str, Any]]:
    found = []
    for seed in range(SEEDS):
        for minutes in (2, 10):
            for data in (*TABLES, *PICTURES):
                for way in WAYS:
                    if way == "autogluon" and data in PICTURES:
                        continue
                    case = {"data": data, "minutes": minutes, "way": way, "seed": seed}
                    found.append(case | ({"env": "autogluon"} if way == "autogluon" else {}))
    return found


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """The score on the test rows, its interval, the seconds, and what was said of the way there."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        given = divided(case["data"], case["seed"], ROWS[case["minutes"]], place)
        way = {"tune": tuned, "plain": plain, "boosted": boosted, "boosted, searched": searched, "optuna": by_optuna}
        way["autogluon"] = by_autogluon
        begun = time.perf_counter()
        said, told = way[case["way"]](given, 60.0 * case["minutes"], case["seed"])
        seconds = time.perf_counter() - begun
        return {**scored(given, said), "seconds": round(seconds, 1), "told": told}


# Data


def divided(name: str, seed: int, most: int, place: Path) -> dict[str, Any]:
    """Training and test rows as files and as arrays of text or pixels, with the truth of the test rows."""
    drawn = np.random.default_rng([seed, len(name)])
    if name in PICTURES:
        pixels, labels = pictures(name)
        test, train = parts(len(pixels), drawn, most)
        file = place / "train.npz"
        np.savez(file, X=pixels[train], y=labels[train])
        np.savez(place / "test.npz", X=pixels[test])
        wide = pixels.reshape(len(pixels), -1) / 255.0
        truth = np.array([str(one) for one in labels])
        return {
            "name": name, "train": file, "test": place / "test.npz", "target": None, "kind": "multiclass",
            "columns": (wide[train], wide[test]), "answers": (truth[train], truth[test]), "categories": None,
        }  # fmt: skip
    file_name, target, dropped = TABLES[name]
    with gzip.open(SHARED / file_name, "rt", encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    kept = [place for place, column in enumerate(head) if column not in dropped]
    head, rows = [head[place] for place in kept], [[row[place] for place in kept] for row in rows]
    at = head.index(target)
    test, train = parts(len(rows), drawn, most)
    write(place / "train.csv", head, (rows[row] for row in train))
    bare = [column for column in range(len(head)) if column != at]
    write(
        place / "test.csv", [head[column] for column in bare], ([rows[row][column] for column in bare] for row in test)
    )
    answers = np.array([row[at] for row in rows])
    kind = "regression" if name in NUMBERS else "multiclass" if len(set(answers)) > 2 else "binary"
    inside = [[row[column] for column in bare] for row in rows]
    columns, categories = as_columns(name, [head[column] for column in bare], inside, train)
    return {
        "name": name, "train": place / "train.csv", "test": place / "test.csv", "target": target, "kind": kind,
        "columns": (columns[train], columns[test]), "answers": (answers[train], answers[test]), "categories": categories,
    }  # fmt: skip


def parts(rows: int, drawn: np.random.Generator, most: int) -> tuple[Array, Array]:
    order = drawn.permutation(rows)
    test = order[: min(MOST_TEST, int(TEST * rows))]
    return np.sort(test), np.sort(order[len(test) :][:most])


def write(path: Path, head: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])


def pictures(name: str) -> tuple[Array, Array]:
    if name == "mnist":
        with np.load(SHARED / "images" / "mnist_5k.npz") as held:
            names = held.files
            inputs = next(held[one] for one in names if held[one].ndim >= 3)
            return inputs.reshape(len(inputs), *inputs.shape[-2:]), next(
                held[one] for one in names if held[one].ndim == 1
            )
    place = SHARED / "images" / "fashion_mnist"
    with gzip.open(place / "train-images-idx3-ubyte.gz") as file:
        inputs = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(place / "train-labels-idx1-ubyte.gz") as file:
        return inputs[:30000], np.frombuffer(file.read(), np.uint8, offset=8)[:30000]


def as_columns(name: str, head: Sequence[str], rows: Sequence[Sequence[str]], train: Array) -> tuple[Array, Any]:
    """What boosting is given: numbers, codes of categories; of text the components of its weighted words."""
    if name in TEXTS:
        return components([" ".join(row[head.index(one)] for one in TEXTS[name]) for row in rows], train), None
    found, categories = [], []
    for place in range(len(head)):
        values = [row[place] for row in rows]
        numbers = [as_number(value) for value in values]
        if sum(number is None and value not in ("", "?", "NA") for number, value in zip(numbers, values, strict=True)):
            levels = {value: code for code, value in enumerate(sorted(set(values)))}
            found.append([float(levels[value]) for value in values])
            categories.append(len(levels) <= 200)
        else:
            found.append([float("nan") if number is None else number for number in numbers])
            categories.append(False)
    return np.array(found).T, np.array(categories)


def as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def components(texts: Sequence[str], train: Array) -> Array:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    chinese = sum(ord(letter) > 0x2E80 for text in texts[:200] for letter in text) > 200
    about: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 2)} if chinese else {"ngram_range": (1, 2)}
    words = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=50000, **about)
    words.fit([texts[row] for row in train])
    wide = words.transform(texts)
    return TruncatedSVD(100, random_state=0).fit(wide[train]).transform(wide)


# Ways


def tuned(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    import tunesmith as ts

    about = asked(given)
    found = ts.tune(
        given["train"],
        {"data.test": 0.0},
        budget=f"{seconds:.0f}s",
        seed=seed,
        folder=given["train"].parent / "tuned",
        **about,
    )
    handed = [one["name"] for one in found.model.plain["members"]]
    titles = [one.title for one in found.decisions]
    return found.predict(inputs_of(given)), {"handed over": handed, "decisions": titles}


def plain(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    about = asked(given)
    settings = {"data.test": 0.0, "train.seed": seed, "run.watch": False}
    run = ts.fit(given["train"], settings, folder=given["train"].parent / "run", display=QuietDisplay(), **about)
    return ts.predict(run.folder, inputs_of(given)), {"epochs": run.evaluations[-1]["epoch"]}


def asked(given: dict[str, Any]) -> dict[str, Any]:
    """What is said of the task: the target, the kind, and the metric by which every way is judged."""
    named = {} if given["target"] is None else {"target": given["target"], "kind": given["kind"]}
    return named | {"metric": scoring(given)}


def inputs_of(given: dict[str, Any]) -> Any:
    if given["target"] is not None:
        return given["test"]
    with np.load(given["test"]) as held:
        return held["X"]


def booster(given: dict[str, Any], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    maker = HistGradientBoostingRegressor if given["kind"] == "regression" else HistGradientBoostingClassifier
    categories = given["categories"]
    return maker(
        random_state=seed, categorical_features=categories if categories is not None and categories.any() else None
    )


def said_by(model: Any, given: dict[str, Any]) -> Any:
    if given["kind"] == "regression":
        return np.asarray(model.predict(given["columns"][1]))
    return list(model.classes_), np.asarray(model.predict_proba(given["columns"][1]))


def boosted(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    model = booster(given, seed).fit(given["columns"][0], answers(given, 0))
    return said_by(model, given), {}


def searched(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    from scipy.stats import loguniform, randint
    from sklearn.base import clone
    from sklearn.model_selection import ParameterSampler, cross_val_score

    space = {
        "learning_rate": loguniform(0.01, 0.5), "max_leaf_nodes": randint(4, 128), "min_samples_leaf": randint(2, 100),
        "l2_regularization": loguniform(1e-4, 100), "max_iter": randint(30, 400),
    }  # fmt: skip
    begun, best, tried = time.perf_counter(), (-np.inf, {}), 0
    for setting in ParameterSampler(space, 10_000, random_state=seed):
        model = clone(booster(given, seed)).set_params(**setting)
        score = cross_val_score(model, given["columns"][0], answers(given, 0), cv=3, scoring=scoring(given)).mean()
        tried += 1
        best = max(best, (score, setting), key=lambda one: one[0])
        if time.perf_counter() - begun > seconds:
            break
    model = booster(given, seed).set_params(**best[1]).fit(given["columns"][0], answers(given, 0))
    return said_by(model, given), {"tried": tried}


def scoring(given: dict[str, Any]) -> str:
    return "r2" if given["kind"] == "regression" else "average_precision" if rare(given) else "accuracy"


def by_optuna(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    """Whole trainings of the same net, in the space the autopilot would search."""
    import optuna

    import tunesmith as ts
    from tunesmith.records import Recipe, Source, revise
    from tunesmith.reports import QuietDisplay
    from tunesmith.search.auto_space import auto_space
    from tunesmith.verbs.search_task import resolved

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    about = asked(given)
    fixed = {"data.test": 0.0, "train.seed": seed, "run.watch": False, "eval.bootstrap": 0}
    settled, context = resolved(
        ts.Task(train=given["train"], **about), revise(Recipe(), fixed, Source("given", "benchmark"))
    )
    space, prior = auto_space(settled, context)
    place, begun, scores = given["train"].parent, time.perf_counter(), {}

    def objective(number: int, config: dict[str, Any]) -> float:
        run = ts.fit(given["train"], fixed | config, folder=place / f"{number}", display=QuietDisplay(), **about)
        best = (run.scores or {}).get("best") or {}
        scores[number] = float(best.get("score", float("nan")))
        return scores[number]

    smaller = settled.eval.metric in ("rmse", "mae", "log_loss", "loss")
    study = optuna.create_study(
        direction="minimize" if smaller else "maximize", sampler=optuna.samplers.TPESampler(seed=seed)
    )
    study.enqueue_trial(dict(prior))
    while time.perf_counter() - begun < seconds:
        trial = study.ask()
        config = suggested(trial, space)
        try:
            study.tell(trial, objective(trial.number, config))
        except ts.TunesmithError:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return ts.predict(place / f"{study.best_trial.number}", inputs_of(given)), {"tried": len(study.trials)}


def suggested(trial: Any, space: Any) -> dict[str, Any]:
    from tunesmith.search import Int, Real

    found = {}
    for name, domain in space.items():
        if isinstance(domain, Real):
            found[name] = trial.suggest_float(name, domain.low, domain.high, log=domain.log)
        elif isinstance(domain, Int):
            found[name] = trial.suggest_int(name, domain.low, domain.high, log=domain.log)
        else:
            found[name] = trial.suggest_categorical(name, list(domain.choices))
    return found


def by_autogluon(given: dict[str, Any], seconds: float, seed: int) -> tuple[Any, dict[str, Any]]:
    from autogluon.tabular import TabularDataset, TabularPredictor

    metric = "average_precision" if rare(given) else None
    predictor = TabularPredictor(
        given["target"], eval_metric=metric, path=str(given["train"].parent / "ag"), verbosity=0
    )
    predictor.fit(TabularDataset(str(given["train"])), time_limit=seconds)
    test = TabularDataset(str(given["test"]))
    if given["kind"] == "regression":
        return np.asarray(predictor.predict(test)), {}
    chances = predictor.predict_proba(test)
    return ([str(one) for one in chances.columns], chances.to_numpy()), {}


# Scores


def answers(given: dict[str, Any], part: int) -> Array:
    found = given["answers"][part]
    return found.astype(np.float64) if given["kind"] == "regression" else found


def rare(given: dict[str, Any]) -> bool:
    return given["kind"] == "binary" and min(np.unique(given["answers"][0], return_counts=True)[1]) < RARE * len(
        given["answers"][0]
    )


def scored(given: dict[str, Any], said: Any) -> dict[str, Any]:
    """The score with its interval, by 500 resamples of the test rows."""
    truth = answers(given, 1)
    if given["kind"] == "regression":
        values = np.asarray(said if isinstance(said, np.ndarray) else said.values, dtype=np.float64).reshape(-1)
        return interval(
            lambda rows: 1 - ((values - truth)[rows] ** 2).sum() / ((truth[rows] - truth[rows].mean()) ** 2).sum(),
            truth,
            "r2",
        )
    classes, chances = said if isinstance(said, tuple) else (said.classes, said.probabilities)
    names = np.array([str(one) for one in classes])
    if not rare(given):
        right = names[np.asarray(chances).argmax(axis=1)] == truth
        return interval(lambda rows: float(right[rows].mean()), truth, "accuracy")
    from sklearn.metrics import average_precision_score

    values, counts = np.unique(given["answers"][0], return_counts=True)
    positive = values[counts.argmin()]
    chance = np.asarray(chances)[:, int(np.flatnonzero(names == positive)[0])]
    return interval(
        lambda rows: float(average_precision_score(truth[rows] == positive, chance[rows])), truth, "average precision"
    )


def interval(score: Any, truth: Array, name: str) -> dict[str, Any]:
    drawn = np.random.default_rng(0)
    many = [score(drawn.integers(0, len(truth), len(truth))) for _ in range(500)]
    low, high = np.quantile(many, [0.025, 0.975])
    return {"metric": name, "score": float(score(np.arange(len(truth)))), "low": float(low), "high": float(high)}


def table(rows: Any) -> str:
    from tables import markdown

    found: dict[tuple[int, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        case = row["case"]
        found.setdefault((case["minutes"], case["data"]), {}).setdefault(case["way"], []).append(row["measured"])
    pieces = []
    for minutes in sorted({minutes for minutes, _ in found}):
        lines = []
        for (at, data), ways in found.items():
            if at != minutes:
                continue
            cells = []
            for way in WAYS:
                got = ways.get(way)
                cells.append(
                    ""
                    if not got
                    else f"{mean(one['score'] for one in got):.4f} [{got[0]['low']:.4f}, {got[0]['high']:.4f}]"
                )
            seeds = max(len(got) for got in ways.values())
            members = ways.get("tune", [{}])[0].get("told", {}).get("handed over", [])
            lines.append([data, next(iter(ways.values()))[0]["metric"], *cells, str(seeds), ", ".join(members)])
        pieces += [
            f"## {minutes} minutes",
            markdown(["data", "metric", *WAYS, "seeds", "handed over (first seed)"], lines),
        ]
    return "\n\n".join(pieces)


if __name__ == "__main__":
    import json

    print(json.dumps(measure(json.loads(sys.argv[1]))))

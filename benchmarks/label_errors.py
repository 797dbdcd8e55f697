"""Label errors: are wrong labels put first, and is their number right?

`people`: CIFAR-10N (Wei et al., arXiv:2110.12088), the 10,000 pictures of part a with the labels of three annotators, their majority
(aggregate) and the worst of the three; wrong is what differs from CIFAR-10's own label. `suspects`: 2,000 test pictures of CIFAR-10 with
published out-of-sample probabilities and 58 labels that were put before people (Northcutt et al., arXiv:2103.14749).
`planted`: labels swapped evenly (`even`) or from the first half of the classes to the next one (`one way`), targets exchanged among
rows (`exchanged`). `clean`: the same data as they come.

Rankings are judged by average precision and ROC-AUC against the truth. `ours` is features, models and score of this project.
`cleanlab` is cleanlab 2.9.0: its default score, self-confidence, on a logistic regression (3 folds) on 50 principal components of the pixels,
on scaled and one-hot columns, on word tf-idf (its regression on those columns for numbers). `cleanlab on ours` is its score on our
probabilities, so that only the scores differ. `share` is the estimated share of wrong labels, for cleanlab that of its confident joint.
`warns` says whether the audit gives a warning. The data are not part of the repository: TUNESMITH_SHARED names their folder.
"""

import gzip
import io
import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from tables import Row, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
LABELS = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
TABLES = {
    "adult": ("tabular/adult_train.csv.gz", "income"),
    "sms": ("text/sms_spam.csv.gz", "label"),
    "california": ("tabular/california_housing.csv.gz", "median_house_value"),
}
SEEDS = (0, 1)


def cases() -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [{"data": "suspects"}, {"data": "annotators"}]
    every += [{"data": "cifar-10n", "noise": name} for name in ("clean", *LABELS)]
    for data in ("mnist-5k", "fashion-mnist", "adult", "sms"):
        every.append({"data": data, "noise": "clean"})
        kinds = [("even", 0.1), ("even", 0.4), ("one way", 0.3)]
        seeds = SEEDS if data in ("mnist-5k", "sms") else SEEDS[:1]
        every += [{"data": data, "noise": kind, "rate": rate, "seed": seed} for kind, rate in kinds for seed in seeds]
    every.append({"data": "california", "noise": "clean"})
    every += [
        {"data": "california", "noise": "exchanged", "rate": rate, "seed": seed}
        for rate in (0.05, 0.2)
        for seed in SEEDS
    ]
    return [{**case, "env": "labels"} for case in every]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import warnings

    warnings.simplefilter("ignore")
    if case["data"] == "suspects":
        return suspects()
    if case["data"] == "annotators":
        return annotators()
    material, truth = planted(case)
    return numbers(material, truth) if case["data"] == "california" else classes(case, material, truth)


def pictures(data: str) -> tuple[Any, Any]:
    if data == "mnist-5k":
        found = np.load(SHARED / "images/mnist_5k.npz")
        return found["x"], found["y"].astype(int)
    if data == "fashion-mnist":
        folder = SHARED / "images/fashion_mnist"
        X = np.frombuffer(gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
        y = np.frombuffer(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
        return X.reshape(-1, 28, 28)[:10_000], y.astype(int)[:10_000]
    from PIL import Image

    archive = zipfile.ZipFile(SHARED / "images/cifar10_part_a.zip")
    names = [name for name in archive.namelist() if "/train/" in name and name.endswith(".jpg")]
    names.sort(key=lambda name: int(Path(name).stem))
    X = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]).transpose(0, 3, 1, 2)
    table = people()
    assert [int(Path(name).stem) for name in names] == table["cifar_train_index"].tolist()
    return X, table


def people() -> Any:
    return np.genfromtxt(
        SHARED / "label_noise/cifar10_part_a_train_human_labels.csv", delimiter=",", names=True, dtype=int
    )


def planted(case: dict[str, Any]) -> tuple[Any, Any]:
    """The data of a case, and for each of their rows the right label."""
    from tunesmith.doctor.audits import material_of, material_of_arrays
    from tunesmith.records import Task

    data = case["data"]
    if data in TABLES:
        file, target = TABLES[data]
        material = material_of(Task(train=SHARED / file, target=target))
        whole = material.whole
        truth = whole.target.copy() if data == "california" else whole.codes.copy()
        noisy = swapped(truth, case)
        if data == "california":
            whole.target = noisy
        else:
            whole.codes = noisy
        return material, truth
    X, y = pictures(data)
    if data == "cifar-10n":
        truth = y["clean_label"]
        noisy = truth if case["noise"] == "clean" else y[case["noise"]]
    else:
        truth, noisy = y, swapped(y, case)
    return material_of_arrays({"train": (X, noisy)}), truth


def swapped(truth: Any, case: dict[str, Any]) -> Any:
    if case["noise"] == "clean":
        return truth.copy()
    draw = np.random.default_rng(case["seed"])
    noisy, hit = truth.copy(), draw.random(len(truth)) < case["rate"]
    if case["noise"] == "exchanged":
        place = np.flatnonzero(hit)
        noisy[place] = truth[draw.permutation(place)]
        return noisy
    count = int(truth.max()) + 1
    if case["noise"] == "one way":
        hit &= truth < count // 2
        noisy[hit] += 1
        return noisy
    noisy[hit] = (truth[hit] + draw.integers(1, count, int(hit.sum()))) % count
    return noisy


def judged(wrong: Any, score: Any) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not wrong.any():
        return {}
    return {"AP": float(average_precision_score(wrong, -score)), "AUC": float(roc_auc_score(wrong, -score))}


def classes(case: dict[str, Any], material: Any, truth: Any) -> dict[str, Any]:
    from cleanlab.count import estimate_joint
    from cleanlab.rank import get_label_quality_scores

    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.audits.confident_outputs import out_of_sample

    began = time.process_time()
    findings = list(AUDITS["label_errors"].look(material))
    seconds = time.process_time() - began
    told = material.measured["label_errors"]["train"]
    outputs = out_of_sample(material)
    codes, wrong = outputs.target, (outputs.target != truth[outputs.places])
    began = time.process_time()
    theirs = logistic(case["data"], material, codes, outputs.places)
    plain = get_label_quality_scores(codes, theirs)
    their_seconds = time.process_time() - began
    on_ours = get_label_quality_scores(codes, outputs.said.astype(float))
    return {
        "wrong": float(wrong.mean()),
        "warns": any(one.severity == "warning" for one in findings),
        "ours": {**judged(wrong, np.array(told["scores"])), "share": told["share"], "seconds": seconds},
        "cleanlab": {
            **judged(wrong, plain),
            "share": float(1 - np.trace(estimate_joint(codes, theirs))),
            "seconds": their_seconds,
        },
        "cleanlab on ours": {
            **judged(wrong, on_ours),
            "share": float(1 - np.trace(estimate_joint(codes, outputs.said.astype(float)))),
        },
        "right": [float((one.argmax(1) == codes).mean()) for one in (outputs.said, theirs)],
    }


def plain_columns(data: str, material: Any) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.feature_extraction.text import TfidfVectorizer

    from tunesmith.doctor.audits.features import whole_features

    view = material.whole
    if data == "sms":
        name = material.words("text")[0]
        return TfidfVectorizer().fit_transform([text or "" for text in view.table[name].tolist()])
    if data in TABLES:
        return whole_features(material)
    return PCA(50, random_state=0).fit_transform(view.table["x"].reshape(len(view), -1) / 255.0)


def logistic(data: str, material: Any, codes: Any, places: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    X = plain_columns(data, material)[places]
    model = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=400))
    return cross_val_predict(
        model, X, codes, cv=StratifiedKFold(3, shuffle=True, random_state=0), method="predict_proba"
    )


def numbers(material: Any, truth: Any) -> dict[str, Any]:
    from cleanlab.regression.learn import CleanLearning
    from sklearn.linear_model import LinearRegression

    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.audits.confident_noise import fitted_wild
    from tunesmith.doctor.audits.confident_outputs import out_of_sample, standard_target
    from tunesmith.doctor.audits.features import whole_features

    began = time.process_time()
    findings = list(AUDITS["label_errors"].look(material))
    seconds = time.process_time() - began
    outputs = out_of_sample(material)
    target = material.whole.target.reshape(-1).astype(float)
    wrong = target != truth.reshape(-1)
    wild = fitted_wild(outputs.said[:, 0], standard_target(outputs.target)[:, 0])
    began = time.process_time()
    model = CleanLearning(LinearRegression(), cv_n_folds=3, seed=0)
    issues = model.find_label_issues(whole_features(material).astype(float), target)
    return {
        "wrong": float(wrong.mean()),
        "warns": any(one.severity == "warning" for one in findings),
        "ours": {**judged(wrong, 1 - wild.wrong), "share": wild.share, "seconds": seconds},
        "cleanlab": {
            **judged(wrong, issues["label_quality"].to_numpy()),
            "share": float(issues["is_label_issue"].mean()),
            "seconds": time.process_time() - began,
        },
    }


def suspects() -> dict[str, Any]:
    from cleanlab.count import estimate_joint
    from cleanlab.rank import get_label_quality_scores

    from tunesmith.doctor.audits.confident_noise import fitted_noise
    from tunesmith.doctor.audits.label_errors import quality

    archive = np.load(SHARED / "label_noise/cifar10_part_a_test_cv_probabilities.npz")
    file = SHARED / "label_noise/cifar10_part_a_test_label_errors.csv"
    table = np.genfromtxt(file, delimiter=",", names=True, dtype=None, encoding="utf-8")
    p, codes = archive["pred_probs"].astype(float), archive["given_label"].astype(int)
    p /= p.sum(1, keepdims=True)
    noise = fitted_noise(p, codes, np.random.default_rng(0))
    score, theirs = quality(p, codes, noise), get_label_quality_scores(codes, p)
    found: dict[str, Any] = {
        "ours": {"share": noise.share},
        "cleanlab on ours": {"share": float(1 - np.trace(estimate_joint(codes, p)))},
    }
    wrong = np.isin(archive["cifar_test_index"], table["cifar_test_index"])
    found["wrong"] = float(wrong.mean())
    found["ours"] |= judged(wrong, score)
    found["cleanlab on ours"] |= judged(wrong, theirs)
    confirmed = np.isin(archive["cifar_test_index"], table["cifar_test_index"][table["verdict"] != "not_an_error"])
    found["confirmed"] = {
        "rows": int(confirmed.sum()),
        "ours": judged(confirmed, score),
        "cleanlab on ours": judged(confirmed, theirs),
    }
    return found


def annotators() -> dict[str, Any]:
    from sklearn.metrics import cohen_kappa_score

    from tunesmith.doctor.audits.human_line import human_line

    table = people()
    three = [table[f"random_label{number}"] for number in (1, 2, 3)]
    among = human_line(*three)
    truth = [human_line(table["clean_label"], one) for one in three]
    return {
        "fleiss": among["fleiss"],
        "share": among["share"],
        "against truth": [{"share": one["share"], "kappa": one["kappa"], "interval": one["interval"]} for one in truth],
        "scikit-learn": [float(cohen_kappa_score(table["clean_label"], one)) for one in three],
    }


def table(rows: Sequence[Row]) -> str:
    groups: dict[tuple[str, str, Any], list[Any]] = {}
    for row in rows:
        case = row["case"]
        if case["data"] != "annotators":
            groups.setdefault((case["data"], case.get("noise", ""), case.get("rate")), []).append(row["measured"])
    lines = [line(key, found) for key, found in groups.items()]
    head = [
        "data",
        "labels",
        "wrong",
        "AP ours",
        "AP cleanlab",
        "AP cleanlab on ours",
        "AUC ours",
        "AUC cleanlab",
        "AUC cleanlab on ours",
    ]
    head += ["share ours", "share cleanlab", "warns", "seconds ours", "seconds cleanlab", "seeds"]
    told = [markdown(head, lines)]
    told += [line_of_people(row["measured"]) for row in rows if row["case"]["data"] == "annotators"]
    told += [line_of_suspects(row["measured"]) for row in rows if row["case"]["data"] == "suspects"]
    return "\n\n".join(told)


def line(key: tuple[str, str, Any], found: list[Any]) -> list[str]:
    def of(who: str, what: str) -> str:
        values = [one[who][what] for one in found if what in one.get(who, {})]
        return f"{mean(values):.3f}" if values else ""

    data, noise, rate = key
    told = [data, noise if rate is None else f"{noise} {rate:g}", f"{mean(one['wrong'] for one in found):.3f}"]
    told += [of(who, what) for what in ("AP", "AUC") for who in ("ours", "cleanlab", "cleanlab on ours")]
    warned = [one["warns"] for one in found if "warns" in one]
    told += [of("ours", "share"), of("cleanlab", "share") or of("cleanlab on ours", "share")]
    told += [f"{sum(warned)} of {len(warned)}" if warned else "", of("ours", "seconds"), of("cleanlab", "seconds")]
    return [*told, str(len(found))]


def line_of_people(found: Any) -> str:
    each = ", ".join(
        f"{one['share']:.3f} (kappa {one['kappa']:.3f}, {one['interval'][0]:.3f} to {one['interval'][1]:.3f})"
        for one in found["against truth"]
    )
    return (
        f"The human line of CIFAR-10N: the three annotators agree with CIFAR-10's labels in {each}; "
        f"among themselves Fleiss' kappa is {found['fleiss']:.3f}."
    )


def line_of_suspects(found: Any) -> str:
    ours, theirs = found["confirmed"]["ours"], found["confirmed"]["cleanlab on ours"]
    return (
        f"Of the suspects people confirmed {found['confirmed']['rows']}: AP {ours['AP']:.3f} (cleanlab's score {theirs['AP']:.3f}), "
        f"AUC {ours['AUC']:.3f} ({theirs['AUC']:.3f}). All rankings of `suspects` are on the published probabilities."
    )

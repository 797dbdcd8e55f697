"""What ensembles bring on rows that took no part: a net of one hidden layer on digits and on pictures of clothes.

Eight nets (64 units, Adam, 30 epochs, a cosine) differ in start and order; `held` rows choose, the test rows judge. `single` is the
net that the held rows call best: what everything is to be compared with. `mean of eight` has equal weights; `greedy` is ensemble
selection by log loss, once over all nets and once in 20 bags; `snapshots` are the ends of four cycles of one run as long as that
of one net; `bag` are the nets of five folds. One net to ask have `soup`, the greedy soup of eight nets that went on from one
start for half of the epochs, each at a rate of its own; `distilled`, which learnt from labels and from the mean of eight on the
training rows (T = 4, alpha = 0.9); and `distilled out of fold`, whose teacher is the bag, each row by the net that had not seen it.

Eight nets that differ in nothing but start and order gain little over the best of them, less than the 2 % that guides promise. Four
cycles in the time of one net are too short for each on the digits. The students have as many epochs as a teacher, which is too few
for soft targets: with 90 epochs, on two of the seeds of the digits, a student of eight was as good as one teacher (log loss .152 and
.202 beside .154 and .202, the means of the eight).

Digits: 600 rows train, 897 judge. Clothes: 1,500 of the demonstration's rows train, 2,000 judge. Each number is the mean over the
seeds, of splits and of nets; the sign ± is the standard deviation over the seeds of what is gained over `single`.
"""

import copy
from importlib.resources import as_file, files
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from tables import markdown
from torch import nn
from torch.nn import functional

from tunesmith.blocks import schedules
from tunesmith.data.idx import read_idx
from tunesmith.ensembles import (
    EnsembleDistillation,
    average,
    bag,
    cycle_ends,
    greedy_soup,
    select,
    stratified,
)
from tunesmith.ensembles import (
    measure as metric,
)

ANYWHERE = True
NETS, WIDTH, EPOCHS, BATCH, RATE = 8, 64, 30, 32, 3e-3
CYCLES, FOLDS = 4, 5
FILES = ("images-idx3-ubyte", "labels-idx1-ubyte")
ROWS = {"digits": 600, "clothes": 1500}
HELD, SEEDS = (30, 300), range(5)
METHODS = {  # and how many nets are asked
    "single": 1,
    "mean of eight": NETS,
    "greedy": NETS,
    "greedy in bags": NETS,
    "snapshots": CYCLES,
    "bag": FOLDS,
    "soup": 1,
    "distilled": 1,
    "distilled out of fold": 1,
}


def cases() -> list[dict[str, Any]]:
    return [{"data": data, "held": held, "seed": seed} for data in ROWS for held in HELD for seed in SEEDS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Accuracy and log loss of every method on the test rows."""
    torch.set_num_threads(1)
    X, y, train, held, test = parts(case)
    labels = y.numpy()
    judges = {name: metric(name, kind="multiclass") for name in ("accuracy", "log_loss")}
    told = methods(X, y, train, held, case["seed"])
    return {
        name: {each: judge(labels[test], np.asarray(chances)[test]) for each, judge in judges.items()}
        for name, chances in told.items()
    }


def methods(X: torch.Tensor, y: torch.Tensor, train: np.ndarray, held: np.ndarray, seed: int) -> dict[str, Any]:
    """Probabilities of all rows by each method."""
    labels, first = y.numpy(), 100 * seed
    judge = metric("log_loss", kind="multiclass")
    nets = np.stack([says(trained(net(X, first + one), X, y, train, first + one), X) for one in range(NETS)])
    chosen = {
        name: select(nets[:, held], labels[held], "log_loss", kind="multiclass", bags=bags, seed=seed)
        for name, bags in (("greedy", 0), ("greedy in bags", 20))
    }
    folds = stratified(labels[train], FOLDS, seed)

    def fit(rows: np.ndarray) -> Any:
        return lambda inputs, model=trained(net(X, first), X, y, train[rows], first): says(model, inputs)

    bagged = bag(fit, lambda rows: X[train[rows]], folds, kind="multiclass", rows=len(train))
    snapshots: list[np.ndarray] = []
    trained(net(X, first), X, y, train, first, cycles=CYCLES, at_end=lambda model: snapshots.append(says(model, X)))
    kettle = net(X, first)

    def held_loss(state: Any) -> float:
        kettle.load_state_dict(state)
        return judge(labels[held], says(kettle, X)[held])

    start = trained(net(X, first), X, y, train, first, epochs=EPOCHS // 2)
    apart = [
        trained(copy.deepcopy(start), X, y, train, first + one, epochs=EPOCHS // 2, rate=RATE * 2.0 ** (one % 4 - 2))
        for one in range(NETS)
    ]
    soup = greedy_soup([one.state_dict() for one in apart], held_loss, better="min")
    kettle.load_state_dict(soup.state)
    return {
        "single": nets[chosen["greedy"].best],
        "mean of eight": average(nets, kind="multiclass"),
        **{name: average(nets, found.weights, kind="multiclass") for name, found in chosen.items()},
        "snapshots": average(snapshots, kind="multiclass"),
        "bag": bagged(X),
        "soup": says(kettle, X),
        "distilled": says(student(X, y, train, nets[:, train], first), X),
        "distilled out of fold": says(student(X, y, train, bagged.predictions[None], first), X),
    }


def parts(case: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and labels of all rows, and the rows that train, choose and judge."""
    rng, rows = np.random.default_rng(case["seed"]), ROWS[case["data"]]
    if case["data"] == "digits":
        pictures, labels = load_digits(return_X_y=True)
        order = rng.permutation(len(labels))
        cut = (order[:rows], order[rows : rows + case["held"]], order[900:])
        return torch.from_numpy(pictures / 16).float(), torch.from_numpy(labels), *cut
    with as_file(files("tunesmith") / "demo_data" / "fashion_mnist") as folder:
        read = [read_idx(folder / f"{part}-{what}.gz") for part in ("train", "t10k") for what in FILES]
    X = torch.from_numpy(np.concatenate([read[0], read[2]]).reshape(8000, -1) / 255).float()
    order = rng.permutation(6000)
    cut = (order[:rows], order[rows : rows + case["held"]], np.arange(6000, 8000))
    return X, torch.from_numpy(np.concatenate([read[1], read[3]]).astype(np.int64)), *cut


def net(X: torch.Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(X.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))


def says(model: nn.Module, X: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(X).double().softmax(1).numpy()


def trained(
    model: nn.Module,
    X: torch.Tensor,
    target: torch.Tensor,
    rows: np.ndarray,
    seed: int,
    *,
    epochs: int = EPOCHS,
    rate: float = RATE,
    cycles: int = 1,
    loss: Any = functional.cross_entropy,
    at_end: Any = None,
) -> nn.Module:
    """The model after Adam with a cosine, or as many cosines as there are cycles, at whose ends `at_end` is called."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    chosen = torch.from_numpy(rows)
    batches = [
        chosen[batch] for _ in range(epochs) for batch in torch.randperm(len(rows), generator=generator).split(BATCH)
    ]
    length = -(-len(batches) // cycles)
    rates = schedules.rates(schedules.SCHEDULES["cosine_restarts"](len(batches), first=length, t_mul=1.0), len(batches))
    ends = cycle_ends(rates) if cycles > 1 else ()
    for step, batch in enumerate(batches, start=1):
        optimizer.param_groups[0]["lr"] = rate * rates[step - 1]
        optimizer.zero_grad()
        loss(model(X[batch]), target[batch]).backward()
        optimizer.step()
        if step in ends:
            at_end(model)
    return model


def student(X: torch.Tensor, y: torch.Tensor, train: np.ndarray, teachers: np.ndarray, seed: int) -> nn.Module:
    """A net of the same size, taught on the training rows."""
    loss = EnsembleDistillation(temperature=4.0, alpha=0.9)
    target = torch.zeros(len(X), 11)
    target[torch.from_numpy(train)] = torch.from_numpy(loss.targets(y.numpy()[train], teachers))
    return trained(net(X, seed), X, target, train, seed, loss=lambda outputs, wanted: loss(outputs, wanted).value)


def table(rows: list[dict[str, Any]]) -> str:
    """A table for each data set and number of held rows."""
    told = []
    for data in ROWS:
        for held in HELD:
            here = [row["measured"] for row in rows if (row["case"]["data"], row["case"]["held"]) == (data, held)]
            if len(here) < 2:
                continue
            lines = [line(name, nets, here) for name, nets in METHODS.items()]
            header = ["method", "nets asked", "accuracy", "gain", "log loss", "gain"]
            told.append(f"{data.capitalize()}, {held} held rows, {len(here)} seeds:\n\n{markdown(header, lines)}")
    return "\n\n".join(told)


def line(name: str, nets: int, rows: list[dict[str, Any]]) -> list[str]:
    cells = [name, f"{'at most ' if name.startswith('greedy') else ''}{nets}"]
    for number, sign in (("accuracy", 1), ("log_loss", -1)):
        values = [row[name][number] for row in rows]
        gains = [sign * (row[name][number] - row["single"][number]) for row in rows]
        cells += [f"{mean(values):.4f}", "" if name == "single" else f"{mean(gains):+.4f} ± {stdev(gains):.4f}"]
    return cells

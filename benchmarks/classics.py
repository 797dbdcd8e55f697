"""Classic cases of trainings gone wrong, replayed: each cure that is handed on for them, tried and judged.

Each case is a program with data shipped with the package or with scikit-learn. It is trained as it came, with each cure alone,
and as its author meant it to be (`sound`), on five seeds of weights and of the order of the rows. *Won back* is the share of the
way from the score of the case to that of the sound program (mean over the seeds); *worse seeds* counts those that end below the
case itself. `verdict`: *cures* from 90 % on, *helps* where the mean gain is above twice its standard error, *harms* where it is as far
below, else *does nothing*. Beside it what `diagnose` names first, and what `repair` changes of the program of the first seed (its weights,
five orders of the rows: where it changes nothing, its line shows what these weights reach).

* `stuck at 0.693, tiny weights`: six hidden layers, weights drawn with a spread of 0.01; digits, odd or even (half each).
* `stuck at 0.693, saturated`: three hidden layers of tanh on raw pixels of 0 to 255, weights with a spread of 1.
* `one label, rate`: an LSTM, both ways, that tags the words of messages (next to a number or not), Adam at 2.
* `one label, rare tags`: the same at 1e-3, few updates in large batches: 95 % of the words bear one tag.
* `spike, wild rows`: Adam; two rows of one batch are a thousand times too large.
* `spike, late`: Adam at 0.1, long after the rows are learnt by heart. `leaps` counts the epochs whose mean
  training loss is three times the median of the five before, and 0.05 above it.
* `head of 2, labels of 4`: a net trained on two classes goes on with four; its last layer still has two outputs. It raises, and
  scores as a constant answer does.
"""

import copy
import math
import os
from collections.abc import Callable, Sequence
from statistics import mean, median, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import Row, markdown

SEEDS = 5
ENOUGH = 0.9
LEAP, LEAST = (
    3.0,
    0.05,
)  # an epoch leaps whose mean loss is so many times the median of the five before, and so much above

Cure = Callable[[Any], Any]  # takes the parts of a program by name, changes them


def cases() -> list[dict[str, Any]]:
    return [{"case": name} for name in CASES]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    build, cures = CASES[case["case"]]
    measured: dict[str, Any] = {"as it came": results(build, None), "sound": results(build, "sound")}
    for name in cures:
        measured[name] = results(build, name)
    return measured | {"diagnose": named(build), "repair": repaired(build)}


def results(build: Callable[..., Any], cure: str | None) -> dict[str, Any]:
    """Scores and leaps by seed; what raises scores as a constant answer does."""
    from tunesmith.testing.training import baseline

    scores, leaps, raised = [], [], ""
    for seed in range(SEEDS):
        program = build(seed, cure)
        try:
            value, count = run(program)
        except Exception as error:
            value, count, raised = math.nan, 0, f"{type(error).__name__}: {error}"[:160]
        scores.append(value if math.isfinite(value) else baseline(build(seed, "sound")))
        leaps.append(count)
    return {"scores": scores, "leaps": leaps, "raised": raised}


def run(program: Any) -> tuple[float, int]:
    """The score on validation rows, and in how many epochs the training loss leapt."""
    from tunesmith.testing.training import score, seeded, train

    class Seen:
        def __init__(self) -> None:
            self.epochs: list[float] = []
            self.losses: list[float] = []
            self.leaps = 0

        def updated(self, loss: Any) -> None:
            self.losses.append(float(loss))

        def ended(self, epoch: int) -> None:
            level = mean(self.losses)
            before = median(self.epochs[-5:]) if len(self.epochs) >= 5 else math.inf
            self.leaps += level > max(LEAP * before, before + LEAST)
            self.epochs.append(level)
            self.losses = []

    seen = Seen()
    with seeded(program.seed):
        train(program, seen=seen)
        return score(program), seen.leaps


def named(build: Callable[..., Any]) -> list[str]:
    import tunesmith as ts

    found = list(ts.diagnose(build(0, None), seconds=60))
    return [one.fault for one in found if one.severity in ("error", "warning")][:3]


def repaired(build: Callable[..., Any]) -> dict[str, Any]:
    """What repair changes of the program of the first seed; that program on fresh orders of the rows."""
    import tunesmith as ts
    from tunesmith.testing.training import baseline

    outcome = ts.repair(build(0, None))
    scores = []
    for seed in range(SEEDS):
        program = copy.deepcopy(outcome.program)
        program.seed = seed
        try:
            scores.append(run(program)[0])
        except Exception:  # what raises scores as a constant answer does
            scores.append(baseline(build(seed, "sound")))
    return {"changes": [change.change for change in outcome.changes], "scores": scores}


# The cases. `build(seed, cure)` gives a program: as it came (None), sound, or with one cure.


def halves(x: Any, y: Any, seed: int = 0, share: float = 0.7) -> tuple[Any, Any]:
    import torch

    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    cut = round(share * len(y))
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]])


def program(model: Any, loss: Any, optimizer: Any, train: Any, val: Any, seed: int, **more: Any) -> Any:
    import tunesmith as ts

    about = {"batch_size": 32, "epochs": 10, **more}
    return ts.Program(model, loss, optimizer, train, val, seed=seed, **about)


def binary(make: Callable[[str | None], Any], seed: int, cure: str | None, scale: float, **adam: Any) -> Any:
    """Digits, odd or even, one output."""
    import torch
    from torch import nn

    from tunesmith.testing.healthy.data import digits

    torch.manual_seed(seed)
    x, y = digits()
    train, val = halves(x.flatten(1) * scale, (y % 2).float()[:, None])
    model = make(cure)
    decay = 1e-3 if cure == "weight decay 1e-3" else 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=decay)
    return program(model, nn.BCEWithLogitsLoss(), optimizer, train, val, seed, metric="accuracy", **adam)


def deep(layers: int, activation: Callable[[], Any], cure: str | None, spread: float) -> Any:
    """Hidden layers of 64, with batch norm where that is the cure, and one output."""
    from torch import nn

    made: list[Any] = []
    for _ in range(layers):
        made += [nn.Linear(64, 64), *([nn.BatchNorm1d(64)] if cure == "batch norm" else []), activation()]
    return initialised(nn.Sequential(*made, nn.Linear(64, 1)), cure, spread)


def tiny(seed: int, cure: str | None) -> Any:
    from torch import nn

    return binary(lambda cure: deep(6, nn.ReLU, cure, 0.01), seed, cure, 1 / 16)


def saturated(seed: int, cure: str | None) -> Any:
    from torch import nn

    scale = 1 / 16 if cure in ("sound", "inputs scaled") else 16.0
    return binary(lambda cure: deep(3, nn.Tanh, cure, 1.0), seed, cure, scale, epochs=20)


def initialised(net: Any, cure: str | None, spread: float) -> Any:
    """Weights of the given spread; with a cure, of torch's default or of Glorot's with gain √2."""
    from torch import nn

    for layer in net:
        if not isinstance(layer, nn.Linear) or cure == "sound":
            continue
        if cure == "init gain √2":
            nn.init.xavier_normal_(layer.weight, gain=math.sqrt(2))
        elif cure != "torch's own init":
            nn.init.normal_(layer.weight, std=spread)
        nn.init.zeros_(layer.bias)
    return net


TAGS = 4


def tagged() -> tuple[Any, Any]:
    """Words of messages, and of each whether the word before it, after it, both or none is a number; -100 beyond the end."""
    import torch

    from tunesmith.testing.healthy.data import message_tokens, messages

    tokens, _ = message_tokens()
    split, _ = messages()
    tags = torch.full(tokens.shape, -100)
    for row, words in enumerate(split):
        number = [word.startswith("#") for word in words[: tokens.shape[1]]]
        for place in range(len(number)):
            before, after = place > 0 and number[place - 1], place + 1 < len(number) and number[place + 1]
            tags[row, place] = before + 2 * after
    return tokens, tags


def tagger(seed: int, cure: str | None, rate: float, batch: int, epochs: int) -> Any:
    import torch
    from torch import nn

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(600, 32)
            self.net = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
            self.head = nn.Linear(64, TAGS)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.net(self.table(tokens))[0]).transpose(1, 2)  # (N, tags, T), as the loss has it

    torch.manual_seed(seed)
    train, val = halves(*tagged())
    sound_rate = 1e-2
    batch = {"larger batch": 8 * batch, "smaller batch": max(4, batch // 8), "sound": 16}.get(cure or "", batch)
    rate = {"lower rate": rate / 10, "sound": sound_rate}.get(cure or "", rate)
    epochs = 8 if cure == "sound" else epochs
    weight = None
    if cure == "class weights":
        counts = torch.bincount(train[1][train[1] >= 0], minlength=TAGS).float()
        weight = counts.sum() / (TAGS * counts)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    more: dict[str, Any] = {}
    if cure == "warm-up":
        steps = max(1, epochs * math.ceil(len(train[1]) / batch) // 5)
        more["scheduler"] = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))
        more["schedule_unit"] = "step"
    return program(
        model, nn.CrossEntropyLoss(weight), optimizer, train, val, seed, batch_size=batch, epochs=epochs, metric=by_tag, **more
    )  # fmt: skip


def by_tag(model: Any, x: Any, y: Any) -> float:
    """Mean recall of the tags: 0.25 where one label is given to all."""
    import torch

    with torch.no_grad():
        told = torch.cat([model(part).argmax(1) for part in x.split(256)])
    return float(mean(float((told[y == tag] == tag).float().mean()) for tag in range(TAGS)))


def hot(seed: int, cure: str | None) -> Any:
    return tagger(seed, cure, 2.0, 16, 8)


def rare(seed: int, cure: str | None) -> Any:
    return tagger(seed, cure, 1e-3, 128, 4)


def clothes(seed: int, cure: str | None) -> Any:
    import torch
    from torch import nn

    from tunesmith.testing.healthy.data import drawn, fashion

    torch.manual_seed(seed)
    x, y = drawn(*fashion(), 2000, 0)
    x = ((x - 73) / 90).flatten(1)
    train, val = halves(x, y)
    if cure not in ("sound", "other batches"):
        train[0][700:702] *= 1000
    if cure == "other batches":
        train = (torch.cat([train[0][:700], train[0][702:]]), torch.cat([train[1][:700], train[1][702:]]))
    net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer, more = adam(net, cure, 1e-3)
    order = seed + 100 if cure == "other order" else seed
    return program(net, nn.CrossEntropyLoss(), optimizer, train, val, order, metric="accuracy", **more)


def wild(seed: int, cure: str | None) -> Any:
    return clothes(seed, cure)


def late(seed: int, cure: str | None) -> Any:
    """Digits, learnt by heart long before the end."""
    import torch
    from torch import nn

    from tunesmith.testing.healthy.data import digits

    torch.manual_seed(seed)
    x, y = digits()
    train, val = halves(x.flatten(1) / 16, y, share=0.4)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer, more = adam(net, cure, LATE)
    order = seed + 100 if cure == "other order" else seed
    return program(
        net, nn.CrossEntropyLoss(), optimizer, train, val, order, batch_size=64, epochs=80, metric="accuracy", **more
    )


LATE = 0.1


def adam(net: Any, cure: str | None, rate: float) -> tuple[Any, dict[str, Any]]:
    """Adam with the cures for spikes."""
    import torch

    rate = {"lower rate": rate / 10, "sound": 1e-3}.get(cure or "", rate)
    eps = {"smaller ε": 1e-15, "larger ε": 1e-4}.get(cure or "", 1e-8)
    betas = (0.9, 0.95 if cure == "smaller β2" else 0.999)
    more = {"clip_norm": 1.0} if cure == "clipping" else {}
    return torch.optim.Adam(net.parameters(), lr=rate, eps=eps, betas=betas), more


def grown(seed: int, cure: str | None) -> Any:
    """A body trained on digits 0 and 1, that goes on with 0 to 3."""
    import torch
    from torch import nn

    from tunesmith.testing.healthy.data import digits

    torch.manual_seed(seed)
    x, y = digits()
    x, y = x.flatten(1)[y < 4] / 16, y[y < 4]
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
    first = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        first.zero_grad()
        nn.functional.cross_entropy(net(x[y < 2]), y[y < 2]).backward()
        first.step()
    old = net[2]
    if cure in ("sound", "a new head of 4", "old rows kept, two new"):
        net[2] = nn.Linear(32, 4)
    if cure == "old rows kept, two new":
        with torch.no_grad():
            net[2].weight[:2], net[2].bias[:2] = old.weight, old.bias
    loss = nn.CrossEntropyLoss(ignore_index=2 if cure == "label 2 ignored" else -100)
    train, val = halves(x, y)
    if cure == "labels cut to 0 and 1":
        train = (train[0], train[1].clamp(max=1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    return program(net, loss, optimizer, train, val, seed, epochs=10, metric="accuracy")


PLATEAU = ("weight decay 1e-3", "init gain √2", "batch norm", "torch's own init")
TAGGING = ("larger batch", "smaller batch", "lower rate", "warm-up", "class weights")
SPIKES = ("other order", "lower rate", "smaller ε", "larger ε", "smaller β2", "clipping")
CASES: dict[str, tuple[Callable[..., Any], Sequence[str]]] = {
    "stuck at 0.693, tiny weights": (tiny, PLATEAU),
    "stuck at 0.693, saturated": (saturated, (*PLATEAU, "inputs scaled")),
    "one label, rate": (hot, TAGGING),
    "one label, rare tags": (rare, TAGGING),
    "spike, wild rows": (wild, ("other batches", *SPIKES)),
    "spike, late": (late, SPIKES),
    "head of 2, labels of 4": (
        grown,
        ("a new head of 4", "old rows kept, two new", "labels cut to 0 and 1", "label 2 ignored"),
    ),
}


# The page


def judged(came: Sequence[float], sound: Sequence[float], cured: Sequence[float]) -> tuple[str, str, str]:
    """Won back, worse seeds, verdict."""
    gains = [one - before for one, before in zip(cured, came, strict=True)]
    lost = mean(sound) - mean(came)
    share = mean(gains) / lost if lost > 0 else math.nan
    error = stdev(gains) / math.sqrt(len(gains))
    worse = sum(gain < 0 for gain in gains)
    if share >= ENOUGH and mean(gains) > 2 * error:
        verdict = "cures"
    elif mean(gains) > 2 * error:
        verdict = "helps"
    else:
        verdict = "harms" if mean(gains) < -2 * error else "does nothing"
    return f"{share:.0%}", f"{worse} of {len(gains)}", verdict


def table(rows: Sequence[Row]) -> str:
    parts = []
    for row in rows:
        name, measured = row["case"]["case"], row["measured"]
        came, sound = measured["as it came"], measured["sound"]
        lines = [line("as it came", came["scores"], came["leaps"]), line("sound", sound["scores"], sound["leaps"])]
        for cure in CASES[name][1]:
            one = measured[cure]
            lines.append(
                line(cure, one["scores"], one["leaps"], judged(came["scores"], sound["scores"], one["scores"]))
            )
        mended = measured["repair"]
        lines.append(
            line("`repair`", mended["scores"], None, judged(came["scores"], sound["scores"], mended["scores"]))
        )
        told = [f"`diagnose` names: {', '.join(f'`{one}`' for one in measured['diagnose']) or 'nothing'}."]
        told.append(f"`repair` changes: {', '.join(mended['changes']) or 'nothing'}.")
        if came["raised"]:
            told.append(f"As it came it raises: {came['raised']}")
        table = markdown(["", "score (mean)", "leaps (mean)", "won back", "worse seeds", "verdict"], lines)
        parts.append(f"## {name}\n\n{table}\n\n{chr(10).join(told)}")
    return "\n\n".join(parts)


def line(
    name: str, scores: Sequence[float], leaps: Sequence[int] | None, verdict: tuple[str, str, str] = ("", "", "")
) -> list[str]:
    return [name, f"{mean(scores):.3f}", "" if leaps is None else f"{mean(leaps):.1f}", *verdict]

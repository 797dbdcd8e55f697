"""Looks at a program: samples as the network sees them, its first filters and activations, the dynamics of a fixed batch.

Karpathy, A Recipe for Training Neural Networks (2019): look at the tensor just before the net; look at the predictions of a
fixed batch while it trains. All of it happens on a twin.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.source import Source
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Finding
from tunesmith.records.look import Array, Dynamics, Look, Sample, Tiles
from tunesmith.training.batch import Batch, outputs_of
from tunesmith.training.evaluate import judging

STEPS = 100  # updates on the twin; assumption: enough that hard rows stand out, little enough for seconds
LOOKED_AT = 2000  # rows whose loss is taken; assumption
SHOWN = 160  # samples on the page; assumption
FIXED = 8  # rows of the fixed batch; assumption
POINTS = 21  # times at which the fixed batch is looked at; assumption
TILES = 32  # filters or channels of a layer that are shown; assumption
LAYERS = 4  # convolutions whose activations are shown; assumption
VALUES = 24  # numbers of a table row that are shown, the largest first; assumption
TOKENS = 400  # tokens of a text that are shown; assumption
BESIDE = ("categories", "segments", "positions")  # whole numbers that are no tokens
IGNORED = -100  # torch's ignore_index: no loss is taken there


def look(bench: Bench, findings: Iterable[Finding] = (), *, steps: int = STEPS, shown: int = SHOWN) -> Look:
    """What the network is given and what it makes of it, after `steps` updates of a twin (fewer where the run is shorter)."""
    with bench.guarded():
        twin = bench.twin()
        fixed = bench.batch(FIXED, "look")
        dynamics, made = trained(bench, twin, fixed, min(steps, bench.updates))
        samples, rows, scale = chosen(bench, twin, tuple(findings), shown)
        return Look(
            samples=samples,
            steps=made,
            rows=rows,
            scale=scale,
            filters=filters(twin.model, fixed),
            activations=activations(twin.model, fixed),
            dynamics=dynamics,
        )


def trained(bench: Bench, twin: Twin, fixed: Batch, steps: int) -> tuple[Dynamics, int]:
    """Trains the twin by the program's own step and looks at the fixed batch on the way."""
    at = sorted({round(steps * place / (POINTS - 1)) for place in range(POINTS)})
    losses, right, seen = [], [], []
    made = epoch = 0
    feed = bench.train.fed(0)
    for step in range(steps + 1):
        if step in at:
            loss, outputs = twin.judged(fixed)
            seen.append(step)
            losses.append(loss)
            right.append(of_the_right(outputs, fixed.target, bench.classed).cpu().numpy())
        if step == steps or bench.clock.spent_up:
            break
        batch = next(feed, None)
        if batch is None:
            epoch += 1
            feed = bench.train.fed(epoch)
            batch = next(feed)
        twin.step(batch)
        made = step + 1
    names = tuple(label_of(value) for value in fixed.target)
    arrays = np.array(seen), np.array(losses, np.float64), np.array(right, np.float64)
    return Dynamics(steps=arrays[0], loss=arrays[1], right=arrays[2], names=names, of_classes=bench.classed), made


def of_the_right(outputs: Tensor, target: Tensor, classed: bool) -> Tensor:
    """The probability of the right class by softmax or sigmoid, or the first output, (N,)."""
    flat = outputs.reshape(len(outputs), -1).float()
    if not classed:
        return flat[:, 0]
    index = target.reshape(len(target)).long()
    if flat.shape[1] == 1:
        yes = torch.sigmoid(flat[:, 0])
        return torch.where(index > 0, yes, 1 - yes)
    inside = index.clamp(0, flat.shape[1] - 1)
    return flat.softmax(dim=1).gather(1, inside[:, None])[:, 0]


# Samples


def chosen(bench: Bench, twin: Twin, findings: Sequence[Finding], shown: int) -> tuple[tuple[Sample, ...], int, str]:
    """The most suspicious rows: those that findings name, then by loss, and some at random beside them."""
    source = bench.train
    numbers = source_rows(bench, source)
    named = faults_by_row(findings)
    rng = bench.rng("look")
    places = np.sort(rng.choice(len(source), min(LOOKED_AT, len(source)), replace=False))
    place_of = {int(row): place for place, row in enumerate(numbers)}
    asked = [place_of[row] for row in named if row in place_of][: shown // 2]
    places = np.unique(np.concatenate([places, np.array(asked, np.int64)]))
    loss = losses(twin, source, places)
    order = places[np.argsort(-np.nan_to_num(loss, nan=np.inf, posinf=np.inf), kind="stable")]
    worst = [int(place) for place in order if place not in set(asked)][: max(0, shown * 3 // 4 - len(asked))]
    others = [int(place) for place in rng.permutation(places) if place not in {*asked, *worst}]
    picked = [*asked, *worst, *others][:shown]
    batch = source.take(picked)
    window, scale = shown_range(batch.inputs)
    with judging(twin.model):
        outputs = outputs_of(twin.result(batch))
    value = dict(zip(places.tolist(), loss.tolist(), strict=True))
    spell = speller(bench)
    samples = tuple(
        sample(batch, i, outputs, window, spell, row=int(numbers[place]), loss=value[place], found=named, bench=bench)
        for i, place in enumerate(picked)
    )
    return samples, len(places), scale


def losses(twin: Twin, source: Source, places: Array) -> Array:
    """The loss of each row, float64 (N,)."""
    found = [twin.losses(source.take(places[start : start + 256].tolist())) for start in range(0, len(places), 256)]
    return torch.cat(found).double().cpu().numpy()


def source_rows(bench: Bench, source: Source) -> Array:
    """The number in the source of each row of the training part."""
    part = None if bench.prepared is None else bench.prepared.train
    rows = getattr(part, "rows", None)
    return np.arange(len(source)) if rows is None or len(rows) != len(source) else np.asarray(rows)


def faults_by_row(findings: Sequence[Finding]) -> dict[int, tuple[str, ...]]:
    """The faults whose findings name a training row, the rows in the order in which they are named."""
    named: dict[int, tuple[str, ...]] = {}
    for finding in findings:
        part = finding.subject.get("part", "train")
        rows = finding.subject.get("rows", ()) if part == "train" else ()
        for row in rows if isinstance(rows, list | tuple) else ():
            if isinstance(row, int | np.integer) and finding.fault not in named.get(int(row), ()):
                named[int(row)] = (*named.get(int(row), ()), finding.fault)
    return named


def sample(
    batch: Batch,
    place: int,
    outputs: Tensor,
    window: tuple[float, float],
    spell: Any,
    *,
    row: int,
    loss: float,
    found: Mapping[int, tuple[str, ...]],
    bench: Bench,
) -> Sample:
    target = batch.target[place]
    about: dict[str, Any] = {"picture": None, "tokens": (), "values": ()}
    size = 0
    for name, values in named_inputs(batch.inputs):
        one = values[place]
        if one.dim() == 3 and one.shape[0] <= 4 and values.is_floating_point():
            about["picture"], size = picture_of(one, window), int(one.shape[-1] * one.shape[-2])
        elif not values.is_floating_point() and one.dim() == 1 and name not in BESIDE:
            about["tokens"] = tuple(spell(one, target if target.shape == one.shape else None))
            size = int((one != 0).sum())
        elif one.dim() <= 1 or one.numel() <= 4096:
            about["values"] += numbers_of(name, one, bench, row)
            size = max(size, one.numel())
    label, guess = told(bench, target, outputs[place])
    return Sample(
        row=row, part="train", loss=loss, label=label, predicted=guess, size=size, found=found.get(row, ()), **about
    )


def named_inputs(inputs: Any) -> list[tuple[str, Tensor]]:
    """Input tensors by name."""
    if isinstance(inputs, Mapping):
        return [(str(name), value) for name, value in inputs.items() if isinstance(value, Tensor)]
    if isinstance(inputs, tuple | list):
        return [(f"x{i}", value) for i, value in enumerate(inputs) if isinstance(value, Tensor)]
    return [("x", inputs)] if isinstance(inputs, Tensor) else []


def shown_range(inputs: Any) -> tuple[tuple[float, float], str]:
    """The values that become black and white: the 0.5 % and 99.5 % quantiles of the pictures, as the network sees them."""
    for _, values in named_inputs(inputs):
        if values.dim() == 4 and values.is_floating_point():
            flat = np.asarray(values.detach().float().cpu()).ravel()
            low, high = np.nanquantile(flat[np.isfinite(flat)], [0.005, 0.995])
            least, most = float(np.nanmin(flat)), float(np.nanmax(flat))
            return (
                float(low),
                float(high),
            ), f"black is {low:.3g}, white is {high:.3g}; the values go from {least:.3g} to {most:.3g}"
    return (0.0, 1.0), ""


def picture_of(values: Tensor, window: tuple[float, float]) -> Array:
    """(C, H, W) as uint8 (H, W) or (H, W, 3); of two or four channels the first one or three."""
    low, high = window
    grey = np.asarray(values.detach().float().cpu().nan_to_num())
    scaled = np.clip((grey - low) / max(high - low, 1e-12) * 255, 0, 255).astype(np.uint8)
    return scaled[0] if len(scaled) < 3 else np.moveaxis(scaled[:3], 0, -1)


def numbers_of(name: str, one: Tensor, bench: Bench, row: int) -> tuple[tuple[str, str, str], ...]:
    """The numbers of a row by the column they come from: its cell, and what the network is given of it; the largest first."""
    flat = one.reshape(-1).double().cpu().numpy()
    spec = None if bench.prepared is None else bench.prepared.spec.get(name)
    names = getattr(spec, "names", None)
    if names is None:
        order = np.argsort(-np.abs(np.nan_to_num(flat, nan=np.inf)), kind="stable")[:VALUES]
        return tuple((f"{name}[{i}]", "", f"{flat[i]:.4g}") for i in order)
    columns: dict[str, list[float]] = {}
    for feature, value in zip(names, flat.tolist(), strict=True):
        columns.setdefault(str(feature).partition(" [")[0], []).append(value)
    cells = bench.kept("cells", lambda: _cells(bench))
    given = [(column, cells(column, row), runs_of(values)) for column, values in columns.items()]
    return tuple(given if name == "numbers" else [(column, cell, f"index {text}") for column, cell, text in given])


def _cells(bench: Bench) -> Any:
    """A function from column and source row to the cell as it was read."""
    table = bench.material.whole.table if bench.task is not None else {}
    place = {int(row): i for i, row in enumerate(bench.material.whole.rows)} if table else {}

    def cell(column: str, row: int) -> str:
        if column not in table or row not in place:
            return ""
        value = table[column][place[row]]
        return "" if value is None or value != value else f"{value:.6g}" if isinstance(value, float) else str(value)

    return cell


def runs_of(values: Sequence[float]) -> str:
    """Numbers in few words: equal neighbours are counted.

    >>> runs_of([1.0, 1.0, 1.0, 0.25, 0.0, 0.0])
    '3 × 1, 0.25, 2 × 0'
    """
    told: list[tuple[str, int]] = []
    for value in values:
        text = f"{value:.3g}"
        if told and told[-1][0] == text:
            told[-1] = (text, told[-1][1] + 1)
        else:
            told.append((text, 1))
    return ", ".join(text if count == 1 else f"{count} × {text}" for text, count in told)


def speller(bench: Bench) -> Any:
    """Tokens as pieces of text, where the tokenizer is known, else as numbers; with whether the loss is taken on each."""
    blocks: Iterable[Any] = (
        () if bench.prepared is None or bench.prepared.pipeline is None else bench.prepared.pipeline.blocks
    )
    tokenizer = next((one.tokenizer for one in blocks if getattr(one, "tokenizer", None) is not None), None)

    shifted = bench.prepared is not None and getattr(bench.prepared.pipeline, "form", "") == "language"

    def spell(tokens: Tensor, target: Tensor | None) -> Iterable[tuple[str, bool]]:
        ids = tokens.tolist()
        if shifted and target is not None:  # the label of a token stands at the place before it
            target = torch.cat([target.new_full((1,), IGNORED), target[:-1]])
        last = max((i for i, token in enumerate(ids) if token != 0), default=-1)
        for i, token in enumerate(ids[: min(last + 1, TOKENS)]):
            piece = str(token) if tokenizer is None else tokenizer.decode([token])
            yield piece, target is not None and int(target[i]) != IGNORED

    return spell


def told(bench: Bench, target: Tensor, output: Tensor) -> tuple[str, str]:
    """The label and the prediction in the user's own words."""
    classes = None if bench.prepared is None else bench.prepared.classes
    if bench.classed and target.dim() == 0:
        flat = output.reshape(-1)
        guess = int(flat[0] > 0) if flat.numel() == 1 else int(flat.argmax())
        names = [
            str(classes[i]) if classes is not None and 0 <= i < len(classes) else str(i) for i in (int(target), guess)
        ]
        return names[0], names[1]
    return label_of(target), label_of(output.detach())


def label_of(value: Tensor) -> str:
    flat = value.reshape(-1)
    if flat.numel() == 1:
        number = float(flat[0])
        return str(int(number)) if number == int(number) else f"{number:.4g}" if np.isfinite(number) else str(number)
    if flat.numel() <= 6:
        return ", ".join(f"{float(one):.3g}" for one in flat)
    return f"{tuple(value.shape)}"


# Filters and activations


def filters(model: nn.Module, batch: Batch) -> tuple[Tiles, ...]:
    """The filters of the first convolution, or the weights of a first linear layer over pictures."""
    pictures = next((values for _, values in named_inputs(batch.inputs) if values.dim() == 4), None)
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d) and isinstance(weight, Tensor):
            return (tiles_of(name, weight.detach()),)
        if isinstance(module, nn.Linear):
            if pictures is not None and module.in_features == pictures[0].numel():
                return (tiles_of(name, module.weight.detach().view(-1, *pictures.shape[1:])),)
            return ()
    return ()


def tiles_of(name: str, values: Tensor) -> Tiles:
    """(K, C, H, W) as K tiles on one scale; channels other than three are averaged."""
    grey = values.float().cpu()
    grey = grey if grey.shape[1] == 3 else grey.mean(dim=1, keepdim=True)
    low, high = float(grey.min()), float(grey.max())
    tiles = tuple(picture_of(one, (low, high)) for one in grey[:TILES])
    return Tiles(layer=name, tiles=tiles, total=len(values), low=low, high=high)


def activations(model: nn.Module, batch: Batch) -> tuple[Tiles, ...]:
    """What the first convolutions make of the first row of the batch, channel by channel."""
    found: list[Tiles] = []
    convolutions = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)][:LAYERS]

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and len(found) < LAYERS:
                found.append(tiles_of(name, output[0].detach()[:, None]))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in convolutions]
    try:
        with judging(model):
            model(batch.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found)

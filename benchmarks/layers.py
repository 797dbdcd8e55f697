"""What a norm costs: forward and backward of each member against torch's nearest layer, time and memory.

Both layers run on the same input with gradients of input and parameters, in one process with one thread, in turn, by
CPU time; the ratio is taken pair by pair, and the table has its median with the middle half. `compiled` rows compile both with
`torch.compile` as it comes. `saved` are the bytes kept for the backward pass (each storage once, parameters and the
input left out), `peak` the most bytes held at once beyond what was there before, by torch's own profiler; both as a ratio to
the peer's where that has any. Where torch has the layer, the peer is that layer: bar 1.05. Where it has not, the nearest
one that does comparable work: bars 3.5 eager and 1.6 compiled. FRN holds its activation, so its peer has one too; cosine
and weight norm are measured on a whole linear layer or convolution. Rows marked "torch's own" compare one class with itself: how
far they are from 1 is the noise of this measurement.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from tables import by_case, markdown
from torch import nn

from tunesmith.blocks.layers import NORMS, norm

ROUNDS, LEAST_SECONDS = 41, 0.004
SHAPES: dict[str, tuple[int, ...]] = {
    "vectors": (256, 512),
    "sequences": (32, 128, 256),  # channels last
    "1-d": (32, 64, 256),
    "2-d": (32, 64, 28, 28),
    "3-d": (4, 32, 8, 28, 28),
}
BATCH = {"vectors": nn.BatchNorm1d, "1-d": nn.BatchNorm1d, "2-d": nn.BatchNorm2d, "3-d": nn.BatchNorm3d}
INSTANCE = {"1-d": nn.InstanceNorm1d, "2-d": nn.InstanceNorm2d, "3-d": nn.InstanceNorm3d}
CONVOLUTION = {"1-d": nn.Conv1d, "2-d": nn.Conv2d, "3-d": nn.Conv3d}
OWN = ("batch_mean_only", "batch_renorm", "cosine", "frn", "rms")  # torch has none, but rms over the last dimension


def cases() -> list[dict[str, Any]]:
    return [
        {"norm": name, "shape": shape, "mode": mode, "peer": described(peer_of(name, shape))}
        for name in NORMS
        for shape in SHAPES
        for mode in ("eager", "compiled")
        if peer_of(name, shape) is not None
    ]


def described(make: Callable[[], nn.Module] | None) -> str:
    if make is None:
        return ""
    layer = make()
    called = "weight_norm of " if nn.utils.parametrize.is_parametrized(layer) else ""
    parts = list(layer) if isinstance(layer, nn.Sequential) else [layer]
    return called + ", ".join(type(part).__name__.removeprefix("Parametrized") for part in parts)


def peer_of(name: str, shape: str) -> Callable[[], nn.Module] | None:
    """What makes torch's nearest layer; None where the member is not made for the shape."""
    channels = SHAPES[shape][-1 if shape == "sequences" else 1]
    last = shape in ("vectors", "sequences")
    match name:
        case "batch" | "batch_mean_only" | "batch_renorm" | "sync_batch" if shape in BATCH:
            return lambda: BATCH[shape](channels)
        case "layer":
            return (lambda: nn.LayerNorm(channels)) if last else lambda: nn.GroupNorm(1, channels)
        case "rms":
            return (lambda: nn.RMSNorm(channels)) if last else lambda: nn.GroupNorm(1, channels)
        case "instance" if shape in INSTANCE:
            return lambda: INSTANCE[shape](channels, affine=True)
        case "group" if shape in CONVOLUTION:
            return lambda: nn.GroupNorm(norm("group", channels).num_groups, channels)
        case "frn" if shape in INSTANCE:
            return lambda: nn.Sequential(INSTANCE[shape](channels, affine=True), nn.ReLU())
        case "cosine":
            return plain(shape, channels)
        case "weight":
            make = plain(shape, channels)
            return lambda: nn.utils.parametrizations.weight_norm(make())
    return None


def plain(shape: str, channels: int) -> Callable[[], nn.Module]:
    if shape in CONVOLUTION:
        return lambda: CONVOLUTION[shape](channels, channels, 3, padding=1)
    return lambda: nn.Linear(channels, channels)


def ours(name: str, shape: str) -> nn.Module:
    channels = SHAPES[shape][-1 if shape == "sequences" else 1]
    if name in ("cosine", "weight"):
        return NORMS[name](plain(shape, channels)())
    return norm(name, channels, dims=0 if shape == "sequences" else len(SHAPES[shape]) - 2)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make = peer_of(case["norm"], case["shape"])
    assert make is not None
    layers = [ours(case["norm"], case["shape"]), make()]
    x = torch.randn(SHAPES[case["shape"]])
    g = torch.randn_like(layers[1](x).detach())
    kept = [memory(layer, x, g) for layer in layers]
    if case["mode"] == "compiled":
        layers = [torch.compile(layer) for layer in layers]
    given = x.clone().requires_grad_()  # one for both: where a tensor lies in memory has a share in its time
    steps = [step_of(layer, given, g) for layer in layers]
    for step in steps * 3:
        step()
    repeats = max(1, round(LEAST_SECONDS / max(seconds(steps[1], 1), 1e-9)))
    pairs = []
    for turn in range(ROUNDS):
        order = (0, 1) if turn % 2 else (1, 0)
        found = {which: seconds(steps[which], repeats) for which in order}
        pairs.append((found[0], found[1]))
    ratios = sorted(mine / theirs for mine, theirs in pairs)
    return {
        "ratio": statistics.median(ratios),
        "lower": ratios[ROUNDS // 4],
        "upper": ratios[3 * ROUNDS // 4],
        "us": 1e6 * statistics.median(mine for mine, _ in pairs),
        "peer us": 1e6 * statistics.median(theirs for _, theirs in pairs),
        "saved": kept[0]["saved"],
        "peer saved": kept[1]["saved"],
        "peak": kept[0]["peak"],
        "peer peak": kept[1]["peak"],
    }


def step_of(layer: nn.Module, given: torch.Tensor, g: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        given.grad = None
        layer.zero_grad(set_to_none=True)
        layer(given).backward(g)

    return step


def seconds(step: Callable[[], None], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def memory(layer: nn.Module, x: torch.Tensor, g: torch.Tensor) -> dict[str, int]:
    """Bytes kept for backward, and the most held at once, of one eager step."""
    given = x.clone().requires_grad_()
    known = {one.untyped_storage().data_ptr() for one in (given, *layer.parameters(), *layer.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    step = step_of(layer, given, g)
    step()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(given)
    y.backward(g)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    held = peak = 0
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return {"saved": sum(kept.values()), "peak": peak}


def bar_of(case: dict[str, Any]) -> float:
    if case["norm"] not in OWN or (case["norm"] == "rms" and case["shape"] in ("vectors", "sequences")):
        return 1.05
    return 3.5 if case["mode"] == "eager" else 1.6


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        case = group[-1]["case"]
        middle = {name: statistics.median(row["measured"][name] for row in group) for name in group[-1]["measured"]}
        bar = bar_of(case)
        lines.append(
            [
                case["norm"],
                f"{case['shape']} {SHAPES[case['shape']]}",
                case["mode"],
                case["peer"],
                f"{middle['ratio']:.2f} ({middle['lower']:.2f} to {middle['upper']:.2f})",
                f"{bar} {'held' if middle['ratio'] <= bar else 'missed'}"
                + (", torch's own" if is_torchs(case) else ""),
                f"{middle['us']:,.0f}",
                f"{middle['peer us']:,.0f}",
                share(middle["saved"], middle["peer saved"]),
                share(middle["peak"], middle["peer peak"]),
            ]
        )
    header = ["norm", "input", "mode", "torch's nearest", "ratio", "bar", "µs", "its µs", "saved, MB", "peak, MB"]
    return markdown(header, lines)


def is_torchs(case: dict[str, Any]) -> bool:
    """Whether the member is torch's own class: its row then measures one layer against itself."""
    make = peer_of(case["norm"], case["shape"])
    return make is not None and type(ours(case["norm"], case["shape"])) is type(make())


def share(mine: float, theirs: float) -> str:
    ratio = f", {mine / theirs:.2f} of {theirs / 1e6:.2f}" if theirs else f", of {theirs / 1e6:.2f}"
    return f"{mine / 1e6:.2f}{ratio}"

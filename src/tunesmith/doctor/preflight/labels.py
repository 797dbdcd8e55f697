"""Targets of all rows, as the loss meets them: a tool of the checks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.seeing import Seen, look, main
from tunesmith.doctor.preflight.source import Source

ROWS = 20_000  # of a data set that is read row by row; assumption: enough for its labels


@dataclass(frozen=True, slots=True)
class Labelled:
    """The outputs of some rows, and where their classes lie."""

    seen: Seen
    outputs: Tensor
    target: Tensor
    axis: int  # of the outputs, that holds the classes
    width: int
    whole: bool  # the loss meets the targets as the data hold them


def labelled(bench: Bench) -> Labelled | None:
    """Class labels and the outputs for them; None where the targets are no labels."""
    seen = look(bench)
    outputs = main(seen)
    if outputs is None or not isinstance(seen.target, Tensor):
        return None
    axis = LossProbe(lambda o, y: o.sum(), replace(seen, outputs=outputs)).class_axis
    if axis is None or seen.target.dtype == torch.bool:
        return None
    whole = bench.program.loop is None and _as_held(bench, seen.target)
    return Labelled(seen, outputs, seen.target, axis, outputs.shape[axis], whole)


def _as_held(bench: Bench, target: Tensor) -> bool:
    from tunesmith.doctor.preflight.seeing import probed

    held = probed(bench).target
    return held.shape == target.shape and bool(torch.equal(held.to(target.dtype), target))


def parts(bench: Bench) -> Iterator[tuple[str, Source]]:
    """The parts of the program by name."""
    for name, source in (("train", bench.train), ("val", bench.val), ("test", bench.test)):
        if source is not None:
            yield name, source


def targets_of(bench: Bench, name: str, source: Source) -> Tensor:
    """The targets of a part: all of them where they lie in memory, else those of the first 20,000 rows."""

    def read() -> Tensor:
        if source._tensors is not None:
            return source._tensors[1].detach().cpu()
        if name == "train":
            return torch.as_tensor(bench.target)
        return torch.as_tensor(source.arrays(ROWS)[1])

    return bench.kept(f"labels.{name}", read)


def takes(found: Labelled, loss: object, label: int) -> bool | None:
    """Whether a loss takes a label: it gives a finite number with the label in one row's place. None where it takes no label at all."""
    probe, valid = inside(found, loss)
    if probe is None:
        return None
    target = valid.clone()
    target.reshape(-1)[0] = label
    value = probe.value(probe.seen.outputs, target)
    return value is not None and value == value and abs(value) != float("inf")


def skips(found: Labelled, loss: object, label: int) -> bool:
    """Whether a row with this label is left out of the loss: nothing pulls on its outputs."""
    probe, valid = inside(found, loss)
    if probe is None or probe.outputs is None:
        return False
    target = valid.clone()
    target.reshape(-1)[0] = label
    pull = probe.pull(probe.outputs, target)
    if pull is None:
        return False
    first = pull.movedim(found.axis, -1).reshape(-1, found.width)[0]
    return bool((first == 0).all())


def inside(found: Labelled, loss: object) -> tuple[LossProbe | None, Tensor]:
    """A probe on the CPU with labels that fit the outputs; None where the loss takes none of them."""
    target = found.target.detach().cpu().clamp(0, found.width - 1)
    mine = loss.cpu() if isinstance(loss, nn.Module) else loss
    seen = Seen(
        found.outputs.detach().cpu().float(), target, tuple(_cpu(one) for one in found.seen.more), found.seen.named
    )
    probe = LossProbe(mine, seen)  # type: ignore[arg-type]
    return (probe if probe.value(seen.outputs) is not None else None), target


def _cpu(one: object) -> object:
    return one.detach().cpu() if isinstance(one, Tensor) else one


def by_index(found: Labelled, loss: object) -> bool:
    """Whether the loss looks labels up among the outputs: it takes the last class and refuses the one beyond it."""
    return bool(takes(found, loss, found.width - 1)) and takes(found, loss, found.width) is False

"""The state of a training: what an update reads and writes, and nothing else.

`snapshot` and `restore` are bit for bit; a checkpoint on disk has the same content. Rate finder, twins, recovery and
resume use nothing else.
"""

import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tunesmith.records.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import nn

Snapshot = dict[str, Any]  # a tree of dicts, lists, tuples, numbers, strings and tensors


class Stateful(Protocol):
    """Anything with a `state_dict`: an optimizer, an average, a scaler, a stateful loader."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Parted(Protocol):
    """A model whose tensors lie in parts on several ranks; snapshots hold them whole, and `whole_model` is for the end."""

    whole_model: "nn.Module"

    def whole(self, tree: Any) -> Any: ...

    def parts(self, snapshot: Snapshot, state: "State") -> Snapshot: ...


@dataclass(slots=True)
class State:
    """Model, optimizer, step, data position, random generators, average, scaler."""

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"
    average: Stateful | None = None  # of the weights (EMA)
    scaler: Stateful | None = None  # of the loss, under fp16
    loss: Stateful | None = None  # one with parameters or magnitudes of its own
    parted: Parted | None = None
    step: int = 0  # optimizer updates made
    epoch: int = 0  # epochs finished
    position: int = 0  # rows (in memory) or batches (loader) of this epoch already used
    feed: Snapshot = field(default_factory=dict)  # what the feed needs to go on inside this epoch
    progress: Snapshot = field(default_factory=dict)  # running sums, best score, patience, changes made on the way

    def snapshot(self, *, host: bool = False) -> Snapshot:
        """Everything, copied: nothing done later reaches it. With `host` in the memory of the host, also what lies on a device."""

        def copied(tree: Any) -> Any:
            return _copied(tree if self.parted is None else self.parted.whole(tree), host)

        return {
            "model": copied(self.model.state_dict()),
            "optimizer": copied(self.optimizer.state_dict()),
            "trainable": [name for name, parameter in self.model.named_parameters() if parameter.requires_grad],
            "groups": group_names(self.model, self.optimizer),
            "average": None if self.average is None else copied(self.average.state_dict()),
            "scaler": None if self.scaler is None else copied(self.scaler.state_dict()),
            "loss": None if self.loss is None else copied(self.loss.state_dict()),
            "random": random_state(),
            "step": self.step,
            "epoch": self.epoch,
            "position": self.position,
            "feed": copied(self.feed),
            "progress": copied(self.progress),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Puts everything back. Parameter groups added since the start are added again; those added since the snapshot go.

        Raises `CheckpointError` where the model or the optimizer is not the one the snapshot was taken of.
        """
        whole = snapshot
        if self.parted is not None:
            snapshot = self.parted.parts(snapshot, self)
        try:
            self.model.load_state_dict(snapshot["model"])
        except RuntimeError as error:
            raise CheckpointError(f"the checkpoint holds another model than this one: {_first_line(error)}") from error
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in snapshot["trainable"])
        self._restore_groups(snapshot["groups"])
        try:
            self.optimizer.load_state_dict(copied(snapshot["optimizer"]))
            keep_types(self.optimizer, whole["optimizer"])
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"the checkpoint holds another optimizer than this one: {_first_line(error)}"
            ) from error
        for name in ("average", "scaler", "loss"):
            part, saved = getattr(self, name), snapshot.get(name)  # checkpoints before the loss had a state lack it
            if (part is None) != (saved is None):
                called = {
                    "average": "an average of the weights",
                    "scaler": "a loss scaler",
                    "loss": "a loss with a state",
                }[name]
                had, has = ("none", called) if saved is None else (called, "none")
                raise CheckpointError(
                    f"the checkpoint has {had}, this training has {has}; use the recipe it was made with"
                )
            if part is not None:
                part.load_state_dict(copied(saved))
        self.step, self.epoch, self.position = snapshot["step"], snapshot["epoch"], snapshot["position"]
        self.feed, self.progress = copied(snapshot["feed"]), copied(snapshot["progress"])
        set_random_state(snapshot["random"])

    def _restore_groups(self, names: list[list[str]]) -> None:
        held = self.optimizer.param_groups
        while len(held) > max(len(names), 1) and held[-1].get(
            "late"
        ):  # given to the live optimizer, after the snapshot
            for parameter in held.pop()["params"]:
                self.optimizer.state.pop(parameter, None)
        have = len(held)
        if len(names) < have:
            raise CheckpointError(
                f"the checkpoint has {len(names)} parameter groups and this optimizer {have}; use the recipe it was made with"
            )
        by_name = dict(self.model.named_parameters(remove_duplicate=False))
        for group in names[have:]:
            unknown = [name for name in group if name not in by_name]
            if unknown:
                raise CheckpointError(
                    f"the checkpoint has a parameter group with {unknown[0]!r}, which this model does not have"
                )
            self.optimizer.add_param_group({"params": [by_name[name] for name in group]})


def keep_types(optimizer: "torch.optim.Optimizer", saved: Snapshot) -> None:
    """Puts state tensors back into their own number type: loading casts them to that of the parameter.

    Under double precision a float32 counter or product (NAdam's) would go on with other roundings.
    """
    import torch

    if not {"state", "param_groups"} <= saved.keys():  # a stranger's, with a form of its own
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    order = [index for group in saved["param_groups"] for index in group["params"]]
    for index, weight in zip(order, weights, strict=True):
        for name, value in saved["state"].get(index, {}).items():
            held = optimizer.state[weight].get(name)
            if isinstance(held, torch.Tensor) and isinstance(value, torch.Tensor) and held.dtype != value.dtype:
                optimizer.state[weight][name] = value.detach().clone().to(held.device)


def group_names(model: "nn.Module", optimizer: "torch.optim.Optimizer") -> list[list[str]]:
    """The parameters of each group by name; a parameter outside the model is called by its place."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [
        [names.get(id(parameter), f"<{number}.{place}>") for place, parameter in enumerate(group["params"])]
        for number, group in enumerate(optimizer.param_groups)
    ]


def copied(tree: Any) -> Any:
    """The tree with every tensor cloned and every container new; numbers and strings are shared."""
    return _copied(tree, False)


def _copied(tree: Any, host: bool) -> Any:
    import torch

    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu() if host and tree.device.type != "cpu" else tree.detach().clone()
    if isinstance(tree, dict):
        return {key: _copied(value, host) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [_copied(value, host) for value in tree]
        return items if isinstance(tree, list) else tuple(items)
    if hasattr(tree, "__array__") and hasattr(tree, "copy"):
        return tree.copy()
    return tree


def random_state() -> Snapshot:
    """The state of every global generator: Python, NumPy, and torch where it is loaded, on the CPU and on the devices in use."""
    import numpy

    state: Snapshot = {"python": random.getstate(), "numpy": numpy.random.get_state(legacy=False)}
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = torch.get_rng_state()
        state["cuda"] = list(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else []
    return state


def set_random_state(state: Snapshot) -> None:
    """Puts every global generator back."""
    import numpy

    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch = sys.modules.get("torch")
    if torch is None or "torch" not in state:
        return
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

"""Joining the other ranks, and noticing at once where they do not train the same thing."""

import atexit
import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import distributed, nn

from tunesmith.records import DataError, DeviceError, Recipe, RecipeError, RunError, TrainingFailed
from tunesmith.training.ranks.place import Place
from tunesmith.training.ranks.ranks import PATIENCE, Ranks
from tunesmith.training.resolve import device_name


def joined(recipe: Recipe, where: Place) -> Ranks | None:
    """The ranks of this training, None for one process. A group that is open already is used; ours stays open for the next.

    Raises `RecipeError` where `run.world_size` is another number, `DeviceError` where the ranks cannot have a device each, and
    `RunError` where they do not find each other.
    """
    check_world(recipe, where)
    if where.world == 1:
        return None
    device = device_of(recipe, where)
    if not distributed.is_initialized():
        opened(where, device)
        atexit.register(distributed.destroy_process_group)
    return Ranks(where, device)


def check_world(recipe: Recipe, where: Place) -> None:
    """Raises `RecipeError` where the recipe asks for another number of ranks than there are."""
    asked = recipe.run.world_size
    if asked not in ("auto", where.world) and recipe.source("run.world_size").kind != "derived":
        there = "this process is alone" if where.world == 1 else f"{where.world} were started"
        raise RecipeError(
            f"run.world_size = {asked} ({recipe.source('run.world_size')}), but {there}; start {asked} ranks with tunesmith fit … --nproc "
            f"{asked} or torchrun --nproc-per-node {asked}, or leave run.world_size at 'auto'"
        )


def device_of(recipe: Recipe, where: Place) -> torch.device:
    """The device of this rank; of several GPUs the one of its local number, which becomes the current one."""
    name = device_name(recipe.train.device)
    if name == "cpu":
        return torch.device("cpu")
    if name != "cuda":
        raise DeviceError(
            f"train.device = {name!r} with {where.world} ranks: they would share it; choose 'cuda', where each rank takes the GPU of its "
            "local number, or 'cpu'"
        )
    if where.local >= torch.cuda.device_count():
        raise DeviceError(
            f"rank {where.rank} is number {where.local} on this machine, which has {torch.cuda.device_count()} GPUs; start as many "
            "ranks as there are GPUs, or train on train.device = 'cpu'"
        )
    torch.cuda.set_device(where.local)
    return torch.device("cuda", where.local)


def opened(where: Place, device: torch.device) -> None:
    """Opens the process group. Raises `RunError` where a port is taken or the others do not come."""
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    about: dict[str, Any] = {"rank": where.rank, "world_size": where.world, "timeout": PATIENCE}
    try:
        distributed.init_process_group(backend, init_method=where.meeting, **about)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        if "EADDRINUSE" in text or "address already in use" in text:
            raise RunError(
                f"the port where the ranks were to meet is taken ({text[:120]}); set MASTER_PORT to a free one, or start with tunesmith "
                "fit … --nproc, which needs none"
            ) from error
        raise RunError(
            f"rank {where.rank} of {where.world} did not find the others at {where.meeting} ({text[:160]}); see that all were started "
            "with the same MASTER_ADDR and MASTER_PORT"
        ) from error


def check_same(ranks: Ranks, recipe: Recipe, fingerprint: str) -> None:
    """Raises `RecipeError` or `DataError` where the ranks have another recipe, other data or another torch."""
    everybody = ranks.everybodys({"recipe": recipe.flat(), "data": fingerprint, "torch": torch.__version__})
    first = everybody[0]
    for rank, one in enumerate(everybody):
        differing = sorted(path for path in first["recipe"] if one["recipe"].get(path) != first["recipe"][path])
        if differing:
            path = differing[0]
            raise RecipeError(
                f"the ranks have different recipes: {path} = {one['recipe'].get(path)!r} on rank {rank}, {first['recipe'][path]!r} on rank 0"
                f"{f' ({len(differing)} fields differ)' if len(differing) > 1 else ''}; start all with the same recipe"
            )
        if one["data"] != first["data"]:
            raise DataError(
                f"the ranks have different data (fingerprint {one['data'][:12]} on rank {rank}, {first['data'][:12]} on rank 0); give "
                "all the same rows in the same order: they divide them by themselves"
            )
        if one["torch"] != first["torch"]:
            raise RunError(
                f"rank {rank} runs torch {one['torch']}, rank 0 {first['torch']}; install one version everywhere"
            )


def check_loader(part: Any) -> None:
    """Raises `DataError` for a loader that hands out the rows of one rank: they would be divided twice."""
    for name in ("sampler", "batch_sampler"):
        sampler = getattr(part, name, None)
        sampler = getattr(sampler, "sampler", sampler) if name == "batch_sampler" else sampler
        if getattr(sampler, "num_replicas", 1) > 1:
            raise DataError(
                f"the data loader's {type(sampler).__name__} hands out the rows of one rank, and the ranks divide each batch besides; give "
                "a loader over all rows, the same on every rank"
            )


def check_gradients(model: nn.Module, world: int) -> None:
    """Raises `RecipeError` for sparse gradients, whose rows differ from rank to rank."""
    for name, module in model.named_modules():
        if getattr(module, "sparse", False) is True:
            raise RecipeError(
                f"{name} makes sparse gradients, which {world} ranks cannot add up; make the embedding with sparse=False"
            )


def check_drift(ranks: Ranks, model: nn.Module, step: int) -> None:
    """Raises `TrainingFailed` where the weights of the ranks are not the same bit for bit."""
    marks = ranks.everybodys(mark(dict(model.named_parameters())))
    for rank, one in enumerate(marks):
        if one != marks[0]:
            raise TrainingFailed(
                f"after step {step} the weights of rank {rank} are not those of rank 0; a guard, optimizer or loss of your own may draw "
                "numbers or read a clock: it must do the same on every rank"
            )


def mark(tensors: Mapping[str, torch.Tensor]) -> str:
    """A digest of the bits of tensors, taken where they lie: sums of their bytes in words of four."""
    sums = []
    for tensor in tensors.values():
        bits = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        bits = bits.view(torch.int32) if bits.numel() % 4 == 0 and tensor.itemsize >= 4 else bits
        sums.append(bits.sum(dtype=torch.int64))
    return hashlib.blake2b(str(torch.stack(sums).tolist() if sums else []).encode(), digest_size=16).hexdigest()

"""Which of how many ranks this process is, from the variables that a launcher sets.

Names: torchrun and `accelerate launch` (https://docs.pytorch.org/docs/stable/elastic/run.html, "Environment Variables"); Slurm's srun
(https://slurm.schedmd.com/srun.html, "OUTPUT ENVIRONMENT VARIABLES"). Slurm's SLURM_NTASKS also stands in a batch script, which is
one process, so a step is known by SLURM_STEP_NUM_TASKS.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.records import RecipeError

MEETING = "TUNESMITH_MEETING"  # set by our own launcher: a file where the ranks find each other
LAUNCHER = "TUNESMITH_LAUNCHER"  # the process that started the ranks
PORTS = (15_000, 10_000)  # first and number; assumption: below those that systems hand out by themselves (from 32768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A rank among `world`; `local` counts those of one machine. `meeting` is where they find each other, as torch takes it."""

    rank: int = 0
    local: int = 0
    world: int = 1
    meeting: str = ""

    @property
    def first(self) -> bool:
        """Whether this rank writes and speaks for all."""
        return self.rank == 0


def place(variables: Mapping[str, str] = os.environ) -> Place:
    """The place of this process. Raises `RecipeError` where the variables do not fit together.

    >>> place({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}).world
    2
    >>> place({})
    Place(rank=0, local=0, world=1, meeting='')
    """
    if "WORLD_SIZE" in variables:
        return _of_launcher(variables)
    if int(variables.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _of_slurm(variables)
    return Place()


def _of_launcher(variables: Mapping[str, str]) -> Place:
    world = _number(variables, "WORLD_SIZE")
    if world == 1:
        return Place()
    rank = _number(variables, "RANK")
    if not rank < world:
        raise RecipeError(f"RANK is {rank} and WORLD_SIZE {world}; ranks count from 0 to {world - 1}")
    local = _number(variables, "LOCAL_RANK") if "LOCAL_RANK" in variables else rank
    if MEETING in variables:
        return Place(rank=rank, local=local, world=world, meeting=f"file://{variables[MEETING]}")
    absent = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in variables]
    if absent:
        raise RecipeError(
            f"WORLD_SIZE is {world}, but {' and '.join(absent)} {'are' if len(absent) > 1 else 'is'} not set, so the ranks cannot "
            "find each other; start them with torchrun, or with tunesmith fit … --nproc"
        )
    return Place(rank=rank, local=local, world=world, meeting="env://")


def _of_slurm(variables: Mapping[str, str]) -> Place:
    rank, world = _number(variables, "SLURM_PROCID"), _number(variables, "SLURM_STEP_NUM_TASKS")
    nodes = variables.get("SLURM_STEP_NODELIST", variables.get("SLURM_JOB_NODELIST", ""))
    host = variables.get("MASTER_ADDR", first_host(nodes))
    if not host:
        raise RecipeError(
            f"Slurm started {world} tasks, but neither SLURM_STEP_NODELIST nor MASTER_ADDR names the first machine; set MASTER_ADDR"
        )
    begin, count = PORTS
    port = variables.get("MASTER_PORT", str(begin + int(variables.get("SLURM_JOB_ID", "0")) % count))
    local = _number(variables, "SLURM_LOCALID")
    return Place(rank=rank, local=local, world=world, meeting=f"tcp://{host}:{port}")


def first_host(nodes: str) -> str:
    """The first machine of a list as Slurm writes it.

    >>> first_host("gpu[03-05,08]"), first_host("login,gpu[1-2]"), first_host("solo")
    ('gpu03', 'login', 'solo')
    """
    found = re.match(r"([^,\[]*)(?:\[([^\],-]+)[^\]]*\])?", nodes)
    assert found is not None  # it also matches nothing
    return found[1] + (found[2] or "")


def _number(variables: Mapping[str, str], name: str) -> int:
    if name not in variables:
        raise RecipeError(
            f"the environment says that there are several ranks, but {name} is not set; start them with torchrun or srun, or with "
            "tunesmith fit … --nproc"
        )
    try:
        value = int(variables[name])
    except ValueError:
        value = -1
    if value < (1 if name.endswith(("SIZE", "TASKS")) else 0):
        raise RecipeError(f"{name} is {variables[name]!r}; expected a whole number, as torchrun sets it")
    return value

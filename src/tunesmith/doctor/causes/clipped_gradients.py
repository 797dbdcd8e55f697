"""clipped_gradients: a few rows make updates far longer than all others.

Sees      the program trained with gradients cut to their usual length at the start, and on rows whose extreme numbers are pulled in to ten robust
          deviations.
Matters   one such update can undo hundreds.
Remedies  look at the rows; clip the gradients, or take a loss that grows more slowly.
Limits    where the extreme rows are what is to be learnt, pulling them in cures nothing.
Source    vocabulary of data.outliers; Pascanu et al., arXiv:1211.5063.
"""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import torch

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import extreme, pulled_in
from tunesmith.doctor.causes.stepping import Accompanied, clipped
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.records import Program

BATCHES = 16  # whose gradients give the usual length; assumption


@experiment("clipped_gradients", faults=("data.outliers",), remedy="remedy.causes_outliers")
def clipped_gradients(case: Case) -> Iterator[Change]:
    program = case.bench.program
    if not hasattr(program.optimizer, "param_groups") or case.bench.task is not None:
        return
    share = case.bench.kept("causes.extreme", lambda: extreme(case.bench))
    suspicion = case.suspected("data.outliers", "loss.spike")
    if share > 0:
        yield Change("extreme numbers pulled in", max(0.3, suspicion), rewrite=pulled_in, values={"share": share})
    if suspicion:
        yield from cut_gradients(case.bench, 0.5 * suspicion)


def cut_gradients(bench: Bench, likely: float) -> Iterator[Change]:
    """The program with its gradients cut to their usual length at the start; nothing where it shows none."""
    if not isinstance(bench.program.optimizer, torch.optim.Optimizer):
        return
    norm = bench.kept("causes.usual_norm", lambda: usual_norm(bench))
    if norm > 0:

        def cut(bench: Bench, program: Program) -> Program:
            return limited_to(program, norm)

        yield Change("clipped gradients", likely, rewrite=cut, recipe={"optim.clip_norm": norm}, values={"norm": norm})


def usual_norm(bench: Bench) -> float:
    """The median length of the gradient over some batches, at the weights the program starts from; 0 where there is none."""
    found = []
    with undisturbed(bench):
        twin = bench.twin()
        for batch in bench.fed(BATCHES):
            twin.gradient(batch)
            held = [each.grad for each in twin.model.parameters() if each.grad is not None]
            if held:
                found.append(float(torch.linalg.vector_norm(torch.stack([each.norm() for each in held]))))
    return median(found) if found and all(map(torch.isfinite, torch.tensor(found))) else 0.0


def limited_to(program: Program, norm: float) -> Program:
    """The program with its gradients cut to a length: by its own field, or around its own step or loop."""
    if program.loop is not None:
        return replace(program, loop=Accompanied(program.loop, clipped(norm)))
    if program.step is not None:
        return replace(program, step=Accompanied(program.step, clipped(norm)))
    return replace(program, clip_norm=norm)

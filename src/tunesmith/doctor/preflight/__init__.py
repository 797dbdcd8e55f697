"""Faults of a program, found before a long run.

Each check is a function from a `Bench` to findings, one file each; the docstring of its file is its manual page. A bench
holds the program on a copy: what the user brought is as it was when the checks end.
"""

from tunesmith.doctor.preflight.bench import Bench, bench_of_program
from tunesmith.doctor.preflight.catalogue import CHECKS, check
from tunesmith.doctor.preflight.same_function import same_function
from tunesmith.doctor.preflight.source import Source
from tunesmith.doctor.preflight.task_bench import bench_of_task
from tunesmith.doctor.preflight.twin import Twin

__all__ = ["CHECKS", "Bench", "Source", "Twin", "bench_of_program", "bench_of_task", "check", "same_function"]

CHECKS.load(__path__, __name__)

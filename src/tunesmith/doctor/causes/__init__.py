"""Which of the remaining suspicions is the cause: each is undone on a copy of the program, and what it changes is measured.

Each experiment is one file: it proposes changes of a copy that would undo one fault; its docstring is its manual page. `investigated`
carries out those that are likely and cheap, inside a budget.
"""

from tunesmith.doctor.causes.case import Case, Trouble
from tunesmith.doctor.causes.catalogue import EXPERIMENTS, Experiment, experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.investigating import investigated
from tunesmith.doctor.causes.observing import observed

__all__ = ["EXPERIMENTS", "Case", "Change", "Experiment", "Trouble", "experiment", "investigated", "observed"]

EXPERIMENTS.load(__path__, __name__)

"""Surgeries: one kind of change a file, each tried on a twin before it is kept.

Where an experiment of `causes` makes the change already, the surgery is that change; the others make their own.
"""

from tunesmith.doctor.repair.surgery.catalogue import SURGERIES, Surgery, of_experiment, surgery

__all__ = ["SURGERIES", "Surgery", "of_experiment", "surgery"]

SURGERIES.load(__path__, __name__)

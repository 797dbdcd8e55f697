"""Faults in data, found before anything is trained. Imports no torch.

Each audit is a function from a `Material` to findings, one file each; the docstring of its file is its manual page.
"""

from tunesmith.doctor.audits.catalogue import AUDITS, audit
from tunesmith.doctor.audits.gathering import material_of, material_of_arrays
from tunesmith.doctor.audits.material import Material, View

__all__ = ["AUDITS", "Material", "View", "audit", "material_of", "material_of_arrays"]

AUDITS.load(__path__, __name__)

"""Ways to plant one known fault in a sound program.

`SABOTAGES[name].plant(program, strength, seed)` gives a program that carries the fault: strength 1 is perhaps harmless, 3 hardly.
The program is taken over: its live objects are changed, so build a fresh one for each planting. Nothing in what comes back is
named for the fault.
"""

from tunesmith.testing.sabotage.catalogue import MECHANISMS, SABOTAGES, STRENGTHS, Sabotage, sabotage

__all__ = ["MECHANISMS", "SABOTAGES", "STRENGTHS", "Sabotage", "sabotage"]

SABOTAGES.load(__path__, __name__)

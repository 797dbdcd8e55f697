"""From what was found to what is the cause. Imports no torch."""

from tunesmith.doctor.diagnosis.catalogue import RULES, Rule, rule
from tunesmith.doctor.diagnosis.judging import diagnosed
from tunesmith.doctor.diagnosis.ranking import measured, ranked

__all__ = ["RULES", "Rule", "diagnosed", "measured", "ranked", "rule"]

RULES.load(__path__, __name__)

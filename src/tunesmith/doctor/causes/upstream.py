"""How far upstream a fault lies: data, output and loss, model, start, optimizer, schedule, regularisation, budget."""

from tunesmith.doctor.diagnosis.ranking import UPSTREAM


def stream(fault: str) -> int:
    """The smaller, the further upstream.

    >>> stream("data.outliers") < stream("lr.too_high") < stream("fit.too_few_epochs")
    True
    """
    family = fault.partition(".")[0]
    return UPSTREAM.index(family) if family in UPSTREAM else len(UPSTREAM)

"""A program that raises before it has made an update: what surgeries may ask of it."""

from collections.abc import Sequence

from tunesmith.doctor.preflight import Bench
from tunesmith.records import Finding
from tunesmith.records.state import random_state, set_random_state


class Crashed:
    """Takes the place of a `Case` where there is nothing to train."""

    def __init__(self, bench: Bench, findings: Sequence[Finding]) -> None:
        self.bench = bench
        self.findings = list(findings)

    def suspected(self, *faults: str) -> float:
        """The confidence of the surest finding about one of these faults."""
        told = [one.confidence for one in self.findings if one.fault in faults and one.status != "refuted"]
        return max(told, default=0.0)


def runs(bench: Bench) -> bool:
    """Whether a program makes an epoch of updates, and judges some validation rows, without raising."""
    random = random_state()
    try:
        twin = bench.twin()
        window = []
        for batch in bench.train.fed(0):
            window.append(batch)
            if len(window) == max(1, bench.program.accumulate):
                twin.step(window)
                window = []
        if bench.val is not None:
            twin.judged(bench.batch(64, "revived", bench.val))
    except Exception:  # whatever the program raises: it does not run
        return False
    finally:
        set_random_state(random)
    return True

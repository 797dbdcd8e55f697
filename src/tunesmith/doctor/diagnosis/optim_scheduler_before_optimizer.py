"""optim.scheduler_before_optimizer: the schedule moves on before the first update was made.

Sees      in a watched run: a scheduler is attached (it leaves its first rate with the optimizer), and the rate of the first update is not the
          one that stood there when the watch began.
Matters   the first value of the schedule is never used, and every later one comes one step or epoch too soon.
Remedies  scheduler.step() after optimizer.step().
Limits    the order can be seen at the first update alone, and only where the first two rates differ. A rate that is set by hand before the
          first update, beside a scheduler, looks the same.
Source    vocabulary of optim.scheduler_before_optimizer; torch.optim, "How to adjust learning rate".
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

SAME = 1e-9  # relative difference of two rates


@rule("optim.scheduler_before_optimizer", needs=("loss",))
def optim_scheduler_before_optimizer(history: History) -> Iterator[Finding]:
    given, used = history.facts.get("rate_given"), history.facts.get("rate_first")
    if given is None or used is None or abs(given - used) <= SAME * max(abs(given), abs(used)):
        return
    yield told(
        "optim.scheduler_before_optimizer",
        "warning",
        "scheduler_first",
        {"given": float(given), "used": float(used)},
        confidence=0.9,
        status="confirmed",
        evidence=[number("first_rate", used, float(given), "the rate before the loop", step=1)],
        remedies=[advice("scheduler_last")],
    )

"""run.crash: the program raised an exception.

Sees      in a watched run: the exception that left the `with` of the watch, its kind and its words.
Matters   the run ended there.
Remedies  what the exception says; findings on labels, tables and memory beside it say more where they know more.
Limits    a symptom. An assertion on a device ends the process before anything can be said.
Source    vocabulary of run.crash: exception type and message.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, length, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

INTERRUPTED = ("KeyboardInterrupt", "SystemExit", "GeneratorExit")


@rule("run.crash", needs=())
def run_crash(history: History) -> Iterator[Finding]:
    crash = part(history, "crash")
    if not crash or crash["kind"] in INTERRUPTED:
        return
    at = int(length(history))
    yield told(
        "run.crash",
        "error",
        "crashed",
        {"kind": crash["kind"], "message": crash["message"][:160], "step": at},
        confidence=0.9,
        status="confirmed",
        evidence=[number("exception", 1.0, 0.0, "it was raised", step=at)],
        remedies=[advice("read_exception")],
    )

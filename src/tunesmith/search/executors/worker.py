"""A worker process of the pool: jobs come on standard input, reports go out on standard output.

What else is printed goes to standard error. When the search ends, or is killed, standard input ends, and the worker with all that
it started ends at once: nothing writes on into a folder that a resumed search uses.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from contextlib import suppress
from typing import IO, Any

from tunesmith.search.executors.channel import receive, send
from tunesmith.search.executors.work import Job, Report, carried_out


def main() -> None:
    """Works until the other side is gone."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _hand_over_standard_streams()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    paths, blob = receive(incoming)
    sys.path[:] = paths
    threading.Thread(target=_listen, args=(incoming, jobs), daemon=True).start()
    subject = pickle.loads(blob)
    send(outgoing, Report(number=-1))  # it is ready
    while True:
        for report in carried_out(subject, jobs.get()):
            try:
                send(outgoing, report)
            except OSError:
                _end()


def _listen(incoming: IO[bytes], jobs: "queue.SimpleQueue[Any]") -> None:
    with suppress(EOFError, OSError):
        while True:
            jobs.put(receive(incoming))
    _end()


def _hand_over_standard_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)


def _end() -> None:
    """At once, with every process this one started: the search made it the leader of a group of its own."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()

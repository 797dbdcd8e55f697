"""runs: the program raises, before it has trained for a single epoch.

Sees      an exception in one update on the first batch, on a batch of the size of the last one, or in a pass over some
          validation rows; what is raised is told with its place in the user's own code.
Matters   the run would end there; what else the checks could see lies behind it.
Remedies  the other findings often name the cause: a label without an output, an index beyond a table.
Limits    tries three batches; a fault of a single row further on is seen by the audits, not here.
Source    Karpathy, A Recipe for Training Neural Networks (2019): verify the whole pipeline before training.
"""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.records import CHEAP, Evidence, Finding
from tunesmith.records.check import Inapplicable

HOUSE = Path(__file__).parents[2]


@check("runs", faults=("run.crash",), cost=CHEAP)
def runs(bench: Bench) -> Iterator[Finding]:
    for where, attempt in _attempts(bench):
        try:
            attempt()
        except Inapplicable:
            raise
        except Exception as error:  # whatever the user's program raises is what is looked for
            text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            bench.measured["crash"] = text
            yield Finding(
                fault="run.crash",
                severity="error",
                message="preflight.crash",
                values={"where": where, "error": text},
                evidence=(Evidence(name="exceptions", value=1.0, threshold=0.0, where=where),),
                status="confirmed",
                subject={"place": place_of(error)},
            )
            return


def _attempts(bench: Bench) -> Iterator[tuple[str, Callable[[], object]]]:
    last = len(bench.train) % max(1, bench.program.batch_size)
    yield "the first update", lambda: bench.twin().step(bench.fed(1))
    if last and bench.train.loader is None:
        yield f"an update on the last batch of {last}", lambda: bench.twin().step(bench.batch(last, "runs"))
    if bench.val is not None:
        rows = max(1, bench.program.batch_size)
        yield "a pass over validation rows", lambda: bench.twin().judged(bench.batch(rows, "runs", bench.val))


def place_of(error: BaseException) -> str:
    """File and line in the user's code where an exception comes from; "" where none of it is the user's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        one for one in frames if not Path(one.filename).is_relative_to(HOUSE) and "site-packages" not in one.filename
    ]
    own = [one for one in own if not one.filename.startswith("<")]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""

"""The batch finder: what fits, what is fast, and what learns most; and the rate that goes with it.

1. Rows are doubled until an update of the worst case (every row as long as the longest) runs out of memory, then bisected; a margin is
   left for what was not met. All ranks take the least of what any of them found.
2. Rows a second by size; the knee is the smallest batch that is nearly as fast as the fastest. Beyond it a larger batch is no quicker.
3. Three effective batches are trained on a part of the data, and compared at equal samples and at equal seconds.
4. The effective batch stays as it is, unless another is clearly better at equal seconds; its rate follows by the rule (linear for SGD,
   square root for Adam kinds: `blocks/optim/scaling`). The micro-batch is the largest that fits, is no larger than the knee asks for, and
   divides the effective batch.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.blocks.optim.scaling import scale_rate
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import judge_rows
from tunesmith.doctor.preflight.scoring import judged
from tunesmith.doctor.repair.finders.comparing import Compared, compared
from tunesmith.doctor.repair.finders.fitting import Bound, Fault, Fitting, fitting
from tunesmith.doctor.repair.finders.groups import main_group, peaks
from tunesmith.doctor.repair.finders.ranks import least, world
from tunesmith.doctor.repair.finders.throughput import Pace, knee_of, paces, sizes_up_to
from tunesmith.doctor.repair.finders.trials import HELD_ROWS
from tunesmith.records import RecipeError, TrainingFailed
from tunesmith.records.messages import render

MARGIN = 0.1  # of the rows that fit; assumption: fragmentation, and what a longer run meets
EIGHT = 8  # rows are rounded down to a multiple: tensor cores want it (rules of thumb, batch.pow2)
FITTING, PACING = 0.3, 0.2  # shares of the budget; assumption
SAMPLES = 20_000  # rows of a comparison, at most; assumption
LEAST_UPDATES = 30  # of the largest batch compared; assumption: fewer show its first steps alone
BETTER = 0.1  # of what the present batch gains at equal seconds, by which another must gain more; assumption


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """What fits, what is fast, what learns most, and the setting that follows.

    `micro_batch` rows go through the net at once, `accumulate` times for an update, on `ranks` ranks: `effective_batch`. `rate` is the
    peak rate of the group with most weights for that batch; `line` says how it was derived. `change` is for the recipe of a task.
    """

    micro_batch: int
    accumulate: int
    effective_batch: int
    rate: float
    line: str
    largest: int  # rows that fit, the margin taken off
    knee: int
    bound: Bound  # what ended the search for more rows
    paces: tuple[Pace, ...]
    compared: tuple[Compared, ...]
    equal_seconds: float  # at which they are compared
    fitting: Fitting
    ranks: int
    seconds: float
    message: str = "finders.batch_found"
    values: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """One sentence with numbers."""
        return self.text()

    def text(self, language: str = "en") -> str:
        """The same in a language."""
        return render(self.message, self.values, language)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"because": self.because}


def found_batch(
    bench: Bench,
    *,
    most: int | None = None,
    margin: float = MARGIN,
    rule: str = "auto",
    compare: bool = True,
    fault: Fault | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> FoundBatch:
    """A batch for the program on a bench. `most` bounds the rows tried (all training rows); `fault(rows, bytes)` plays a memory that
    ends: it raises `torch.OutOfMemoryError` where more shall not fit.

    Raises `RecipeError` for a margin outside [0, 1) and `TrainingFailed` where not even one row fits on some rank.
    """
    if not 0 <= margin < 1:
        raise RecipeError(
            f"margin = {margin!r} came; expected the share of the rows to leave free, 0 or more and below 1"
        )
    with bench.guarded():
        return _found(bench, len(bench.train) if most is None else most, margin, rule, compare, fault, step)


def _found(
    bench: Bench,
    most: int,
    margin: float,
    rule: str,
    compare: bool,
    fault: Fault | None,
    step: Callable[[str], None],
) -> FoundBatch:
    whole = bench.clock.left()
    step("what fits")
    fits = fitting(bench, most=most, seconds=FITTING * whole, margin=margin, fault=fault)
    largest = least(_safe(fits, margin))
    if largest < 1:
        raise TrainingFailed(
            f"a single row of the worst case does not fit into memory ({fits.attempts[0].why or 'on another rank'}); try a lower "
            "precision, activation checkpointing, or shorter sequences or smaller pictures"
        )
    step("throughput")
    sizes = [size for size in sizes_up_to(largest) if size >= largest / 256]
    paced = paces(bench, sizes)
    knee = least(knee_of(paced))
    own = bench.program.batch_size * max(1, bench.program.accumulate) * world()
    tried: list[Compared] = []
    equal = 0.0
    if bench.program.loop is not None:
        bench.notices.append(
            "the program's own loop cannot be given another batch: a plain update was measured instead"
        )
    elif compare:
        batches = three(own // world(), knee, largest * max(1, bench.program.accumulate), len(bench.train))
        samples = _samples(bench, batches, paced, whole)
        step(f"batches {', '.join(map(str, batches))} on {samples} samples")
        tried, equal = compared(bench, batches, samples, rule)
    effective = least(_chosen(bench, own // world(), tried)) * world()
    micro, accumulate = split(effective // world(), min(largest, max(knee, 1)))
    unit = peaks(bench)[main_group(bench)]
    scaled = scale_rate(unit, own, effective, bench.program.optimizer, rule)
    values = {
        "largest": largest,
        "bound": f"word.finders_{fits.bound}",
        "knee": knee,
        "micro": micro,
        "accumulate": accumulate,
        "effective": effective,
        "own": own,
        "rate": scaled.lr,
    }
    return FoundBatch(
        micro_batch=micro,
        accumulate=accumulate,
        effective_batch=effective,
        rate=scaled.lr,
        line=scaled.line,
        largest=largest,
        knee=knee,
        bound=fits.bound,
        paces=tuple(paced),
        compared=tuple(tried),
        equal_seconds=equal,
        fitting=fits,
        ranks=world(),
        seconds=bench.clock.spent(),
        values=values,
        change=_change(bench, micro, accumulate, scaled.lr / unit),
        notices=tuple(bench.notices),
    )


def _safe(fits: Fitting, margin: float) -> int:
    """The rows that fit with the margin taken off, in eights; as they are where memory was not what ended the search."""
    if fits.bound != "memory" or fits.most <= 1:
        return fits.most
    less = max(1, math.floor(fits.most * (1 - margin)))
    return less // EIGHT * EIGHT if less >= 2 * EIGHT else less


def three(own: int, knee: int, largest: int, rows: int) -> list[int]:
    """Effective batches to compare: the present one, that at the knee, and one apart from both; none larger than fits.

    >>> three(32, 256, 4096, 100_000), three(64, 64, 256, 100_000), three(64, 16, 32, 100_000)
    ([32, 256, 1024], [16, 64, 256], [4, 16, 32])
    """
    most = max(1, min(largest, rows // 4))  # at least four updates an epoch
    wanted = [own, min(knee, most), min(4 * max(own, knee), most), max(1, own // 4), max(1, own // 16)]
    return sorted([batch for batch in dict.fromkeys(wanted) if batch <= most or batch == own <= largest][:3])


def _samples(bench: Bench, batches: list[int], paced: list[Pace], whole: float) -> int:
    """As many as the run sees, and the budget lasts for; enough for some updates of the largest batch."""
    slowest = min(one.rows_a_second for one in paced if one.rows >= min(batches[0], paced[-1].rows))
    left = bench.clock.left() if math.isfinite(whole) else math.inf
    affordable = left * slowest / len(batches) / 2
    all_of_them = len(bench.train) * bench.program.epochs
    wanted = min(SAMPLES, all_of_them, affordable)
    return int(min(max(wanted, LEAST_UPDATES * batches[-1] if affordable > wanted else 0, batches[-1]), all_of_them))


def _chosen(bench: Bench, own: int, tried: list[Compared]) -> int:
    """The present batch, unless another gains clearly more at equal seconds."""
    now = next((one for one in tried if one.batch == own and math.isfinite(one.at_seconds)), None)
    if now is None:
        return own
    rows = judge_rows(bench) if bench.val is None else bench.batch(HELD_ROWS, "finders", bench.val)
    start = judged(bench, bench.twin(), rows)[0]
    good = [one for one in tried if math.isfinite(one.at_seconds)]
    best = min(good, key=lambda one: one.at_seconds)
    return best.batch if now.at_seconds - best.at_seconds > BETTER * max(start - now.at_seconds, 1e-12) else own


def split(effective: int, most: int) -> tuple[int, int]:
    """Micro-batch and accumulation: the largest divisor of the effective batch that is at most `most`.

    >>> split(64, 24), split(64, 100), split(7, 3)
    ((16, 4), (64, 1), (1, 7))
    """
    micro = next(rows for rows in range(min(effective, most), 0, -1) if effective % rows == 0)
    return micro, effective // micro


def _change(bench: Bench, micro: int, accumulate: int, factor: float) -> dict[str, Any]:
    if bench.recipe is None or bench.task is None:
        return {}
    found: dict[str, Any] = {"train.batch_size": micro, "train.accumulate": accumulate}
    if bench.task.optimizer is None and bench.recipe.optim.lr_batch is None and factor != 1.0:
        found["optim.lr"] = float(f"{float(bench.recipe.optim.lr) * factor:.4g}")
    return found

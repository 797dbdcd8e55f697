"""Where the first number that is not finite of a batch is born: module, direction, operation, rows, and why.

While all is finite nothing of this runs. Once something is not, the very batch is gone through again on the weights as they were
before the update, with each operation watched; a counterfactual, in which the suspect's numbers are made finite, has to bring back a
finite loss or gradient.

Source    tracing by operation: torch's dispatch modes; that a masked value does not mask its gradient: the `torch.where` notes of
          PyTorch's documentation on autograd.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from torch import Tensor, nn

from tunesmith.doctor.probes.nonfinite_replay import Passed, Replay, call_of
from tunesmith.doctor.probes.nonfinite_trace import STAND_INS, Birth
from tunesmith.doctor.probes.nonfinite_why import GROWN, why

Direction = Literal["forward", "backward", "update", "loss", "input", "buffer", "evaluation"]

TRIED = 6  # suspects that are each made finite; assumption: more were never needed
SHOWN = 32  # rows and columns that are named
HALVINGS = 40  # passes spent on finding the rows of the batch

CLEAN = ("bad_input", "bad_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the first number that is not finite came from."""

    module: str  # path in the model; "loss", "input", "target" outside of it; a parameter's module for an update
    direction: Direction
    why: str  # a key of the messages `nonfinite.why_…`
    fault: str  # the cause, an id of the fault list
    step: int = 0  # the update to whose batch it belongs, from 1; of an evaluation: updates made before it
    not_before: int | None = None  # where the step is not known exactly: the first that it can be
    batch: int | None = None  # calls of the model up to it
    op: str = ""  # the operation, "log"; in backward that whose slope it is
    code: str = ""  # "file.py:12: the line"
    parameter: str = ""
    rows: tuple[int, ...] = ()  # of the batch, from 0
    columns: tuple[int, ...] = ()  # of a flat input, from 0
    of_rows: int = 0
    precision: str = ""  # "float32", where a wider type stays finite
    maker: str = ""  # the operation that made the operand
    numbers: Mapping[str, float] = field(default_factory=dict)  # sizes of operands, growth of weights, norms, rates
    cured: bool | None = None  # whether the loss or gradient is finite once these numbers are
    noticed: int | None = None  # the step at which it was noticed

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as it stands among the facts of a run."""
        plain = asdict(self)
        for name in ("rows", "columns"):
            plain[name] = list(plain[name])
        plain["numbers"] = dict(self.numbers)
        return plain


def origin(
    model: nn.Module,
    loss_fn: Callable[..., Any] | None,
    inputs: Any,
    target: Any = None,
    *,
    step: int = 0,
    grown: Mapping[str, float] | None = None,
) -> Origin | None:
    """Where loss or gradient of one batch stops being finite; None where both are finite, or where it comes to nothing.

    `inputs` is what the model takes: a tensor, a tuple of arguments or a dict of named ones. `grown` is by how much weights have grown.
    The model is left bit for bit as it was.
    """
    args = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    call = call_of(model, args, inputs if isinstance(inputs, dict) else {})
    return looked_into(Replay(model=model, call=call, loss_fn=loss_fn, target=target), step=step, grown=grown or {})


def looked_into(replay: Replay, *, step: int, grown: Mapping[str, float]) -> Origin | None:
    """The origin behind what one pass shows."""
    passed = replay.passed()
    if not passed.bad:
        return None
    chosen, cured = suspect(replay, passed)
    if chosen is None:
        return None
    return described(replay, passed, chosen, step=step, grown=grown, cured=cured)


def suspect(replay: Replay, passed: Passed) -> tuple[Birth | None, bool | None]:
    """The birth to blame, and whether all is finite once its numbers are; None where this cannot be told."""
    left = [one for one in passed.births if not one.by_design] or list(passed.births)
    if not left:
        return None, None
    told = [one for one in left[:TRIED] if one.source not in ("constant", "gradient")]
    for one in told:
        if replay.dear:
            return left[0], None
        if any(not _again(replay, passed, [one], value).bad for value in STAND_INS[: 1 if one.source else 2]):
            return one, True
    return left[0], True if told and _with_its_like(replay, passed, told[0]) else None


def _again(replay: Replay, passed: Passed, patched: Sequence[Birth], value: float) -> Passed:
    return replay.passed(patched=patched, backward=passed.bad == "gradient", stand_in=value)


def _with_its_like(replay: Replay, passed: Passed, first: Birth) -> bool:
    """Whether all is finite once the same operation is mended wherever it happens: a softmax in each of several blocks."""
    patched = [first]
    for _ in range(TRIED):
        if replay.dear:
            return False
        now = _again(replay, passed, patched, STAND_INS[0])
        if not now.bad:
            return True
        like = [one for one in now.births if one.op == first.op and not one.source and one.backward == first.backward]
        if not like:
            return False
        patched += like
    return False


def described(
    replay: Replay, passed: Passed, birth: Birth, *, step: int, grown: Mapping[str, float], cured: bool | None
) -> Origin:
    """All that can be told of a birth."""
    rows = _rows(replay, passed, birth)
    reason = why(birth)
    numbers = _numbers(birth)
    reason, fault, more = _cause(birth, reason, grown, step)
    module, direction = _where(birth, passed, replay.call.training)
    if passed.bad == "buffer":
        module, direction = passed.parameters[0].rpartition(".")[0] or module, "buffer"
    bad = birth.operands[0] if birth.operands else None
    return Origin(
        module=module,
        direction=direction,
        why=reason,
        fault=fault,
        step=step,
        batch=replay.call.number or None,
        op=_operation(birth),
        code=birth.place.code,
        parameter=birth.name if birth.source in ("weight", "buffer") else _parameter(passed),
        rows=rows[:SHOWN],
        columns=_columns(birth)[:SHOWN],
        of_rows=passed.rows,
        precision=_precision(birth),
        maker=bad.maker if bad is not None else "",
        numbers=numbers | more | {"rows": len(rows)},
        cured=cured,
        noticed=step,
    )


def _parameter(passed: Passed) -> str:
    """The buffer that was spoiled first, or the weight next to the outputs whose gradient was."""
    if not passed.parameters:
        return ""
    return passed.parameters[0 if passed.bad == "buffer" else -1]


def _where(birth: Birth, passed: Passed, training: bool) -> tuple[str, Direction]:
    if birth.source in ("input", "target"):
        return birth.source, "input" if training else "evaluation"
    if birth.source in ("weight", "buffer"):
        holder = birth.name.rpartition(".")[0]
        return holder, "buffer" if birth.source == "buffer" else "update"
    module = birth.place.module or "loss"
    if not training:
        return module, "evaluation"
    if birth.backward or passed.bad == "gradient":
        return module, "backward"
    return module, "loss" if module == "loss" else "forward"


def _operation(birth: Birth) -> str:
    if birth.node:
        return birth.node.rstrip("0123456789").removesuffix("Backward") or birth.op
    return birth.op.strip("_") if not birth.op.startswith("__") else birth.op


def _precision(birth: Birth) -> str:
    if birth.source:
        return ""
    narrow = str(birth.dtype).removeprefix("torch.")
    return narrow if birth.in_single or birth.in_double else ""


def _numbers(birth: Birth) -> dict[str, float]:
    numbers: dict[str, float] = {"bad": birth.nans + birth.infinite, "nans": birth.nans, "of": birth.of}
    for place, one in enumerate(birth.operands[:3]):
        numbers |= {f"largest_{place}": one.largest, f"zeros_{place}": one.zeros, f"smallest_{place}": one.smallest}
        numbers |= {f"lowest_{place}": one.lowest, f"negative_{place}": one.negative, f"void_{place}": one.rows_void}
    numbers["largest"] = max((one.largest for one in birth.operands), default=0.0)
    return numbers


def _cause(birth: Birth, reason: str, grown: Mapping[str, float], step: int) -> tuple[str, str, dict[str, float]]:
    """The word for why, the fault behind it, and numbers to show."""
    growth = max(grown.values(), default=1.0)
    if reason in CLEAN:
        return reason, "data.nonfinite", {}
    if reason in ("overflow", "exp_overflow", "half_overflow", "infinity_minus_infinity") and growth >= GROWN:
        return "exploding", "lr.too_high", {"growth": growth}
    if reason == "bad_weight":
        return reason, "init.bad_scale" if step <= 1 else "numerics.unsafe_op", {}
    if reason in ("bad_buffer", "one_row"):
        return reason, "model.bad_normalization", {}
    return reason, "numerics.unsafe_op", {"growth": growth} if growth > 1 else {}


def _rows(replay: Replay, passed: Passed, birth: Birth) -> tuple[int, ...]:
    """The rows of the batch that do it, from the result itself or by halving the batch."""
    count = passed.rows
    if birth.bad is None or not count:
        return ()
    told = _rows_of(birth.bad, count)
    if told is not None and (len(told) < count or count == 1):
        return told
    if birth.source in ("weight", "buffer") or (replay.loss_fn is None and passed.bad == "gradient"):
        return told or ()
    return by_halving(replay, passed, count) or told or ()


def _rows_of(bad: Tensor, count: int) -> tuple[int, ...] | None:
    if not bad.dim():
        return None
    for axis in range(min(bad.dim(), 2)):
        length = bad.shape[axis]
        if (axis == 0 and length % count == 0) or length == count:
            flat = bad.movedim(axis, 0).reshape(length, -1).any(1)
            found = {int(one) // (length // count) for one in flat.nonzero()[:, 0]}
            return tuple(sorted(found))
    return None


def by_halving(replay: Replay, passed: Passed, count: int) -> tuple[int, ...]:
    """Rows that alone give a number that is not finite; empty where no single rows do."""
    found: list[int] = []
    left: list[Sequence[int]] = [range(count)]
    spent = 0
    backward = passed.bad == "gradient"
    while left and spent < HALVINGS and not replay.dear:
        rows = left.pop()
        spent += 1
        told = replay.passed(rows=rows, traced=False, backward=backward)
        if told.error or not told.bad:
            continue
        if len(rows) == 1:
            found.append(rows[0])
            continue
        half = len(rows) // 2
        left += [rows[half:], rows[:half]]
    return tuple(sorted(found))


def _columns(birth: Birth) -> tuple[int, ...]:
    if birth.source != "input" or birth.bad is None or birth.bad.dim() != 2:
        return ()
    return tuple(int(one) for one in birth.bad.any(0).nonzero()[:, 0])


__all__ = ["Origin", "looked_into", "origin", "replace"]

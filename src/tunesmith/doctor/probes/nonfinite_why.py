"""Why an operation gave a number that is not finite: its name and the sizes of its operands, put into one word."""

from collections.abc import Mapping

import torch

from tunesmith.doctor.probes.nonfinite_trace import Birth, Operand

NARROW = (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
HUGE = 1e6  # assumption: an input of this size is no scaled quantity
GROWN = 100.0  # assumption: weights of a sound run stay within two powers of ten of where they began

LOGS = ("log", "log2", "log10", "log1p", "xlogy", "special_xlog1py", "logit")
ROOTS = ("sqrt", "rsqrt")
DIVISIONS = ("div", "true_divide", "reciprocal", "remainder", "fmod", "addcdiv", "floor_divide")
ARCS = ("acos", "asin", "arccos", "arcsin", "acosh", "atanh", "erfinv", "arctanh", "arccosh")
EXPONENTIALS = ("exp", "expm1", "sinh", "cosh", "exp2")
POWERS = ("pow", "float_power")
SOFTMAXES = ("_softmax", "_log_softmax", "softmax", "log_softmax", "logsumexp", "_safe_softmax")
SPREADS = ("var", "std", "var_mean", "std_mean", "native_batch_norm", "_native_batch_norm_legit")
MEANS = ("mean", "nll_loss_forward", "nll_loss2d_forward", "nll_loss")
DRAWN = ("log", "reciprocal")

# of the nodes of autograd: what the slope of an operation does at the edge of its domain
SLOPES: Mapping[str, str] = {
    "Sqrt": "root_slope",
    "Rsqrt": "root_slope",
    "Log": "log_slope",
    "Log1P": "log_slope",
    "Log2": "log_slope",
    "Log10": "log_slope",
    "Xlogy": "log_slope",
    "Pow": "power_slope",
    "Acos": "arc_slope",
    "Asin": "arc_slope",
    "Atanh": "arc_slope",
    "Acosh": "arc_slope",
    "Atan2": "angle_slope",
    "LinalgVectorNorm": "norm_slope",
    "Norm": "norm_slope",
    "Std": "spread_slope",
    "StdMean": "spread_slope",
    "Var": "spread_slope",
    "Cdist": "norm_slope",
    "PairwiseDistance": "norm_slope",
    "Prod": "division_slope",
    "Div": "division_slope",
    "Reciprocal": "division_slope",
    "LinalgEigh": "degenerate_slope",
    "LinalgSvd": "degenerate_slope",
}


def why(birth: Birth) -> str:
    """One word: a key of the messages `nonfinite.why_…`.

    >>> import torch
    >>> zero = Operand(shape=(2,), dtype=torch.float32, largest=1.0, smallest=1.0, zeros=1, negative=0, nans=0, infinite=0)
    >>> from tunesmith.doctor.probes.nonfinite_trace import Place
    >>> why(Birth(index=0, op="log", place=Place("net"), operands=(zero,), infinite=1))
    'log_zero'
    """
    if birth.source:
        return {"constant": "bad_constant", "gradient": "bad_gradient"}.get(birth.source, f"bad_{birth.source}")
    if birth.backward:
        slope = _slope(birth)
        if slope:
            return slope
    return _forward(birth)


def _slope(birth: Birth) -> str:
    name = birth.node.rstrip("0123456789").removesuffix("Backward")
    known = SLOPES.get(name, "")
    if known and not (birth.in_double and _wide(birth) and not _at_zero(birth)):
        return known
    return ""


def _at_zero(birth: Birth) -> bool:
    return any(one.zeros for one in birth.operands)


def _wide(birth: Birth) -> bool:
    return bool(birth.nans == 0)


def _forward(birth: Birth) -> str:
    op = birth.op.strip("_") if birth.op not in SOFTMAXES else birth.op
    first = birth.operands[0] if birth.operands else None
    last = birth.operands[-1] if birth.operands else None
    if birth.after or any(one.infinite for one in birth.operands):
        return _of_infinities(birth, op)
    if first is None or last is None:
        return "other"
    if birth.op in SOFTMAXES or "attention" in op:
        return "empty_row" if birth.nans else _overflow(birth)
    if op in LOGS:
        return _log(op, first)
    if op in ROOTS:
        return "root_negative" if first.negative else "division_by_zero"
    if op in ARCS:
        return "arc_beyond"
    if op in DIVISIONS:
        return _division(birth, op, first, last)
    if op in POWERS:
        return _power(birth, first)
    if op in EXPONENTIALS:
        return _overflow(birth) if birth.in_single else "exp_overflow"
    if birth.op in SPREADS and birth.nans:
        return "one_row"
    if op in MEANS and birth.nans and not birth.infinite:
        return "nothing_counted"
    return _overflow(birth)


def _of_infinities(birth: Birth, op: str) -> str:
    if birth.op in SOFTMAXES or "attention" in op:
        return "empty_row"
    if op in ("mul", "mm", "bmm", "addmm", "baddbmm", "convolution", "dot", "mv", "linear"):
        return "zero_times_infinity"
    if op in ("sub", "add", "sum", "mean", "rsub", "cumsum"):
        return "infinity_minus_infinity"
    if op in DIVISIONS:
        return "infinity_by_infinity"
    if op in ("div", "softmax_backward_data", "_softmax_backward_data"):
        return "empty_row"
    return "infinity_used"


def _log(op: str, first: Operand) -> str:
    below = first.lowest < -1 if op == "log1p" else first.negative > 0
    return "log_negative" if below else "log_zero"


def _division(birth: Birth, op: str, first: Operand, last: Operand) -> str:
    denominator = first if op == "reciprocal" else last if len(birth.operands) > 1 else None
    by_number = denominator is None and 0.0 in birth.scalars
    if by_number or (denominator is not None and denominator.zeros):
        return "zero_by_zero" if birth.nans else "division_by_zero"
    return _overflow(birth)


def _power(birth: Birth, first: Operand) -> str:
    if birth.nans and first.negative:
        return "power_negative"
    if first.zeros and birth.in_double is False:
        return "division_by_zero"
    return _overflow(birth)


def _overflow(birth: Birth) -> str:
    if birth.dtype in NARROW and birth.in_single is not False:
        return "half_overflow"
    return "overflow" if birth.infinite or birth.in_double else "other"

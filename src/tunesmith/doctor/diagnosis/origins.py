"""Where `watch` saw the first number that is not finite being born, put into findings. The probe names the fault; each rule takes its own."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

UNDERFLOWS = ("_softmax", "softmax", "sigmoid", "exp", "prod", "tanh")  # they make 0 of what is not
SHOWN = 8  # rows that a sentence names

# by the word for why: what to do about it. A change of recipe paths where there is one.
REMEDIES: Mapping[str, tuple[str, ...]] = {
    "log_zero": ("stable_operation", "epsilon"),
    "log_negative": ("domain",),
    "root_negative": ("domain",),
    "root_slope": ("epsilon_inside",),
    "log_slope": ("mask_twice",),
    "power_slope": ("epsilon_inside",),
    "arc_slope": ("clamp_inside",),
    "angle_slope": ("mask_twice",),
    "norm_slope": ("epsilon_inside",),
    "spread_slope": ("epsilon_inside",),
    "division_slope": ("mask_twice",),
    "division_by_zero": ("epsilon",),
    "zero_by_zero": ("epsilon",),
    "power_negative": ("domain",),
    "arc_beyond": ("clamp_inside",),
    "exp_overflow": ("stable_operation", "clamp_exponent"),
    "overflow": ("scale_down",),
    "half_overflow": ("wider_type",),
    "empty_row": ("mask_rows",),
    "nothing_counted": ("skip_empty",),
    "one_row": ("drop_last",),
    "exploding": ("lower_rate", "clip"),
    "decay_explodes": ("less_decay",),
    "rate_not_finite": ("schedule_end",),
    "adam_zero": ("adam_eps",),
    "gradients_changed": ("clip_by_library",),
    "gradients_unseen": ("clip_by_library", "give_loss"),
    "bad_input": ("clean_inputs",),
    "bad_input_buffer": ("clean_inputs", "reset_buffer"),
    "log_zero_from": ("stable_operation", "epsilon"),
    "log_zero_given": ("stable_operation", "epsilon"),
    "infinity_minus_infinity": ("mask_rows",),
    "infinity_by_infinity": ("mask_rows",),
    "infinity_used": ("mask_rows",),
    "zero_times_infinity": ("mask_twice",),
    "in_loss": ("give_loss", "stable_operation"),
    "in_loss_slope": ("give_loss", "epsilon_inside"),
    "degenerate_slope": ("epsilon_inside",),
    "moment_overflow": ("lower_rate", "clip"),
    "weights_changed": ("look_there",),
    "bad_constant": ("look_there",),
    "bad_target": ("clean_inputs",),
    "bad_weight": ("start_weights",),
    "bad_buffer": ("reset_buffer",),
}
CHANGES: Mapping[str, Mapping[str, Any]] = {"clip": {"optim.clip_norm": 1.0}, "adam_eps": {"optim.eps": 1e-8}}

# by the word for why: the number that speaks for it
NUMBERS: Mapping[str, str] = {
    "log_zero": "zeros_0",
    "zero_by_zero": "zeros_1",
    "division_by_zero": "zeros_1",
    "root_slope": "zeros_1",
    "exploding": "growth",
    "decay_explodes": "decay_times_rate",
    "rate_not_finite": "rate",
    "adam_zero": "zeros",
    "gradients_changed": "gradient_norm",
}
SIZES: tuple[str, ...] = (
    "zeros_0",
    "zeros_1",
    "largest_0",
    "largest",
    "lowest_0",
    "negative_0",
    "of",
    "bad",
    "growth",
    "rate",
    "before",
    "eps",
)
SIZES += ("decay_times_rate", "gradient_norm", "weights", "zeros", "weight_decay", "void_0", "group", "loss")


def origins(history: History) -> list[Mapping[str, Any]]:
    """What the watch has told, in the order in which it came."""
    told = history.facts.get("nonfinite") or []
    return [one for one in told if isinstance(one, Mapping) and "why" in one]


def born(history: History, fault: str) -> Iterator[Finding]:
    """The findings of one fault among them."""
    for one in origins(history):
        if one["fault"] == fault:
            yield _finding(history, one)


def _finding(history: History, one: Mapping[str, Any]) -> Finding:
    why, rows = str(one["why"]), [int(row) for row in one.get("rows") or ()]
    said = _said(one, why)
    numbers = {str(name): _number(value) for name, value in dict(one.get("numbers") or {}).items()}
    values: dict[str, Any] = {name: numbers.get(name, 0.0) for name in SIZES}
    values |= {"address": address(one), "op": one.get("op") or "?", "module": one["module"], "step": int(one["step"])}
    values |= {
        "precision": one.get("precision") or "float32",
        "maker": one.get("maker") or "?",
        "parameter": one.get("parameter") or "?",
    }
    return Finding(
        fault=str(one["fault"]),
        severity=_severity(history, one),
        message=f"origins.{said}" if said in REMEDIES else "origins.other",
        values=values,
        evidence=tuple(_evidence(one, why, numbers, rows)),
        remedies=tuple(_remedy(name) for name in REMEDIES.get(said, ("look_there",))),
        confidence=0.97
        if one.get("cured") is not False
        else 0.8,  # of 45 planted births all were right: benchmarks/nan_births.py
        status="confirmed",
        subject=_subject(one, rows),
        ruled_out=tuple(_ruled_out(one)),
    )


def _said(one: Mapping[str, Any], why: str) -> str:
    """The sentence: some words for why have two."""
    if why == "log_zero" and one.get("maker") in UNDERFLOWS:
        return "log_zero_from"
    if why == "log_zero" and not one.get("maker"):
        return "log_zero_given"
    if why == "bad_input" and one["direction"] == "buffer":
        return "bad_input_buffer"
    return why


def _subject(one: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    subject: dict[str, Any] = {
        "module": one["module"],
        "layers": [one["module"]],
        "direction": one["direction"],
        "step": int(one["step"]),
        "steps": [int(one["step"])],
        "why": one["why"],
    }
    for name in ("op", "code", "parameter", "batch"):
        if one.get(name):
            subject[name] = one[name]
    if rows:
        subject["rows"] = rows
    if one.get("columns"):
        subject["columns"] = [int(column) for column in one["columns"]]
    return subject


def address(one: Mapping[str, Any]) -> str:
    """Where it happened, in one line of names."""
    rows = [str(row) for row in one.get("rows") or ()]
    parts = [str(one["module"]), str(one.get("op") or ""), str(one["direction"]), f"step {int(one['step'])}"]
    if rows and len(rows) < int(one.get("of_rows") or 0):
        parts.append(f"rows {', '.join(rows[:SHOWN])}{', …' if len(rows) > SHOWN else ''}")
    if one.get("columns"):
        parts.append(f"columns {', '.join(str(column) for column in list(one['columns'])[:SHOWN])}")
    if one.get("code"):
        parts.append(str(one["code"]))
    return " · ".join(part for part in parts if part)


def _evidence(one: Mapping[str, Any], why: str, numbers: Mapping[str, float], rows: list[int]) -> Iterator[Evidence]:
    step, where = int(one["step"]), str(one["module"])
    yield Evidence(
        name="numbers_not_finite",
        value=numbers.get("bad", 1.0),
        threshold=0.0,
        source="IEEE 754",
        step=step,
        where=where,
    )
    if why in NUMBERS and NUMBERS[why] in numbers:
        yield Evidence(
            name=NUMBERS[why].removesuffix("_0").removesuffix("_1"), value=numbers[NUMBERS[why]], step=step, where=where
        )
    if rows:
        yield Evidence(name="rows_of_the_batch", value=len(rows), step=step, where=", ".join(str(row) for row in rows))
    if one.get("not_before") is not None:
        yield Evidence(name="not_before_step", value=float(one["not_before"]), step=step)
    if one.get("cured") is not None:
        yield Evidence(
            name="finite_once_mended",
            value=float(bool(one["cured"])),
            threshold=1.0,
            source="counterfactual",
            step=step,
        )


def _severity(history: History, one: Mapping[str, Any]) -> Severity:
    """An error; a warning where the losses after it are finite: the batch was left out."""
    if one["direction"] in ("evaluation", "buffer", "update"):
        return "error"
    loss = history.get("loss", "train") or history.get("loss", "")
    if loss is None or history.axis != "step":
        return "error"
    after = loss.values[loss.steps > float(one["step"])]
    return "warning" if len(after) and bool(np.isfinite(after).all()) else "error"


def _ruled_out(one: Mapping[str, Any]) -> Iterator[str]:
    if one["fault"] != "data.nonfinite" and one["direction"] in ("forward", "backward", "loss"):
        yield "data.nonfinite"  # what came in was looked at, and was finite


def _remedy(name: str) -> Remedy:
    change = CHANGES.get(name, {})
    return Remedy(title=f"origins.do_{name}", safety=Safety.RISKY if change else Safety.ADVICE, change=change)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan

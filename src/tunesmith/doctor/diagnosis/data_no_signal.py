"""data.no_signal: the inputs say nothing of the targets.

Sees      in a watched run, together: no column of the inputs goes with the targets beyond chance, over all rows seen; and the net is at the
          loss of a constant answer in training, or learns the rows by heart while the held loss never comes below that of a constant answer.
          Inputs that are hardly more than one value.
Matters   no training, net or rate can help.
Remedies  follow one row from its source to the net: are its inputs its own, is its label still beside it.
Limits    the link of single columns sees no products of them (parity), no sequences of symbols: the second piece of evidence is needed,
          and the net must have been moving. Suspected, never confirmed.
Source    vocabulary of data.no_signal ([K], [TDC] compare with emptied inputs); chance of a link: Wilson and Hilferty 1931; bounds: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

ROWS = 300  # beyond which a link of use would show; assumption
EMPTY = 1e-2  # spread of all inputs against their size; assumption
HELD = 0.98  # of the loss of a constant answer, that the held loss never passes; assumption


@rule("data.no_signal", needs=("loss",))
def data_no_signal(history: History) -> Iterator[Finding]:
    inputs, ran = part(history, "inputs"), progress(history)
    if ran is None or inputs.get("distinct", inputs.get("rows", 0)) < ROWS:
        return
    if inputs.get("kind") in ("numbers", "values") and "std" in inputs:
        size = max(abs(inputs["low"]), abs(inputs["high"]))
        if inputs["std"] <= EMPTY * size or size == 0:
            yield told(
                "data.no_signal",
                "error",
                "inputs_empty",
                {"std": inputs["std"], "size": size},
                confidence=0.85,
                evidence=[number("input_std", inputs["std"], EMPTY * size, "assumption")],
                remedies=[advice("follow_a_row")],
            )
            return
    if "linked" not in inputs or inputs["linked"] >= inputs["linked_chance"] or ran.chance is None:
        return
    held = history.get("loss", "val")
    least = float(np.min(held.finite.values)) if held is not None and len(held.finite) >= 3 else None
    evidence = [number("strongest_link", inputs["linked"], inputs["linked_chance"], "chance over all columns")]
    if ran.at_chance and (least is None or least > HELD * ran.chance):
        yield told(
            "data.no_signal",
            "warning",
            "stuck_without_link",
            {"linked": inputs["linked"], "by_chance": inputs["linked_chance"], "loss": ran.end, "chance": ran.chance},
            confidence=0.75,
            evidence=[*evidence, number("loss", ran.end, ran.chance, "a constant answer")],
            remedies=[advice("follow_a_row")],
            next_probe="shuffled_labels",
        )
    elif least is not None and least > HELD * ran.chance:
        yield told(
            "data.no_signal",
            "warning",
            "by_heart",
            {
                "linked": inputs["linked"],
                "by_chance": inputs["linked_chance"],
                "loss": ran.end,
                "held": least,
                "chance": ran.chance,
            },
            confidence=0.8,
            evidence=[*evidence, number("least_held_loss", least, HELD * ran.chance, "a constant answer")],
            remedies=[advice("follow_a_row")],
            next_probe="shuffled_labels",
        )

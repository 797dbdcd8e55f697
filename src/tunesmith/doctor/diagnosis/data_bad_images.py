"""data.bad_images: pictures that were not read, or were read in another range than the rest.

Sees      in a watched run whose inputs are pictures: a share of them blank (one value everywhere); or some many times larger than the rest,
          as undivided bytes beside numbers from 0 to 1.
Matters   blank rows teach the commonest class; pictures of another range drown the others.
Remedies  look at these pictures; mend the reader.
Limits    black frames can be real (night, padding): told from one picture in twenty on.
Source    vocabulary of data.bad_images; thresholds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

BLANK = 0.05  # share of pictures
ROWS = 100
TIMES = 20.0  # a picture's length over the median, as bytes are against shares (255); assumption
FEW = 0.01


@rule("data.bad_images", needs=("loss",))
def data_bad_images(history: History) -> Iterator[Finding]:
    inputs = part(history, "inputs")
    if len(inputs.get("shape") or ()) != 4 or inputs.get("rows", 0) < ROWS:
        return
    if inputs.get("blank", 0.0) > BLANK:
        yield told(
            "data.bad_images",
            "warning",
            "pictures_blank",
            {"share": inputs["blank"], "rows": inputs["rows"]},
            confidence=0.85,
            evidence=[number("blank_pictures", inputs["blank"], BLANK, "assumption")],
            remedies=[advice("follow_a_row")],
        )
    large = inputs.get("large", 0.0)
    if large > FEW and inputs.get("row_length_ratio", 0.0) > TIMES:
        yield told(
            "data.bad_images",
            "warning",
            "pictures_of_two_ranges",
            {"share": large, "times": inputs["row_length_ratio"]},
            confidence=0.8,
            evidence=[number("picture_length_ratio", inputs["row_length_ratio"], TIMES, "assumption")],
            remedies=[advice("follow_a_row")],
        )

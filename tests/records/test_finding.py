import json

import pytest

from tunesmith.records import Evidence, Finding, Remedy, Safety, healthy

REMEDY = Remedy(
    title="set {path} to {value}",
    safety=Safety.RISKY,
    change={"optim.lr": 0.1},
    values={"path": "optim.lr", "value": 0.1},
)
SEEN = Evidence(name="loss", value=9.0, threshold=4.5, source="PaLM 5.1", step=12)


def finding(**fields):
    return Finding(
        **{"fault": "loss.spike", "severity": "warning", "message": "loss {peak:.1f}", "values": {"peak": 9.0}} | fields
    )


def test_a_finding_is_plain_data_with_its_sentence():
    found = finding(evidence=(SEEN,), remedies=(REMEDY,), subject={"rows": [1, 2]})

    plain = json.loads(json.dumps(found.as_dict()))

    assert plain["because"] == found.because == "loss 9.0"
    assert plain["remedies"][0]["text"] == "set optim.lr to 0.1"
    assert plain["remedies"][0]["safety"] == "risky"
    assert plain["evidence"][0]["threshold"] == 4.5
    assert plain["subject"] == {"rows": [1, 2]}


@pytest.mark.parametrize(
    ("fields", "well"),
    [({}, False), ({"severity": "error"}, False), ({"severity": "note"}, True), ({"status": "refuted"}, True)],
)
def test_healthy_means_nothing_above_a_note(fields, well):
    assert healthy([finding(severity="note"), finding(**fields)]) is well
    assert healthy([])

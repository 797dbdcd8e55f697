from io import StringIO

from tunesmith.records import Findings
from tunesmith.reports.beside import beside
from tunesmith.reports.checked import show_findings
from tunesmith.reports.look import page

MEASURED = {
    "reference": {
        "metric": "accuracy",
        "value": 0.9,
        "interval": (0.88, 0.92),
        "model": "trees",
        "constant": 0.5,
        "rows": 800,
    },
    "human": {"column": "second", "rows": 600, "share": 0.93, "kappa": 0.86, "interval": (0.8, 0.9)},
    "usefulness": {
        "a": {"power": 0.3, "importance": 3.0, "error": 0.1},
        "b": {"power": 0.1, "importance": 1.0, "error": 0.1},
        "c": {"power": 0.0, "importance": 0.1, "error": 0.1},
    },
}


def test_constant_models_people_and_columns():
    told = {name: said.replace("\xa0", " ") for name, said in beside(MEASURED)}

    assert told["constant answer"] == "accuracy 0.5000"
    assert told["simple models"] == "accuracy 0.9000 (0.8800 to 0.9200), trees, out of sample on 800 rows"
    assert told["human line (second)"].startswith("agrees in 93 % of 600 rows, kappa 0.8600")
    assert told["most useful columns"] == "a 75 %, b 25 %"


def test_nothing_measured_nothing_said():
    assert list(beside({})) == []
    assert 'id="beside"' not in page("x", Findings(), None)


def test_the_terminal_and_the_page_show_it():
    found, stream = Findings(measured=MEASURED), StringIO()

    show_findings(found, "check of x", stream)

    assert "human line (second): agrees in 93 % of 600 rows" in stream.getvalue()
    assert "What a score stands beside" in page("x", found, None)

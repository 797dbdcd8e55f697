import numpy as np
import pytest

from tunesmith.records import Recipe
from tunesmith.reports.facts import gather
from tunesmith.reports.page import page
from tunesmith.reports.sections.inside import chosen, inside
from tunesmith.runs import Run

LAYERS = ["first", "norm", "second", "third", "fourth", "fifth", "last"]


@pytest.fixture
def watched(tmp_path):
    run = Run.create(tmp_path / "run", recipe=Recipe())
    steps = np.arange(1, 41)
    with run.writer() as writer:
        writer.begin_attempt()
        writer.write_json(
            "model.json", {"layers": [{"name": name, "kind": "Linear", "parameters": 1} for name in LAYERS]}
        )
        for place, name in enumerate(reversed(LAYERS)):
            writer.add("update_ratio", steps, 10.0 ** -(1 + place) * np.ones(40), name)
            writer.add("dead_fraction", steps, np.linspace(0, 0.1 * place, 40), name)
        writer.add("confidence", steps, np.linspace(0.1, 0.9, 40))
        for name in ("0", "1"):
            writer.add("predicted_share", steps, np.full(40, 0.5), name)
        writer.evaluation({"step": 40, "epoch": 1, "val_loss": 0.5})
    return run


def test_charts_by_layer_and_a_table_of_all(watched):
    made = str(inside(gather(watched)).html())

    assert made.count('class="chart"') == 4
    for heading in ("Update over weight", "Dead units", "How sure the answers are", "Classes among the answers"):
        assert heading in made
    rows = [made.index(f"<td>{name}</td>") for name in LAYERS]
    assert rows == sorted(rows), "in the order of the network"
    assert "60\xa0%" in made
    assert 'id="inside"' in page(watched)


def test_without_a_watch_there_is_no_such_part(tmp_path):
    run = Run.create(tmp_path / "run", recipe=Recipe())
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", [1, 2], [1.0, 0.5])

    assert inside(gather(run)) is None


def test_of_many_layers_the_first_the_last_and_some_between():
    assert chosen(list("abcdefghijk")) == ["a", "c", "e", "g", "i", "k"]
    assert chosen(["a", "b"]) == ["a", "b"]

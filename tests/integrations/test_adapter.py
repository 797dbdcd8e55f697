import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from tunesmith.integrations.adapter import Adapter, library, line, told
from tunesmith.records import Evidence, Finding, MissingExtra, Remedy, RunError, Safety
from tunesmith.runs.readers import read_log


def updates(adapter, model, optimizer, count):
    for _ in range(count):
        loss = model(torch.randn(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        adapter._update(loss)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    return model, torch.optim.SGD(model.parameters(), 0.01)


@pytest.mark.parametrize("name", ["lightning", "transformers", "skorch"])
def test_an_absent_library_names_its_extra(name, monkeypatch):
    for module in [one for one in sys.modules if one.partition(".")[0] in (name, "pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, module)
    for module in (name, "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, module, None)
    adapter = __import__(f"tunesmith.integrations.{name}", fromlist=["x"])

    with pytest.raises(MissingExtra, match=rf"watching {name} needs {name}, .*; pip install 'tunesmith\[{name}\]'"):
        adapter.WatchCallback  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'Watch'"):
        adapter.Watch  # noqa: B018


def test_a_library_that_misses_something_of_its_own_says_so(tmp_path, monkeypatch):
    (tmp_path / "broken_trainer.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        library("broken_trainer", extra="broken")


def test_the_adapters_import_no_library_before_they_are_asked_for():
    program = (
        "import sys, tunesmith.integrations.lightning, tunesmith.integrations.transformers, tunesmith.integrations.skorch; "
        "print([name for name in ('torch', 'lightning', 'pytorch_lightning', 'transformers', 'skorch') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"val_loss": 1, "val_acc": torch.tensor(0.5)}, {"val_loss": 1.0, "accuracy": 0.5}),
        ({"eval_loss": 2.0, "eval_runtime": 3.0, "eval_samples_per_second": 9.0, "epoch": 1.0}, {"val_loss": 2.0}),
        ({"valid_loss": 1.0, "valid_batch_count": 4}, {"val_loss": 1.0}),
        ({"loss": 1.0}, {"val_loss": 1.0}),
        ({"Validation/F1": 0.5, "val_": 1.0}, {"F1": 0.5, "val_": 1.0}),
        ({"val_loss_best": True, "note": "x", "many": [1, 2], "nothing": None}, {}),
        ({"val_loss": 1.0, "loss": 2.0}, {"val_loss": 1.0}),
        ({"eval_near_loss": 1.0}, {"near_loss": 1.0}),
        ({"val_loss": float("nan")}, {"val_loss": pytest.approx(float("nan"), nan_ok=True)}),
    ],
)
def test_scores_by_whatever_name(scores, expected):
    assert told(scores) == expected


def test_a_line_tells_fault_step_and_cure():
    seen = Evidence(name="loss", value=3.0, threshold=1.0, source="x", step=7)
    cure = Remedy(title="lower the rate", safety=Safety.RISKY, change={"optim.lr": 0.1})
    finding = Finding(
        fault="lr.too_high", severity="warning", message="it leaps by {by:g}", values={"by": 3}, evidence=(seen,),
        remedies=(cure,), confidence=0.7,
    )  # fmt: skip

    assert line(finding, 7) == "tunesmith: warning lr.too_high (70%), step 7: it leaps by 3 → lower the rate"


def test_scores_of_one_evaluation_are_one_row(parts):
    model, optimizer = parts
    adapter = Adapter()
    adapter._open(model, [optimizer])

    for _ in range(3):
        updates(adapter, model, optimizer, 2)
        adapter._judged({"val_loss": 1.0})
        adapter._judged({"val_acc": 0.5})
        adapter._tell()
        adapter._tell()
    adapter._close()

    rows = adapter.watch.history.evaluations
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(row["val_loss"] == 1.0 and row["accuracy"] == 0.5 for row in rows)


def test_a_run_that_was_resumed_goes_on_and_a_new_one_goes_elsewhere(parts, tmp_path):
    model, optimizer = parts
    said = []

    for first in (0, 4, 0):
        adapter = Adapter(tmp_path / "run", sink=said.append)
        adapter._open(model, [optimizer], first_step=first)
        updates(adapter, model, optimizer, 4)
        adapter._close()

    (one,), (two,) = read_log(tmp_path / "run"), read_log(tmp_path / "run-2")
    assert one.resumed == (4.0,)
    assert one.get("loss", "train", per="update").steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert two.resumed == ()
    assert any(text.endswith("this one is written to " + str(tmp_path / "run-2")) for text in said)


def test_an_end_of_numbers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("tunesmith.integrations.adapter.MOST", 2)
    for name in ("run", "run-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")

    with pytest.raises(RunError, match="1 folders beside it hold runs already"):
        Adapter(tmp_path / "run")._free(0)


def test_opening_again_closes_what_was_left_open(parts, tmp_path):
    model, optimizer = parts
    adapter = Adapter(tmp_path / "run", sink=lambda text: None)
    adapter._open(model, [optimizer])
    first = adapter.watch

    adapter._open(model, [optimizer])
    adapter.close()

    assert first.closed
    assert first.run.status == adapter.watch.run.status == "interrupted"
    assert not optimizer._optimizer_step_post_hooks


def test_a_copy_has_the_settings_alone(parts):
    model, optimizer = parts
    adapter = Adapter(overhead=0.01)
    adapter._open(model, [optimizer])

    again = copy.deepcopy(adapter)
    adapter.close()

    assert again.overhead == 0.01
    assert again.watch is None
    assert len(again.findings()) == 0


def test_nothing_happens_where_nothing_is_watched():
    adapter = Adapter()

    adapter._update(torch.tensor(1.0))
    adapter._judged({"val_loss": 1.0})
    adapter._tell()
    adapter._close()

    assert adapter.watch is None

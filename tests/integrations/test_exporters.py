import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from tunesmith.integrations import EXPORTERS, Exports, export, information, numbers, tag
from tunesmith.records import MissingExtra, Recipe, UnknownName, revise
from tunesmith.runs import Run

SCORES = {"metric": "accuracy", "test": {"accuracy": 0.75, "confusion": [[1, 2]]}}


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "iris", recipe=revise(Recipe(), {"optim.lr": 0.125}))
    with run.writer() as writer:
        writer.begin_attempt()
        writer.add("loss", range(1, 2501), 1 / np.arange(1, 2501))
        writer.add("grad_norm", [5, 10], [1.5, float("nan")], where="fc1")
        writer.evaluation({"epoch": 1, "step": 10, "val_loss": 0.5, "best": True, "metric": "accuracy", "score": 0.5})
        writer.write_json("scores.json", SCORES)
        writer.set_status("finished")
    return run


def test_the_catalogue_names_the_three_and_imports_none_of_them():
    script = (
        "import sys; from tunesmith.integrations import EXPORTERS; print(list(EXPORTERS), "
        "[name for name in ('torch', 'tensorboard', 'mlflow', 'wandb') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['mlflow', 'tensorboard', 'wandb'] []"


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_an_absent_library_names_its_extra(run, monkeypatch, name):
    for module in [name, *[loaded for loaded in sys.modules if loaded.startswith(f"{name}.")]]:
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=rf"exporter '{name}' needs {name}.*; pip install 'tunesmith\[{name}\]'"):
        export(run, name)


def test_an_unknown_tracker_is_told(run):
    with pytest.raises(UnknownName, match="did you mean 'wandb'"):
        export(run, "wandbb")


def test_names_and_numbers_as_trackers_take_them():
    assert tag("loss") == "loss"
    assert tag("grad_norm", "fc1") == "grad_norm/fc1"
    assert numbers({"step": 1, "best": True, "test": {"f1": 0.5}, "name": "x"}, "scores") == {
        "scores/step": 1.0,
        "scores/test/f1": 0.5,
    }


def test_what_a_tracker_is_told_is_plain(run):
    told = information(run)

    assert told["recipe"]["optim.lr"] == 0.125
    assert json.loads(json.dumps(told)) == told


class Recorder:
    def __init__(self):
        self.calls = []
        self.fails = False

    @classmethod
    def open(cls, info, destination=None):
        return cls()

    def __getattr__(self, name):
        def call(*arguments):
            if self.fails:
                raise ConnectionError("gone")
            self.calls.append((name, *arguments))

        return call


def test_a_failing_tracker_is_told_of_once_and_does_not_stop_the_others(monkeypatch):
    monkeypatch.setitem(EXPORTERS._members, "one", Recorder)
    monkeypatch.setitem(EXPORTERS._members, "two", Recorder)
    notices = []
    exports = Exports(["one", "two"], {}, notices.append)
    one, two = exports._live.values()

    exports.signals("loss", [1], [2.0])
    one.fails = True
    exports.evaluation({"step": 1})
    exports.close("finished")

    assert [call[0] for call in one.calls] == ["signals"]
    assert [call[0] for call in two.calls] == ["signals", "evaluation", "close"]
    assert len(notices) == 1
    assert notices[0].startswith("one takes no more of this run (ConnectionError: gone)")


@pytest.mark.filterwarnings("ignore")  # of the tracker's own
def test_tensorboard_reads_what_was_written(run, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    export(run, "tensorboard")
    export(run, "tensorboard", tmp_path / "thin", points=100)

    events = EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    loss = events.Scalars("loss")
    assert [event.step for event in loss] == list(range(1, 2501))
    assert np.allclose([event.value for event in loss], 1 / np.arange(1, 2501), rtol=1e-6)
    assert [event.step for event in events.Scalars("grad_norm/fc1")] == [5, 10]
    assert np.isnan(events.Scalars("grad_norm/fc1")[1].value)
    assert events.Scalars("evaluation/val_loss")[0].value == 0.5
    assert events.Scalars("scores/test/accuracy")[0].value == 0.75
    assert b"optim.lr" in events.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]
    thin = EventAccumulator(str(tmp_path / "thin"), size_guidance={"scalars": 0}).Reload()
    assert len(thin.Scalars("loss")) == 100


@pytest.mark.filterwarnings("ignore")  # of the tracker's own
@pytest.mark.parametrize("address", ["folder", "sqlite"])
def test_mlflow_reads_what_was_written(run, tmp_path, monkeypatch, address):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    if address == "sqlite":
        pytest.importorskip("sqlalchemy", reason="mlflow-skinny comes without the database store")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    destination = None if address == "folder" else f"sqlite:///{tmp_path}/runs.db"

    export(run, "mlflow", destination)

    client = mlflow.MlflowClient(tracking_uri=destination or (tmp_path / "mlruns").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("tunesmith").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "iris"
    assert found.data.params["optim.lr"] == "0.125"
    assert found.data.metrics["scores/test/accuracy"] == 0.75
    history = sorted(client.get_metric_history(found.info.run_id, "loss"), key=lambda metric: metric.step)
    assert [metric.step for metric in history] == list(range(1, 2501))
    assert [metric.value for metric in history] == (1 / np.arange(1, 2501)).tolist()
    assert len(client.get_metric_history(found.info.run_id, "grad_norm/fc1")) == 2


def entries(data):
    """The records of a wandb file: LevelDB's log format, after a header of seven bytes."""
    position, held = 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, form = struct.unpack("<IHB", data[position : position + 7])
        held += data[position + 7 : position + 7 + length]
        position += 7 + length
        if form in (1, 4):  # whole, or the last part
            yield held
            held = b""


@pytest.mark.filterwarnings("ignore")  # of the tracker's own
def test_wandb_keeps_what_was_written(run, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.delenv("WANDB_MODE", raising=False)

    export(run, "wandb", points=50)

    (path,) = run.folder.glob("wandb/offline-run-*/*.wandb")
    rows, config = [], {}
    for data in entries(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        rows.append(
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        )
        config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    assert len(losses) == 50
    assert losses[0][0] == 1
    assert config["optim.lr"] == 0.125
    assert [row["evaluation/val_loss"] for row in rows if "evaluation/val_loss" in row] == [0.5]


@pytest.mark.filterwarnings("ignore")  # of the tracker's own
def test_a_database_without_the_whole_mlflow_is_told(run, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setattr("tunesmith.integrations.mlflow.find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=r"to write to sqlite:///x.db: pip install mlflow"):
        export(run, "mlflow", "sqlite:///x.db")

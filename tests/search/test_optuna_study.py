"""To Optuna and back: what is equal, and what an Optuna study of somebody else becomes."""

import math
import shutil
import subprocess
import time
from uuid import uuid4

import numpy as np
import pytest

from tunesmith.records import DataError, MissingExtra, Trial
from tunesmith.search import Choice, Distributed, Int, Ordinal, Real, Space
from tunesmith.search.optuna_study import from_optuna, optuna_of, to_optuna
from tunesmith.search.warm import warm

SPACE = Space(
    {
        "lr": Real(1e-5, 1, log=True),
        "optimizer": Choice(["sgd", "adam", None]),
        "momentum": Real(0, 0.99, when=("optimizer", "sgd")),
        "batch": Ordinal([16, 32, 64]),
        "widths": Choice([(64, 32), (32, 16)]),
        "layers": Int(1, 9),
        "units": Int(8, 512, log=True),
        "share": Real(0, 1, step=0.25),
        "decay": Distributed("norm", (0.0, 1.0)),
        "fixed": 3,
    },
    ["layers * units <= 4000"],
)


def some(count=40, seed=0):
    rng = np.random.default_rng(seed)
    kinds = [
        ("done", ""),
        ("stopped", "slow"),
        ("paused", ""),
        ("failed", "the score of unit 2 is nan"),
        ("running", ""),
    ]
    found = []
    for id in range(count):
        state, reason = kinds[id % 7 % 5]
        scores = rng.normal(size=4 if state == "done" else 2 if state != "running" else 0).tolist()
        scores = [*scores[:-1], math.nan] if state == "failed" else scores
        records = tuple({"score": score, "seconds": 0.5 * unit} for unit, score in enumerate(scores))
        found.append(
            Trial(
                id=id, change=SPACE.sample(rng), records=records, state=state, reason=reason, seed=7, spent=float(len(records)),
                parent=0 if id == 5 else None, values={"parameters": 12} if id % 2 else {},
            )
        )  # fmt: skip
    return found


def test_without_optuna_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(MissingExtra, match=r"tunesmith\[optuna\]"):
        optuna_of()


class TestThereAndBack:
    @pytest.mark.parametrize("where", ["memory", "sqlite", "journal"])
    def test_everything_is_equal(self, where, tmp_path):
        optuna = pytest.importorskip("optuna")
        storage = {
            "memory": lambda: optuna.storages.InMemoryStorage(),
            "sqlite": lambda: f"sqlite:///{tmp_path}/studies.db",
            "journal": lambda: optuna.storages.JournalStorage(
                optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
            ),
        }[where]()

        study = to_optuna(SPACE, some(), storage, "first")
        space, trials = from_optuna(storage, "first")

        assert space == SPACE
        assert repr(trials) == repr(some())  # NaN is not equal to itself
        assert len(study.trials) == 40

    def test_optuna_reads_the_states_and_values(self, tmp_path):
        optuna = pytest.importorskip("optuna")
        to_optuna(SPACE, some(), f"sqlite:///{tmp_path}/s.db", "s")

        study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/s.db")

        for ours, theirs in zip(some(), study.trials, strict=True):
            expected = {"done": "COMPLETE", "stopped": "PRUNED", "paused": "PRUNED"}.get(ours.state, "FAIL")
            assert theirs.state.name == expected
            if ours.state == "done":
                assert theirs.value == min(record["score"] for record in ours.records)
                assert theirs.intermediate_values == {u: r["score"] for u, r in enumerate(ours.records, 1)}
        best = min((t for t in some() if t.state == "done"), key=lambda t: min(r["score"] for r in t.records))
        assert study.best_trial.number == best.id

    def test_the_study_can_go_on_in_optuna(self, tmp_path):
        optuna = pytest.importorskip("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = Space({"x": Real(0, 1)})
        told = [Trial(id=0, change={"x": 0.25}, records=({"score": 1.0},), state="done", spent=1.0)]
        study = to_optuna(space, told, f"sqlite:///{tmp_path}/s.db", "s")

        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)

        assert [trial.number for trial in study.trials] == [0, 1, 2]
        assert len(from_optuna(study)[1]) == 3

    def test_a_name_stands_once(self, tmp_path):
        pytest.importorskip("optuna")
        where = f"sqlite:///{tmp_path}/s.db"
        to_optuna(SPACE, some(3), where, "s")

        with pytest.raises(DataError, match="already"):
            to_optuna(SPACE, some(4), where, "s")
        to_optuna(SPACE, some(4), where, "s", exist_ok=True)

        assert len(from_optuna(where, "s")[1]) == 4
        with pytest.raises(DataError, match="no study called 't' in the storage; it has 's'"):
            from_optuna(where, "t")

    def test_a_storage_that_cannot_be_opened(self):
        pytest.importorskip("optuna")
        with pytest.raises(DataError, match="cannot open"):
            to_optuna(SPACE, [], "nonsense://me:secret@nowhere/db")


class TestTheirs:
    def test_a_study_of_somebody_else(self):
        optuna = pytest.importorskip("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

        def objective(trial):
            x = trial.suggest_float("x", 1e-3, 1, log=True)
            kind = trial.suggest_categorical("kind", ["a", "b"])
            if kind == "b":
                trial.suggest_int("depth", 2, 8, step=2)
            trial.set_user_attr("note", trial.number)
            for step in range(3):
                trial.report(x * step, step)
                if trial.number == 4 and step == 1:
                    raise optuna.TrialPruned
            if trial.number == 5:
                raise ValueError("broken")
            return x * 2

        study.optimize(objective, n_trials=12, catch=ValueError)
        space, trials = from_optuna(study)

        assert space["x"] == Real(1e-3, 1, log=True)
        assert space["kind"] == Choice(["a", "b"])
        assert space["depth"] == Int(2, 8, step=2)
        assert [trial.state for trial in trials[3:7]] == ["done", "stopped", "failed", "done"]
        assert [record["score"] for record in trials[0].records] == pytest.approx(
            [-study.trials[0].params["x"] * step for step in range(3)]
        )
        assert trials[3].values == {"note": 3}
        best = min((t for t in trials if t.state == "done"), key=lambda t: t.records[-1]["score"])
        assert best.id == study.best_trial.number

    def test_ranges_that_changed_on_the_way(self):
        optuna = pytest.importorskip("optuna")
        of = optuna.distributions
        study = optuna.create_study()
        for low, high, choices in ((0.0, 1.0, ["a"]), (0.5, 3.0, ["a"])):
            study.add_trial(
                optuna.trial.create_trial(
                    params={"x": 0.75, "c": "a"},
                    distributions={"x": of.FloatDistribution(low, high), "c": of.CategoricalDistribution(choices)},
                    value=1.0,
                )
            )

        assert from_optuna(study)[0]["x"] == Real(0.0, 3.0)

    def test_several_objectives(self):
        optuna = pytest.importorskip("optuna")
        study = optuna.create_study(directions=["minimize", "minimize"])
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 5.0), n_trials=2)

        (trial, _) = from_optuna(study)[1]

        assert trial.records == ({"score": trial.change["x"], "value_1": 5.0},)

    def test_an_empty_study(self):
        optuna = pytest.importorskip("optuna")
        with pytest.raises(DataError, match="no trial with a parameter"):
            from_optuna(optuna.create_study())


class TestWarm:
    def test_what_fits_is_over_and_numbered(self):
        space = Space({"x": Real(0, 1), "f": 3})
        old = [
            Trial(
                id=3, change={"x": 0.5}, records=({"score": 1.0}, {"score": 0.5}), state="paused", checkpoint="there"
            ),
            Trial(id=4, change={"x": 2.0}, records=({"score": 1.0},), state="done"),
            Trial(id=5, change={"x": 0.1, "gone": 1}, records=({"score": 2.0},), state="done"),
            Trial(id=6, change={"x": 0.2}, state="failed", reason="broken"),
            Trial(id=7, change={"x": 0.2}, state="running"),
        ]

        found = warm(space, old, max_budget=1)

        assert [trial.id for trial in found] == [0, 1, 2]
        assert [trial.change for trial in found] == [{"x": x, "f": 3} for x in (0.5, 0.1, 0.2)]
        assert [trial.state for trial in found] == ["paused", "done", "failed"]
        assert found[0].records == ({"score": 1.0},)
        assert found[0].checkpoint is None


@pytest.fixture(scope="module")
def postgres():
    """The address of a database of our own; skips where no server can be started."""
    pytest.importorskip("optuna")
    pytest.importorskip("psycopg2")
    if shutil.which("pg_ctlcluster") is None or shutil.which("pg_createcluster") is None:
        pytest.skip("no pg_ctlcluster: install the packages postgresql and postgresql-common")
    version = sorted(subprocess.run(["ls", "/usr/lib/postgresql"], capture_output=True, text=True).stdout.split())[-1:]
    if not version:
        pytest.skip("no server below /usr/lib/postgresql")
    name, port = f"tunesmith{uuid4().hex[:8]}", "54329"
    made = subprocess.run(["pg_createcluster", version[0], name, "-p", port], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no cluster can be made here: {made.stderr.strip()}")
    try:
        started = subprocess.run(["pg_ctlcluster", version[0], name, "start"], capture_output=True, text=True)
        if started.returncode:
            pytest.skip(f"the server does not start: {started.stderr.strip()}")
        said = [
            "su",
            "postgres",
            "-c",
            f"psql -p {port} -c \"create role t login password 't' superuser\" -c 'create database t'",
        ]
        for _ in range(20):
            if subprocess.run(said, capture_output=True).returncode == 0:
                break
            time.sleep(0.5)
        yield f"postgresql+psycopg2://t:t@127.0.0.1:{port}/t"
    finally:
        subprocess.run(["pg_dropcluster", "--stop", version[0], name], capture_output=True)


@pytest.mark.slow
def test_a_postgresql_server(postgres):
    space, trials = SPACE, some(60)

    study = to_optuna(space, trials, postgres, "first")
    study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1, log=True), n_trials=1)
    again, found = from_optuna(postgres, "first")

    assert again == space
    assert repr(found[:60]) == repr(trials)
    assert len(found) == 61


@pytest.mark.slow
def test_ten_thousand_trials(tmp_path):
    pytest.importorskip("optuna")
    trials = [trial for trial in some(10_000) if trial.state != "running"]

    to_optuna(SPACE, trials, f"sqlite:///{tmp_path}/s.db", "s")
    _, found = from_optuna(f"sqlite:///{tmp_path}/s.db", "s")

    assert len(found) == len(trials)
    assert repr(found[-1].records) == repr(trials[-1].records)

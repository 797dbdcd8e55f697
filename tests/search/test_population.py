"""Population-based training of a `Task`: weights are taken over, and a search that was killed goes on as if it had not been."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tunesmith
from tunesmith.search import Real
from tunesmith.search.journal import FILE, read

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def populated(folder, *, resume=False, show=lambda search: None):
    """Four members, some of which learn nothing at their first rate; a copy every two epochs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)).astype(np.float32)
    y = (X @ rng.normal(size=6) > 0).astype(np.int64)
    return tunesmith.search(
        tunesmith.Task(train=(X, y)),
        {"optim.lr": Real(1e-6, 1e-2, log=True)},
        recipe={"train": {"epochs": 8}},
        budget="32 epochs",
        scheme="pbt",
        options={"population": 4, "every": 2, "resample": 0.0},
        executor="pool",
        workers=2,
        seed=1,
        folder=folder,
        resume=resume,
        confirm=0,
        show=show,
    )


def scores(study):
    return [(trial.change, [record["score"] for record in trial.records]) for trial in study.trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("population") / "s"
    return populated(folder), read(folder / FILE)[0]


def test_a_trial_goes_on_from_the_weights_that_it_took_over(undisturbed):
    study, events = undisturbed
    told = dict(enumerate(trial.records for trial in study.trials))
    copies = [event for event in events if event["event"] == "begun" and event.get("copy_from") is not None]

    gaps = []
    for event in copies:
        own, start = told[event["trial"]], event["start"]
        source = told[event["copy_from"]][start - 1]["score"]
        before, after = own[start - 1]["score"], own[start]["score"]
        gaps.append((abs(after - source), abs(before - source)))

    assert any(before > 0.1 for _, before in gaps)  # there was something to take over
    assert all(after < before / 2 for after, before in gaps if before > 0.1)


@pytest.mark.parametrize("changes", [3, 9, 20])
def test_a_population_that_is_killed_goes_on_as_if_it_had_not_been(undisturbed, tmp_path, changes):
    script = f"""
        import os, signal
        from pathlib import Path
        from tests.search.test_population import populated

        left = [{changes}]

        def show(search):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        populated(Path({str(tmp_path / "s")!r}), show=show)
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, env=environment, check=False)

    study = populated(tmp_path / "s", resume=True)

    assert ended.returncode == -signal.SIGKILL
    assert scores(study) == scores(undisturbed[0])
    assert study.best.id == undisturbed[0].best.id

import os
import subprocess
import sys
import time

import pytest

from tunesmith.records import Recipe, RunBusy
from tunesmith.runs import Run
from tunesmith.runs.lock import held, holder

HOLD = """
import sys
from tunesmith.runs import Run
with Run(sys.argv[1]).writer() as writer:
    writer.begin_attempt()
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "r", recipe=Recipe())


def hold(run):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_writer_is_told_who_writes_and_since_when(run):
    with hold(run) as process:
        with pytest.raises(RunBusy, match=rf"r is in use by process {process.pid} since 20\d\d-\d\d-\d\dT.*; wait"):
            run.writer()
        assert run.status == "running"
        process.stdin.close()


def test_the_lock_of_a_killed_process_is_no_hindrance(run):
    with hold(run) as process:
        process.kill()
        process.wait()
        assert holder(run.folder)["pid"] == process.pid
        assert run.status == "interrupted"

        with run.writer() as writer:
            writer.begin_attempt()

            assert holder(run.folder)["pid"] == os.getpid()
        process.stdin.close()


def test_one_process_cannot_write_twice_either(run):
    with run.writer(), pytest.raises(RunBusy, match=str(os.getpid())):
        run.writer()

    assert not held(run.folder)
    with run.writer():
        assert held(run.folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_hold_the_lock_on(run):
    """Loader processes are forked, and may outlive a killed training by seconds."""
    script = HOLD.replace(
        'print("held", flush=True)',
        "import os, time\n    if os.fork() == 0: time.sleep(5); os._exit(0)\n    print('held', flush=True)",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(run.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"held\n"
        process.kill()
        os.waitpid(process.pid, 0)
        process.returncode = -9
        began = time.monotonic()

        run.writer().__exit__(None, None, None)

        assert time.monotonic() - began < 3
        process.stdin.close()


def test_a_lock_file_with_nonsense_is_still_told(run):
    with run.writer():
        (run.folder / "lock").write_text("nonsense")

        with pytest.raises(RunBusy, match="in use by another process"):
            run.writer()


def test_readers_asking_do_not_keep_a_writer_out(run):
    script = "import sys\nfrom pathlib import Path\nfrom tunesmith.runs.lock import held\n"
    script += "print('go', flush=True)\nwhile True: held(Path(sys.argv[1]))"
    run.writer().__exit__(None, None, None)
    with subprocess.Popen([sys.executable, "-c", script, str(run.folder)], stdout=subprocess.PIPE) as asking:
        asking.stdout.readline()

        for _ in range(20):
            run.writer().__exit__(None, None, None)

        asking.kill()

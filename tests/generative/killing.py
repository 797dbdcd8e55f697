"""A training in a process of its own that is killed at several moments and gone on with."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path


def killed(target: str, folder: Path, seed: int, times: int = 5) -> int:
    """Runs `python target FOLDER new|resume [slow]` until it ends, killed up to `times` times before; gives how often it was hit."""
    moments, hit, word = random.Random(seed), 0, "new"
    for left in range(times, -1, -1):
        command = [sys.executable, target, str(folder), word, *(["slow"] if left else [])]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        assert process.stdout is not None
        process.stdout.readline()
        if left:
            until = time.monotonic() + 60
            while not (folder / "run.json").exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.2, 1.5))
            if process.poll() is None:
                process.kill()
                hit += 1
        process.communicate()
        if (folder / "run.json").exists():
            word = "resume"
    return hit

"""The look at the machine."""

import json
from pathlib import Path

import pytest
import torch

from tunesmith.cli import run
from tunesmith.records import StorageError
from tunesmith.verbs import doctor
from tunesmith.verbs.doctor import Package


def test_the_machine_is_described(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = run(["doctor", "--folder", str(tmp_path / "not" / "yet"), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["torch"] == torch.__version__
    assert told["threads"] == torch.get_num_threads()
    assert told["folder"] == str(tmp_path)
    assert told["write_bytes_per_second"] > 0
    assert {"torch", "numpy", "typer"} <= {package["name"] for package in told["packages"]}
    assert set(told["extras"]) >= {"plots", "onnx", "tensorboard"}
    assert "dev" not in told["extras"]
    assert list(tmp_path.iterdir()) == []


def test_the_text_names_every_extra(capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor"])

    shown = capsys.readouterr().out
    assert all(extra in shown for extra in ("plots", "onnx", "wandb"))
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("installed", "wanted", "fits"),
    [
        ("2.13.0+cpu", ">=2.7", True),
        ("2.6.1", ">=2.7", False),
        (None, ">=2.7", False),
        ("1.0", "", True),
        ("3.10", ">=3.9", True),
    ],
)
def test_a_package_fits_from_its_least_version_on(installed: str | None, wanted: str, fits: bool) -> None:
    assert Package(name="p", installed=installed, wanted=wanted, tested=None).fits is fits


def test_a_folder_that_cannot_be_written_to_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)

    with pytest.raises(StorageError, match="permission denied"):
        doctor.write_speed(tmp_path)

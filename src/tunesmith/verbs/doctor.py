"""`doctor`: what this machine and this installation can do."""

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from tunesmith.records import StorageError
from tunesmith.reports.wording import size

PROBE_BYTES = 32 * 2**20  # enough to tell a disk from a network mount, short enough not to be noticed
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*([^;]*)(?:;\s*extra\s*==\s*['\"]([^'\"]+)['\"])?")
LEAST = re.compile(r">=\s*([0-9][0-9.]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that is needed, always or by an extra."""

    name: str
    installed: str | None
    wanted: str  # the range as the installation names it
    tested: str | None  # the version that the tests ran with, where a constraints file is at hand
    extra: str = ""

    @property
    def fits(self) -> bool:
        """Installed, and not older than wanted."""
        least = LEAST.search(self.wanted)
        return self.installed is not None and (least is None or numbers(self.installed) >= numbers(least[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was found."""

    python: str
    platform: str
    torch: str | None
    devices: tuple[str, ...]
    cores: int
    threads: int | None
    memory_bytes: int | None
    free_memory_bytes: int | None
    folder: str
    free_disk_bytes: int
    write_bytes_per_second: float
    packages: tuple[Package, ...]

    @property
    def extras(self) -> dict[str, bool]:
        """Each extra and whether all of it is installed."""
        names = dict.fromkeys(package.extra for package in self.packages if package.extra)
        return {name: all(package.fits for package in self.packages if package.extra == name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        told = asdict(self) | {"extras": self.extras}
        told["packages"] = [asdict(package) | {"fits": package.fits} for package in self.packages]
        return told

    def text(self) -> str:
        """The same in lines for people."""
        free = f", {size(self.free_memory_bytes)} free" if self.free_memory_bytes is not None else ""
        threads = f", torch uses {self.threads} thread{'s' if self.threads != 1 else ''}" if self.threads else ""
        speed = size(self.write_bytes_per_second)
        lines = [
            f"python    {self.python} on {self.platform}",
            f"torch     {self.torch or 'not installed: pip install torch'}",
            f"devices   {', '.join(self.devices)}",
            f"cpu       {self.cores} cores{threads}",
            f"memory    {size(self.memory_bytes)}{free}",
            f"disk      {size(self.free_disk_bytes)} free at {self.folder}, writes {speed} a second",
            "",
            "needed",
            *(package_line(package) for package in self.packages if not package.extra),
            "",
            "extras",
        ]
        for name, whole in self.extras.items():
            held = ", ".join(f"{one.name} {one.installed or 'absent'}" for one in self.packages if one.extra == name)
            lines.append(f"  {'yes' if whole else 'no ':<3}  {name:<12} {held}")
        absent = [name for name, whole in self.extras.items() if not whole]
        return "\n".join([*lines, *([f"install with: pip install 'tunesmith[{absent[0]}]'"] if absent else [])])


def doctor(folder: str | Path = ".") -> Health:
    """Looks at Python, torch, devices, memory, packages, and the disk that holds `folder`."""
    place = existing(Path(folder))
    torch, devices, threads = accelerators()
    memory, free = memory_bytes()
    return Health(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        torch=torch,
        devices=devices,
        cores=cores(),
        threads=threads,
        memory_bytes=memory,
        free_memory_bytes=free,
        folder=str(place),
        free_disk_bytes=shutil.disk_usage(place).free,
        write_bytes_per_second=write_speed(place),
        packages=packages(),
    )


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def accelerators() -> tuple[str | None, tuple[str, ...], int | None]:
    """torch's version, its devices and its number of threads."""
    try:
        import torch
    except ImportError:
        return None, ("cpu",), None
    found = ["cpu"]
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        found.append(f"cuda:{i} ({about.name}, {size(about.total_memory)})")
    if torch.backends.mps.is_available():
        found.append("mps")
    return str(torch.__version__), tuple(found), torch.get_num_threads()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> tuple[int | None, int | None]:
    """Memory in all and free; None where the system does not say."""
    table = Path("/proc/meminfo")
    if table.is_file():
        lines = (line.split() for line in table.read_text(encoding="ascii").splitlines())
        held = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdigit()}
        return held.get("MemTotal"), held.get("MemAvailable")
    if sys.platform != "win32" and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return None, None


def write_speed(folder: Path) -> float:
    """Bytes a second, down to the disk. Raises `StorageError` where the folder cannot be written to."""
    block = os.urandom(2**20)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            began = time.perf_counter()
            for _ in range(PROBE_BYTES // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            return PROBE_BYTES / (time.perf_counter() - began)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StorageError(f"{folder} cannot be written to ({reason}); choose another --folder") from error


def packages() -> tuple[Package, ...]:
    """Everything that the installation names, needed or extra, but for the developers' tools."""
    found = []
    tested = constraints()
    for line in requires("tunesmith") or ():
        match = REQUIREMENT.match(line)
        if match is None or match[3] == "dev":
            continue
        name, wanted, extra = match[1], match[2].strip(), match[3] or ""
        found.append(
            Package(name=name, installed=installed(name), wanted=wanted, tested=tested.get(name.lower()), extra=extra)
        )
    return tuple(found)


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def constraints() -> Mapping[str, str]:
    """The tested versions, from the constraints file of a source checkout."""
    file = Path(__file__).parents[3] / "constraints.txt"
    if not file.is_file():
        return {}
    pairs = (line.partition("#")[0].strip().split("==") for line in file.read_text(encoding="utf-8").splitlines())
    return {pair[0].lower(): pair[1] for pair in pairs if len(pair) == 2}


def numbers(text: str) -> tuple[int, ...]:
    """A version as numbers that compare.

    >>> numbers("2.13.0+cpu") >= numbers("2.7")
    True
    """
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0]))


def package_line(package: Package) -> str:
    held = package.installed or "absent"
    verdict = "ok " if package.fits else "OLD" if package.installed else "NO "
    tested = f", tested with {package.tested}" if package.tested and package.tested != package.installed else ""
    return f"  {verdict}  {package.name:<12} {held:<12} wanted {package.wanted}{tested}"

"""What the figures are true for: the CPU, the versions of all that signs, and the state of this project."""

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

# What the engines choose their code by, as Linux names it.
CPU_FLAGS = ("adx", "avx2", "avx512f", "avx512ifma", "avx_ifma", "bmi2", "sha_ni", "vaes")
DISTRIBUTIONS = ("ocsp-pregen", "cryptography", "awscrt", "ipp-crypto", "intel-cmplr-lib-rt", "numpy", "pyarrow")
CPU_INFO = Path("/proc/cpuinfo")
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class MeasuringMachine:
    """Where figures were measured.

    Attributes:
        cpu: model name.
        cpus: how many this process may use.
        flags: those of `CPU_FLAGS` that the CPU has.
        system: kernel and architecture.
        load: how many processes wanted a CPU in the minute before; well above 0 means that others measured too.
        versions: by name; None where it is not installed.
    """

    cpu: str
    cpus: int
    flags: tuple[str, ...]
    system: str
    load: float
    versions: dict[str, str | None]


def this_machine() -> MeasuringMachine:
    """Return what is known of this machine."""
    text = CPU_INFO.read_text() if CPU_INFO.exists() else ""
    described = cpu_fields(text)
    return MeasuringMachine(
        cpu=described.get("model name") or platform.processor() or platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        flags=tuple(flag for flag in CPU_FLAGS if flag in described.get("flags", "").split()),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        load=round(os.getloadavg()[0], 2),
        versions={
            "python": platform.python_version(),
            "openssl": backend.openssl_version_text(),
            **{name: _version(name) for name in DISTRIBUTIONS},
        },
    )


def revision_of(folder: Path = ROOT) -> str | None:
    """Return the commit of a checkout, with ``-dirty`` behind it where files of it were changed since.

    None where the folder is not the top of a checkout, or git is missing.
    """
    # `describe` would write the index. The git directory is named, lest a checkout around the folder is described.
    where = ("git", "--no-optional-locks", "--git-dir", str(folder / ".git"), "--work-tree", str(folder))
    command = (*where, "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our words
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu_fields(text: str) -> dict[str, str]:
    r"""Return the fields of the first CPU in the text of /proc/cpuinfo.

    >>> cpu_fields("processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\nmodel name\t: Other\n")
    {'processor': '0', 'model name': 'Some CPU'}
    """
    lines = text.split("\n\n", 1)[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None

"""What the figures are true for: the CPU, and the versions of all that signs."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

# What the engines choose their code by, as Linux names it.
FLAGS = ("adx", "avx2", "avx512f", "avx512ifma", "avx_ifma", "bmi2", "sha_ni", "vaes")
DISTRIBUTIONS = ("ocsp-pregen", "cryptography", "awscrt", "ipp-crypto", "intel-cmplr-lib-rt", "numpy", "pyarrow")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where figures were measured.

    Attributes:
        cpu: model name.
        cpus: how many this process may use.
        flags: those of `FLAGS` that the CPU has.
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


def this_machine() -> Machine:
    """Return what is known of this machine."""
    text = CPU_INFO.read_text() if CPU_INFO.exists() else ""
    described = cpu_fields(text)
    return Machine(
        cpu=described.get("model name") or platform.processor() or platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        flags=tuple(flag for flag in FLAGS if flag in described.get("flags", "").split()),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        load=round(os.getloadavg()[0], 2),
        versions={
            "python": platform.python_version(),
            "openssl": backend.openssl_version_text(),
            **{name: _version(name) for name in DISTRIBUTIONS},
        },
    )


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

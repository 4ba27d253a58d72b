"""Run a command; write octets of its largest process, and its CPU seconds: `python -SE peak.py FILE WORD...`.

A program of its own that imports next to nothing: Linux counts the memory of a process from before its exec, when it
was a copy of who started it.
"""

import os
import resource
import sys


def main(file: str, command: list[str]) -> int:
    """Run a command to its end, write what it and all that it has waited for took, and return its exit code."""
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    with open(file, "w", encoding="ascii") as peak:  # noqa: PTH123 - pathlib is larger than all of this
        peak.write(f"{octets_of(usage)} {usage.ru_utime + usage.ru_stime}")
    return os.waitstatus_to_exitcode(status)


def octets_of(usage: resource.struct_rusage) -> int:
    """Return the peak that the system tells: in KiB, but on macOS."""
    return usage.ru_maxrss << (0 if sys.platform == "darwin" else 10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

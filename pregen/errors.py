"""What can go wrong while signing and publishing, and what the process says about it.

    PregenError
    ├── UsageError             the command line
    ├── ConfigError            configuration, keys, certificates
    ├── InputError             the snapshot cannot be read, or holds rows that cannot be
    ├── GateError              the snapshot can be read, but must not be published
    ├── ResumeError            an earlier run cannot be gone on with
    ├── NotFoundError          there is no answer
    ├── SpoolError             the disk for spill files
    ├── PublishError           the store, while a shard goes there
    ├── SigningError           an engine could not sign
    ├── VerificationError      what was signed is not what was meant
    └── WorkerError            a worker process died
        └── CrashError         by its own code; while it read a file, that becomes an InputError

Each class names its exit code; what `storage.errors` and the builtin `OSError` of a store mean for the exit code, is
said by `pregen.cli.outcome`. Every error takes positional arguments only, so that it survives the way home from a
worker process.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from pregen.exit_codes import ExitCode

MAX_EXAMPLES = 20  # of a finding, however often it was seen
SHOWN_EXAMPLES = 5  # of these, as text; as data it has them all
Severity: TypeAlias = Literal["error", "warning"]  # an error stops the command, a warning is shown


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, as data.

    Attributes:
        code: stable and dotted, such as ``key.mismatch`` or ``row.serial.not-minimal``.
        severity: an error stops the command; a warning is shown.
        message: what is wrong, where, and what to do about it, in one or two sentences.
        count: how many times it was seen (rows, for findings about rows).
        examples: up to 20 places, each as ``file, row, column, value``.
        zones: of a wrong time, the time zones that would explain it, those of the configuration first.
    """

    code: str
    severity: Severity
    message: str
    count: int = 1
    examples: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.severity} {self.code}: {self.message}"]
        shown = self.examples[:SHOWN_EXAMPLES]
        lines += [f"    {example}" for example in shown]
        if max(self.count, len(self.examples)) > len(shown) > 0:
            more = f" (--json lists {len(self.examples)})" if len(self.examples) > len(shown) else ""
            lines.append(f"    ... {self.count:,} in all{more}")
        if self.zones:
            lines.append(f"    zones with that offset then: {', '.join(self.zones)}")
        return "\n".join(lines)


class PregenError(Exception):
    """Root of all errors of this package: what is wrong, where, what to do, and the findings behind it."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message, tuple(findings))
        self.message = message
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.findings)])


class UsageError(PregenError):
    """The command line cannot be understood."""

    exit_code = ExitCode.USAGE
    code = "usage"


class ConfigError(PregenError):
    """The configuration, a key or a certificate cannot be used."""

    exit_code = ExitCode.USAGE
    code = "configuration"


class InputError(PregenError):
    """The snapshot cannot be read, or holds rows that cannot be."""

    exit_code = ExitCode.REFUSED
    code = "input"


class GateError(PregenError):
    """The snapshot can be read, but publishing it would do harm."""

    exit_code = ExitCode.REFUSED
    code = "gate"


class ResumeError(PregenError):
    """A run was told to go on where an earlier one was stopped, and cannot."""

    exit_code = ExitCode.REFUSED
    code = "resume"


class NotFoundError(PregenError):
    """There is no answer for that certificate."""

    exit_code = ExitCode.NOT_FOUND
    code = "not-found"


class SpoolError(PregenError):
    """The disk for spill files is full or cannot be written, or what it returns is not what was written."""

    exit_code = ExitCode.STORAGE
    code = "spool"


class PublishError(PregenError):
    """A shard could not be stored, or not be read again."""

    exit_code = ExitCode.STORAGE
    code = "storage"


class SigningError(PregenError):
    """An engine could not sign; nothing of its batch may be used."""

    exit_code = ExitCode.SIGNING
    code = "signing"


class VerificationError(PregenError):
    """What was signed and stored is not what was meant."""

    exit_code = ExitCode.SIGNING
    code = "verification"


class WorkerError(PregenError):
    """A worker process died before its shard was done."""

    exit_code = ExitCode.SIGNING
    code = "worker"


class CrashError(WorkerError):
    """A worker process was ended by what its own code did; only the process that it worked for raises it.

    Attributes:
        label: of its task.
        how: it was ended, for messages.
    """

    def __init__(self, message: str, label: str, how: str) -> None:
        super().__init__(message)
        self.label = label
        self.how = how


_ADVICE = {
    errno.ENOSPC: "free some space, then run again",
    errno.EDQUOT: "free some space or raise the quota, then run again",
    errno.EACCES: "give this user the rights, or choose another place",
    errno.EPERM: "give this user the rights, or choose another place",
    errno.EROFS: "mount it for writing, or choose another place",
    errno.ENOENT: "correct the path, or restore what is missing",
    errno.ENOTDIR: "a file is where a folder belongs: remove it, or correct the path",
}


def explained(error: OSError) -> str:
    """Return what an error of the operating system or of a store says, where, and what to do.

    >>> explained(OSError(errno.ENOSPC, "No space left on device", "/srv/store"))
    '/srv/store: No space left on device: free some space, then run again'
    """
    if error.errno is None:  # a remote store's own words, complete as they are
        return str(error) or type(error).__name__
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}: {_ADVICE.get(error.errno, 'look at the disk or the server, then run again')}"

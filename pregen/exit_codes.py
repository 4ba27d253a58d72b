"""How a command ended, for the shell, cron and scripts: the one list that errors, help and documentation go by.

`pregen status` is a plugin for monitoring and has the four codes of plugins instead (`pregen.status.Level`).
"""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The exit codes of the program, each with what it means.

    >>> int(ExitCode.STORAGE), ExitCode.STORAGE.meaning
    (5, 'storage has failed: credentials, bucket, disk, or damage')
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a member that is a number."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.meaning = meaning
        return member

    DONE = 0, "done"
    INTERNAL = 1, "internal error"
    USAGE = 2, "command line, configuration, key or certificate is wrong"
    REFUSED = 3, "snapshot cannot be read, or a gate has refused it; nothing was published"
    NOT_FOUND = 4, "no answer found, or the store is empty"
    STORAGE = 5, "storage has failed: credentials, bucket, disk, or damage"
    SIGNING = 6, "signing or verification has failed, or a worker has died; nothing was published"
    OVERTAKEN = 7, "another publisher has committed first: run again"
    STALE = 8, "overdue, expired or not valid yet (only with --strict); else published, but issuers were left behind"
    LEFT_BEHIND = STALE  # of commands that publish, which know no --strict
    NOT_ASKED = 9, "the certificate was not asked for in that time, as the logs prove (pregen asked)"
    UNKNOWABLE = 10, "whether the certificate was asked for cannot be known by these logs (pregen asked)"
    INTERRUPTED = 130, "interrupted (SIGINT); nothing was published, but what gc has announced"
    READER_GONE = 141, "whoever reads the output has gone, as in pregen inspect STORE | head -1"
    TERMINATED = 143, "terminated (SIGTERM); nothing was published, but what gc has announced"

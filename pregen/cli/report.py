"""What a command has to say at its end: a report when it worked, remarks beside its error when it did not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pregen.errors import Finding, PregenError
from pregen.exit_codes import ExitCode
from storage.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a command.

    Attributes:
        document: for `--json`: one object.
        lines: for people.
        findings: warnings; they go to stderr, and where there are any, into the document too.
        done: what has been done that outlives the command, as a sentence: it holds whether the report is read or not.
        exit_code: 0 unless the command has found something that it was asked to find.
        is_stale: whether what was looked at is overdue, expired, or not valid yet.
    """

    document: Mapping[str, object]
    lines: Sequence[str]
    findings: Sequence[Finding] = field(default=())
    done: str | None = None
    exit_code: int = ExitCode.DONE
    is_stale: bool = False

    def strictly(self, is_strict: bool) -> "Report":
        """Return the report with an exit code that says whether it is stale, where that is asked."""
        return replace(self, exit_code=ExitCode.STALE) if is_strict and self.is_stale else self

    def after(self, remarks: Sequence[Finding]) -> "Report":
        """Return the report with more findings, before its own."""
        return replace(self, findings=(*remarks, *self.findings))


class RemarkedError(Exception):
    """A command has failed, and something is to be said with its error."""

    def __init__(self, error: PregenError | StorageError | OSError, remarks: tuple[Finding, ...]) -> None:
        super().__init__(error, remarks)
        self.error = error
        self.remarks = remarks

    def __str__(self) -> str:
        return "\n".join([str(self.error), *map(str, self.remarks)])


def aligned(rows: Sequence[tuple[str, object]]) -> list[str]:
    """Return names and values in two columns; whole numbers with thousands separated.

    >>> aligned([("rows", 12345), ("engine", "software")])
    ['rows    12,345', 'engine  software']
    """
    width = max((len(name) for name, _ in rows), default=0)
    return [
        f"{name:<{width}}  {value:,}" if isinstance(value, int) else f"{name:<{width}}  {value}" for name, value in rows
    ]

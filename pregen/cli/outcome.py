"""The end of every command: its report or its error, and the exit code (`pregen.exit_codes`).

Errors go to stderr and say what, where and what to do. With `--json`, stdout gets one object, on failure too. A stdout
that cannot be written to changes nothing of the exit code of a command that has failed, published or written files; of
others it is `READER_GONE` or, where the disk is full, `STORAGE`.

`pregen status` is a plugin for monitoring, and has codes of its own. Whatever goes wrong with the command itself is
UNKNOWN there, told in one line on stdout as well.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import NamedTuple

from pregen.cli.account import Account
from pregen.cli.app import call
from pregen.cli.output import OutputLostError, exit_code_of, is_utf8, write, write_aside
from pregen.cli.report import RemarkedError, Report
from pregen.errors import Finding, PregenError, explained
from pregen.exit_codes import ExitCode
from pregen.interruption import Terminated, interruptible
from storage.errors import (
    CommitRefusedError,
    FormatError,
    NothingPublishedError,
    StorageError,
    UnknownFeatureError,
    UnsupportedVersionError,
)

# All but the newline; what turns the direction of reading; and halves of surrogate pairs, which no encoding has.
_CONTROLS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# What an installation without the extra `sign` lacks; rich draws bars on a terminal.
SIGNING_PACKAGES = frozenset(
    {"asn1crypto", "boto3", "cryptography", "msgspec", "multiprocess", "numpy", "pyarrow", "rich", "tzdata"}
)


_NOTHING = ": nothing was published"


class Failure(NamedTuple):
    """How a command failed."""

    exit_code: ExitCode
    code: str
    message: str
    findings: tuple[Finding, ...] = ()

    def beside(self, done: str) -> "Failure":
        """Return the failure of a command that had done something by then."""
        return self._replace(message=f"{self.message.removesuffix(_NOTHING)}; {done}")


# Errors of others, the narrower kinds first: exit code, code, and what is added to their text.
FOREIGN_ERRORS: tuple[tuple[type[BaseException], ExitCode, str, str], ...] = (
    (NothingPublishedError, ExitCode.NOT_FOUND, "not-found", ""),
    (CommitRefusedError, ExitCode.OVERTAKEN, "commit-refused", ""),
    (UnsupportedVersionError, ExitCode.STORAGE, "storage", "; upgrade ocsp-pregen here"),
    (UnknownFeatureError, ExitCode.STORAGE, "storage", "; upgrade ocsp-pregen here"),
    (FormatError, ExitCode.STORAGE, "storage", ""),  # see `_remedy`
    (StorageError, ExitCode.STORAGE, "storage", ""),
    (OSError, ExitCode.STORAGE, "storage", ""),
    (KeyboardInterrupt, ExitCode.INTERRUPTED, "interrupted", f"interrupted{_NOTHING}"),
    (Terminated, ExitCode.TERMINATED, "terminated", f"terminated{_NOTHING}"),
)


def run_command(arguments: Sequence[str], *, to_the_end: bool) -> int:
    """Run a command and return its exit code; whatever happens becomes one.

    Args:
        arguments: of the command line.
        to_the_end: the process ends after it.
    """
    words = [word for word in arguments if word != "--debug"]
    debug, as_json, account = len(words) < len(arguments), "--json" in words, Account()
    try:
        with interruptible(to_the_end=to_the_end):
            result = call(words, account)
            if isinstance(result, Report):
                return _succeed(result, account, as_json=as_json, is_quiet="--quiet" in words)
    except OutputLostError as lost:  # of what a command prints by itself, such as its help
        return exit_code_of(lost)
    except BaseException as e:  # noqa: BLE001 - the last frame: every end has its exit code
        if debug:
            import traceback  # noqa: PLC0415 - of no use to anybody else

            write_aside(traceback.format_exc())
        failure = failure_of(e)
        return _fail(failure.beside(account.done) if account.done else failure, account, as_json=as_json)
    return result


def failure_of(error: BaseException) -> Failure:
    """Return what an error means for the caller of the process."""
    if isinstance(error, RemarkedError):
        failure = failure_of(error.error)
        return failure._replace(findings=(*error.remarks, *failure.findings))
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in SIGNING_PACKAGES:
        # With what is here already: tools that make an environment anew (pipx, uv) would take it away again.
        extras = "sign" if find_spec("granian") is None else "sign,edge"
        return Failure(
            ExitCode.USAGE, "installation", f'the package {package} is missing: pip install "ocsp-pregen[{extras}]"'
        )
    if isinstance(error, PregenError):
        return Failure(error.exit_code, error.code, error.message, error.findings)
    for kind, exit_code, code, hint in FOREIGN_ERRORS:
        if isinstance(error, kind):
            text = explained(error) if isinstance(error, OSError) else str(error).rstrip(".")
            return Failure(exit_code, code, text + (hint or _remedy(error)))
    return Failure(
        ExitCode.INTERNAL,
        "internal",
        f"internal error: {type(error).__name__}: {error}; run again with --debug and report what it shows",
    )


def _remedy(error: BaseException) -> str:
    """Return what helps against damage: a copy, or what is made anew.

    Packs are made anew by a run that signs everything, but a run must read the commit before it.
    """
    if not isinstance(error, FormatError):
        return ""
    if error.name.startswith("history/"):
        return "; answers do not need it, but the gates of the next run do: restore that object from a copy"
    if error.name.startswith("packs/"):
        return "; restore that object from a copy, or publish anew by pregen run --full"
    return (
        "; restore that object from a copy (no run is published after a commit that cannot be read); without a copy, "
        "publish into a new store and let the edges serve that"
    )


def visible(text: str) -> str:
    r"""Return text whose control characters are written out: file names and stored texts may move a terminal's cursor.

    >>> visible("a\x1b[2Jb\nc\ud800")
    'a\\x1b[2Jb\nc\\ud800'
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def _succeed(report: Report, account: Account, *, as_json: bool, is_quiet: bool) -> int:
    for finding in report.findings:
        write_aside(f"{visible(str(finding))}\n")
    try:
        if as_json:
            warnings = {"findings": [asdict(finding) for finding in report.findings]} if report.findings else {}
            _print_json({**account.members(), **report.document, **warnings})
        elif not is_quiet or report.exit_code:  # one that is not 0 is nothing to be quiet about
            write("".join(f"{visible(line)}\n" for line in report.lines))
    except OutputLostError as lost:
        if report.done is None:
            return exit_code_of(lost)
        # What is done is done: another exit code would have the caller do it again, or raise an alarm.
        text = f"{lost}, so its report is lost; {report.done}"
        write_aside(visible(str(Finding("output.lost", "warning", text))) + "\n")
    return report.exit_code


def _fail(failure: Failure, account: Account, *, as_json: bool) -> int:
    write_aside(visible("\n".join([f"error: {failure.message}", *map(str, failure.findings)])) + "\n")
    with contextlib.suppress(OutputLostError):  # it stands on stderr, and the exit code says what is wrong
        if as_json:
            findings = [asdict(finding) for finding in failure.findings]
            error = {"code": failure.code, "message": failure.message, "findings": findings}
            _print_json({**account.members(), "error": error})
        elif account.is_plugin:
            from pregen.cli.plugin import plugin_line  # noqa: PLC0415 - most commands are none

            write(visible(plugin_line("UNKNOWN", failure.message)) + "\n")
    if account.is_plugin:
        from pregen.status import Level  # noqa: PLC0415 - as above

        return Level.UNKNOWN
    return failure.exit_code


def _print_json(document: Mapping[str, object]) -> None:
    import json  # noqa: PLC0415 - most commands print text

    write(_CONTROLS.sub(_escaped, json.dumps(document, ensure_ascii=not is_utf8())) + "\n")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"

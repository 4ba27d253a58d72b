"""What is said of certificates that do not change as they were meant to, and which of them stop the whole command."""

from collections.abc import Sequence

from pregen.errors import MAX_EXAMPLES, Finding, GateError
from pregen.issuers import Issuer
from pregen.urgent.deciding import Fate
from pregen.urgent.orders import ChangeKind
from pregen.urgent.resolving import Example, Resolved
from storage.certid import serial_text

_UNKNOWN = (
    "the generation that is published does not have these certificates: look at the serial numbers and at whose they "
    "are"
)
_FINAL = "these certificates are revoked for good, and a revocation is final (RFC 5280, 5.3.1)"
_NEW = "; what no snapshot has had yet is taken by --cert FILE"


def refuse_impossible(kind: ChangeKind, issuers: Sequence[Issuer], resolved: Sequence[Resolved]) -> None:
    """Refuse certificates that nobody knows, and to hold or release what is revoked for good.

    Raises:
        GateError: there are such.
    """
    findings = [
        finding
        for fate, code, text in (
            (
                Fate.STRANGE,
                "certificate.unknown",
                f"{_UNKNOWN}{'' if kind is ChangeKind.RELEASE else _NEW}",
            ),
            (
                Fate.FINAL,
                "certificate.revoked",
                f"{_FINAL}: {kind} is for what is not",
            ),
        )
        if (finding := finding_of(issuers, resolved, fate, code, text)) is not None
    ]
    if findings:
        raise GateError(f"{kind} is refused; nothing was published", findings)


def finding_of(
    issuers: Sequence[Issuer], resolved: Sequence[Resolved], fate: Fate, code: str, text: str, *, is_error: bool = True
) -> Finding | None:
    """Return a finding about all certificates of a fate; None: there are none."""
    count = sum(one.fates.get(fate, 0) for one in resolved)
    if not count:
        return None
    examples = tuple(named(issuers, example) for one in resolved for example in one.examples.get(fate, ()))
    return Finding(code, "error" if is_error else "warning", text, count, examples[:MAX_EXAMPLES])


def named(issuers: Sequence[Issuer], example: Example) -> str:
    """Return what messages call a certificate."""
    return f"serial {serial_text(example.serial)} of {issuers[example.issuer].names[0]}"

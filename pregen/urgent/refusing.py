"""What is said of certificates that do not change as they were meant to, and which of them stop the whole command."""

from collections.abc import Sequence
from dataclasses import replace

from pregen.errors import MAX_EXAMPLES, ConfigError, Finding, GateError, Severity
from pregen.generation.making.left_out import all_left_out, with_counts
from pregen.issuers import Issuer
from pregen.urgent.deciding import Fate
from pregen.urgent.elsewhere import Elsewhere
from pregen.urgent.ground import Ground
from pregen.urgent.orders import ChangeKind
from pregen.urgent.resolving import Example, Resolved
from storage.certid import serial_text
from storage.manifest import LeftBehind

_UNKNOWN = (
    "the generation that is published does not have these certificates: look at the serial numbers and at whose they "
    "are"
)
_FINAL = "these certificates are revoked for good, and a revocation is final (RFC 5280, 5.3.1)"
_UNSIGNED = (
    "these changes are left out, since their issuers cannot sign: {revoked:,} of them would revoke, and the answers of "
    "before are given until somebody mends that, or until a run leaves them out; say them again then"
)
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


def without_unsigned(ground: Ground, resolved: Sequence[Resolved]) -> tuple[Finding, ...]:
    """Return a warning of what is left out because issuers cannot sign.

    Raises:
        ConfigError: the section of such an issuer refuses that, or nothing else would change.
    """
    left = all_left_out(one.unsigned for one in resolved)
    if not left.groups:
        return ()
    found = finding_of(
        ground.issuers,
        resolved,
        Fate.UNSIGNED,
        "issuer.left-out",
        _UNSIGNED.format(revoked=left.revoked),
        is_error=False,
    )
    refuses = {section.names[0] for section in ground.config.issuer if section.on_trouble == "refuse"}
    unable = {issuer.names[0]: issuer for issuer in (ground.issuers[group.issuer] for group in left.groups)}
    strict = [issuer for name, issuer in unable.items() if name in refuses or not any(one.groups for one in resolved)]
    if strict:
        faults = [
            replace(fault, message=f'issuer "{issuer.names[0]}": {fault.message}')
            for issuer in strict
            for fault in issuer.faults
        ]
        examples = f", such as {found.examples[0]}" if found and found.examples else ""
        raise ConfigError(
            f"the issuers of {sum(left.groups.values()):,} certificates that are to change cannot sign{examples}; "
            f"nothing was published: mend what is wrong with them, or leave these out, so that the rest lands",
            [*faults, *ground.warnings],
        )
    return () if found is None else (found,)


def check_elsewhere(ground: Ground, resolved: Sequence[Resolved]) -> tuple[Finding, ...]:
    """Return a warning of certificates that change under one name or key of their CA, and not under another.

    Raises:
        GateError: the configuration lacks that name or key: its clients would see no change.
    """
    findings = [_of_elsewhere(number, one, resolved) for number, one in enumerate(ground.elsewhere)]
    found = [finding for finding in findings if finding is not None]
    if any(finding.severity == "error" for finding in found):
        raise GateError("the configuration lacks a name or key that is answered for; nothing was published", found)
    return tuple(found)


def _of_elsewhere(number: int, one: Elsewhere, resolved: Sequence[Resolved]) -> Finding | None:
    some = [each.elsewhere[number] for each in resolved if number in each.elsewhere]
    if not some:
        return None
    what = "key" if one.is_key else "name"
    text = f"these certificates are answered for under a further {what} of their issuer too, {one.label}, and "
    if one.is_configured:
        text += f"change under it by --issuer {one.label} alone, or where also in its [[issuer]] names theirs"
    elif one.is_key:
        text += (
            "the configuration lacks it, so its clients would see no change: write its [[issuer]] again, with also, or "
            f"let a run with --drop-issuer {one.label} take its answers away"
        )
    else:
        text += (
            "the configuration lacks it, so its clients would see no change: name the issuer's certificate with that "
            "name again in certificate of its [[issuer]]"
        )
    examples = tuple(f"serial {serial_text(each.serial)} under {one.label}" for _, few in some for each in few)
    code = "issuer.further-key" if one.is_key else "issuer.further-name"
    severity: Severity = "warning" if one.is_configured else "error"
    return Finding(code, severity, text, sum(count for count, _ in some), examples[:MAX_EXAMPLES])


def unsigned_of(ground: Ground, resolved: Sequence[Resolved]) -> tuple[LeftBehind, ...]:
    """Return the issuers that cannot sign what would have changed, and how many certificates that is of each."""
    left = all_left_out(one.unsigned for one in resolved)
    return tuple(one for one in with_counts(ground.left_behind, ground.issuers, left) if one.left_out)


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

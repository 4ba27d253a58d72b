"""Issuers that cannot sign tonight, and do not stop the others (`on_trouble = "leave-behind"`).

The certificate of such an issuer, or its responder's, has ended, or leaves no window that its profile allows; or its
key cannot be opened. Until somebody mends that:

1. Its records stay as they are in the current generation, due or not, until their windows end; then edges say
   `tryLater`.
2. A certificate whose record says less than its row (good, or unknown, where it is revoked now) has none any more: it
   is left out and named, and never carried over as good. So is a certificate that has no record yet.
3. What its rows say is judged by all gates as ever; what is remembered of it stays as it was, and so does the instant
   for which its answers are complete.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pregen.errors import MAX_EXAMPLES, ConfigError, Finding, GateError
from pregen.gates import History
from pregen.issuers import Issuer, Responder, parse_certificate
from pregen.signers import algorithm_of
from pregen.validity import ValidityWindow
from storage.manifest import LeftBehind
from storage.reader import Generation
from storage.tables import Shape, StoredIssuer

_FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def left_behind(issuers: Iterable[Issuer], current: Generation | None) -> tuple[LeftBehind, ...]:
    """Return which issuers are left behind, and since when."""
    before = {one.name: one.as_of for one in current.manifest.left_behind} if current else {}
    as_of = current.commit.as_of if current else None
    return tuple(
        LeftBehind(name=one.names[0], trouble=one.trouble, as_of=before.get(one.names[0], as_of))
        for one in issuers
        if one.trouble and not one.is_further_name
    )


def as_before(history: History, before: History | None, issuers: Iterable[Issuer]) -> History:
    """Return what is remembered, of issuers that are left behind as it was."""
    known = before.issuers if before else {}
    stay = {one.issuer_id: known[one.issuer_id] for one in issuers if one.trouble and one.issuer_id in known}
    return replace(history, issuers={**history.issuers, **stay})


def trouble_warning(left: Sequence[LeftBehind], *, is_urgent: bool = False) -> tuple[Finding, ...]:
    """Warn of issuers that are left behind; an urgent change goes on without them whatever their sections say."""
    if not left:
        return ()
    text = (
        "these issuers cannot sign, and are left behind as their sections say (on_trouble): their answers stay until "
        "they run out, and what is newly revoked of theirs has no answer; mend what is wrong, then run again"
    )
    if is_urgent:
        text = "these issuers cannot sign, so nothing of theirs can change; mend what is wrong, then say it again"
    examples = tuple(f"{one.name}: {one.trouble}" for one in left[:MAX_EXAMPLES])
    return (Finding("issuer.left-behind", "warning", text, len(left), examples),)


def usable_window(issuer: Issuer, as_of: datetime, started: datetime) -> tuple[Issuer, ValidityWindow]:
    """Return an issuer and its window; one that can have none may become one that is left behind.

    Raises:
        ConfigError, GateError: see `pregen.validity.plan_window`.
    """
    if issuer.trouble:
        return issuer, _stand_in(issuer, started)
    try:
        return issuer, issuer.window(as_of, started)
    except (ConfigError, GateError) as error:
        if not issuer.may_stay_behind or not _is_of_certificate(issuer, as_of, started):
            raise
        fault = Finding(f"window.{error.code}", "error", error.message)
        return replace(issuer, trouble=error.message, faults=(fault,)), _stand_in(issuer, started)


def _is_of_certificate(issuer: Issuer, as_of: datetime, started: datetime) -> bool:
    """Whether it is for the end of a certificate alone that an issuer can have no window."""
    try:
        issuer.window(as_of, started, _FAR)
    except (ConfigError, GateError):
        return False
    return True


def _stand_in(issuer: Issuer, started: datetime) -> ValidityWindow:
    """Return a window that no answer gets, for an issuer that has none."""
    ends = started + max(issuer.validity.lifetime, 2 * _SECOND) - _SECOND
    return ValidityWindow(produced_at=started, this_update=started, next_update=ends, refresh_by=ends)


def as_stored(path: Path, issuer: Issuer, current: Generation | None) -> Issuer:
    """Return an issuer that is left behind with the responder that the current generation has for it.

    What was configured since then has signed nothing yet. Several may have: one signed the shards, and the next one an
    urgent change. The one whose answers end last comes first, the others are its `formers`.

    Args:
        path: of the configuration, for messages.
        issuer: as configured.
        current: the current generation; None: there is none.
    """
    issuer = replace(issuer, validity=replace(issuer.validity, ends_with_certificate=False), formers=())
    found: dict[object, tuple[int, Issuer]] = {}
    for loaded in current.tables.values() if current else ():
        tables = loaded.tables
        for run in tables.runs:
            stored, shape = tables.issuers[run.issuer], tables.shapes[run.shape]
            if stored.issuer_id != issuer.issuer_id:
                continue
            layout = tuple((one.hashes, one.algorithm) for one in shape.responses)
            made = stored.responder_id, stored.responder_certificate, layout
            end = tables.windows[run.window].next_update
            before, one = found.get(made) or (end, _as_in(path, issuer, stored, shape))
            found[made] = max(before, end), one
    if not found:
        return issuer
    first, *others = (one for _, one in sorted(found.values(), key=lambda one: -one[0]))
    # Whatever counts responses takes it that each of its certificates has equally many.
    return replace(first, formers=tuple(one for one in others if len(one.cert_ids) == len(first.cert_ids)))


def _as_in(path: Path, issuer: Issuer, stored: StoredIssuer, shape: Shape) -> Issuer:
    """Return an issuer as it was when records of a shape were signed."""
    return replace(
        issuer,
        certificates=stored.certificates or issuer.certificates,
        name_hashes=stored.name_hashes,
        key_hashes=stored.key_hashes,
        cert_ids=tuple(response.hashes for response in shape.responses),
        responder=_responder(path, issuer, stored, shape),
    )


def _responder(path: Path, issuer: Issuer, stored: StoredIssuer, shape: Shape) -> Responder:
    signer = parse_certificate(path, stored.responder_certificate or issuer.certificates[0])
    is_by_key = stored.responder_id == hashlib.sha1(signer.key_bits, usedforsecurity=False).digest()
    response = shape.responses[0]
    algorithm = algorithm_of(response.algorithm, response.signature_bytes)
    return replace(
        issuer.responder,
        certificate=stored.responder_certificate,
        public_key=signer.public_key,
        id_kind="by-key" if is_by_key else "by-name",
        id_octets=stored.responder_id,
        algorithm=algorithm.name if algorithm else issuer.responder.algorithm,
    )

"""Certificates of issuers and responders that end soon: renewing one takes approvals, and with some a ceremony."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.issuers.issuer import Issuer
from storage.certificate import ENDS_SOON_S, not_after_of


def ending_soon(issuers: Iterable[Issuer], now: datetime) -> tuple[Finding, ...]:
    """Warn of certificates that end within 14 days, whether they make a window shorter already or not.

    Of several certificates of an issuer the one that lives longest counts, as for its windows.
    """
    limit = now + timedelta(seconds=ENDS_SOON_S)
    soon = sorted(
        (one for one in issuers if one.not_after < limit and not one.is_further_name), key=lambda one: one.not_after
    )
    if not soon:
        return ()
    text = (
        "these certificates end within 14 days, and no answer is valid for longer than they are: renew them, and name "
        "the new ones in the configuration"
    )
    examples = tuple(
        f"{issuer.names[0]}: {_kind(issuer)} ends at {clock.text(issuer.not_after)}, in "
        f"{clock.length_text(int((issuer.not_after - now).total_seconds()))}"
        for issuer in soon[:MAX_EXAMPLES]
    )
    return (Finding("certificate.ends", "warning", text, len(soon), examples),)


def _kind(issuer: Issuer) -> str:
    own = issuer.responder.certificate
    is_of_responder = own is not None and not_after_of(own) == clock.seconds(issuer.not_after)
    return "the responder certificate" if is_of_responder else "the issuer certificate"

"""What of the current generation may stay, unread: shards of which nothing is due, and that were made as tonight."""

import hashlib
from collections.abc import Sequence

import numpy as np

from pregen import clock
from pregen.generation.groups import KINDS, Group
from pregen.generation.makings import Makings
from pregen.generation.plan import forms
from pregen.generation.templates import make_template
from pregen.issuers import Issuer

_USUAL_SERIAL_BYTES = 16  # templates for other lengths are made in the same way


def makings_of(issuers: Sequence[Issuer]) -> Makings:
    """Return what tells the shards of a run apart beside their rows."""
    return Makings(
        ids=np.array([issuer.issuer_id for issuer in issuers], np.uint64),
        ends=np.array([issuer.validity.ends_with_certificate for issuer in issuers], np.bool_),
        terms=tuple(_terms_of(issuer) for issuer in issuers),
    )


def _terms_of(issuer: Issuer) -> bytes:
    """Return a digest of all that decides what the answers of an issuer are made of, and whether they may stay."""
    responder, validity = issuer.responder, issuer.validity
    named = (
        responder.algorithm,
        responder.id_kind,
        issuer.cert_ids,
        validity.profile.name,
        validity.lifetime,
        validity.backdate,
        validity.ends_with_certificate,
        clock.seconds(issuer.not_after),
    )
    templates = [
        make_template(form) for kind in range(len(KINDS)) for form in forms(issuer, Group(0, _USUAL_SERIAL_BYTES, kind))
    ]
    texts = [repr(one).encode() for one in (named, templates)]
    total = hashlib.sha256()
    for part in (responder.certificate or b"", responder.id_octets, *texts):
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.digest()

"""How much a generation holds, as a line for people: what overlays hold stands apart (FORMAT.md, section 7)."""

from storage.manifest import Contents


def contents_text(contents: Contents) -> str:
    """Return how many certificates there are, and what overlays hold, if there are any.

    >>> contents_text(Contents(certificates=1_000, revoked=20, overlays=2, in_overlays=30, revoked_in_overlays=4))
    '1,000 certificates, 20 revoked; overlays: 2 packs with 30 records of urgent changes, 4 revoked'
    """
    text = f"{contents.certificates:,} certificates, {contents.revoked:,} revoked"
    return f"{text}; overlays: {overlays_text(contents)}" if contents.overlays else text


def overlays_text(contents: Contents) -> str:
    """Return what overlays hold."""
    return (
        f"{contents.overlays:,} packs with {contents.in_overlays:,} records of urgent changes, "
        f"{contents.revoked_in_overlays:,} revoked"
    )

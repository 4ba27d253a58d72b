"""What the edge needs of whoever knows the answers; in service is a `ServingReader`."""

from typing import Final, NamedTuple, Protocol

from storage.certid import CertID
from storage.freshness import Freshness
from storage.reader import Answer

STORE_DEADLINE_S: Final = 2.0
"""So long a request waits for the store: browsers give up after a few seconds, and proxies want some of them."""


class Loaded(NamedTuple):
    """What is loaded, as far as operators want to see it.

    Attributes:
        as_of: the instant for which its statuses are complete, in seconds since 1970.
        behind: issuers whose statuses are complete for an earlier instant only, by their labels.
        overlays: how many overlays are searched before its shards.
        issuers: labels by the first three members of a CertID.
    """

    as_of: int
    behind: dict[str, int]
    overlays: int
    issuers: dict[tuple[str, bytes, bytes], str]


class AnswerSource(Protocol):
    """Answers by CertID, of one generation at a time; threads may share it."""

    @property
    def generation(self) -> int | None:
        """Number of the commit that lookups use; None before anything is loaded."""

    @property
    def freshness(self) -> Freshness | None:
        """Until when the answers of what is loaded hold; None before anything is loaded."""

    def lookup(self, cert_id: CertID) -> Answer | None:
        """Return the answer for a CertID; None: not in the store.

        Raises:
            NothingPublishedError: nothing is loaded yet.
            StorageError, EOFError: what should hold the answer is damaged.
            OSError: the store does not answer.
        """


class LiveSource(AnswerSource, Protocol):
    """A source that follows the store."""

    @property
    def loaded(self) -> Loaded | None:
        """What is loaded; None before anything is, or where that is not known."""

    @property
    def epoch(self) -> object:
        """Something that is another object as soon as lookups may find anything else; None: that is not known."""

    def refresh(self) -> bool:
        """Load the newest generation, and tell whether it is another than before; on an error the old one stays.

        Raises:
            StorageError: there is none, it is damaged, or it is for newer readers.
            OSError: the store does not answer.
        """

    def store_clock_s(self) -> float | None:
        """Return what the store's own clock says, in seconds since 1970; None: it does not say."""

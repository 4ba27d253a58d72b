"""What the edge needs of whoever knows the answers; in service is a `ServingReader`."""

from typing import Final, Protocol

from storage.certid import CertID
from storage.freshness import Freshness
from storage.reader import Answer

STORE_DEADLINE_S: Final = 2.0
"""So long a request waits for the store: browsers give up after a few seconds, and proxies want some of them."""


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

    def refresh(self) -> bool:
        """Load the newest generation, and tell whether it is another than before; on an error the old one stays.

        Raises:
            StorageError: there is none, it is damaged, or it is for newer readers.
            OSError: the store does not answer.
        """

    def store_clock_s(self) -> float | None:
        """Return what the store's own clock says, in seconds since 1970; None: it does not say."""

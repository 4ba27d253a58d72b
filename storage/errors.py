"""What can go wrong in stored data and in the stores that hold it.

    StorageError
    ├── NothingPublishedError      the store is there, but holds no commit yet
    ├── CommitRefusedError         another publisher committed this number first
    ├── CommitUnknownError         nobody can say yet whether the commit took place
    ├── NotServableError           the newest generation is not there as a whole, or begins later than it is here
    ├── VanishedError              what is loaded is no longer in the store
    ├── UpgradeNeededError         written by a newer version that this one must not read, or not add to
    └── FormatError                octets that are not what FORMAT.md says
        ├── BadMagicError          another kind of file
        ├── UnsupportedVersionError
        ├── UnknownFeatureError    a feature bit that this reader does not know
        ├── TruncatedError         shorter than it says it is, or a short read
        ├── ChecksumError          damaged, or the right octets from the wrong place
        ├── KnownAnswerError       the tables do not reproduce their own known answer
        └── MalformedError         whole, but its parts contradict each other

Stores themselves raise builtin errors (see `storage.stores.base`). Every error pickles, so that it survives the
way home from a worker process.
"""


class StorageError(Exception):
    """Root of all errors of this package."""


class NothingPublishedError(StorageError):
    """The store holds no commit yet."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return f"nothing is published in {self.url} yet: run `pregen run` with this store, or check the address"


class CommitRefusedError(StorageError):
    """Another publisher committed this generation first; nothing was changed."""

    def __init__(self, number: int, winner: str) -> None:
        super().__init__(number, winner)
        self.number = number
        self.winner = winner

    def __str__(self) -> str:
        return f"commit {self.number} already belongs to publisher {self.winner}: run again, it plans from the new head"


class CommitUnknownError(StorageError):
    """The store did not say whether the commit took place, and does not show it: it may still appear."""

    def __init__(self, number: int, publisher: str, cause: str) -> None:
        super().__init__(number, publisher, cause)
        self.number = number
        self.publisher = publisher
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"whether commit {self.number} of publisher {self.publisher} took place is unknown ({self.cause}): "
            "wait until the store answers, look with `pregen inspect`, then run again if it is not there"
        )


class NotServableError(StorageError):
    """The newest generation cannot be served whole yet; what is loaded stays as it is.

    `serves_nothing`: that is this very generation, and none of its packs is there.
    """

    def __init__(self, number: int, reason: str, serves_nothing: bool = False) -> None:
        super().__init__(number, reason, serves_nothing)
        self.number = number
        self.reason = reason
        self.serves_nothing = serves_nothing

    def __str__(self) -> str:
        return f"commit {self.number} cannot be served whole yet: {self.reason}"


class VanishedError(StorageError):
    """The store no longer holds what is loaded, which stays in service as far as it is in memory or open."""

    def __init__(self, url: str, number: int, name: str) -> None:
        super().__init__(url, number, name)
        self.url = url
        self.number = number
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.url} no longer holds {self.name} of commit {self.number}, which is loaded: was it removed, "
            "emptied or replaced, or is a mount missing? Put it back, or start this edge again with the store that is "
            "meant"
        )


class CommitMissingError(StorageError):
    """A commit is not in the store, though newer ones are, or were; what is loaded stays as it is."""

    def __init__(self, url: str, number: int, newest: int) -> None:
        super().__init__(url, number, newest)
        self.url = url
        self.number = number
        self.newest = newest

    def __str__(self) -> str:
        return (
            f"{self.url} lacks commit {self.number}, though commit {self.newest} was published: nothing newer is "
            "served until it is there; where the store is a copy, copy all of the folder commits"
        )


class UpgradeNeededError(StorageError):
    """The store was written by a newer version; what is loaded stays as it is."""

    def __init__(self, number: int, needed: int, known: int, duty: str) -> None:
        super().__init__(number, needed, known, duty)
        self.number = number
        self.needed = needed
        self.known = known
        self.duty = duty

    def __str__(self) -> str:
        return (
            f"commit {self.number} needs a {self.duty} of format version {self.needed}, this one knows {self.known}: "
            "upgrade ocsp-pregen here"
        )


class FormatError(StorageError):
    """Octets that are not what FORMAT.md says; `name` is the stored object, `detail` what is wrong with it."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail)
        self.name = name
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


class BadMagicError(FormatError):
    """The object does not begin as its kind does."""


class UnsupportedVersionError(FormatError):
    """The object's format version is newer than this reader."""


class UnknownFeatureError(FormatError):
    """The object uses a feature that this reader does not know."""


class TruncatedError(FormatError):
    """The object, or what was read of it, is shorter than it must be."""


class ChecksumError(FormatError):
    """The octets are damaged, or they are the right ones from the wrong place."""


class KnownAnswerError(FormatError):
    """The tables do not reproduce their own known answer, so no answer made of them can be trusted."""


class MalformedError(FormatError):
    """The parts of the object contradict each other."""

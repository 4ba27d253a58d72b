"""What of a store is not in its URL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider

FindCredentials: TypeAlias = Callable[[str], "S3CredentialProvider | None"]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What of a store is not in its URL; a kind of store passes over what it has no use for.

    Attributes:
        endpoint: the server's address where it is not Amazon's. None: as the AWS_* variables say.
        region: of the bucket. None: as the AWS_* variables say.
        credentials: who finds credentials: a function of a module, so that it travels by its name and no secret does.
            It is called by the process that opens the store, with the URL for its messages, and returns None where
            the AWS_* variables and the roles of machines are enough. None: they are.
    """

    endpoint: str | None = None
    region: str | None = None
    credentials: FindCredentials | None = None

"""How a bucket of S3 is reached: the same for stores and for buckets of which snapshots are read.

Endpoint, region and credentials that an address does not have come from the standard AWS_* variables; credentials also
from the role of a container, a web identity or an instance.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from obstore.exceptions import BaseError
from obstore.store import S3Store as Client

from storage.stores.options import StoreOptions
from storage.stores.s3_faults import S3Place, no_credentials, translate
from storage.stores.s3_url import bucket_and_prefix, check_endpoint

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3CredentialProvider

_CREDENTIAL_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)


@dataclass(frozen=True, slots=True)
class S3Access:
    """A bucket, and all that clients of it need. It belongs to the process that made it.

    Attributes:
        place: where it is, for messages.
        prefix: of the names of a store's objects; may be empty.
        endpoint: address of the server; None: Amazon's.
        region: of the bucket; None: nobody says.
        provider: gives credentials; None: the client finds them in the variables, or is given a role.
    """

    place: S3Place
    prefix: str
    endpoint: str | None
    region: str | None
    provider: "S3CredentialProvider | None" = field(repr=False)

    @classmethod
    def of(cls, url: str, options: StoreOptions) -> Self:
        """Complete the address s3://bucket/prefix; no server is asked, but perhaps one for credentials.

        Raises:
            ValueError: the endpoint cannot be one.
            PermissionError: there are no credentials, or ones that cannot be used, as far as that can be known now.
        """
        bucket, prefix = bucket_and_prefix(url)
        endpoint = options.endpoint
        if endpoint is None:
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
        if endpoint is not None:
            check_endpoint(endpoint)
        provider = None if options.credentials is None else options.credentials(url)
        region = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        region = region or getattr(provider, "config", {}).get("region")  # of a profile
        place = S3Place(url, bucket, endpoint or f"Amazon S3 in {region or 'us-east-1'}")
        if provider is None and not _may_find_credentials():
            raise no_credentials(place)
        return cls(place, prefix, endpoint, region, provider)

    @property
    def server_url(self) -> str:
        """The address of the server, which may be asked for the time."""
        suffix = ".cn" if self.region and self.region.startswith("cn-") else ""
        return self.endpoint or f"https://s3.{self.region or 'us-east-1'}.amazonaws.com{suffix}/"

    def client(self, options: "ClientConfig", retry: "RetryConfig") -> Client:
        """Return a client with some patience.

        Raises:
            OSError: as of `translated`.
        """
        config: S3Config = {}
        if self.endpoint:
            config["aws_endpoint_url_s3"] = self.endpoint  # under its other key, AWS_ENDPOINT_URL_S3 would go before it
        if self.region:
            config["region"] = self.region
        with self.translated("", reading=True):
            return Client(
                self.place.bucket,
                prefix=self.prefix or None,
                config=config,
                client_options={**options, "allow_http": self.endpoint is not None and self.endpoint[:5] == "http:"},
                retry_config=retry,
                credential_provider=self.provider,
            )

    @contextmanager
    def translated(self, name: str, *, reading: bool) -> Iterator[None]:
        """Give what a client raises in this context the form of builtin errors; see `s3_faults.translate`."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise translate(error, self.place, name, reading=reading) from None


def _may_find_credentials() -> bool:
    """Say whether some source of credentials is left: without variables, it is the instance's metadata service."""
    has_instance = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"
    return has_instance or any(os.environ.get(source) for source in _CREDENTIAL_SOURCES)

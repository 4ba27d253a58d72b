"""AWS credentials for reading and publishing: as boto3 finds them (profiles, sign-on, roles), renewed while in use."""

from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boto3 import Session
    from obstore.auth.boto3 import Boto3CredentialProvider

# botocore renews temporary credentials at the latest ten minutes before their end: what it gives out lives that long.
_LIFETIME = timedelta(minutes=10)


def aws_credentials(place: str) -> "Boto3CredentialProvider | None":
    """Return what gives credentials to a client, in the process that calls it.

    None where boto3 is not installed, which is at edges: there the AWS_* variables and roles of machines are all.

    Args:
        place: what they are for, to be named in messages.

    Raises:
        PermissionError: as of `aws_session`.
    """
    if find_spec("boto3") is None:
        return None
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    session = aws_session(place)
    try:
        provider = Boto3CredentialProvider(session, ttl=_LIFETIME)
        provider()  # single sign-on, roles and the like fail here, with boto3's own words, and not in a worker
    except (BotoCoreError, ClientError) as error:
        raise _useless(place, error) from None
    return provider


def aws_session(place: str) -> "Session":
    """Return a session of boto3 that has credentials.

    Args:
        place: what they are for, to be named in messages.

    Raises:
        PermissionError: no credentials, or ones that cannot be used; the text says what to set.
    """
    import boto3  # noqa: PLC0415  a quarter of a second that runs to a local store need not spend
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise PermissionError(
                f"{place}: no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or run where an instance, container or web identity role is given"
            )
    except (BotoCoreError, ClientError) as error:
        raise _useless(place, error) from None
    return session


def _useless(place: str, error: Exception) -> PermissionError:
    return PermissionError(f"{place}: the AWS credentials cannot be used: {error}")

"""What obstore says about a failed request, turned into the builtin errors of the contract.

obstore's errors carry no fields, only a text: what was asked, the status, the body of the answer, and the chain of
causes. The parts used here are picked out of it one by one and the text itself is never shown: the address of a
request for credentials can hold a token, and the body of an answer repeats what was signed.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError, UnauthenticatedError

from storage.stores.terms import absent

HOW_TO_GIVE_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones), "
    "or run where an instance, container or web identity role is given"
)


_SETTLED = frozenset({HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.LOOP_DETECTED})


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where a store on S3 is, for messages."""

    url: str
    bucket: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """The parts of obstore's text; empty (0 for the status) where it does not say."""

    uri: str
    status: int
    code: str
    message: str
    cause: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        text = str(error)
        return cls(
            uri=_first(r"Error performing [A-Z]+ (\S+) in ", text),
            status=int(_first(r"status code: (\d{3})", text) or 0),
            code=_first(r"<Code>([A-Za-z0-9.]{1,80})</Code>", text),
            message=_first(r"<Message>([^<]{1,300})</Message>", text),
            cause=_cause(text),
        )

    def __str__(self) -> str:
        answer = " ".join(part for part in (self.code, self.message) if part)
        return answer or (f"HTTP status {self.status}" if self.status else self.cause)


def is_conflict(error: AlreadyExistsError | PreconditionError) -> bool:
    """Say whether a conditional write met another one on its way (409): nothing is decided, it is to be repeated.

    obstore reports it as if the object were there.
    """
    return _Failure.of(error).status == HTTPStatus.CONFLICT


def is_behind_the_end(error: BaseError) -> bool:
    """Say whether a range begins at or behind the object's end (416)."""
    return _Failure.of(error).status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def no_credentials(place: S3Place, detail: str = "") -> PermissionError:
    """Return the error of a store for which no credentials could be found."""
    return PermissionError(
        f"{place.url}: no AWS credentials{f' ({detail})' if detail else ''}: {HOW_TO_GIVE_CREDENTIALS}"
    )


def translate(error: Exception, place: S3Place, name: str, *, reading: bool) -> OSError:
    """Return the builtin error for one of obstore's; `name` is empty where the store as a whole is meant."""
    failure = _Failure.of(error)
    if isinstance(error, UnauthenticatedError) and not failure.status:  # raised by a credential provider
        return PermissionError(f"{place.url}: the AWS credentials could not be renewed: {_first_line(error)}")
    if _is_about_credentials(failure, place, error):
        return no_credentials(place, str(failure) or _first_line(error))
    at = f"{place.url}/{name}" if name else place.url
    if failure.status:
        return _of_answer(failure, place, name, at, reads_object=reading and name != "")
    if "configured region" in str(error):
        return ConnectionError(f"{place.url}: the bucket is in another region: set AWS_REGION, or region in [publish]")
    if failure.uri:
        return ConnectionError(f"{at}: no answer from {place.endpoint}: {failure}")
    return OSError(f"{at}: {_first_line(error)}")


def _of_answer(failure: _Failure, place: S3Place, name: str, at: str, *, reads_object: bool) -> OSError:
    """Return the error for an answer with a status."""
    status = failure.status
    if failure.code == "NoSuchBucket" or (status == HTTPStatus.NOT_FOUND and not reads_object):
        return ConnectionError(
            f"{place.url}: there is no bucket {place.bucket!r} at {place.endpoint}: create it, or correct its name, "
            "the endpoint or the region"
        )
    if status == HTTPStatus.NOT_FOUND:
        return absent(place.url, name)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        # Wrong keys and signatures have codes of their own.
        may_be_absent = reads_object and failure.code in ("", "AccessDenied")
        hint = " (S3 says so of an absent object too, unless s3:ListBucket is allowed)" if may_be_absent else ""
        return PermissionError(f"{at}: not allowed: {failure}{hint}: check the credentials and what they may do")
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return OSError(
            f"{at}: {place.endpoint} cannot do that: {failure}; publishing needs conditional writes (If-None-Match): "
            "use another server, or a newer version of this one"
        )
    # What a server in trouble says leaves open what came of a request; these say that nothing did.
    is_settled = status in _SETTLED or status < HTTPStatus.INTERNAL_SERVER_ERROR
    if is_settled and status != HTTPStatus.TOO_MANY_REQUESTS:
        return OSError(f"{at}: refused by {place.endpoint}: {failure}")
    return ConnectionError(f"{at}: no good answer from {place.endpoint}: {failure}")


def _is_about_credentials(failure: _Failure, place: S3Place, error: Exception) -> bool:
    """Say whether the failed request asked for credentials: then its address does not hold the bucket."""
    if failure.uri:
        return place.bucket not in failure.uri
    return re.search(r"Missing \w*(AccessKey|Key)\w*|token file", _first_line(error)) is not None


def _cause(text: str) -> str:
    """Return what a request died of, from the chain of causes."""
    if "kind: Timeout" in text or "TimedOut" in text:
        return "no answer in time"
    if "InvalidContentType" in text:
        return "it does not speak TLS (write http:// instead of https:// in the endpoint)"
    return _first(r'(?:message|error): "([^"]{1,200})"', text) or _first(r"HTTP error: ([^\n]{1,200})", text)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("Generic S3 error: ")
